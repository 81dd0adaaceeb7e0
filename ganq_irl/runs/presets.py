"""Presets: tested settings, selected by name or by algorithm, environment and generator."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.runs.config import merged
from ganq_irl.space_matrix import EXACT_TWINS

NONE, AUTOMATIC = "none", "auto"
"""No preset, and the settings of ``ganq_irl.runs.automatic``."""
_NOT_SETTINGS = ("algo", "env", "generator", "expert")


@cache
def load_presets() -> dict[str, dict[str, Any]]:
    """Return all presets by name, with the settings of their bases, and the algo, env family and generator they are for.

    Example:
        >>> load_presets()["gail-pendulum"]["env"]
        'Pendulum'
    """
    written = tomllib.loads((files("ganq_irl.runs") / "presets.toml").read_text(encoding="utf-8"))
    return {name: _with_base(name, written) for name in written}


def preset_named(name: str) -> dict[str, Any]:
    """Return a preset by name.

    Raises:
        ConfigurationError: the name is unknown.
    """
    if name not in load_presets():
        raise ConfigurationError(f"unknown preset {name!r}; {nearest(name, [*load_presets(), NONE, AUTOMATIC])}")
    return load_presets()[name]


def _with_base(name: str, written: dict[str, dict[str, Any]]) -> dict[str, Any]:
    own = dict(written[name])
    base = own.pop("base", None)
    return own if base is None else merged(_with_base(base, written), own)


def env_family(env_id: str) -> str:
    """Return an environment id without namespace and version.

    >>> env_family("ganq_irl/ContinuingAcrobot-v0")
    'ContinuingAcrobot'
    """
    return re.sub(r"-v\d+$", "", re.split("[:/]", env_id)[-1])


def tuned_family(env_id: str) -> str | None:
    """Return the family that presets for an environment name, or None for those of other packages.

    They may share the name of one of Gymnasium's and be another task: an episode of seals' CartPole does not end when the
    pole falls.

    >>> tuned_family("CartPole-v1"), tuned_family("ganq_irl/ContinuingAcrobot-v0"), tuned_family("seals/CartPole-v0")
    ('CartPole', 'ContinuingAcrobot', None)
    """
    namespace, slash, _ = env_id.split(":")[-1].rpartition("/")
    return env_family(env_id) if not slash or namespace == "ganq_irl" else None


def choose_preset(name: str | None, algo: str, env: str, generator: str | None) -> tuple[str, dict[str, Any]]:
    """Return the name and settings of the given preset, or of the one that fits algorithm, environment and generator.

    Args:
        name: a preset, "none", "auto", or None to look for one that fits.
        algo: algorithm of the run.
        env: environment id of the run.
        generator: the generator, or None if it was not given.

    Returns:
        (name, settings); no settings for "none", also if none fits, and for "auto".

    Raises:
        ConfigurationError: the name is unknown, or the preset is for another algorithm or generator.
    """
    if name in (NONE, AUTOMATIC):
        return name, {}
    if name is None:
        matching = [key for key, preset in load_presets().items() if _matches(preset, algo, tuned_family(env), generator)]
        name = min(matching, key=lambda key: _is_only_alike(load_presets()[key], algo, generator), default=NONE)
    else:
        _require_fitting(name, algo, generator)
    preset = load_presets().get(name, {})
    settings = {key: value for key, value in preset.items() if key not in _NOT_SETTINGS}
    return name, settings | ({"generator": preset["generator"]} if "generator" in preset else {})


def _matches(preset: dict[str, Any], algo: str, family: str | None, generator: str | None) -> bool:
    return _fits(preset["algo"], algo) and preset["env"] == family and _fits(preset.get("generator"), generator)


def _fits(of_preset: str | None, asked: str | None) -> bool:
    return asked is None or of_preset is None or alike(asked, of_preset)


def _is_only_alike(preset: dict[str, Any], algo: str, generator: str | None) -> bool:
    """Return whether a preset fits only because its algorithm or generator takes the same settings."""
    return preset["algo"] != algo or generator not in (None, preset.get("generator"))


def alike(first: str | None, second: str | None) -> bool:
    """Return whether two algorithms take the same settings and learn the same from them, so that presets fit both.

    >>> alike("ppo", "fast-ppo"), alike("fast-sac", "sac"), alike("ppo", "a2c")
    (True, True, False)
    """
    first, second = (None if name is None else EXACT_TWINS.get(name, name) for name in (first, second))
    return first == second


def _require_fitting(name: str, algo: str, generator: str | None) -> None:
    preset = preset_named(name)
    if not _fits(preset["algo"], algo):
        raise ConfigurationError(
            f"the preset {name!r} is for {preset['algo']}, not for {algo}; choose another or preset=none"
        )
    if not _fits(preset.get("generator"), generator):
        raise ConfigurationError(
            f"the preset {name!r} is for the generator {preset.get('generator')}, not for {generator}; "
            "choose another or preset=none"
        )
