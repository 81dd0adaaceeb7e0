"""What ``demos check`` and ``train`` say of spaces: the sentences of the matrix."""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from ganq_irl.environments.lookup import check_env
from ganq_irl.errors import ConfigurationError
from ganq_irl.space_matrix import IMITATION, REPLAYING, why_not
from ganq_irl_demos import random_policy, record_episodes, save_demonstrations

SEEN, ACTS = spaces.Box(-1, 1, (3,), np.float32), spaces.MultiDiscrete([2, 3])


class Levers(gym.Env):
    observation_space, action_space = SEEN, ACTS

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), {}

    def step(self, action):
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), 0.0, False, False, {}


@pytest.fixture
def levers(tmp_path):
    gym.register("Levers-v0", Levers, max_episode_steps=10)
    env = gym.make("Levers-v0")
    policy = random_policy(env.action_space, np.random.default_rng(0))
    yield save_demonstrations(record_episodes(policy, env, 3, seed=0), tmp_path / "levers.npz")
    del gym.registry["Levers-v0"]


def test_check_names_what_trains_and_says_why_the_others_do_not(run, levers):
    answers = json.loads(run("demos", "check", levers, "--json").stdout)["algorithms"]
    assert answers == {algo: why_not(algo, SEEN, ACTS) for algo in IMITATION}
    assert [algo for algo, reason in answers.items() if reason] == list(REPLAYING)
    text = run("demos", "check", levers).stdout
    assert "can train gail, airl, fairl, wail, vail, gaifo, amp, dagger, preferences, t-rex, d-rex, bc\n" in text
    assert f"cannot train dac, sqil, iq-learn, ls-iq: {answers['dac']}\n" in text


@pytest.mark.parametrize("algo", REPLAYING)
def test_train_says_the_same(algo, run, levers):
    result = run("train", algo, "--env", "Levers-v0", "--demos", levers, "--out", "run")
    assert (result.exit_code, result.stderr) == (2, f"Error: {why_not(algo, SEEN, ACTS)}\nSee docs/reference/spaces.md.\n")


def test_a_package_that_was_not_imported_is_not_asked_for_again(tmp_path, monkeypatch):
    """seals, which imitation installs, was to be installed."""
    (tmp_path / "planted_envs.py").write_text("raise SystemExit('advice runs nothing')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match=r"planted_envs is installed.*give --import planted_envs"):
        check_env("planted_envs/Walk-v0")
    with pytest.raises(ConfigurationError, match=r"absent_envs not found.*give --import with"):
        check_env("absent_envs/Walk-v0")
