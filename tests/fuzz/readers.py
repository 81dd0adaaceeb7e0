"""Everything that reads what a stranger may have made: a valid sample of each, how to seal it again, and the reader."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ganq_irl.errors import GanqIrlError
from tests.demos.demo_examples import ACTIONS, OBSERVATIONS, make_demos, make_trajectory


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        write: makes valid samples in a folder; each entry of it is one.
        read: reads a sample with all that it promises; raises what the reader raises.
        seal: gives a sample the checksums that fit its content, as whoever altered it would.
        needs: packages without which there is nothing to read.
    """

    write: Callable[[Path], None]
    read: Callable[[Path], None]
    seal: Callable[[Path], None] = lambda path: None
    needs: tuple[str, ...] = ()


def _write_demos(name: str, folder: Path) -> None:
    from gymnasium import spaces

    from ganq_irl_demos import FORMATS, save_demonstrations

    known = FORMATS[name]
    save_demonstrations(make_demos(), folder / f"numbers{known.suffix}")
    if "Dict observations" in known.loses:
        return
    observations = {"image": np.zeros((6, 2, 2, 1), np.uint8), "speed": np.ones((6, 1), np.float32)}
    space = spaces.Dict({"image": spaces.Box(0, 255, (2, 2, 1), np.uint8), "speed": spaces.Box(-9, 9, (1,))})
    pictures = make_trajectory(5, observations=observations, actions=np.arange(5) % 2, rewards=None)
    demos = make_demos(pictures, observation_space=space, action_space=spaces.Discrete(2))
    save_demonstrations(demos, folder / f"pictures{known.suffix}")


def _read_demos(name: str, path: Path) -> None:
    from ganq_irl_demos import load_demonstrations

    requests: list[dict[str, Any]] = [{"format": name}, {}]
    if path.stem.startswith("numbers"):
        requests.append({"observation_space": OBSERVATIONS, "action_space": ACTIONS})
    _all(*(lambda told=told: load_demonstrations(path, needs=(), **told).checksum for told in requests))


def _seal_npz(path: Path) -> None:
    from ganq_irl_demos.formats.npz import MAGIC, VERSION, load_arrays, write_entries
    from ganq_irl_demos.headers import content_checksum

    with contextlib.suppress(Exception):  # what cannot be sealed is tried as it is
        if path.stat().st_size > 1 << 20:
            return
        arrays = load_arrays(path)
        header = json.loads(arrays.pop("header").tobytes())
        header = {key: value for key, value in header.items() if key not in ("format", "version", "checksum")}
        header = {"format": MAGIC, "version": VERSION, **header, "checksum": content_checksum(header, arrays)}
        write_entries(path, {"header": np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays})


def _all(*reads: Callable[[], Any]) -> None:
    """Try each, and raise the last of our own errors."""
    last: GanqIrlError | None = None
    for read in reads:
        try:
            read()
        except GanqIrlError as error:
            last = error
    if last is not None:
        raise last


def _demos(name: str, *needs: str) -> Reader:
    seal = _seal_npz if name == "npz" else Reader.seal
    return Reader(lambda folder: _write_demos(name, folder), lambda path: _read_demos(name, path), seal, needs)


def _write_mix(folder: Path) -> None:
    from ganq_irl_demos import save_demonstrations

    (folder / "mix").mkdir()
    save_demonstrations(make_demos(), folder / "mix" / "one.npz")
    text = '[[demonstrations]]\nsource = "one.npz"\nweight = 2.0\n[[demonstrations]]\nsource = "one.npz"\n'
    (folder / "mix" / "sets.toml").write_text(text)


def _read_mix(path: Path) -> None:
    from ganq_irl_demos import load_demonstrations

    load_demonstrations(path / "sets.toml", needs=())


def _write_pickle(folder: Path) -> None:
    import pickle

    (folder / "buffer.pkl").write_bytes(pickle.dumps({"observations": np.zeros((4, 3))}))


def _read_untrusted(path: Path) -> None:
    from ganq_irl_demos import load_demonstrations

    load_demonstrations(path, needs=())


def seal_folder(folder: Path) -> None:
    """Give a folder of a policy or reward the checksum that fits it."""
    from ganq_irl.storage import CONFIG_FILE, TENSORS_FILE, _checksum

    with contextlib.suppress(Exception):
        config = json.loads((folder / CONFIG_FILE).read_bytes())
        config.pop("sha256", None)
        config["sha256"] = _checksum(config, folder / TENSORS_FILE)
        (folder / CONFIG_FILE).write_text(json.dumps(config))


def _write_rewards(folder: Path) -> None:
    from ganq_irl.discriminator import Discriminator, InputEncoder, ShapedDiscriminator, build_stabilizer
    from ganq_irl.rewards import RewardModel

    encoder = InputEncoder(OBSERVATIONS, ACTIONS, ("observations", "actions"))
    normed = Discriminator(encoder, (4,))
    build_stabilizer("spectral-norm").attach(normed, reference=None)
    RewardModel(normed, "gail").save(folder / "gail")
    encoder = InputEncoder(OBSERVATIONS, ACTIONS, ("observations", "actions", "next_observations"))
    RewardModel(ShapedDiscriminator(encoder, ("observations",), 0.9, (4,)), "g").save(folder / "airl")


def _read_reward(path: Path) -> None:
    from ganq_irl.runs.rewards import load_reward

    reward = load_reward(path)
    rows = [np.stack([space.sample() for _ in range(2)]) for space in (reward.observation_space, reward.action_space)]
    reward.reward(rows[0], rows[1], rows[0], np.zeros(2))


def _write_policies(folder: Path) -> None:
    from stable_baselines3 import DQN, PPO, SAC

    from ganq_irl.algorithms import GANQ
    from ganq_irl.generators.policies.store import save_policy

    def small() -> dict[str, Any]:  # SB3 writes into the keywords of a policy
        return {"policy_kwargs": {"net_arch": [4]}, "device": "cpu"}

    save_policy(PPO("MlpPolicy", "Pendulum-v1", **small()), folder / "ppo")
    save_policy(SAC("MlpPolicy", "Pendulum-v1", buffer_size=10, **small()), folder / "sac")
    save_policy(DQN("MlpPolicy", "CartPole-v1", buffer_size=10, **small()), folder / "dqn")
    save_policy(GANQ("MlpPolicy", "CartPole-v1", buffer_size=10, **small()), folder / "gan-q")


def _read_policy(path: Path) -> None:
    from ganq_irl.generators.policies.store import load_policy

    policy = load_policy(path, "cpu")
    policy.predict(policy.observation_space.sample())


def _write_checkpoints(folder: Path) -> None:
    from tests.resume_examples import run_and_kill, tiny_config

    for name in ("fast-ppo", "sac"):
        run_and_kill(tiny_config(name), folder / f"{name}-run", 70)
        shutil.move(folder / f"{name}-run" / "checkpoints" / "step-000000000064", folder / name)
        shutil.rmtree(folder / f"{name}-run")


def seal_checkpoint(folder: Path) -> None:
    """Give a checkpoint the checksums that fit it."""
    import hashlib

    with contextlib.suppress(Exception):
        manifest = json.loads((folder / "manifest.json").read_bytes())
        manifest.pop("sha256", None)
        for name in manifest["files"]:
            if "/" not in name and (folder / name).is_file():
                content = (folder / name).read_bytes()
                manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        manifest["sha256"] = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest))


@cache
def _learner(name: str) -> Any:
    from ganq_irl.runs.training import build_trainable
    from tests.resume_examples import tiny_config

    return build_trainable(tiny_config(name))


def _read_checkpoint(path: Path) -> None:
    """As a run that goes on does: everything in it is put where it belongs."""
    from ganq_irl.runs.checkpoints import Checkpointing, CheckpointStore, RunParts, open_log, read_checkpoint
    from ganq_irl.runs.envs import make_training_env
    from ganq_irl.runs.interrupts import Interrupts

    checkpoint = read_checkpoint(path)
    learner: Any = _learner(path.name)
    config, model = learner.config, learner.generator
    log = open_log(path, checkpoint)
    try:
        model.set_logger(log)
        parts = RunParts(
            path, None, (), lambda: make_training_env(config.env, 1, seed=0, env_kwargs=config.env_kwargs), 0, False
        )
        callback = Checkpointing(parts, CheckpointStore(path), 32, Interrupts(), checkpoint)
        model._setup_learn(96, None, False)
        callback.init_callback(model)
        callback._on_rollout_start()
    finally:
        log.close()


def _write_runs(folder: Path) -> None:
    from tests.resume_examples import run_and_kill, tiny_config

    run_and_kill(tiny_config("fast-ppo", timesteps=48), folder / "run", 40)


def _read_run(path: Path) -> None:
    """All that any command reads of a run but its policy, reward and checkpoints."""
    from ganq_irl.evaluation.pictures import read_progress
    from ganq_irl.runs import load_run
    from ganq_irl.runs.runner import resume_experiment
    from ganq_irl.runs.validation import check_config

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
        run = Path(shutil.copytree(path, Path(scratch) / "run"))  # what is gone on with is finished afterwards
        _all(
            lambda: check_config(load_run(run).config),
            lambda: read_progress(run / "progress.csv"),
            lambda: resume_experiment(run, progress_bar=False),
        )


def _write_grids(folder: Path) -> None:
    (folder / "grid.toml").write_text(
        'algos = ["gail", "dqn@gail", "bc"]\nenv = ["CartPole-v1"]\nn_demos = [1, 4]\nseeds = [0, 1]\ntimesteps = 96\n'
        'preset = "none"\n[vary]\n"generator_kwargs.gamma" = [0.9, 0.99]\n[evaluation]\nepisodes = 2\nevery = 32\n'
        '[methods.gail]\nadversary = {batch_size = 16}\ngenerator = "ppo"\n'
    )


def _read_grid(path: Path) -> None:
    from ganq_irl.studies.grid import make_cells
    from ganq_irl.studies.spec import resolve_grid

    make_cells(resolve_grid({}, file=path))


def _write_settings(folder: Path) -> None:
    (folder / "settings.toml").write_text(
        'algo = "gail"\nenv = "Pendulum-v1"\ndemos = "pendulum"\ngenerator = "ppo"\ntimesteps = 96\nseed = 3\n'
        "n_trajectories = 2\ncheckpoint_every = 32\n[generator_kwargs]\nn_steps = 16\nlearning_rate = 1e-3\n"
        "policy_kwargs = {net_arch = [4]}\n[adversary]\nbatch_size = 8\nstabilizers = ['gradient-penalty']\n"
        "[evaluation]\nepisodes = 1\n"
    )


def _read_settings(path: Path) -> None:
    from ganq_irl.runs import resolve_config

    resolve_config({}, file=path)


READERS: dict[str, Reader] = {
    "npz": _demos("npz"),
    "arrays": _demos("arrays"),
    "parquet": _demos("parquet", "pyarrow"),
    "csv": _demos("csv", "pyarrow"),
    "d4rl": _demos("d4rl", "h5py"),
    "robomimic": _demos("robomimic", "h5py"),
    "minari": _demos("minari", "minari"),
    "lerobot": _demos("lerobot", "pyarrow"),
    "imitation": _demos("imitation", "pyarrow", "datasets"),
    "mix": Reader(_write_mix, _read_mix),
    "replay-buffer": Reader(_write_pickle, _read_untrusted),
    "reward": Reader(_write_rewards, _read_reward, seal_folder),
    "policy": Reader(_write_policies, _read_policy, seal_folder),
    "checkpoint": Reader(_write_checkpoints, _read_checkpoint, seal_checkpoint),
    "run": Reader(_write_runs, _read_run),
    "grid": Reader(_write_grids, _read_grid),
    "settings": Reader(_write_settings, _read_settings),
}
