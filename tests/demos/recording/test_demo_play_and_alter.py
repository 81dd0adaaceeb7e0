from __future__ import annotations

import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, InvalidDemonstrations
from ganq_irl_demos import record_episodes, require_valid
from ganq_irl_demos.recording.play import DOWN, LEFT, RIGHT, UP, PlaySession, keys_for, play
from ganq_irl_demos.recording.policies import AlteredPolicy, FunctionPolicy, policy_function, subsample
from tests.demos.demo_examples import DictEnv, SwingUp, make_demos, make_trajectory


def generator(seed=0):
    return np.random.default_rng(seed)


def test_a_function_is_a_policy():
    env = gym.make("Pendulum-v1")
    recorded = record_episodes(FunctionPolicy(lambda observation: [observation[1]], env.action_space), env, 1, seed=0)
    np.testing.assert_allclose(recorded[0].actions, recorded[0].observations[:-1, 1:2], rtol=1e-6)


@pytest.mark.parametrize("action", ["left", None, np.nan, [1, 2], 7, {"a": 1}])
def test_a_function_that_returns_no_action_is_told_so(action):
    policy = FunctionPolicy(lambda observation: action, spaces.Discrete(3), "mine:act")
    with pytest.raises(InvalidDemonstrations, match=r"mine:act returned .*, expected an action of Discrete\(3\)"):
        policy.predict(0)


def test_functions_are_found_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_to_find.py").write_text("def act(observation):\n    return 1\nx = 3\n")
    before = list(sys.path)
    assert policy_function("mine_to_find:act")(None) == 1
    assert sys.path == before
    for name, message in [
        ("mine_to_find", "expected module:function"),
        ("mine_to_find:x", "is a int"),
        ("mine_to_find:y", "has no y"),
        ("nowhere_at_all:y", "No module named"),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            policy_function(name)


def test_noise_and_chance_are_as_asked_and_repeat():
    space = spaces.Discrete(2)
    steady = FunctionPolicy(lambda observation: 0, space)
    starts = np.array([True])

    def share(**options):
        policy = AlteredPolicy(steady, space, generator(), **options)
        return np.mean([policy.predict(0, episode_start=starts)[0] for _ in range(2000)])

    assert share() == 0
    assert share(noise=0.5) == pytest.approx(0.25, abs=0.03)
    assert share(random_share=0.5) == pytest.approx(0.25, abs=0.03)
    assert share(noise=0.5) == share(noise=0.5)


def test_chance_takes_whole_episodes():
    space = spaces.Discrete(1000)
    policy = AlteredPolicy(FunctionPolicy(lambda observation: 0, space), space, generator(), random_share=0.5)
    episodes = [[int(policy.predict(0, episode_start=np.array([i == 0]))[0]) for i in range(5)] for _ in range(200)]
    kinds = [sum(action == 0 for action in episode) for episode in episodes]
    assert set(kinds) <= {0, 1, 5}
    assert 70 < kinds.count(5) < 130


def test_noise_on_boxes_is_gaussian_in_half_ranges():
    space = spaces.Box(-2, 2, (1,))
    policy = AlteredPolicy(FunctionPolicy(lambda observation: [0.0], space), space, generator(), noise=0.1)
    drawn = np.array([policy.predict(0)[0] for _ in range(2000)])
    assert drawn.std() == pytest.approx(0.2, rel=0.1)
    env = gym.make("Pendulum-v1")
    noisy = record_episodes(AlteredPolicy(SwingUp(), env.action_space, generator(), noise=3.0), env, 1, seed=0)
    require_valid(noisy)


@pytest.mark.parametrize("options", [{"noise": -1}, {"noise": 2}, {"random_share": 1.5}])
def test_shares_are_shares(options):
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        AlteredPolicy(SwingUp(), spaces.Discrete(2), generator(), **options)
    with pytest.raises(ConfigurationError, match="range"):
        AlteredPolicy(SwingUp(), spaces.Box(-np.inf, np.inf, (1,)), generator(), noise=0.1)


def test_subsampling_keeps_every_kth_transition_from_a_random_start():
    demos = make_demos(*(make_trajectory(100, index, terminated=True, truncated=False) for index in range(40)))
    thin = subsample(demos, 20, generator())
    assert len(thin) == 40 * 5
    assert thin.provenance["subsampled"] == {"every": 20, "episodes": 40}
    whole = demos.to_batch()
    rows = [int(np.flatnonzero((whole.actions.numpy() == one.actions[0]).all(axis=1))[0]) for one in thin]
    starts = np.array(rows).reshape(40, 5)[:, 0] % 100
    assert (np.diff(np.array(rows).reshape(40, 5), axis=1) == 20).all()
    assert len(set(starts.tolist())) > 8
    assert starts.max() < 20
    batch = thin.to_batch()
    np.testing.assert_array_equal(batch.next_observations.numpy(), whole.next_observations[rows].numpy())
    np.testing.assert_array_equal(batch.dones.numpy(), whole.dones[rows].numpy())
    assert len(subsample(make_demos(make_trajectory(5)), 20, generator())) == 1
    with pytest.raises(ConfigurationError, match="1 or more"):
        subsample(demos, 0, generator())


class Corridor(gym.Env):
    """Ends at the right, or after five steps; pays for going there."""

    observation_space = spaces.Box(-9, 9, (1,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = float(seed % 2), 0
        return np.array([self.place], np.float32), {}

    def step(self, action):
        self.place, self.steps = self.place + (1 if action else -1), self.steps + 1
        return np.array([self.place], np.float32), float(action), self.place >= 3, self.steps >= 5, {}


def played(keys, episodes=None):
    screens = []
    pressed = iter(keys)
    session = PlaySession(Corridor(), 0)
    demos = play(session, read_key=lambda: next(pressed, ""), show=screens.append, episodes=episodes)
    return demos, screens


def test_playing_keeps_whole_episodes_and_counts_live():
    demos, screens = played([RIGHT, LEFT, "1", "1", "1", "1", "1", "q"])
    assert [(one.seed, len(one), one.terminated, one.truncated) for one in demos] == [
        (0, 5, True, True),
        (1, 2, True, False),
    ]
    assert demos[0].actions.tolist() == [1, 0, 1, 1, 1]
    assert demos[1].observations.reshape(-1).tolist() == [1, 2, 3]
    assert "episodes 0   step 2   return 1   seed 0" in screens[2]
    assert "kept" in screens[5]
    assert demos.provenance["played"] == "by a person"
    require_valid(demos)


def test_reset_and_undo():
    demos, screens = played(["1", "r", "1", "1", "1", "u", "1", "0", "1", "0", "1", "u", "u", "1", "1", "1", "x", "q"])
    assert [(one.seed, one.actions.tolist()) for one in demos] == [(0, [1, 1, 1])]
    assert any("restarted the episode" in screen for screen in screens)
    assert any("there is no episode to undo" in screen for screen in screens)
    assert any("'x' has no action" in screen for screen in screens)


def test_playing_stops_at_the_number_asked_for_or_at_the_end_of_input():
    assert len(played(["1"] * 50, episodes=3)[0]) == 3
    assert len(played(["1"])[0]) == 0


def test_keys():
    assert keys_for(spaces.Discrete(3)) == {"0": 0, "1": 1, "2": 2, LEFT: 0, RIGHT: 2}
    assert keys_for(spaces.Discrete(4, start=1))[UP] == 4
    assert keys_for(spaces.Discrete(4))[DOWN] == 1
    with pytest.raises(ConfigurationError, match="11 actions"):
        keys_for(spaces.Discrete(11))
    with pytest.raises(ConfigurationError, match="Discrete actions"):
        PlaySession(DictEnv(), 0)
