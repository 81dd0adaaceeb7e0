"""Check the settings of a run before anything is built or written, and fill in defaults that depend on each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from ganq_irl.algorithms import ALGORITHMS, BC, AdversarialImitation
from ganq_irl.algorithms.adversarial import AdversarialSettings
from ganq_irl.algorithms.settings import Settings
from ganq_irl.environments.lookup import check_env
from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.evaluation.heldout import FEWEST
from ganq_irl.generators.factory import GENERATORS, generator_options
from ganq_irl.generators.options import checked_keywords, type_hints_of
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.envs import probe_env
from ganq_irl.runs.video import make_rendered_env
from ganq_irl.space_matrix import IMITATION, REPLAYING, TRAITS, WITHOUT_DEMONSTRATIONS, check_trains, default_generator
from ganq_irl.storage import usable_device

ADVERSARIAL = tuple(name for name, algorithm in ALGORITHMS.items() if issubclass(algorithm, AdversarialImitation))
DEFAULT_TIMESTEPS = 100_000
DEFAULT_UPDATES = 10_000
MOST_ENVS = 10_000
"""Most environments in one process."""

_LEAST = dict.fromkeys(("timesteps", "n_trajectories", "evaluation.episodes", "keep_checkpoints"), 1)
_LEAST |= dict.fromkeys(("seed", "evaluation.every", "evaluation.seed", "checkpoint_every", "hold_policy"), 0)
"""Settings with a lower bound."""


def known_algorithm(algo: Any) -> str:
    """Return the name of an algorithm.

    Raises:
        ConfigurationError: it is missing or unknown.
    """
    known = [*IMITATION, *GENERATORS]
    if algo not in known:
        what = "the setting 'algo' is missing" if algo is None else f"unknown algorithm {algo!r}"
        raise ConfigurationError(f"{what}; {nearest(str(algo), known)}")
    return algo


def defaults_for(algo: str, generator: str | None) -> dict[str, Any]:
    """Return the default settings that depend on the algorithm.

    These are the length of training, and ``learning_starts`` of off-policy generators: SB3's 100 transitions are fewer than
    a discriminator's batch.
    """
    if algo == "bc":
        return {"bc": {"n_updates": DEFAULT_UPDATES}}
    waits = algo in ALGORITHMS and replays(algo, generator)
    return {"timesteps": DEFAULT_TIMESTEPS} | ({"generator_kwargs": {"learning_starts": 1000}} if waits else {})


def replays(algo: str, generator: str | None) -> bool:
    """Return whether a run of these learns from a replay buffer; None is the algorithm's default generator."""
    name = generator or algo
    return TRAITS[name].replays if name in TRAITS else algo in REPLAYING


def shipped_env(demos: str | None) -> str:
    """Return the environment of shipped demonstrations, for a request that names only the demonstrations.

    Raises:
        ConfigurationError: no demonstrations of that name are shipped.
    """
    from ganq_irl_demos.catalog import catalog

    entry = catalog().get(demos) if demos is not None else None
    if entry is None:
        raise ConfigurationError("the environment is missing: give --env ID, such as --env Pendulum-v1")
    return entry.env_id


def check_config(config: ExperimentConfig) -> ExperimentConfig:
    """Check a configuration and fill in its generator. A configuration that was returned from here is not checked again.

    Raises:
        ConfigurationError: settings contradict each other, or a keyword is unknown to the algorithm that takes it.
        IncompatibleSpaces: the algorithm cannot train in the environment's spaces.
        UnsupportedGenerator: the algorithm cannot train this generator.
        MissingDependency: the algorithm or the environment needs a package that is not installed.
    """
    if config.is_checked:
        return config
    known_algorithm(config.algo)
    _check_numbers(config)
    usable_device(config.device)
    _check_roles(config)
    check_env(config.env)
    probe = probe_env(config.env, config.env_kwargs)
    observation_space, action_space = probe.observation_space, probe.action_space
    probe.close()
    if config.algo in ALGORITHMS and config.generator is None:
        config = dataclasses.replace(config, generator=default_generator(config.algo, action_space))
    config = _check_keywords(config)
    check_trains(config.algo, observation_space, action_space, config.generator)
    if config.algo == "bc" and config.generator is not None:
        check_trains(config.generator, observation_space, action_space)
    object.__setattr__(config, "is_checked", True)  # the dataclass is frozen
    return config


def acting_generator(config: ExperimentConfig) -> str | None:
    """Return the name of the SB3 algorithm whose policy a run trains, or None for BC with its own policy."""
    return config.generator if config.algo in IMITATION else config.algo


def _check_numbers(config: ExperimentConfig) -> None:
    for name, least in _LEAST.items():
        value = attrgetter(name)(config)
        if value is not None and value < least:
            raise ConfigurationError(f"{name}: given {value}; expected at least {least}")
    for field, names in config.columns.items():
        listed = names if isinstance(names, list) else [names]
        if not listed or not all(isinstance(name, str) and name for name in listed):
            raise ConfigurationError(f"columns.{field}: given {names!r}; expected the name of a column, or a list of names")
    if not 1 <= config.n_envs <= MOST_ENVS:
        raise ConfigurationError(f"n_envs: given {config.n_envs}; expected at least 1, and {MOST_ENVS} at most")
    if config.vec == "subproc" and config.exact_checkpoints:
        raise ConfigurationError(
            "exact_checkpoints replaces the environments of its own process at each checkpoint; leave it out, or vec=subproc"
        )
    if not 0 <= config.heldout < 1:
        raise ConfigurationError(f"heldout: given {config.heldout}; expected a share of the demonstrations, in [0, 1)")
    if config.evaluation.keep_best == "heldout" and config.evaluation.episodes < FEWEST:
        raise ConfigurationError(f"evaluation.keep_best=heldout needs evaluation.episodes of at least {FEWEST}")
    if not 0 < config.average_rate <= 1:
        raise ConfigurationError(f"average_rate: given {config.average_rate}; expected a number in (0, 1]")


def _check_roles(config: ExperimentConfig) -> None:
    """Refuse settings that the algorithm does not use."""
    algo, imitation, adversarial = config.algo, config.algo in IMITATION, config.algo in ADVERSARIAL
    if imitation and config.demos is None and algo not in WITHOUT_DEMONSTRATIONS:
        raise ConfigurationError(f"{algo} needs demonstrations: give --demos NAME-or-FILE{_shipped_for(config.env)}")
    if not imitation and config.demos is not None:
        raise ConfigurationError(
            f"{algo} learns from the environment's reward and would ignore the demonstrations {config.demos!r}; "
            f"leave them out, or train gail or airl with --generator {algo}"
        )
    if imitation and config.reward is not None:
        raise ConfigurationError(
            f"{algo} learns from demonstrations and would ignore the reward {config.reward!r}; leave it out, or train a "
            "generator on it, such as ppo"
        )
    if not imitation and config.generator is not None:
        raise ConfigurationError(
            f"{algo} is its own generator; leave out generator={config.generator!r}, or train gail or airl with it"
        )
    unused = {
        "columns": not imitation and bool(config.columns),
        "n_trajectories": not imitation and config.n_trajectories is not None,
        "heldout": not imitation and config.heldout > 0,
        "evaluation.keep_best=heldout": not imitation and config.evaluation.keep_best == "heldout",
        "adversary": not adversarial and bool(config.adversary),
        "control": not adversarial and config.control != "none",
        "imitation": (algo not in ALGORITHMS or adversarial) and bool(config.imitation),
        "bc": algo != "bc" and bool(config.bc),
        "generator_kwargs": algo == "bc" and config.generator is None and bool(config.generator_kwargs),
        "start_from": algo == "bc" and config.start_from is not None,
        "hold_policy": algo == "bc" and config.hold_policy > 0,
        "average_rate": algo == "bc" and config.average_rate != 1,
        "normalize_observations": algo == "bc" and config.normalize_observations,
        "evaluation.every": algo == "bc" and config.evaluation.every > 0,
    }
    for name, is_unused in unused.items():
        if is_unused:
            raise ConfigurationError(f"{algo} has no use for the setting {name!r}; leave it out")
    if algo == "bc" and config.timesteps is not None:
        raise ConfigurationError("bc counts updates, not environment steps; use --set bc.n_updates=N")
    if config.evaluation.keep_best != "none" and config.evaluation.every == 0:
        raise ConfigurationError(
            "evaluation.keep_best chooses among evaluations during training; set evaluation.every as well"
        )
    if config.evaluation.video:
        if config.evaluation.every == 0:
            raise ConfigurationError("evaluation.video records evaluations during training; set evaluation.every as well")
        make_rendered_env(config.env, config.env_kwargs).close()  # fail now instead of at the first evaluation


def _check_keywords(config: ExperimentConfig) -> ExperimentConfig:
    """Check the keywords of the generator and of the imitation algorithm; return the configuration with parsed values."""
    generator = acting_generator(config)
    if generator is not None:
        _require_known("generator_kwargs", config.generator_kwargs, generator_options(generator), generator)
    return _check_table(config) if config.algo in IMITATION else config


def _check_table(config: ExperimentConfig) -> ExperimentConfig:
    """Check the table of the imitation algorithm; return the configuration with parsed values."""
    table, hints = table_of(config.algo), table_hints(config.algo)
    given = getattr(config, table)
    _require_known(table, given, hints, config.algo)
    try:
        checked = checked_keywords(hints, given)
        settings_of(config.algo, checked)
    except ConfigurationError as error:
        raise ConfigurationError(f"{table}.{error}") from error
    return dataclasses.replace(config, **{table: checked})  # type: ignore[arg-type]  # by a name that is known here only


def table_hints(algo: str) -> dict[str, Any]:
    """Return the type hints of an imitation algorithm's table: its settings, without those that the run provides."""
    length = {"n_updates": type_hints_of(BC.train)["n_updates"]} if algo == "bc" else {}
    hints = length | type_hints_of(type(settings_of(algo, {})))
    return {name: hint for name, hint in hints.items() if name not in ("seed", "frozen", "policy", "device")}


def settings_of(algo: str, table: Mapping[str, Any]) -> Settings:
    """Return the settings of an imitation algorithm for its table.

    Raises:
        ConfigurationError: a value has the wrong type or is out of range.
    """
    algorithm = BC if algo == "bc" else ALGORITHMS[algo]
    return algorithm.settings_from({name: value for name, value in table.items() if name != "n_updates" or algo != "bc"})


def task_weight(config: ExperimentConfig) -> float:
    """Return the weight of the environment's reward in an imitation run; 0 if it learns from demonstrations alone."""
    if config.algo not in ADVERSARIAL:
        return 0.0
    settings = settings_of(config.algo, config.adversary)
    assert isinstance(settings, AdversarialSettings)
    return settings.task_weight


def table_of(algo: str) -> str:
    """Return the name of the table with the settings of an imitation algorithm."""
    return "bc" if algo == "bc" else "adversary" if algo in ADVERSARIAL else "imitation"


def _require_known(table: str, keywords: dict[str, Any], known: Iterable[str], owner: str) -> None:
    for keyword in keywords:
        if keyword not in known:
            raise ConfigurationError(f"unknown setting '{table}.{keyword}' for {owner}; {nearest(keyword, known)}")


def _shipped_for(env: str) -> str:
    from ganq_irl_demos.catalog import catalog

    names = [name for name, entry in catalog().items() if env in entry.env_ids]
    return f" (shipped for {env}: {', '.join(names)})" if names else ""
