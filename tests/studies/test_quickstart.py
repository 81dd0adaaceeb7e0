import json
import os

import gymnasium as gym
import numpy as np
import pytest

from ganq_irl.environments.true_rewards import pendulum_reward
from ganq_irl.errors import GanqIrlError, RunDirectoryError
from ganq_irl.runs import resolve_config, run_experiment
from ganq_irl.runs.config import EvaluationConfig, merged
from ganq_irl.studies import quickstart
from ganq_irl.studies.quickstart import learning_curve, reward_correlation, run_quickstart
from ganq_irl.studies.quickstart_pictures import GRID, data_density, draw_rewards, pendulum_grid
from ganq_irl_demos import random_policy, record_episodes, save_demonstrations


def recorded(n):
    env = gym.make("Pendulum-v1")
    return record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, n, seed=0)


@pytest.fixture
def short(monkeypatch):
    """The quickstart's runs with few updates and few episodes of evaluation."""
    monkeypatch.setattr(quickstart, "EVALUATION", EvaluationConfig(episodes=2, every=128))
    monkeypatch.setattr(quickstart, "_N_WORKERS", 1)
    by_ppo = {"generator_kwargs": {"n_steps": 32, "n_epochs": 1}, "adversary": {"n_updates": 2, "batch_size": 32}}
    off_policy = {"train_freq": 16, "batch_size": 32, "critic_hidden_sizes": [8]}
    small = {"GAN-Q": {"generator_kwargs": off_policy}, "BC": {"bc": {"n_updates": 20}}}
    for name, settings in quickstart._RUNS.items():
        monkeypatch.setitem(quickstart._RUNS, name, merged(settings, small.get(name, by_ppo)))


def test_quickstart_writes_tables_and_pictures(tmp_path, short):
    demos = save_demonstrations(recorded(10), tmp_path / "demos.npz")
    result = run_quickstart(tmp_path / "out", demos=str(demos), timesteps=256)
    assert list(result.scores) == ["expert", "GAIL", "AIRL", "frozen control", "BC", "GAN-Q", "random"]
    runs = {"gail", "airl", "frozen-control", "bc", "gan-q"}
    assert set(os.listdir(tmp_path / "out")) == runs | {"results.json", "results.md", "returns.png", "reward.png"}
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    assert content["scores"]["GAIL"]["mean_return"] == result.scores["GAIL"].mean_return
    assert result.scores["expert"].mean_return == pytest.approx(recorded(10).returns.mean())
    assert all(-1 <= value <= 1 for value in result.correlations.values())
    assert "| frozen control |" in (tmp_path / "out" / "results.md").read_text()
    assert all(os.path.getsize(tmp_path / "out" / name) > 10_000 for name in ("returns.png", "reward.png"))
    # What a worker process computes is what this one does.
    run_experiment(
        resolve_config({}, file=tmp_path / "out" / "gail" / "config.toml"), tmp_path / "again", progress_bar=False
    )
    first, second = (
        (folder / "policy" / "tensors.safetensors").read_bytes()
        for folder in (tmp_path / "out" / "gail", tmp_path / "again")
    )
    assert first == second


def test_quickstart_refuses_what_it_cannot_use(tmp_path):
    demos = save_demonstrations(recorded(2), tmp_path / "demos.npz")
    with pytest.raises(RunDirectoryError, match="not empty"):
        run_quickstart(tmp_path, demos=str(demos))
    with pytest.raises(GanqIrlError, match="10"):  # it wants ten
        run_quickstart(tmp_path / "out", demos=str(demos))


def test_the_formula_of_pendulums_reward_is_the_environments():
    trajectory = recorded(1)[0]
    np.testing.assert_allclose(
        pendulum_reward(trajectory.observations[:-1], trajectory.actions), trajectory.rewards, atol=1e-5
    )
    grid = pendulum_grid()
    assert np.allclose(grid[:, 0] ** 2 + grid[:, 1] ** 2, 1, atol=1e-6)


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def reward(self, observations, actions, next_observations, dones):
        return 3 + self.factor * pendulum_reward(observations, actions)


def test_correlation_ignores_scale_and_offset():
    trajectories = list(recorded(2))
    assert reward_correlation(Scaled(0.1), trajectories) == pytest.approx(1)
    assert reward_correlation(Scaled(-5), trajectories) == pytest.approx(-1)


def test_a_run_without_evaluations_has_an_empty_curve(tmp_path):
    assert learning_curve(tmp_path).shape == (0, 2)


def test_rewards_fade_where_there_are_no_data(tmp_path):
    hanging = np.array([[-1.0, 0.0, 0.0]])  # at the angle π, which is -π as well
    density = data_density(hanging)
    middle = GRID // 2
    assert density[middle, -1] == pytest.approx(1.0, abs=0.05)
    assert density[middle, 0] > 0.9
    assert density[middle, middle] == pytest.approx(0.0, abs=1e-6)
    assert density.max() <= 1
    grid = pendulum_grid()
    draw_rewards(tmp_path / "reward.png", {"GAIL": (grid[:, 0], -grid[:, 0])}, np.repeat(hanging, 9, axis=0))
    assert (tmp_path / "reward.png").stat().st_size > 10_000
