"""Files from strangers with a payload planted in them: none is run, and each is refused in a sentence."""

import io
import json
import os
import pickle
import shutil

import pytest
import torch
from click.testing import CliRunner
from gymnasium.spaces import Box
from stable_baselines3 import PPO

from ganq_irl.budget import read_limit
from ganq_irl.discriminator import Discriminator, InputEncoder
from ganq_irl.errors import ConfigurationError, GanqIrlError, ReadLimitExceeded, RunDirectoryError, StorageError
from ganq_irl.files import LARGEST_TOML
from ganq_irl.generators.policies.store import load_policy
from ganq_irl.rewards import RewardModel
from ganq_irl.runs import load_run, resume_experiment
from ganq_irl.runs.checkpoints import CheckpointStore, files, read_checkpoint
from ganq_irl.runs.checkpoints.plain import from_plain
from ganq_irl.runs.rewards import load_reward
from ganq_irl.storage import _checksum
from ganq_irl.studies.execute import load_grid, run_grid
from ganq_irl.studies.grid import make_cells
from ganq_irl.studies.results import read_results
from ganq_irl_cli import main
from tests.resume_examples import run_and_kill, seal, tiny_config
from tests.studies.grid_examples import InThisProcess, quick_grid

pytestmark = pytest.mark.filterwarnings("ignore")


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    run_and_kill(tiny_config("fast-ppo"), folder, 70)
    return folder


@pytest.fixture
def run(original, tmp_path):
    return shutil.copytree(original, tmp_path / "run")


@pytest.fixture
def harmed(tmp_path):
    target = tmp_path / "harmed"
    yield target
    assert not target.exists()


def newest(run):
    return run / "checkpoints" / "step-000000000064"


def test_seal_is_what_a_reader_accepts(run):
    seal(newest(run))
    assert read_checkpoint(newest(run)).step == 64


def _torch_saved(payload):
    file = io.BytesIO()
    torch.save({"policy": payload}, file)
    return file.getvalue()


def test_the_payload_works(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "harmed")))
    assert (tmp_path / "harmed").is_dir()


@pytest.mark.parametrize("name", ["tensors-00000.safetensors", "state.json"])
@pytest.mark.parametrize("dump", [pickle.dumps, _torch_saved])
def test_a_pickle_in_a_checkpoint_is_not_opened(name, dump, run, harmed):
    (newest(run) / name).write_bytes(dump(Payload(harmed)))
    seal(newest(run))
    with pytest.raises(StorageError):
        resume_experiment(run, progress_bar=False)


def test_a_manifest_that_leaves_its_folder(run):
    (run / "secret").write_bytes(b"")
    manifest = json.loads((newest(run) / "manifest.json").read_text())
    seal(newest(run), files={**manifest["files"], "../../secret": {}})
    with pytest.raises(StorageError, match="outside of the checkpoint"):
        read_checkpoint(newest(run))


def test_tensors_that_are_said_to_be_elsewhere(run):
    state = json.loads((newest(run) / "state.json").read_text())
    state["tensors"] = dict.fromkeys(state["tensors"], "../../policy/tensors.safetensors")
    (newest(run) / "state.json").write_text(json.dumps(state))
    seal(newest(run))
    with pytest.raises(StorageError, match="outside of the checkpoint"):
        read_checkpoint(newest(run)).state()


def test_a_link_in_a_checkpoint(run):
    path = newest(run) / "progress.csv"
    path.rename(run / "elsewhere")
    path.symlink_to(run / "elsewhere")
    with pytest.raises(StorageError, match="is a symbolic link"):
        read_checkpoint(newest(run))


def tree(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("pattern", ["progress.csv", "events.out.tfevents.*", ".lock", "run.json", "config.toml"])
def test_resume_writes_through_no_link(link, pattern, run, tmp_path):
    """From an archive: a file of the log is a link to a shell's profile, and the checkpoint holds what to write there."""
    (newest(run) / "progress.csv").write_bytes(b"touch harmed\n")
    seal(newest(run), events={})
    (path,) = run.glob(pattern) if pattern != ".lock" else [run / ".lock"]
    (tmp_path / "outside").mkdir()
    path.rename(tmp_path / "outside" / "profile")
    link(tmp_path / "outside" / "profile", path)
    before = tree(tmp_path)
    result = CliRunner().invoke(main, ["resume", str(run)])
    assert result.exit_code == 2
    assert f"{path} is a {'symbolic' if link is os.symlink else 'hard'} link" in result.stderr
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["checkpoints", "policy", "checkpoints/step-000000000032", "extra"])
def test_no_folder_of_a_run_is_a_link(name, run, tmp_path):
    (tmp_path / "outside").mkdir()
    if (run / name).exists():
        (run / name).rename(tmp_path / "outside" / "moved")
    for step in (1, 2, 3):  # which pruning would remove
        (tmp_path / "outside" / f"step-00000000000{step}").mkdir()
    (run / name).symlink_to(tmp_path / "outside")
    before = tree(tmp_path)
    for command in ("resume", "evaluate"):
        result = CliRunner().invoke(main, [command, str(run)])
        assert (result.exit_code, f"{run / name} is a symbolic link" in result.stderr) == (2, True)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["run.json", "policy/config.json", "checkpoints/pipe", "progress.csv"])
@pytest.mark.parametrize("command", ["resume", "evaluate"])
def test_a_pipe_in_a_run_is_not_waited_for(command, name, run):
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    result = CliRunner().invoke(main, [command, str(run)])
    assert result.exit_code == 2
    assert f"{run / name} is a pipe" in result.stderr or f"it holds no {name}" in result.stderr


def test_a_run_that_is_named_by_a_link_is_gone_on_with(run, tmp_path):
    (tmp_path / "mine").symlink_to(run)
    resume_experiment(tmp_path / "mine", progress_bar=False)
    assert load_run(run).info["status"] == "finished"


@pytest.mark.parametrize("name", ["grid.toml", "final.csv", "cells/x", "report.html"])
def test_no_link_in_a_grid_is_followed(name, grid, tmp_path):
    (tmp_path / "outside").write_text("precious")
    (grid / name).unlink(missing_ok=True)
    (grid / name).symlink_to(tmp_path / "outside")
    before = tree(tmp_path)
    for command in (["report", str(grid)], ["compare", "--out", str(grid)]):
        result = CliRunner().invoke(main, command)
        assert (result.exit_code, f"{grid / name} is a symbolic link" in result.stderr) == (2, True)
    assert tree(tmp_path) == before


def test_pipes_and_devices_given_as_settings(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((str(tmp_path / "pipe"), "a pipe"), ("/dev/zero", "a device")):
        for command in (
            ["train", "bc", "--config", path],
            ["compare", "--config", path],
            ["sweep", "--config", path],
            ["train", "ppo", "--env", "CartPole-v1", "--reward", path],
            ["demos", "check", path],
            ["evaluate", path],
            ["report", path],
            ["reward", "show", path],
        ):
            result = CliRunner().invoke(main, [*command])
            assert result.exit_code == 2, (command, result.output)
            assert any(told in result.stderr for told in (f"is {kind}", "is not a folder", "holds no"))


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"tree": ' * 5_000, "[]", '{"tree": {}}', "\ud800".encode("utf-8", "surrogatepass")]
)
def test_state_that_is_no_state(content, run):
    (newest(run) / "state.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    seal(newest(run))
    with pytest.raises(StorageError):
        read_checkpoint(newest(run)).state()


def test_an_array_that_claims_to_be_huge(run):
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    content = len(header).to_bytes(8, "little") + header
    (newest(run) / "tensors-00000.safetensors").write_bytes(content)
    seal(newest(run))
    with pytest.raises(StorageError):
        read_checkpoint(newest(run)).state()


def test_a_manifest_too_large_to_be_one(run, monkeypatch):
    monkeypatch.setattr(files, "_LARGEST_MANIFEST", 100)
    with pytest.raises(StorageError, match="more than 100"):
        read_checkpoint(newest(run))


def test_a_checkpoint_that_would_replace_a_method(run):
    checkpoint = read_checkpoint(newest(run))
    state = checkpoint.state()
    state["simulators"][0][-1]["attributes"]["step"] = "payload"
    CheckpointStore(run / "checkpoints").save(checkpoint.info | {"step": 64}, state, checkpoint.progress().encode())
    with pytest.raises(StorageError, match="which is no data"):
        resume_experiment(run, progress_bar=False)


@pytest.fixture
def finished(run):
    resume_experiment(run, progress_bar=False)
    return run


def reseal(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    config.pop("sha256")
    config |= changes
    config["sha256"] = _checksum(config, folder / "tensors.safetensors")
    (folder / "config.json").write_text(json.dumps(config))


def test_a_pickle_in_a_policy_is_not_opened(finished, harmed):
    (finished / "policy" / "tensors.safetensors").write_bytes(_torch_saved(Payload(harmed)))
    reseal(finished / "policy")
    with pytest.raises(StorageError):
        load_policy(finished / "policy")


@pytest.mark.parametrize(
    "changes",
    [
        {"policy_class": "os:system"},
        {"policy_class": "ppo:__class__"},
        {"policy_kwargs": {"activation_fn": "__import__"}},
        {"policy_kwargs": {"features_extractor_class": "os.system"}},
    ],
)
def test_a_policy_that_names_code(changes, finished):
    reseal(finished / "policy", **changes)
    with pytest.raises(GanqIrlError):
        load_policy(finished / "policy")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("net_arch", "optimizer_class"),
        ("seed = 3", "seed = \"__import__('os')\""),
        ("seed = 3", 'seed = 3\ncallback = "os.system"'),
    ],
)
def test_settings_that_name_code(old, new, run):
    text = (run / "config.toml").read_text().replace(old, new, 1)
    (run / "config.toml").write_text(text.replace("optimizer_class = [\n    4,\n]", 'optimizer_class = "os.system"'))
    with pytest.raises(GanqIrlError):
        resume_experiment(run, progress_bar=False)


def test_a_module_beside_the_settings_is_not_imported(finished, harmed, monkeypatch):
    """``module:Id`` is Gymnasium's way of importing a module; settings may name what is registered already, and no more."""
    (finished / "planted.py").write_text(f"import os; os.mkdir({str(harmed)!r})")
    text = (finished / "config.toml").read_text().replace('env = "Pendulum-v1"', 'env = "planted:Pendulum-v1"')
    (finished / "config.toml").write_text(text)
    info = json.loads((finished / "run.json").read_text())
    (finished / "run.json").write_text(json.dumps(info | {"status": "interrupted"}))
    monkeypatch.syspath_prepend(finished)  # even where Python would find it
    for command in ("resume", "evaluate"):
        result = CliRunner().invoke(main, [command, str(finished)])
        assert (result.exit_code, "--import planted and the id Pendulum-v1" in result.stderr) == (2, True)


def _reward(folder):
    encoder = InputEncoder(Box(-1, 1, (3,)), Box(-1, 1, (1,)), ("observations", "actions"))
    RewardModel(Discriminator(encoder, (4,)), "gail").save(folder)
    return folder


def test_a_pickle_in_a_reward_is_not_opened(tmp_path, harmed):
    folder = _reward(tmp_path / "reward")
    (folder / "tensors.safetensors").write_bytes(_torch_saved(Payload(harmed)))
    reseal(folder)
    with pytest.raises(StorageError):
        load_reward(folder)


HUGE = {"type": "Box", "shape": [2**20, 2**20], "dtype": "float32", "low": 0, "high": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"observation_space": HUGE},
        {"observation_space": {"type": "MultiBinary", "n": 2**50}},
        {"observation_space": {"type": "Dict", "spaces": dict.fromkeys("abc", HUGE | {"shape": [2**23]})}},
        {"action_space": {"type": "Discrete", "n": 2**50, "start": 0}},
        {"form": "os.system"},
        {"discriminator": {"kind": "plain", "inputs": ["observations"], "hidden_sizes": [2**20] * 2, "activation": "ReLU"}},
        {"discriminator": {"kind": "plain", "inputs": ["observations"], "hidden_sizes": [1] * 10**5, "activation": "ReLU"}},
    ],
)
def test_a_reward_that_would_fill_the_memory_or_names_code(changes, tmp_path):
    folder = _reward(tmp_path / "reward")
    reseal(folder, **changes)
    with pytest.raises(GanqIrlError):
        load_reward(folder)


@pytest.mark.parametrize("widths", [[2**20, 2**20], [1] * 10**5, {"pi": [2**31], "vf": [4]}])
def test_a_policy_whose_networks_would_fill_the_memory(widths, finished):
    kwargs = json.loads((finished / "policy" / "config.json").read_text())["policy_kwargs"]
    reseal(finished / "policy", policy_kwargs=kwargs | {"net_arch": widths})
    with pytest.raises(StorageError, match="are larger than the saved tensors"):
        load_policy(finished / "policy")


def test_settings_and_notes_of_a_run_that_are_nested_without_end(run):
    text = (run / "config.toml").read_text()
    for content in ("a = " + "[" * 100_000, "a = " + "9" * 10_000, "#" * (LARGEST_TOML + 1)):
        (run / "config.toml").write_text(content)
        with pytest.raises(ConfigurationError):
            load_run(run)
    (run / "config.toml").write_text(text)
    for content in ("[" * 100_000, '{"a": ' * 50_000, "9" * 10_000, "\ud800"):
        (run / "run.json").write_bytes(content.encode("utf-8", "surrogatepass"))
        with pytest.raises(RunDirectoryError):
            load_run(run)


@pytest.mark.parametrize(
    "changes", [{"iterations": "x"}, {"events": []}, {"events": {"x": -1}}, {"step": -1}, {"step": "1"}]
)
def test_a_manifest_that_says_nonsense(changes, run):
    seal(newest(run), **changes)
    with pytest.raises(StorageError, match="does not describe a checkpoint"):
        read_checkpoint(newest(run))


def test_a_tensor_that_a_state_names_again_and_again(run):
    state = json.loads((newest(run) / "state.json").read_text())
    name = next(iter(state["tensors"]))
    state["tree"] = {"dict": [["training", {"list": [{"tensor": name}] * 1000}]]}
    (newest(run) / "state.json").write_text(json.dumps(state))
    seal(newest(run))
    with pytest.raises(StorageError, match=r"names the tensor .* twice"):
        resume_experiment(run, progress_bar=False)


def test_a_checkpoint_counts_before_it_takes_memory(run):
    checkpoint = read_checkpoint(newest(run))
    with read_limit("500"), pytest.raises(ReadLimitExceeded, match=r"progress\.csv would unpack to"):
        checkpoint.progress()
    (newest(run) / "progress.csv").write_bytes(b"a,b\n" + b"0,0\n" * 10_000)
    with read_limit("3M"), pytest.raises(ReadLimitExceeded, match=r"progress\.csv would unpack to 3\.66 MiB"):
        checkpoint.progress()
    state = checkpoint.state()["training"]["algorithm"]
    with read_limit("500"), pytest.raises(ReadLimitExceeded, match="the checkpoint would unpack to"):
        from_plain(state)
    with read_limit("10M") as limit:
        held = from_plain(state)
        assert limit.taken
        del held
        assert limit.taken == 0


def test_many_small_tensors_are_read_back(tmp_path):
    state = {str(index): torch.zeros(1) for index in range(5000)}
    checkpoint = CheckpointStore(tmp_path).save({"step": 1}, state, b"")
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2
    assert len(checkpoint.state()) == 5000


def test_a_progress_that_is_no_text(run):
    (newest(run) / "progress.csv").write_bytes(b"\xff\xfe")
    seal(newest(run))
    with pytest.raises(StorageError, match="is not text"):
        resume_experiment(run, progress_bar=False)


@pytest.fixture(scope="module")
def whole_grid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grids") / "grid"
    run_grid(quick_grid(["bc"], seeds=2), folder, engine=InThisProcess())
    return folder


@pytest.fixture
def grid(whole_grid, tmp_path):
    return shutil.copytree(whole_grid, tmp_path / "grid")


_EVALUATION = {"mean_return": 1, "normalized": 0, "references": [0, 1], "episodes": 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("evaluation.json", content) for content in ("{}", "[]", "{", "[" * 100_000, '{"references": 3}', "")),
        *(
            ("evaluation.json", json.dumps(_EVALUATION | changes))
            for changes in ({"mean_return": "x"}, {"mean_return": 10**400}, {"normalized": []}, {"references": [1, "x"]})
        ),
        ("run.json", "{"),
        ("config.toml", "="),
        ("config.toml", 'algo = "bc"\nenv = "CartPole-v1"\ndemos = "cartpole"'),
    ],
)
def test_a_damaged_cell_of_a_grid_does_not_hide_the_others(name, content, grid):
    damaged, whole = make_cells(load_grid(grid))
    (grid / damaged.path / name).write_text(content)
    first, second = read_results(grid, [damaged, whole])
    assert (first.status, second.status) == ("failed", "done")
    assert str(grid / damaged.path) in first.error
    result = CliRunner().invoke(main, ["report", str(grid), "--no-pictures", "--no-videos"])
    assert result.exit_code == 0
    assert result.stderr == f"failed: {damaged.label}: {first.error}\n"
    assert (grid / "report.html").is_file()


def test_a_zip_of_stable_baselines3_is_not_opened(tmp_path, harmed):
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, device="cpu")
    model.payload = Payload(harmed)
    model.save(tmp_path / "model.zip")
    for command in (["resume"], ["evaluate"], ["demos", "record", "--out", str(tmp_path / "d.npz"), "--run"]):
        result = CliRunner().invoke(main, [*command, str(tmp_path / "model.zip")])
        assert result.exit_code == 2, result.output
