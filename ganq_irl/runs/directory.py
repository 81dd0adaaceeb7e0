"""The run directory: read a run, and write ``config.toml`` and ``run.json``.

It holds ``config.toml``, ``run.json``, ``progress.csv``, TensorBoard events, ``policy/``, ``reward/``, ``feedback/``,
``evaluation.json`` and ``checkpoints/``. While a run trains, its process holds the lock ``.lock``.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

import torch

from ganq_irl.errors import RunDirectoryError, StorageError, usable_path
from ganq_irl.files import made_folder, read_json, read_toml, replace_file, require_plain
from ganq_irl.generators.policies.store import StoredPolicy, load_policy
from ganq_irl.runs.config import ExperimentConfig, parse_config
from ganq_irl.runs.presets import env_family

CONFIG, INFO, PROGRESS, EVALUATION = "config.toml", "run.json", "progress.csv", "evaluation.json"
POLICY, BEST_POLICY, REWARD, CHECKPOINTS = "policy", "policy_best", "reward", "checkpoints"
FEEDBACK = "feedback"
_PACKAGES = ("ganq-irl", "torch", "stable-baselines3", "sb3-contrib", "gymnasium", "numpy", "imitation")


@dataclass(frozen=True)
class Run:
    """A run that was read from disk.

    Attributes:
        folder: the run directory.
        config: the resolved settings.
        info: content of ``run.json``: status, versions, seeds, device, timings.

    Example:
        >>> config = ExperimentConfig("bc", "CartPole-v1", demos="cartpole", bc={"n_updates": 10})
        >>> result = run_experiment(config, "run", progress_bar=False)
        >>> run = load_run("run")
        >>> run.info["status"], run.config.algo
        ('finished', 'bc')
    """

    folder: Path
    config: ExperimentConfig
    info: dict[str, Any]

    def policy(self, device: torch.device | str = "auto") -> StoredPolicy:
        """Return the final policy.

        Raises:
            RunDirectoryError: the run has not saved a policy.
            StorageError: the policy is damaged.
        """
        if not (self.folder / POLICY).is_dir():
            raise RunDirectoryError(
                f"{self.folder} holds no policy (status: {self.info.get('status')}); let the run finish, or train it again"
            )
        return load_policy(self.folder / POLICY, device)


def load_run(folder: Path | str) -> Run:
    """Read a run directory.

    Raises:
        RunDirectoryError: the folder is not a run directory, or its ``run.json`` is damaged.
        StorageError: it holds something other than regular files and folders.
        ConfigurationError: its ``config.toml`` is damaged, or the name is not a valid path.

    Example:
        >>> load_run("nowhere")
        Traceback (most recent call last):
        ganq_irl.errors.RunDirectoryError: ...
    """
    folder = usable_path(folder)
    for name in (CONFIG, INFO):
        if not (folder / name).is_file():
            raise RunDirectoryError(
                f"{folder} is not a run directory: it holds no {name}; give a directory that train wrote"
            )
    require_plain(folder)
    try:
        info = read_json(folder / INFO)
    except StorageError as error:
        raise RunDirectoryError(f"{error}; copy the run again") from error
    if not isinstance(info, dict):
        raise RunDirectoryError(f"{folder / INFO} holds no JSON object; copy the run again")
    return Run(folder, parse_config(ExperimentConfig, read_toml(folder / CONFIG)), info)


def default_folder(config: ExperimentConfig) -> Path:
    """Return ``runs/<algo>-<env>-<seed>``, with a number after it if that is taken."""
    return unused_folder(f"{config.algo}-{env_family(config.env).lower()}-{config.seed}")


def unused_folder(name: str) -> Path:
    """Return the first of ``runs/<name>``, ``runs/<name>-1``, ``runs/<name>-2``, ... that does not exist."""
    candidates = (Path("runs") / (name if i == 0 else f"{name}-{i}") for i in count())
    return next(folder for folder in candidates if not folder.exists())


@contextmanager
def recording_run(
    folder: Path,
    config: ExperimentConfig,
    device: str,
    resumed: Mapping[str, Any] | None = None,
    start: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Write ``config.toml``, and keep the status in ``run.json`` up to date while the block runs.

    Args:
        folder: the run directory.
        config: the settings.
        device: the device that the run computes on.
        resumed: ``run.json`` of the run that is resumed.
        start: JSON that says where the run started, and what it learns from.

    Yields:
        A dict that is merged into ``run.json`` at the end; its ``seconds`` takes timings.
    """
    found: dict[str, Any] = {"seconds": {}}
    info = {"status": "running", "started": _now(), "preset": config.preset, "seed": config.seed, "device": device}
    info |= {"threads": torch.get_num_threads(), "versions": versions()} | ({} if start is None else {"start": start})
    made_folder(folder)
    if resumed is None or load_run(folder).config != config:  # a resumed run may have a new number of steps
        replace_file(folder / CONFIG, config.to_toml().encode())
    if resumed is not None:
        before = resumed.get("resumed", [])
        info |= {key: resumed[key] for key in ("started", "preset", "start") if key in resumed}
        info["resumed"] = [*(before if isinstance(before, list) else []), _now()]
    write_json(folder / INFO, info)
    try:
        yield found
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        write_json(folder / INFO, info | found | {"status": status, "finished": _now(), "error": repr(error)})
        raise
    write_json(folder / INFO, info | found | {"status": "finished", "finished": _now()})


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically."""
    replace_file(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect what a run computes."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
