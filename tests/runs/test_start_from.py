"""Clone, imitate, fine-tune: a run starts from the policy of another."""

import json
import shutil

import pytest
import torch

from ganq_irl.errors import ConfigurationError, RunDirectoryError
from ganq_irl.generators.policies.store import load_policy
from ganq_irl.runs import load_run, resolve_config, resume_experiment, run_experiment
from ganq_irl.runs.starting import HELD_STEPS
from tests.resume_examples import CopyAt, record_demos, rows, tiny_config, written
from tests.scripted import flat

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    return record_demos(tmp_path_factory.mktemp("demos"))


def clone(generator, demos, folder, **settings):
    """Run bc into a generator's policy of one layer of 4, as the runs of ``tiny_config`` have them."""
    like = tiny_config(generator)
    given = {"algo": "bc", "generator": generator, "env": like.env, "demos": demos[like.env], "env_kwargs": like.env_kwargs}
    given |= {
        "generator_kwargs": {"policy_kwargs": {"net_arch": [4]}},
        "bc": {"n_updates": 5},
        "evaluation": {"episodes": 1},
    }
    run_experiment(resolve_config(given | {"device": "cpu"} | settings), folder, progress_bar=False)
    return str(folder)


@pytest.fixture(scope="module")
def cloned(demos, tmp_path_factory):
    return clone("sac", demos, tmp_path_factory.mktemp("runs") / "bc")


@pytest.mark.parametrize("generator", ["fast-ppo", "sac", "td3", "dqn", "qrdqn", "gan-q", "gan-q-continuous"])
def test_bc_clones_into_the_policy_of_any_generator_from_where_it_learns(generator, demos, tmp_path):
    start = clone(generator, demos, tmp_path / "bc")
    config = tiny_config(generator, start_from=start)
    assert config.hold_policy == (0 if generator in ("dqn", "qrdqn", "gan-q") else HELD_STEPS)
    run_experiment(config, tmp_path / "run", progress_bar=False)
    told = load_run(tmp_path / "run").info["start"]
    assert told["from"] == start
    assert told["learns_from"] == "the environment's reward"
    acting = [flat(load_policy(folder / "policy", "cpu").policy) for folder in (tmp_path / "bc", tmp_path / "run")]
    assert not torch.equal(*acting)


def test_clone_imitate_and_fine_tune(cloned, demos, tmp_path):
    imitation = tiny_config("dac", "sac", demos, start_from=cloned, hold_policy=10)
    run_experiment(imitation, tmp_path / "dac", progress_bar=False)
    tuning = tiny_config("fast-sac", start_from=str(tmp_path / "dac"), timesteps=48)
    run_experiment(tuning, tmp_path / "sac", progress_bar=False)
    told = [json.loads((tmp_path / name / "run.json").read_text())["start"] for name in ("dac", "sac")]
    assert [each["learns_from"] for each in told] == ["demonstrations", "the environment's reward"]
    assert all(each["critics"] for each in told)
    held = [load_policy(tmp_path / name / "policy", "cpu").policy.actor for name in ("dac", "sac")]
    assert torch.equal(flat(held[0]), flat(held[1]))  # held for longer than the run


def test_networks_statistics_and_exploration_are_those_of_the_stored_policy(cloned):
    config = resolve_config({"algo": "dac", "env": "Pendulum-v1", "demos": "pendulum", "start_from": cloned})
    assert config.preset == "dac-pendulum"
    options = config.generator_kwargs
    assert options["policy_kwargs"]["net_arch"] == [4]
    assert (options["learning_starts"], config.hold_policy, config.normalize_observations) == (0, HELD_STEPS, False)
    given = {"learning_starts": 50, "policy_kwargs": {"net_arch": [8]}}
    mine = resolve_config(
        {"algo": "sac", "env": "Pendulum-v1", "start_from": cloned, "generator_kwargs": given, "hold_policy": 7}
    )
    assert (mine.generator_kwargs["learning_starts"], mine.hold_policy) == (50, 7)
    with pytest.raises(ConfigurationError, match="other networks than SAC here"):
        run_experiment(mine, progress_bar=False)


@pytest.mark.parametrize(
    ("algo", "generator", "extra"), [("sac", None, {}), ("dac", "sac", {}), ("fast-ppo", None, {"timesteps": 96})]
)
def test_a_resumed_run_does_not_need_the_run_that_it_started_from(algo, generator, extra, demos, tmp_path):
    start = clone(generator or algo, demos, tmp_path / "bc")
    config = tiny_config(algo, generator, demos, start_from=start, hold_policy=60, **extra)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_experiment(config, whole, progress_bar=False, callback=CopyAt(45, whole, killed))
    shutil.rmtree(start)
    resume_experiment(killed, progress_bar=False)
    assert written(killed) == written(whole)
    assert rows(killed) == rows(whole)
    assert load_run(killed).info["start"] == load_run(whole).info["start"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"algo": "td3"}, ConfigurationError, "holds a policy of sac or fast-sac"),
        ({"algo": "bc", "demos": "pendulum"}, ConfigurationError, "bc has no use for the setting 'start_from'"),
        ({"algo": "sac", "start_from": "nowhere"}, RunDirectoryError, "nowhere holds no policy"),
        ({"algo": "sac", "normalize_observations": True}, ConfigurationError, "acts on raw observations"),
        ({"algo": "sac", "env": "MountainCarContinuous-v0"}, ConfigurationError, "has the observation space"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(settings, error, message, cloned, tmp_path):
    with pytest.raises(error, match=message):
        run_experiment(
            resolve_config({"env": "Pendulum-v1", "start_from": cloned, **settings}), tmp_path / "run", progress_bar=False
        )
    assert not (tmp_path / "run").exists()
