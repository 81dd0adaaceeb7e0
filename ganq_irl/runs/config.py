"""The settings of a run: one frozen dataclass, parsed with type checks, written to TOML and read back."""

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
"""Upper bound of whole numbers: numpy refuses larger seeds, and so many steps or episodes would never end."""


@dataclass(frozen=True)
class EvaluationConfig:
    """How to measure the true return.

    Attributes:
        episodes: episodes per evaluation.
        every: environment steps between evaluations during training; 0 evaluates only at the end.
        seed: reset seed of the first episode; the same for all runs, so that all start from the same states.
        keep_best: ``return`` or ``heldout`` saves the policy of the best evaluation during training as ``policy_best/``;
            needs ``every``. The true return is information that an imitation learner is not supposed to have; the distance
            from held-out demonstrations is not, see ``heldout``.
        video: write a video of one episode to TensorBoard at each evaluation during training.

    Example:
        >>> EvaluationConfig(episodes=10, every=5000).seed
        10000
    """

    episodes: int = 20
    every: int = 0
    seed: int = 10_000
    keep_best: Literal["none", "return", "heldout"] = "none"
    video: bool = False


@dataclass(frozen=True)
class ExperimentConfig:
    """Settings of a training run.

    Attributes:
        algo: an imitation algorithm (gail, dac, bc, ...), or an RL algorithm trained on a reward (ppo, ...).
        env: Gymnasium id.
        demos: name of shipped demonstrations, or a file.
        columns: for a table of demonstrations: field -> its column, or a list of columns.
        n_trajectories: number of trajectories to draw with ``seed``; all by default. If at least two are left out,
            evaluations report the policy's distance from them.
        heldout: share of the trajectories to keep from training for that, at least two if it is above 0.
        generator: SB3 algorithm that an imitation algorithm trains. Default: fast-ppo; for dac, sqil, iq-learn and ls-iq
            fast-sac, or dqn if actions are discrete. For bc, the algorithm whose policy it clones into.
        reward: a run or a folder with a recovered reward, which replaces the environment's reward.
        start_from: a run, or the folder of a policy, whose policy this run starts from.
        hold_policy: environment steps during which the policy stays as it is, while its critics learn; 0 by default, and
            2000 with ``start_from``.
        timesteps: environment steps; bc counts updates instead, see ``bc.n_updates``.
        seed: seed of environments, networks, the draw of trajectories, and everything else in the run.
        device: auto, cpu or cuda.
        n_envs: number of environments that are stepped together. With more than one, an off-policy generator and its
            discriminator get as many more updates after each step, unless a setting says how many.
        vec: where the environments live: ``dummy`` in the process of the run, ``subproc`` in one process each, which pays
            where a step takes about a millisecond or more. Neither changes the numbers.
        normalize_observations: normalize the policy's observations by their running mean and deviation (VecNormalize).
        average_rate: rate per round of the exponential moving average of the policy that is evaluated and saved; 1 is the
            policy itself.
        control: ``frozen`` keeps the discriminator at its random initial weights, to show what imitation adds.
        checkpoint_every: environment steps (bc: updates) between checkpoints; 0 saves one only when the run is interrupted.
        keep_checkpoints: number of latest checkpoints to keep, besides the best evaluated one.
        exact_checkpoints: for simulators whose state cannot be saved (Box2D, MuJoCo): cut the current episodes at every
            checkpoint, so that a resumed run equals an uninterrupted one. This changes training. Without it checkpoints do
            not change training, and a resumed run begins new episodes.
        preset: preset whose settings are included, or "none".
        env_kwargs: keyword arguments of the environment.
        generator_kwargs: keyword arguments of the SB3 algorithm.
        adversary: keyword arguments of GAIL, AIRL or another adversarial algorithm.
        imitation: keyword arguments of SQIL, IQ-Learn, LS-IQ, DAgger, preferences, T-REX or D-REX.
        bc: keyword arguments of BC.
        evaluation: how to measure the true return.

    Example:
        >>> config = ExperimentConfig("gail", "CartPole-v1", demos="cartpole", timesteps=1000, seed=3)
        >>> config.evaluation.episodes
        20
    """

    algo: str
    env: str
    demos: str | None = None
    n_trajectories: int | None = None
    heldout: float = 0.0
    generator: str | None = None
    reward: str | None = None
    start_from: str | None = None
    hold_policy: int = 0
    timesteps: int | None = None
    seed: int = 0
    device: str = "auto"
    n_envs: int = 1
    vec: Literal["dummy", "subproc"] = "dummy"
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

    is_checked = False
    """Whether ``check_config`` returned this object. Not a field, so that ``dataclasses.replace`` resets it."""

    def to_toml(self) -> str:
        """Return all settings as TOML; training from this text needs no preset and repeats the run."""
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
        # 1e5 is a float in TOML, but a common way to write a number of steps
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
        return int(_expect(value, whole and abs(value) < _TOO_LARGE, name, "a whole number below 2^32"))
    if hint is float:
        return float(_expect(value, isinstance(value, int | float) and not isinstance(value, bool), name, "a number"))
    return _expect(value, isinstance(value, hint), name, {str: "a string", bool: "true or false"}[hint])


def _expect(value: Any, holds: bool, name: str, expected: str) -> Any:
    if not holds:
        raise ConfigurationError(f"{name}: given {value!r}; expected {expected}")
    return value


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one table with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def without_none(value: Any) -> Any:
    """Return nested settings without those that are None, which TOML cannot represent."""
    if isinstance(value, Mapping):
        return {key: without_none(entry) for key, entry in value.items() if entry is not None}
    return value


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return a value as nested tables under a dotted key.

    >>> nested("generator_kwargs.gamma", 0.97)
    {'generator_kwargs': {'gamma': 0.97}}
    """
    for name in reversed(key.split(".")):
        value = {name.strip(): value}
    return value


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` overridden by ``above``; tables are merged key by key.

    >>> merged({"a": {"x": 1, "y": 2}}, {"a": {"x": 3}})
    {'a': {'x': 3, 'y': 2}}
    """
    result = dict(below)
    for key, value in above.items():
        are_tables = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if are_tables else value
    return result
