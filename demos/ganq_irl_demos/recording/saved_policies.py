"""Load policies saved by Stable-Baselines3, from a zip or the hub. They contain pickles, so trust is required."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, DemoFormatError, IncompatibleSpaces, needed
from ganq_irl.files import require_plain
from ganq_irl.parsing import parse_json
from ganq_irl.spaces import check_same_space
from ganq_irl_demos import hub
from ganq_irl_demos.formats.limits import brief, check_zip, open_zip, reading
from ganq_irl_demos.formats.replay_buffer import unpickled

NORMALIZATION = "vec_normalize.pkl"
"""Statistics that RL Baselines3 Zoo saves beside a policy with normalized observations."""

ALGORITHMS = dict.fromkeys(("PPO", "A2C", "DQN", "SAC", "TD3"), "stable_baselines3")
ALGORITHMS |= dict.fromkeys(("TRPO", "QRDQN", "TQC"), "sb3_contrib")
"""Algorithm -> package. A DDPG policy can act as a TD3 policy."""


class TrustedPolicy:
    """A policy with ``.predict`` that normalizes observations as in its training.

    Attributes:
        algorithm: name of the algorithm, for the provenance.
        action_space: action space of its training environment.
    """

    def __init__(self, model: Any, normalization: Any, name: str) -> None:
        self.model, self.normalization = model, normalization
        self.algorithm = f"{type(model).__name__} ({name})"
        self.action_space: spaces.Space = model.action_space

    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Return the model's action and its state."""
        if self.normalization is not None:
            observation = self.normalization.normalize_obs(observation)
        return self.model.predict(observation, state, episode_start, deterministic)


def is_saved_policy(source: str) -> bool:
    """Return whether a source is a zip or on the hub, rather than ``module:function``."""
    return hub.is_hub(source) or source.lower().endswith(".zip")


def load_policy(source: str, observation_space: spaces.Space, action_space: spaces.Space, *, trust: bool) -> TrustedPolicy:
    """Load a policy of Stable-Baselines3 or SB3-Contrib.

    Args:
        source: a zip, or ``huggingface:ORGANIZATION/NAME[/FILE.zip]``.
        observation_space: observation space of the environment to act in.
        action_space: action space of the environment to act in.
        trust: whether it may be opened, which can run any code in it.

    Raises:
        ConfigurationError: ``trust`` is false, or the algorithm is unknown.
        DemoFormatError: the file is missing, or is not a policy.
        IncompatibleSpaces: it was trained with other spaces.
        MissingDependency: its package is not installed.
        ReadLimitExceeded: its content exceeds the read limit.
    """
    if not trust:
        raise ConfigurationError(
            f"{source} holds pickles, which can run any code when opened; if you know who made it, add --trust"
        )
    path = _zip_of(source) if hub.is_hub(source) else require_plain(source)
    data = _description(path)
    name = _algorithm(data, path)
    package = needed(ALGORITHMS[name], "contrib" if ALGORITHMS[name] == "sb3_contrib" else "", f"a policy of {name}")
    replaced: dict[str, Any] = {"learning_rate": 0.0, "lr_schedule": lambda _: 0.0, "clip_range": lambda _: 0.0}
    if str(data.get("action_space", {}).get(":type:")).startswith("<class 'gym."):  # pickled before Gymnasium
        replaced |= {"observation_space": observation_space, "action_space": action_space}
    try:
        model = getattr(package, name).load(path, device="cpu", custom_objects=replaced)
    except Exception as error:  # unpickling may raise anything
        raise DemoFormatError(f"{path} cannot be opened as a policy of {name} ({brief(error)})") from error
    _check_fits(model, observation_space, action_space, source)
    return TrustedPolicy(model, _normalization(path.parent / NORMALIZATION), source)


def _zip_of(source: str) -> Path:
    """Return the zip of a repository: the named one, the one with the repository's name, or the only one."""
    path = hub.fetch(source, "model", ["*.zip", NORMALIZATION])
    if path.is_file():
        return path
    found = sorted(path.glob("*.zip"))
    named = path / f"{source.rpartition('/')[2]}.zip"
    if named not in found and len(found) != 1:
        listed = ", ".join(file.name for file in found) or "none"
        raise DemoFormatError(f"{source}: it is not clear which zip is the policy ({listed}); name it: {source}/FILE.zip")
    return named if named in found else found[0]


def _description(path: Path) -> dict[str, Any]:
    """Return the description in a zip, which is plain JSON."""
    with reading(path, "is not a policy saved by Stable-Baselines3"), open_zip(path) as archive:
        check_zip(archive, path, archive.infolist())
        data = parse_json(archive.read("data"), path)
        if not isinstance(data, dict):
            raise TypeError(f"its description is a {type(data).__name__}")
        return data


def _algorithm(data: dict[str, Any], path: Path) -> str:
    """Return the algorithm by its policy's module. PPO, A2C and TRPO share one, and differ in their settings."""
    module = str(data.get("policy_class", {}).get("__module__", ""))
    family = module.split(".")[1].upper() if module.count(".") > 1 else ""
    if family == "COMMON" and "recurrent" not in module and "maskable" not in module:
        family = "PPO" if "clip_range" in data else "TRPO" if "cg_max_steps" in data else "A2C"
    if family not in ALGORITHMS:
        raise ConfigurationError(
            f"{path}: its policy is from {module or 'an unknown module'}; known: {', '.join(ALGORITHMS)}"
        )
    return family


def _check_fits(model: Any, observation_space: spaces.Space, action_space: spaces.Space, source: str) -> None:
    check_same_space(model.action_space, action_space, f"{source}: action space")
    own, asked = model.observation_space, observation_space
    moved = isinstance(own, spaces.Box) and len(own.shape) == 3 and sorted(own.shape) == sorted(asked.shape or ())
    if not moved and own.shape != asked.shape:  # channels of images may move, and bounds differ between releases
        raise IncompatibleSpaces(f"{source} was trained with observations {own}, but the environment has {asked}")


def _normalization(path: Path) -> Any:
    """Return the VecNormalize saved beside a policy, without its environment, or None."""
    if not path.is_file():
        return None
    from stable_baselines3.common.vec_env import VecNormalize

    found = unpickled(path, VecNormalize)
    return found if found.norm_obs else None
