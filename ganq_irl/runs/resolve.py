"""Resolve a file, ``--set`` assignments and command-line flags into one checked configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganq_irl.algorithms import ALGORITHMS
from ganq_irl.environments.lookup import check_env
from ganq_irl.errors import ConfigurationError
from ganq_irl.files import read_toml
from ganq_irl.generators.factory import default_option
from ganq_irl.parsing import parse_toml
from ganq_irl.runs.automatic import automatic_settings, problem_of
from ganq_irl.runs.config import ExperimentConfig, merged, nested, parse_config
from ganq_irl.runs.presets import AUTOMATIC, NONE, choose_preset
from ganq_irl.runs.starting import starting_defaults
from ganq_irl.runs.validation import ADVERSARIAL, check_config, defaults_for, known_algorithm, replays, shipped_env


def resolve_config(
    flags: Mapping[str, Any], *, assignments: Iterable[str] = (), file: Path | str | None = None
) -> ExperimentConfig:
    """Combine the sources of settings: flags over ``--set`` over file over preset over defaults.

    Tables are merged key by key. If no preset is named, one that fits the algorithm, environment and generator is used; for
    imitation in an environment without one, the settings of ``ganq_irl.runs.automatic``.

    Args:
        flags: nested settings; None means not given.
        assignments: ``dotted.key=value`` with a TOML value; anything that is not TOML is taken as a string.
        file: a TOML file.

    Raises:
        ConfigurationError: a setting is unknown, missing, of the wrong type, or contradicts another.
        IncompatibleSpaces: the algorithm cannot act in the environment.

    Example:
        >>> config = resolve_config({"algo": "gail", "env": "CartPole-v1", "demos": "cartpole"}, assignments=["seed=3"])
        >>> config.seed, config.generator
        (3, 'fast-ppo')
    """
    given = gather_settings(flags, assignments, file)
    for name in ("algo", "env", "demos", "generator", "preset", "start_from"):  # these choose the defaults of the others
        if not isinstance(given.get(name), str | None):
            raise ConfigurationError(f"{name}: given {given[name]!r}; expected a string")
    algo = known_algorithm(given.get("algo"))
    env = given.get("env") or shipped_env(given.get("demos"))
    preset, settings = choose_preset(given.get("preset"), algo, env, given.get("generator"))
    if preset == NONE and given.get("preset") is None and algo in ALGORITHMS:
        preset = AUTOMATIC
    asked = given | {"env": env, "preset": preset}
    settings = merged(defaults_for(algo, given.get("generator")), settings)
    if preset == AUTOMATIC:
        config = parse_config(ExperimentConfig, asked)
        check_env(config.env)
        settings = merged(settings, automatic_settings(problem_of(config)))
    if given.get("start_from") is not None and algo != "bc":
        settings = merged(settings, starting_defaults(given["start_from"], algo, settings | given))
    config = parse_config(ExperimentConfig, merged(settings, asked))
    return check_config(_with_updates_for_all_envs(config, given))


def on_true_reward(config: ExperimentConfig) -> ExperimentConfig:
    """Return the settings of an imitation run's generator alone, which then learns from the environment's reward.

    The generator keeps the settings that imitation gave it, so that its return shows what it could reach at all.

    Raises:
        ConfigurationError: the run trains no generator.

    Example:
        >>> config = resolve_config({"algo": "gail", "env": "CartPole-v1", "demos": "cartpole"})
        >>> on_true_reward(config).algo
        'fast-ppo'
    """
    if config.generator is None:
        raise ConfigurationError(f"{config.algo} trains no generator, which the true reward could train instead")
    alone = ExperimentConfig(config.algo, config.env)  # for the defaults
    names = ("demos", "n_trajectories", "columns", "generator", "adversary", "imitation", "heldout", "control")
    changes = {name: getattr(alone, name) for name in names}
    return check_config(dataclasses.replace(config, algo=config.generator, preset=NONE, **changes))


def _with_updates_for_all_envs(config: ExperimentConfig, given: Mapping[str, Any]) -> ExperimentConfig:
    """Give an off-policy run as many updates per transition with several environments as with one.

    Stable-Baselines3 takes ``gradient_steps`` after ``train_freq`` steps of all environments together, and a discriminator
    ``n_updates``. Each is multiplied by the number of environments, unless the request sets it.
    """
    if config.n_envs == 1 or not replays(config.algo, config.generator):
        return config
    options, adversary = dict(config.generator_kwargs), dict(config.adversary)
    if "gradient_steps" not in given.get("generator_kwargs", {}):
        steps = options.get("gradient_steps", default_option(config.generator or config.algo, "gradient_steps", 1))
        options["gradient_steps"] = steps * config.n_envs if steps > 0 else steps  # -1: as many as transitions
    if config.algo in ADVERSARIAL and "n_updates" not in given.get("adversary", {}):
        adversary["n_updates"] = adversary.get("n_updates", 1) * config.n_envs
    return dataclasses.replace(config, generator_kwargs=options, adversary=adversary)


def gather_settings(
    flags: Mapping[str, Any], assignments: Iterable[str] = (), file: Path | str | None = None
) -> dict[str, Any]:
    """Return what a request sets explicitly: flags that are not None over ``--set`` assignments over a TOML file."""
    given = read_toml(Path(file)) if file is not None else {}
    for assignment in assignments:
        given = merged(given, parse_assignment(assignment))
    return merged(given, {key: value for key, value in flags.items() if value is not None})


def parse_assignment(text: str) -> dict[str, Any]:
    """Parse ``a.b=value`` into nested tables.

    >>> parse_assignment("generator_kwargs.learning_rate=1e-3")
    {'generator_kwargs': {'learning_rate': 0.001}}

    Raises:
        ConfigurationError: there is no ``=``, or part of the key is empty.
    """
    key, separator, value = text.partition("=")
    if not separator or not all(name.strip() for name in key.split(".")):
        raise ConfigurationError(f"--set {text!r}: expected key=value, such as generator_kwargs.gamma=0.97")
    return nested(key, toml_value(value.strip()))


def toml_value(text: str) -> Any:
    """Parse a TOML value; return the text itself if it is not TOML.

    Raises:
        ConfigurationError: the text looks like a list or a table but is not TOML, such as JSON.
    """
    try:
        document = parse_toml(f"value = {text}", "the value")
    except (ValueError, RecursionError) as error:
        if text.startswith(("[", "{")):
            raise ConfigurationError(
                f"{text!r} is not TOML: expected texts in quotes, and = in tables, "
                'such as [{name = "r1", weight = 10.0}, "spectral-norm"]'
            ) from error
        return text
    return document["value"] if len(document) == 1 else text
