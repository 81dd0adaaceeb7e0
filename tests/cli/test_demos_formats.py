"""From the file of another library to a trained policy, and back, in one command each."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ganq_irl_demos import FORMATS, load_demonstrations

sys.path.insert(0, str(Path(__file__).parent.parent / "demos"))  # for the writers, which the room of demonstrations owns

from tests.demos.foreign import WRITERS, episodes

CLONE = [
    "train",
    "bc",
    "--env",
    "Pendulum-v1",
    "--device",
    "cpu",
    "--set",
    "bc.n_updates=2",
    "--set",
    "evaluation.episodes=1",
]


@pytest.fixture(scope="module")
def recorded():
    return episodes()


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "replay buffer"])
def test_a_file_of_another_library_trains_a_policy(name, run, recorded, tmp_path):
    path = WRITERS[name][0](recorded, tmp_path)
    result = run(*CLONE, "--demos", path, "--out", "run")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "run" / "policy").is_dir()


def test_a_replay_buffer_trains_a_policy_on_trust(run, recorded, tmp_path):
    path = WRITERS["replay buffer"][0](recorded, tmp_path)
    result = run(*CLONE, "--demos", path, "--trust", "--out", "run")
    assert result.exit_code == 0, result.stderr
    assert "replay_buffer.pkl to replay_buffer.npz" in result.stderr
    assert 'demos = "replay_buffer.npz"' in (tmp_path / "run" / "config.toml").read_text()
    again = run(*CLONE, "--demos", path, "--trust", "--out", "again")
    assert again.exit_code == 2
    assert "train on replay_buffer.npz" in again.stderr
    for demos in (["--demos", "pendulum"], []):
        assert "--trust is for a pickled replay buffer" in run(*CLONE, *demos, "--trust").stderr


def test_import_by_content_and_train(run, recorded, tmp_path):
    path = WRITERS["d4rl"][0](recorded, tmp_path)
    result = run("demos", "import", path, "--env", "Pendulum-v1", "--json")
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert (content["out"], content["read_as"], content["transitions"]) == ("pendulum-random-v0.npz", "d4rl", 600)
    assert run(*CLONE, "--demos", content["out"], "--out", "run").exit_code == 0
    again = run("demos", "import", path)
    assert again.exit_code == 2
    assert "exists; choose another name" in again.stderr


def test_a_mask_chooses_episodes_for_every_command(run, recorded, tmp_path):
    path = WRITERS["robomimic"][0](recorded, tmp_path)
    told = ("--env", "Pendulum-v1")
    result = run("demos", "inspect", path, "--mask", "train", "--json", *told)
    assert json.loads(result.stdout)["episodes"] == 2
    result = run("demos", "check", path, *told)
    assert "all 3 demos were read; its masks choose some: train (2)" in result.stdout
    assert "2 trajectories" in run("demos", "check", path, *told, "--mask", "train").stdout
    result = run("demos", "import", path, *told, "--mask", "train", "--out", "mine.npz")
    assert "mine.npz: 2 episodes" in result.stdout
    assert "concatenated in this order (alphabetical)" in result.stderr
    assert "2 episodes" in run("demos", "convert", path, "--mask", "train", "--out", "mine.parquet", *told).stdout
    assert run(*CLONE, "--demos", f"{path}#train", "--out", "run").exit_code == 0
    wrong = run("demos", "import", path, "--mask", "trian", "--out", "x.npz")
    assert (wrong.exit_code, "did you mean 'train'" in wrong.stderr) == (2, True)
    assert "has no masks" in run("demos", "check", "mine.npz", "--mask", "train").stderr


def test_spaces_that_a_file_names_were_not_guessed(run, recorded, tmp_path):
    path = WRITERS["minari"][0](recorded, tmp_path)
    assert "guessed from its values" not in run("demos", "import", path, "--out", "mine.npz").stderr


def test_a_replay_buffer_needs_trust(run, recorded, tmp_path):
    path = WRITERS["replay buffer"][0](recorded, tmp_path)
    for args in (["demos", "import", path], [*CLONE, "--demos", path], ["demos", "check", path], ["demos", "inspect", path]):
        result = run(*args)
        assert result.exit_code == 2
        assert "is a pickle, which could run code" in result.stderr
    assert run("demos", "import", path, "--trust", "--out", "mine.npz").exit_code == 0
    assert len(load_demonstrations("mine.npz")) == 3


@pytest.mark.parametrize("name", [name for name, known in FORMATS.items() if known.suffix])
def test_export_and_convert_back(name, run, tmp_path):
    pytest.importorskip(FORMATS[name].package or "json", exc_type=ImportError)
    out = f"shipped{FORMATS[name].suffix}"
    result = run("demos", "export", "pendulum", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert f"npz -> {name}" in result.stdout
    assert ("does not preserve" in result.stderr) == (";" in FORMATS[name].loses)
    back = run("demos", "convert", out, "--out", "back.npz", "--env", "Pendulum-v1")
    assert back.exit_code == 0, back.stderr
    original, returned = load_demonstrations("pendulum"), load_demonstrations("back.npz")
    assert returned.n_transitions == original.n_transitions
    if "dtypes" not in FORMATS[name].loses:
        assert returned.checksum == original.checksum


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["import", "nowhere.hdf5"], "nowhere.hdf5 is missing"),
        (["import", "pendulum", "--columns", "obs"], "expected FIELD=NAME"),
        (["import", "pendulum", "--out", "x.xyz"], "known: *.npz"),
        (["export", "pendulum", "--format", "nzp", "--out", "x"], "did you mean 'npz'"),
        (["convert", "pendulum", "--out", "x.npz", "--env", "Pendulm-v1"], "Pendulum"),
        (["export", "pendulum"], "--out"),
    ],
)
def test_wrong_requests_leave_nothing(args, expected, run):
    result = run("demos", *args)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert not list(Path().iterdir())


@pytest.mark.parametrize("command", ["check", "inspect", "export --out x.npz", "convert --out x.npz", "import --out x.npz"])
def test_columns_of_a_table_are_named(command, run):
    Path("a.csv").write_text("x,y,u,end\n" + "0,1,0,0\n" * 4 + "0,1,1,1\n")
    name, *options = command.split()
    result = run("demos", name, "a.csv", *options, "--columns", "obs=x,y", "--columns", "acts=u", "--columns", "dones=end")
    assert result.exit_code == 0, result.stderr
