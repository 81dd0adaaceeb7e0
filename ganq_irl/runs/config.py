"""Every setting of a run as one value, checked by type, written to TOML and read back."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tomli_w

from ganq_irl.errors import ConfigurationError, nearest

Config = TypeVar("Config")
_TOO_LARGE = 2**32
"""Seeds beyond it are refused by numpy, and as many steps or episodes would never end."""


@dataclass(frozen=True)
class EvaluationConfig:
    """How the true return is measured.

    Attributes:
        episodes: episodes of each evaluation.
        every: environment steps between evaluations during training; 0 evaluates at the end alone.
        seed: reset seed of the first episode, the same for all runs, so that they meet the same initial states.
        keep_best: keep the policy of the best evaluation during training as ``policy_best/``; it needs ``every``. The
            true return chooses it, so it is an oracle's choice where that return is meant to be unknown.
        video: write a film of one episode to TensorBoard at each evaluation during training.
    """

    episodes: int = 20
    every: int = 0
    seed: int = 10_000
    keep_best: bool = False
    video: bool = False


@dataclass(frozen=True)
class ExperimentConfig:
    """Settings of a training run.

    Attributes:
        algo: an imitation algorithm (gail, dac, bc, ...), or a generator under the environment's reward (ppo, ...).
        env: Gymnasium id.
        demos: name of shipped demonstrations, or a file of them.
        columns: of a table of demonstrations: field -> its column, or a list of them.
        n_trajectories: number of trajectories drawn from them with ``seed``; all of them where absent.
        generator: SB3 algorithm that an imitation algorithm trains; fast-ppo by default, for dac, sqil and iq-learn sac or,
            where actions are discrete, dqn.
        reward: a run, or a folder of a recovered reward, that pays the generator instead of the environment.
        timesteps: environment steps; bc counts updates instead, ``bc.n_updates``.
        seed: seeds environments, networks, the draw of trajectories, and everything else of the run.
        device: auto, cpu or cuda.
        n_envs: environments that are stepped together.
        normalize_observations: running mean and deviation of observations for the policy (VecNormalize).
        average_rate: of the exponential moving average of the policy, a round, that is evaluated and kept; 1 is the policy
            itself.
        control: ``frozen`` keeps the discriminator at its random initial weights, to see what imitation adds.
        checkpoint_every: environment steps (bc: updates) between checkpoints; 0 makes one only when the run is interrupted.
        keep_checkpoints: checkpoints kept: the last ones, beside the best evaluated.
        exact_checkpoints: in simulators whose state cannot be saved (Box2D, MuJoCo), cut the episodes under way at every
            checkpoint, so that a resumed run equals one that was never stopped. It changes training; without it a checkpoint
            does not, and a resumed run begins new episodes.
        preset: preset whose settings are included, or "none".
        env_kwargs: keywords of the environment.
        generator_kwargs: keywords of the SB3 algorithm.
        adversary: keywords of GAIL, AIRL or another adversarial algorithm.
        imitation: keywords of SQIL or IQ-Learn.
        bc: keywords of BC.
        evaluation: how the true return is measured.
    """

    algo: str
    env: str
    demos: str | None = None
    n_trajectories: int | None = None
    generator: str | None = None
    reward: str | None = None
    timesteps: int | None = None
    seed: int = 0
    device: str = "auto"
    n_envs: int = 1
    normalize_observations: bool = False
    average_rate: float = 1.0
    control: Literal["none", "frozen"] = "none"
    checkpoint_every: int = 0
    keep_checkpoints: int = 2
    exact_checkpoints: bool = False
    preset: str = "none"
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    generator_kwargs: dict[str, Any] = field(default_factory=dict)
    adversary: dict[str, Any] = field(default_factory=dict)
    imitation: dict[str, Any] = field(default_factory=dict)
    bc: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def to_toml(self) -> str:
        """The settings as TOML, complete: a run from this text needs no preset and repeats the run."""
        settings = without_none(dataclasses.asdict(self)) | {"preset": "none"}
        note = "" if self.preset == "none" else f'# The settings of the preset "{self.preset}" are included.\n'
        return note + tomli_w.dumps(settings)


def parse_config(cls: type[Config], settings: Mapping[str, Any], prefix: str = "") -> Config:
    """Build a configuration dataclass from nested plain values.

    Raises:
        ConfigurationError: a key is unknown or missing, or a value has the wrong type.
    """
    hints = get_type_hints(cls)
    for key in settings:
        if key not in hints:
            raise ConfigurationError(f"unknown setting {prefix + key!r}; {nearest(key, hints)}")
    values = {key: _parse(value, hints[key], prefix + key) for key, value in settings.items()}
    for entry in dataclasses.fields(cls):  # type: ignore[arg-type]
        if (
            entry.default is dataclasses.MISSING
            and entry.default_factory is dataclasses.MISSING
            and entry.name not in values
        ):
            raise ConfigurationError(f"the setting {prefix + entry.name!r} is missing")
    return cls(**values)


def _parse(value: Any, hint: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return parse_config(hint, _expect(value, isinstance(value, Mapping), name, "a table"), prefix=f"{name}.")
    if get_origin(hint) in (Union, types.UnionType):
        return None if value is None else _parse(value, get_args(hint)[0], name)
    if get_origin(hint) is Literal:
        return _expect(value, value in get_args(hint), name, " or ".join(map(repr, get_args(hint))))
    if get_origin(hint) is dict:
        return dict(_expect(value, isinstance(value, Mapping), name, "a table"))
    if hint is int:
        # 1e5 is a float in TOML, and a usual way of writing a number of steps.
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
        return int(_expect(value, whole and abs(value) < _TOO_LARGE, name, "a whole number below 2^32"))
    if hint is float:
        return float(_expect(value, isinstance(value, int | float) and not isinstance(value, bool), name, "a number"))
    return _expect(value, isinstance(value, hint), name, {str: "a string", bool: "true or false"}[hint])


def _expect(value: Any, holds: bool, name: str, expected: str) -> Any:
    if not holds:
        raise ConfigurationError(f"{name}: given {value!r}; expected {expected}")
    return value


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one table, their keys joined by dots."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def without_none(value: Any) -> Any:
    """Nested settings without those that are None, which TOML cannot hold."""
    if isinstance(value, Mapping):
        return {key: without_none(entry) for key, entry in value.items() if entry is not None}
    return value


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``below`` overridden by ``above``, tables key by key.

    >>> merged({"a": {"x": 1, "y": 2}}, {"a": {"x": 3}})
    {'a': {'x': 3, 'y': 2}}
    """
    result = dict(below)
    for key, value in above.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if nested else value
    return result
