"""Files from strangers with a payload planted in them: none is run, and each is refused in a sentence."""

import hashlib
import io
import json
import os
import pickle
import shutil

import pytest
import torch
from click.testing import CliRunner
from grid_examples import InThisProcess, quick_grid
from gymnasium.spaces import Box
from stable_baselines3 import PPO

from ganq_irl.discriminator import Discriminator, InputEncoder
from ganq_irl.errors import ConfigurationError, GanqIrlError, RunDirectoryError, StorageError
from ganq_irl.experiment import load_run, resume_experiment
from ganq_irl.experiment.checkpoints import CheckpointStore, files, read_checkpoint
from ganq_irl.experiment.grid import make_cells
from ganq_irl.experiment.grid_results import read_results
from ganq_irl.experiment.grid_runner import run_grid
from ganq_irl.experiment.rewards import load_reward
from ganq_irl.files import LARGEST_TOML
from ganq_irl.generators.policy_store import load_policy
from ganq_irl.rewards import RewardModel
from ganq_irl.storage import _checksum
from ganq_irl_cli import main
from tests.resume_examples import run_and_kill, tiny_config

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


def seal(folder, **changes):
    """Give a checkpoint the checksums that its files have now, as whoever planted something in it would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("sha256")
    manifest |= changes
    for name in list(manifest["files"]):
        content = (folder / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest["sha256"] = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


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
    with pytest.raises(StorageError):
        read_checkpoint(newest(run))


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
    CheckpointStore(run / "checkpoints").save(checkpoint.info | {"step": 64}, state, checkpoint.progress())
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
        assert (result.exit_code, "unknown environment 'planted:" in result.stderr) == (2, True)


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
        {"discriminator": {"kind": "plain", "inputs": ["observations"], "hidden_sizes": [1] * 10**6, "activation": "ReLU"}},
    ],
)
def test_a_reward_that_would_fill_the_memory_or_names_code(changes, tmp_path):
    folder = _reward(tmp_path / "reward")
    reseal(folder, **changes)
    with pytest.raises(GanqIrlError):
        load_reward(folder)


@pytest.mark.parametrize("widths", [[2**20, 2**20], [1] * 10**6, {"pi": [2**31], "vf": [4]}])
def test_a_policy_whose_networks_would_fill_the_memory(widths, finished):
    kwargs = json.loads((finished / "policy" / "config.json").read_text())["policy_kwargs"]
    reseal(finished / "policy", policy_kwargs=kwargs | {"net_arch": widths})
    with pytest.raises(StorageError, match="for which there are not as many numbers"):
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


def test_a_progress_that_is_no_text(run):
    (newest(run) / "progress.csv").write_bytes(b"\xff\xfe")
    seal(newest(run))
    with pytest.raises(StorageError, match="is no text"):
        resume_experiment(run, progress_bar=False)


@pytest.mark.parametrize("content", ["{}", "[]", "{", "[" * 100_000, '{"references": 3}'])
def test_a_cell_of_a_grid_with_a_damaged_evaluation(content, tmp_path):
    grid = quick_grid(["bc"], seeds=1)
    run_grid(grid, tmp_path, engine=InThisProcess())
    cells = make_cells(grid)
    (tmp_path / cells[0].path / "evaluation.json").write_text(content)
    with pytest.raises(RunDirectoryError, match="is damaged"):
        read_results(tmp_path, cells)


def test_a_zip_of_stable_baselines3_is_not_opened(tmp_path, harmed):
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, device="cpu")
    model.payload = Payload(harmed)
    model.save(tmp_path / "model.zip")
    for command in (["resume"], ["evaluate"], ["demos", "record", "--out", str(tmp_path / "d.npz"), "--run"]):
        result = CliRunner().invoke(main, [*command, str(tmp_path / "model.zip")])
        assert result.exit_code == 2, result.output
