import dataclasses

import numpy as np
import pytest

from ganq_irl.errors import RunDirectoryError
from ganq_irl.evaluation import evaluate_returns
from ganq_irl.runs import load_run, resolve_config, run_experiment
from ganq_irl.runs.plots import check_run_values, discount_of, draw_run
from ganq_irl.runs.training import build_trainable

DQN = {"learning_starts": 100, "buffer_size": 1000, "policy_kwargs": {"net_arch": [8]}}


def config(**changes):
    settings = {"algo": "dqn", "env": "CartPole-v1", "preset": "none", "device": "cpu", "generator_kwargs": DQN}
    return resolve_config({**settings, "timesteps": 400, "evaluation": {"episodes": 2, "every": 200}, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "dqn"
    run_experiment(
        config(generator_kwargs={**DQN, "gamma": 0.9, "policy": "ActionBranchesPolicy"}), folder, progress_bar=False
    )
    return load_run(folder)


def test_the_discount_is_the_runs_or_the_algorithms():
    assert discount_of(config(generator_kwargs={"gamma": 0.9})) == 0.9
    assert discount_of(config()) == 0.99


def test_values_are_checked_on_the_episodes_of_the_evaluation(run):
    policy = run.policy("cpu")
    check = check_run_values(run.config, policy)
    lengths = evaluate_returns(policy, "CartPole-v1", 2, seed=run.config.evaluation.seed).lengths
    assert len(check.returns) == lengths.sum()
    # a reward of 1 a step to an end that comes: from k steps before it (1 - 0.9^k) / 0.1
    expected = np.concatenate([(1 - 0.9 ** np.arange(n, 0, -1)) / 0.1 for n in lengths])
    np.testing.assert_allclose(check.returns, expected)
    assert len(check_run_values(run.config, policy, episodes=1, seed=7).returns) < len(check.returns)


def test_the_three_pictures(run, tmp_path):
    check = check_run_values(run.config, run.policy("cpu"))
    assert [path.name for path in draw_run(run, tmp_path / "pictures", check)] == ["loss.png", "score.png", "values.png"]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["loss.png", "score.png", "values.png"]
    assert len(draw_run(run, tmp_path / "pictures", None)) == 2


def test_an_actor_and_a_learned_reward_have_no_values_to_compare(run):
    learned = dataclasses.replace(run.config, algo="gail", generator="dqn", demos="cartpole")
    assert check_run_values(learned, run.policy("cpu")) is None
    ppo = config(algo="ppo", generator_kwargs={})
    assert check_run_values(ppo, build_trainable(ppo).policy()) is None


def test_a_run_without_a_log_is_answered(run, tmp_path):
    with pytest.raises(RunDirectoryError, match=r"progress\.csv"):
        draw_run(dataclasses.replace(run, folder=tmp_path), tmp_path, None)
    assert not any(tmp_path.iterdir())
