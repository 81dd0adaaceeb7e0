"""n-step returns: where a window ends, what it sums, and what it bootstraps from."""

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.off_policy.n_step import NStepDictReplayBuffer, NStepReplayBuffer, replay_buffer_for, windows
from tests.generators.off_policy.n_step_examples import GAMMA, KEYS, LINE, at, empty, n_step_kwargs, store, walk_line
from tests.scripted import CountingEnv


def test_windows():
    dones = np.zeros((4, 2))
    dones[0, 1] = 1
    window = windows(np.array([3, 3, 1]), np.array([0, 1, 0]), 3, 2, dones)
    assert window.steps.tolist() == [[3, 0, 1], [3, 0, 1], [1, 2, 3]]
    assert window.inside.tolist() == [[True, True, True], [True, True, False], [True, True, False]]
    assert window.lengths.tolist() == [3, 2, 2]
    assert window.last.tolist() == [1, 0, 2]


def test_a_whole_window():
    samples = at(store(empty(), *walk_line(10)), 2)
    assert samples == {
        "observations": [2],
        "actions": [2],
        "next_observations": [5],
        "dones": [0],
        "rewards": [3 + GAMMA * 4 + GAMMA**2 * 5],
        "discounts": [GAMMA**3],
    }


def test_a_termination_inside_the_window():
    samples = at(store(empty(), *walk_line(10, {3: "end"})), 2, 3, 4)
    assert samples["rewards"] == [3 + GAMMA * 4, 4, 5 + GAMMA * 6 + GAMMA**2 * 7]
    assert samples["next_observations"] == [4, 4, 7]
    assert samples["dones"] == [1, 1, 0]
    assert samples["discounts"] == [GAMMA**2, GAMMA, GAMMA**3]


def test_a_termination_stays_one_when_the_environment_was_reset():
    samples = at(store(empty(), (0, 1, 1.0, ""), (1, 2, 1.0, "end"), (50, 51, 9.0, "")), 0, 1)
    assert samples["dones"] == [1, 1]
    assert samples["next_observations"] == [2, 2]


def test_a_time_limit_inside_the_window_bootstraps_from_the_terminal_observation():
    buffer = store(empty(), (0, 1, 1.0, ""), (1, 100, 2.0, "limit"), (50, 51, 9.0, ""), (51, 52, 9.0, ""))
    samples = at(buffer, 0, 1)
    assert samples["rewards"] == [1 + GAMMA * 2, 2]
    assert samples["next_observations"] == [100, 100]
    assert samples["dones"] == [0, 0]
    assert samples["discounts"] == [GAMMA**2, GAMMA]


def test_the_newest_transition_ends_a_window():
    samples = at(store(empty(), *walk_line(4)), 1, 2, 3)
    assert samples["next_observations"] == [4, 4, 4]
    assert samples["rewards"] == [2 + GAMMA * 3 + GAMMA**2 * 4, 3 + GAMMA * 4, 4]
    assert samples["discounts"] == [GAMMA**3, GAMMA**2, GAMMA]


def test_the_ring_wraps_around():
    """Of five places, 5 and 6 lie in the first two and 2, 3, 4 in the others; 6 is the newest and 2 the oldest."""
    samples = at(store(empty(size=5), *walk_line(7)), 0, 1, 2, 3, 4)
    assert samples["observations"] == [5, 6, 2, 3, 4]
    assert samples["next_observations"] == [7, 7, 5, 6, 7]
    assert samples["rewards"] == [6 + GAMMA * 7, 7, 3 + 2 + 1.25, 4 + 2.5 + 1.5, 5 + 3 + 1.75]


def test_a_window_longer_than_the_ring():
    samples = at(store(empty(size=3, n_steps=10), *walk_line(4)), 1)
    assert samples["rewards"] == [2 + GAMMA * 3 + GAMMA**2 * 4]
    assert samples["discounts"] == [GAMMA**3]


def test_environments_do_not_mix():
    buffer = empty(n_envs=2, n_steps=2)
    for step in range(6):
        now = np.array([[step], [100 + step]], np.float32)
        dones = np.array([False, step == 2])
        buffer.add(now, now + 1, np.zeros((2, 1), int), np.array([1.0, 10.0]), dones, [{}, {}])
    np.random.seed(0)  # noqa: NPY002  # SB3's buffers draw from it
    samples = buffer._get_samples(np.full(64, 2))
    second = samples.observations[:, 0] > 50
    assert 10 < second.sum() < 54
    for row, is_second in enumerate(second):
        got = [samples.rewards[row].item(), samples.next_observations[row].item(), samples.dones[row].item()]
        assert got == ([10, 103, 1] if is_second else [1 + GAMMA, 4, 0])


def test_a_trajectory_that_the_next_run_does_not_continue_counts_as_cut():
    """SB3 resets the environment at the next ``learn``; no ``done`` tells where the first one left off."""
    buffer = store(empty(), *walk_line(3), *walk_line(3, first=50))
    samples = at(buffer, 1, 3)
    assert samples["rewards"] == [2 + GAMMA * 3, 51 + GAMMA * 52 + GAMMA**2 * 53]
    assert samples["next_observations"] == [3, 53]
    assert samples["dones"] == [0, 0]


@pytest.mark.parametrize("cls", [NStepReplayBuffer, NStepDictReplayBuffer])
def test_only_the_environment_that_was_reset_is_cut(cls):
    buffer = empty(n_envs=2, n_steps=2, cls=cls, space=LINE if cls is NStepReplayBuffer else KEYS)
    for now, following in [((0, 0), (1, 1)), ((1, 50), (2, 51))]:
        rows = [np.array(value, np.float32)[:, None] for value in (now, following)]
        if cls is NStepDictReplayBuffer:
            rows = [{"a": np.zeros_like(value), "b": value.astype(int)} for value in rows]
        buffer.add(*rows, np.zeros((2, 1), int), np.ones(2), np.zeros(2, bool), [{}, {}])
    assert buffer.timeouts[:2].tolist() == [[0, 1], [0, 0]]


def test_two_runs_of_an_algorithm_leave_whole_episodes_apart():
    env = DummyVecEnv([lambda: CountingEnv(script=((7, True),))])
    model = SAC("MlpPolicy", env, buffer_size=100, learning_starts=1000, device="cpu", **n_step_kwargs(env))
    model.learn(4)
    model.learn(4)
    buffer = model.replay_buffer
    assert buffer.timeouts[:8, 0].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    samples = buffer._get_samples(np.array([2]))
    assert samples.next_observations.tolist() == [[0, 0, 4]]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"optimize_memory_usage": True}, "optimize_memory_usage=True.*leave both"),
        ({"handle_timeout_termination": False}, "handle_timeout_termination=False.*leave both"),
        ({"n_steps": 0}, "n_steps: given 0; expected a whole number of at least 1"),
        ({"n_steps": 2.5}, "n_steps: given 2.5"),
        ({"n_steps": True}, "n_steps: given True"),
        ({"gamma": 1.1}, r"gamma: given 1.1; expected a discount in \[0, 1\]"),
        ({"gamma": float("nan")}, "gamma: given nan"),
    ],
)
def test_settings_that_cannot_work(changes, match):
    with pytest.raises(ConfigurationError, match=match):
        NStepReplayBuffer(10, LINE, spaces.Discrete(2), **{"n_steps": 3, "gamma": 0.9, **changes})
    with pytest.raises(ConfigurationError, match=match):
        NStepDictReplayBuffer(10, KEYS, spaces.Discrete(2), **{"n_steps": 3, "gamma": 0.9, **changes})


def test_the_buffer_for_a_space_and_a_number_of_steps():
    assert replay_buffer_for(LINE, 1, 0.9) == (ReplayBuffer, {})
    assert replay_buffer_for(KEYS, 1, 0.9) == (DictReplayBuffer, {})
    assert replay_buffer_for(LINE, 5, 0.9) == (NStepReplayBuffer, {"n_steps": 5, "gamma": 0.9})
    assert replay_buffer_for(KEYS, 5, 0.9) == (NStepDictReplayBuffer, {"n_steps": 5, "gamma": 0.9})
    with pytest.raises(ConfigurationError, match="n_steps"):
        replay_buffer_for(LINE, 0, 0.9)
    with pytest.raises(ConfigurationError, match="gamma"):
        replay_buffer_for(LINE, 1, -0.1)
