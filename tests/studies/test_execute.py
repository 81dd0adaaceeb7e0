import json

import pytest
from filelock import FileLock

from ganq_irl.errors import ConfigurationError, RunDirectoryError
from ganq_irl.runs import load_run
from ganq_irl.studies import cells as cell_runs
from ganq_irl.studies.execute import load_grid, run_grid
from tests.studies.grid_examples import InThisProcess, quick_grid


def test_a_start_runs_what_is_not_finished(tmp_path):
    engine = InThisProcess()
    first = run_grid(quick_grid(seeds=1), tmp_path, engine=engine)
    assert (first.n_run, first.failures) == (2, {})
    assert load_grid(tmp_path) == quick_grid(seeds=1)
    assert run_grid(quick_grid(seeds=1), tmp_path, engine=engine).n_run == 0
    more = run_grid(quick_grid(seeds=2), tmp_path, engine=engine)
    assert (more.n_run, len(more.cells)) == (2, 4)
    assert all(folder.name == "seed1" for folder in engine.ran[2:])


def test_a_cell_that_was_killed_is_trained_again_to_the_same(tmp_path):
    run_grid(quick_grid(seeds=1), tmp_path, engine=InThisProcess())
    folder = tmp_path / "cells/CartPole-v1/dqn/seed0"
    policy = (folder / "policy/tensors.safetensors").read_bytes()
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(info | {"status": "running"}))
    (folder / "progress.csv").write_text("time/total_timesteps\n")
    engine = InThisProcess()
    run_grid(quick_grid(seeds=1), tmp_path, engine=engine)
    assert engine.ran == [folder]
    assert (folder / "policy/tensors.safetensors").read_bytes() == policy


def test_a_failed_cell_is_recorded_does_not_stop_the_rest_and_is_tried_again(tmp_path, monkeypatch, capsys):
    train = cell_runs.run_experiment

    def failing(config, folder, **keywords):
        if config.algo == "dqn":
            raise RuntimeError("out of luck")
        return train(config, folder, **keywords)

    monkeypatch.setattr(cell_runs, "run_experiment", failing)
    run = run_grid(quick_grid(seeds=1), tmp_path, engine=InThisProcess())
    assert run.failures == {"dqn on CartPole-v1, seed 0": "RuntimeError: out of luck"}
    assert "failed: dqn on CartPole-v1, seed 0: RuntimeError: out of luck" in capsys.readouterr().err
    failed = tmp_path / "cells/CartPole-v1/dqn/seed0"
    assert json.loads((failed / "failed.json").read_text()) == {"error": "RuntimeError: out of luck"}
    monkeypatch.undo()
    engine = InThisProcess()
    assert run_grid(quick_grid(seeds=1), tmp_path, engine=engine).failures == {}
    assert engine.ran == [failed]
    assert not (failed / "failed.json").exists()


def test_a_cell_on_the_reward_of_another_waits_for_it_and_fails_with_it(tmp_path, monkeypatch):
    grid = quick_grid(["dqn@gail", "gail"], seeds=1)
    gail, dqn = (tmp_path / "out/cells/CartPole-v1" / name / "seed0" for name in ("gail-n1", "dqn@gail-n1"))
    train = cell_runs.run_experiment

    def failing(config, folder, **keywords):
        if config.algo == "gail":
            raise RuntimeError("out of luck")
        return train(config, folder, **keywords)

    monkeypatch.setattr(cell_runs, "run_experiment", failing)
    failures = run_grid(grid, tmp_path / "out", engine=InThisProcess()).failures
    assert "did not end well: gail on CartPole-v1" in failures["dqn@gail on CartPole-v1, 1 demonstrations, seed 0"]
    assert "did not end well" in json.loads((dqn / "failed.json").read_text())["error"]
    monkeypatch.undo()
    engine = InThisProcess()
    assert run_grid(grid, tmp_path / "out", engine=engine).failures == {}
    assert engine.ran == [gail, dqn]
    assert load_run(dqn).config.reward == str(gail.resolve())
    (tmp_path / "out").rename(tmp_path / "moved")
    assert run_grid(grid, tmp_path / "moved", engine=engine).n_run == 0


def test_a_finished_cell_with_other_settings_is_no_cell_of_this_grid(tmp_path):
    run_grid(quick_grid(["bc"], seeds=1), tmp_path, engine=InThisProcess())
    other = quick_grid(["bc"], seeds=1, evaluation={"episodes": 3})
    with pytest.raises(ConfigurationError, match=r"evaluation\.episodes: 2 there, 3 here"):
        run_grid(other, tmp_path, engine=InThisProcess())
    assert load_grid(tmp_path) == quick_grid(["bc"], seeds=1)


def test_a_wrong_request_leaves_nothing(tmp_path):
    for changes in ({"n_demos": [21]}, {"n_env": 2}, {"generator_kwargs": {"gama": 1}}):
        with pytest.raises(ConfigurationError, match=r"holds 20|n_envs|did you mean 'gamma'"):
            run_grid(quick_grid(**changes), tmp_path / "out", engine=InThisProcess())
    assert not (tmp_path / "out").exists()


def test_folders_that_are_no_grid_or_in_use(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunDirectoryError, match="not empty"):
        run_grid(quick_grid(), tmp_path, engine=InThisProcess())
    with pytest.raises(RunDirectoryError, match=r"no grid\.toml"):
        load_grid(tmp_path)
    with FileLock(tmp_path / "new" / ".lock"), pytest.raises(RunDirectoryError, match="another process"):
        run_grid(quick_grid(), tmp_path / "new", engine=InThisProcess())
