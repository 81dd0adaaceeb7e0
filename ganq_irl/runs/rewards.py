"""Recovered rewards of runs: find, load and describe them, and train a new policy on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganq_irl.algorithms.iq_reward import SoftQReward
from ganq_irl.errors import ConfigurationError, RunDirectoryError, usable_path
from ganq_irl.files import require_plain
from ganq_irl.rewards import RewardModel
from ganq_irl.runs.config import ExperimentConfig, merged
from ganq_irl.runs.directory import INFO, REWARD, Run, load_run
from ganq_irl.runs.presets import alike
from ganq_irl.runs.resolve import parse_assignment, resolve_config
from ganq_irl.space_matrix import DEFAULT_GENERATOR
from ganq_irl.storage import CONFIG_FILE, load_folder


@dataclass(frozen=True)
class StoredReward:
    """A recovered reward that was read from disk.

    Attributes:
        name: the path that the user gave.
        folder: the folder of the reward.
        reward: the reward.
        provenance: JSON values that say where the reward comes from.
        run: the run that recovered it; None for a folder outside of a run.
    """

    name: str
    folder: Path
    reward: RewardModel | SoftQReward
    provenance: dict[str, Any]
    run: Run | None

    @property
    def env(self) -> str | None:
        """The environment that the reward was learned in, if known."""
        if self.run is not None:
            return self.run.config.env
        told = self.provenance.get("env")
        return told if isinstance(told, str) else None


def reward_folder(path: Path | str) -> Path:
    """Return the folder of a reward, given a run or the folder itself.

    Raises:
        ConfigurationError: the name is not a valid path.
        RunDirectoryError: there is no reward.
        StorageError: the run or the folder holds something other than regular files and folders.
    """
    path = usable_path(path)
    if (path / REWARD / CONFIG_FILE).is_file():
        return require_plain(path) / REWARD
    if (path / CONFIG_FILE).is_file():
        return require_plain(path)
    what = "holds no recovered reward; only imitation by a discriminator or by IQ-Learn recovers one"
    if not require_plain(path).is_dir():
        what = "does not exist"
    advice = "give a run directory that `ganq-irl train airl` wrote, or its folder reward"
    raise RunDirectoryError(f"{path} {what}; {advice}", page="how_to/rewards")


def load_reward(path: Path | str, device: torch.device | str = "cpu") -> RewardModel | SoftQReward:
    """Read a recovered reward; nothing is unpickled.

    Args:
        path: a run directory, or the folder of a reward.
        device: device of the reward.

    Raises:
        RunDirectoryError: there is no reward.
        StorageError: it is damaged.
    """
    folder = reward_folder(path)
    config, _ = load_folder(folder)
    return SoftQReward.load(folder, device) if "soft_q_reward" in config else RewardModel.load(folder, device)


def read_reward(path: Path | str) -> StoredReward:
    """Read a recovered reward and, if it is part of one, its run.

    Raises:
        RunDirectoryError: there is no reward.
        StorageError: it is damaged.
    """
    folder = reward_folder(path)
    reward = load_reward(folder)
    run = load_run(folder.parent) if (folder.parent / INFO).is_file() else None
    return StoredReward(str(path), folder, reward, reward.provenance, run)


def load_exportable(path: Path | str) -> RewardModel:
    """Read a reward that can be exported.

    Raises:
        ConfigurationError: the reward is IQ-Learn's, which is made of a policy's Q-values.
        RunDirectoryError: there is no reward.
        StorageError: it is damaged.
    """
    reward = load_reward(path)
    if not isinstance(reward, RewardModel):
        raise ConfigurationError(f"{path} holds IQ-Learn's reward, which is a policy's; only a discriminator's is exported")
    return reward


def describe_reward(stored: StoredReward) -> dict[str, Any]:
    """Describe a reward and its origin as JSON values."""
    reward = stored.reward
    return {
        "reward": str(stored.folder),
        "form": reward.form.name if isinstance(reward, RewardModel) else "soft-q",
        "env": stored.env,
        "observation_space": str(reward.observation_space),
        "action_space": str(reward.action_space),
        "provenance": stored.provenance,
    }


def retraining_config(path: Path | str, flags: Mapping[str, Any], assignments: Iterable[str] = ()) -> ExperimentConfig:
    """Return settings that train a new policy on a reward; environment, generator and length default to the run's.

    Args:
        path: a run directory, or the folder of a reward.
        flags: settings; those that are not None take precedence.
        assignments: ``dotted.key=value``.

    Raises:
        ConfigurationError: the environment is unknown and not given, or settings do not fit together.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    stored = read_reward(path)
    run = stored.run
    if run is not None:
        config = run.config
        algo = given.get("algo") or config.generator or DEFAULT_GENERATOR
        settings: dict[str, Any] = {"algo": algo, "env": config.env, "timesteps": config.timesteps, "seed": config.seed}
        if alike(algo, config.generator):
            settings |= {"generator_kwargs": config.generator_kwargs, "preset": "none"}
        if given.get("env", config.env) == config.env:
            settings |= {"env_kwargs": config.env_kwargs}
        settings |= {"n_envs": config.n_envs, "normalize_observations": config.normalize_observations}
        settings |= {"evaluation": {"episodes": config.evaluation.episodes, "seed": config.evaluation.seed}}
    else:
        settings = {"algo": DEFAULT_GENERATOR} | ({} if stored.env is None else {"env": stored.env})
    for assignment in assignments:
        settings = merged(settings, parse_assignment(assignment))
    if "env" not in {**settings, **given}:
        raise ConfigurationError(f"{path} does not say which environment it belongs to; give --env ID")
    return resolve_config({**settings, **given, "reward": str(path)})


def env_kwargs_of(stored: StoredReward, env: str | None) -> Mapping[str, Any] | None:
    """Return the environment keywords of the reward's run, or None for another environment."""
    if stored.run is None or env not in (None, stored.env):
        return None
    return stored.run.config.env_kwargs
