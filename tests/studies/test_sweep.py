import json

import pytest

from ganq_irl.errors import ConfigurationError, RunDirectoryError
from ganq_irl.files import read_toml
from ganq_irl.studies import sweep, trials
from ganq_irl.studies.sweep import best_trial, open_study, prepare_sweep, resolve_sweep
from ganq_irl.studies.trials import run_trials
from tests.studies.grid_examples import QUICK

optuna = pytest.importorskip("optuna")

RATE = "generator_kwargs.learning_rate"
REQUEST = {**QUICK, "algos": ["dqn"], "env": ["CartPole-v1"], "seeds": 1}
SEARCH = {RATE: {"low": 1e-4, "high": 1e-2, "log": True}, "generator_kwargs.policy_kwargs.net_arch": [[4], [8]]}


@pytest.fixture
def config():
    return resolve_sweep(REQUEST | {"search": SEARCH})


def test_trials_go_on_where_another_process_stopped(config, tmp_path):
    storage = str(tmp_path / "journal.log")
    run_trials(config, tmp_path, storage, 2)
    run_trials(config, tmp_path, storage, 3, seed=1)
    run_trials(config, tmp_path, storage, 3)
    study = open_study(storage)
    assert len(study.trials) == 3
    best = best_trial(storage)
    assert best["trials"] == {"complete": 3}
    assert best["score"] == max(trial.value for trial in study.trials)
    for trial in study.trials:
        settings = read_toml(tmp_path / f"trials/{trial.number}/cells/CartPole-v1/dqn/seed0/config.toml")
        assert settings["generator_kwargs"]["learning_rate"] == trial.params[RATE]
        arch = json.loads(trial.params["generator_kwargs.policy_kwargs.net_arch"])
        assert settings["generator_kwargs"]["policy_kwargs"]["net_arch"] == arch
        assert settings["generator_kwargs"]["learning_starts"] == 16  # what is not searched stays
        assert list(trial.intermediate_values) == [0, 1, 2]


def test_a_trial_below_the_median_is_given_up(config, tmp_path, monkeypatch):
    storage = str(tmp_path / "journal.log")
    study = open_study(storage)
    for _ in range(4):
        trial = study.ask()
        for step in range(10):
            trial.report(1e6, step)
        study.tell(trial, 1e6)
    monkeypatch.setattr(sweep, "WARM_UP", 0)
    run_trials(config, tmp_path, storage, 5)
    last = open_study(storage).trials[-1]
    assert last.state == optuna.trial.TrialState.PRUNED
    assert list(last.intermediate_values) == [0]


def test_a_trial_that_fails_does_not_stop_the_rest(config, tmp_path, monkeypatch):
    storage = str(tmp_path / "journal.log")
    train = trials.run_experiment

    def failing(settings, folder, **keywords):
        if "trials/0" in folder.as_posix():
            raise ConfigurationError("out of luck")
        return train(settings, folder, **keywords)

    monkeypatch.setattr(trials, "run_experiment", failing)
    run_trials(config, tmp_path, storage, 1)
    with pytest.raises(ConfigurationError, match=r"no trial is complete .*out of luck"):
        best_trial(storage)
    run_trials(config, tmp_path, storage, 2)
    assert best_trial(storage)["trials"] == {"fail": 1, "complete": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "nothing to search"),
        ({"search": {RATE: {"low": 1.0}}}, r"search\.generator_kwargs\.learning_rate: given"),
        ({"search": {RATE: {"low": 2, "high": 1}}}, "expected a list of choices"),
        ({"search": SEARCH, "algos": ["dqn", "bc"]}, "a sweep is of one method"),
        ({"search": SEARCH, "vary": {"n_envs": [1, 2]}}, "varies nothing else"),
    ],
)
def test_wrong_requests(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        resolve_sweep(REQUEST | changes)


def test_a_folder_belongs_to_one_sweep(config, tmp_path):
    prepare_sweep(config, tmp_path / "out")
    prepare_sweep(config, tmp_path / "out")
    other = resolve_sweep(REQUEST | {"search": {RATE: [1e-3, 1e-4]}})
    with pytest.raises(RunDirectoryError, match="other settings"):
        prepare_sweep(other, tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(RunDirectoryError, match="not empty"):
        prepare_sweep(config, tmp_path / "full")
