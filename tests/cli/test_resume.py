import errno
import json
import os
import shutil
import signal
import time

import pytest

from ganq_irl.files import locked
from tests.command_line import call, forked
from tests.resume_examples import run_and_kill, tiny_config

pytestmark = pytest.mark.filterwarnings("ignore")

TRAIN = ["train", "fast-ppo", "--env", "Pendulum-v1", "--preset", "none", "--device", "cpu", "--checkpoint-every", "64"]
SMALL = ["--set", "generator_kwargs.n_steps=64", "--set", "evaluation.episodes=1"]


@pytest.fixture(scope="module")
def dead(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "dead"
    run_and_kill(tiny_config("fast-ppo"), folder, 70)
    return folder


@pytest.fixture
def killed(dead, tmp_path):
    return shutil.copytree(dead, tmp_path / "run")


def test_resume_ends_a_run_that_died(killed):
    result = call("resume", killed, "--json")
    assert result.exit_code == 0, result.stderr
    assert {"run", "mean_return", "episodes", "warning"} <= json.loads(result.stdout).keys()
    again = call("resume", killed)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "is finished" in again.stderr


def test_a_finished_run_goes_on(killed):
    assert call("resume", killed).exit_code == 0
    refused = call("resume", killed, "--timesteps", 96)
    assert refused.exit_code == 2
    assert "has gone 96 steps already; give more" in refused.stderr
    longer = call("resume", killed, "--timesteps", 128)
    assert longer.exit_code == 0, longer.stderr
    assert "timesteps = 128" in (killed / "config.toml").read_text()


def test_train_makes_checkpoints(tmp_path):
    result = call(*TRAIN, *SMALL, "--timesteps", 192, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert sorted(os.listdir(tmp_path / "run" / "checkpoints")) == ["step-000000000064", "step-000000000128"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--checkpoint-every", "-1"], "checkpoint_every: given -1; expected at least 0"),
        (["--set", "keep_checkpoints=0"], "keep_checkpoints: given 0; expected at least 1"),
    ],
)
def test_wrong_requests(args, message, tmp_path):
    result = call(*TRAIN, *args, "--out", tmp_path / "run")
    assert (result.exit_code, result.stderr.strip()) == (2, f"Error: {message}")
    assert not (tmp_path / "run").exists()


def test_a_second_process_is_refused(killed):
    with locked(killed):
        result = call("resume", killed)
    assert result.exit_code == 2
    assert "another process is training in" in result.stderr


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_cannot_be_written_to(reason, killed, monkeypatch):
    def refused(*_, **__):
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("ganq_irl.runs.directory.write_json", refused)
    result = call("resume", killed)
    assert result.exit_code == 1
    assert result.stderr.strip().splitlines()[-1].startswith("Error: cannot write ")
    assert os.strerror(reason) in result.stderr
    monkeypatch.undo()
    assert call("resume", killed).exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_in_order_with_130(number, tmp_path):
    folder, errors = tmp_path / "run", tmp_path / "errors"
    with forked(*TRAIN, *SMALL, "--timesteps", 100_000_000, "--out", folder, errors=errors) as process:
        deadline = time.monotonic() + 120
        while not (folder / "checkpoints").is_dir() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, number)
        process.join(120)
    assert process.exitcode == 130, errors.read_text()
    assert "continue with: ganq-irl resume" in errors.read_text().splitlines()[-1]
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
