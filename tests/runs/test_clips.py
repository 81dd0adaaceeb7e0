"""Clips of segments: the environment in the recorded states, or plots that say why."""

import io

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

from ganq_irl.environments.states import can_show, show_states
from ganq_irl.errors import GanqIrlError
from ganq_irl.feedback import Questions
from ganq_irl.runs.clips import PLOTTED, QuestionClips
from ganq_irl_demos import Trajectory


def played(env, n_steps, seed=0):
    """Observations of random actions."""
    observations = [env.reset(seed=seed)[0]]
    env.action_space.seed(seed)
    for _ in range(n_steps):
        observations.append(env.step(env.action_space.sample())[0])
    return np.array(observations)


def segment(observations, action_space):
    actions = np.array([action_space.sample() for _ in observations[1:]])
    return Trajectory(np.asarray(observations, np.float32), actions)


CLASSIC = ["CartPole-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1"]


@pytest.mark.parametrize("env_id", CLASSIC)
def test_a_shown_state_looks_like_the_state_that_was_seen(env_id):
    env = gym.make(env_id, render_mode="rgb_array")
    observation, _ = env.reset(seed=3)
    seen = env.render()
    env.reset(seed=4)
    assert np.abs(env.render().astype(int) - seen).max() > 0
    (_,) = show_states(env, observation[None])
    np.testing.assert_allclose(env.render().astype(int), seen, atol=60)  # edges, rounded to other pixels
    assert (env.render() != seen).mean() < 0.001


@pytest.mark.parametrize("env_id", ["Hopper-v5", "HalfCheetah-v5", "Walker2d-v5", "Ant-v5", "InvertedPendulum-v5"])
def test_robots_take_the_positions_and_velocities_that_they_observed(env_id):
    pytest.importorskip("mujoco")
    if env_id not in gym.registry:
        pytest.skip("an older Gymnasium")
    env = gym.make(env_id)
    observations = played(env, 4)
    parts = env.unwrapped.observation_structure
    skipped, n = parts.get("skipped_qpos", 0), parts["qpos"]
    for observation in show_states(env, observations):
        np.testing.assert_allclose(env.unwrapped.data.qpos[skipped:], observation[:n])
        np.testing.assert_allclose(env.unwrapped.data.qvel, observation[n : n + parts["qvel"]])
    assert (env.unwrapped.data.qpos[:skipped] != 0).all()  # it travels


class Scaled(gym.ObservationWrapper):
    """Observes other numbers than the environment itself."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = spaces.Box(-20, 20, (3,), np.float32)

    def observation(self, observation):
        return 2 * observation


@pytest.mark.parametrize("env", [gym.make("FrozenLake-v1"), Scaled(gym.make("Pendulum-v1"))], ids=["grid", "wrapped"])
def test_environments_that_observe_something_else_are_not_shown(env):
    assert not can_show(env)
    with pytest.raises(ValueError, match="cannot be set"):
        next(show_states(env, np.zeros((1, 3))))


@pytest.fixture
def store(tmp_path):
    return Questions(tmp_path / "feedback")


def add(store, env, env_id, observations):
    parts = [segment(each, env.action_space) for each in observations]
    return store.add(parts, env.observation_space, env.action_space, env_id)


def test_clips_show_the_environment_and_move(store):
    env = gym.make("Pendulum-v1")
    pair = add(store, env, "Pendulum-v1", [played(env, 25, seed) for seed in (0, 1)])
    clips = QuestionClips(store)
    clips.prepare(pair)
    drawn = clips.of(pair)
    assert drawn.media_type == "image/gif"
    assert drawn.texts == ("Left clip: 25 steps of Pendulum-v1", "Right clip: 25 steps of Pendulum-v1")
    assert drawn.note == ""
    assert drawn.images[0] != drawn.images[1]
    for image in drawn.images:
        assert Image.open(io.BytesIO(image)).n_frames >= 10
        assert len(image) < 300_000
    assert all(Image.open(io.BytesIO(still)).size == (3 * 180, 2 * 180) for still in drawn.stills)


@pytest.mark.parametrize(
    ("env_id", "reason"),
    [
        (None, "do not name their environment"),
        ("os:Pendulum-v1", "would import the module os"),
        ("Nowhere-v0", "unknown environment"),
        ("CartPole-v1", "cannot be put into the states of its observations"),  # of another space
    ],
)
def test_what_cannot_be_shown_is_plotted_and_the_reason_is_told(store, env_id, reason):
    env = gym.make("Pendulum-v1")
    drawn = QuestionClips(store).of(add(store, env, env_id, [played(env, 5, seed) for seed in (0, 1)]))
    assert drawn.media_type == "image/png"
    assert drawn.note.startswith(PLOTTED)
    assert reason in drawn.note


def test_impossible_states_are_plotted_as_well(store):
    env = gym.make("CartPole-v1")
    states = [np.full((4, 4), value, np.float32) for value in (3e38, 2.0)]
    drawn = QuestionClips(store).of(add(store, env, "CartPole-v1", states))
    assert drawn.media_type == "image/png"
    assert "CartPole-v1 cannot be drawn in these states (OverflowError" in drawn.note


def test_a_pair_that_was_repaired_is_drawn(store):
    env = gym.make("Pendulum-v1")
    pair = add(store, env, "Pendulum-v1", [played(env, 5, seed) for seed in (0, 1)])
    content, clips = (store.folder / pair).read_bytes(), QuestionClips(store)
    (store.folder / pair).write_bytes(content[:-40])
    with pytest.raises(GanqIrlError):
        clips.of(pair)
    (store.folder / pair).write_bytes(content)
    assert clips.of(pair).media_type == "image/gif"


@pytest.mark.parametrize("shape", [(40, 36, 3), (3, 40, 36), (4, 40, 36), (40, 36, 1)])
def test_observations_that_are_images_are_the_clips(store, shape):
    """Bright above and dark below; of stacked images only the newest is bright."""
    image = np.zeros((40, 36, min(shape[0], shape[2])), np.uint8)
    image[:20, :, slice(None) if image.shape[2] == 3 else -1] = 250
    observation = image if shape == image.shape else np.moveaxis(image, -1, 0)
    segment = Trajectory(np.stack([observation] * 4), np.zeros(3, np.int64), truncated=True)
    pair = store.add([segment, segment], spaces.Box(0, 255, shape, np.uint8), spaces.Discrete(2))
    drawn = QuestionClips(store).of(pair)
    assert (drawn.media_type, drawn.note) == ("image/gif", "")
    shown = np.asarray(Image.open(io.BytesIO(drawn.images[0])).convert("RGB"))
    assert shown.shape == (180, 162, 3)
    assert shown[:85].min() > 200
    assert shown[95:].max() < 50
