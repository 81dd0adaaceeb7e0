"""Videos of episodes: bounded in size, and of the right episode."""

import io

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from PIL import Image

from ganq_irl.errors import ConfigurationError
from ganq_irl.runs import video
from ganq_irl.runs.video import MAX_BYTES, SIZE, make_rendered_env, record_demonstration_video, record_policy_video
from ganq_irl_demos import load_demonstrations


class Striped(gym.Env):
    """Ends after ``length`` steps; each frame is noise, which no encoder makes small."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012
    observation_space = spaces.Box(-1, 1, (1,))
    action_space = spaces.Discrete(2)

    def __init__(self, length=30, render_mode=None, broken=False):
        self.length, self.render_mode, self.broken = length, render_mode, broken
        self.rng = np.random.default_rng(0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += {0: 1}[action]  # as the toy texts of Gymnasium look it up
        return np.zeros(1, np.float32), 2.0, self.steps == self.length, False, {}

    def render(self):
        if self.broken:
            raise OSError("no display")
        return self.rng.integers(0, 256, (400, 600, 3)).astype(np.uint8)


class Mute(Striped):
    metadata = {"render_modes": ["human"]}  # noqa: RUF012


@pytest.fixture(autouse=True)
def registered():
    gym.register("Striped-v0", Striped)
    gym.register("Mute-v0", Mute)
    yield
    del gym.registry["Striped-v0"], gym.registry["Mute-v0"]


class Idle:
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert deterministic
        return np.array(0), None


def opened(gif):
    image = Image.open(io.BytesIO(gif))
    return image.size, image.n_frames, image.info


def test_a_film_is_of_ten_frames_a_second_and_says_what_happened():
    film = record_policy_video(Idle(), make_rendered_env("Striped-v0"), seed=3)
    assert len(film.frames) == 16  # of 31 states, 20 a second, every other one
    assert film.describe() == "return 60, 30 steps"
    size, n_frames, info = opened(film.to_gif())
    assert size[0] <= SIZE[0]
    assert size[1] <= SIZE[1]
    assert (n_frames, info["duration"], info["loop"]) == (16, 100, 0)


def test_a_long_episode_is_cut_and_a_large_film_is_made_smaller():
    film = record_policy_video(Idle(), make_rendered_env("Striped-v0", {"length": 1000}), seed=0)
    assert not film.is_whole
    assert film.describe() == "the first 200 steps"
    gif = film.to_gif()
    assert len(gif) <= MAX_BYTES
    size, n_frames, _ = opened(gif)
    assert n_frames == video.SECONDS * video.FRAMES_PER_SECOND
    assert size < film.frames[0].size


def numpys_state():
    return np.random.get_state()[1].copy()  # noqa: NPY002  what a policy might draw from


def test_filming_leaves_global_random_states_alone():
    before = torch.get_rng_state(), numpys_state()
    record_policy_video(Idle(), make_rendered_env("Striped-v0"), seed=3)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == numpys_state()).all()


def test_a_recorded_episode_is_drawn_again():
    trajectory = load_demonstrations("cartpole")[0]
    env = make_rendered_env("CartPole-v1", {"render_mode": "human"})
    film = record_demonstration_video(trajectory, env)
    env.close()
    assert film.steps == len(trajectory)
    assert film.frames[0].size == (240, 160)
    assert film.frames[0].tobytes() != film.frames[-1].tobytes()


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ConfigurationError, match=r"Mute-v0 renders no images .*rgb_array"):
        make_rendered_env("Mute-v0")
    with pytest.raises(ConfigurationError, match=r"cannot be drawn here \(OSError: no display\)"):
        make_rendered_env("Striped-v0", {"broken": True})


def test_mujoco_without_a_display_is_told_what_to_set():
    class Simulated(Striped):
        pass

    Simulated.__module__ = "gymnasium.envs.mujoco.half_cheetah_v5"
    gym.register("Simulated-v0", Simulated)
    try:
        with pytest.raises(ConfigurationError, match="MUJOCO_GL=egl"):
            make_rendered_env("Simulated-v0", {"broken": True})
    finally:
        del gym.registry["Simulated-v0"]
