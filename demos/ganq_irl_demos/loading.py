"""Demonstrations from anything that holds them: the catalog, a file, or objects of ours or of imitation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, DemoFormatError, IncompatibleSpaces, InvalidDemonstrations, nearest
from ganq_irl.spaces import check_same_space
from ganq_irl_demos.catalog import catalog, same_environment
from ganq_irl_demos.formats import FORMATS, format_of
from ganq_irl_demos.trajectories import Demonstrations, Trajectory


def load_demonstrations(
    source: Any,
    *,
    observation_space: spaces.Space | None = None,
    action_space: spaces.Space | None = None,
    env_id: str | None = None,
) -> Demonstrations:
    """Load demonstrations; their values are not checked here, which ``require_valid`` does.

    Args:
        source: a name of the catalog, the path of a file, ``Demonstrations``, a sequence of ``Trajectory``, or imitation's
            ``Trajectory``, ``TrajectoryWithRew`` (a sequence of them) or ``Transitions``.
        observation_space: the environment's. Needed where the source carries none; must agree with it where it does.
        action_space: likewise.
        env_id: likewise, but never needed. For imitation's objects it tells the time limit, see ``from_imitation``.

    Raises:
        ConfigurationError: an unknown name.
        DemoFormatError: a file that cannot be read.
        IncompatibleSpaces: spaces are needed, or disagree.
        InvalidDemonstrations: recorded in another environment, or objects that are no trajectories.
    """
    if isinstance(source, str | os.PathLike):
        demonstrations = _from_name(os.fspath(source))
    elif isinstance(source, Demonstrations):
        demonstrations = source
    else:
        demonstrations = _from_objects(source, observation_space, action_space, env_id)
    return _agreeing(demonstrations, observation_space, action_space, env_id)


def save_demonstrations(demonstrations: Demonstrations, path: str | os.PathLike[str], format: str | None = None) -> Path:
    """Write demonstrations to ``path`` atomically, in the format that ``format`` or the suffix names; returns the path.

    Raises:
        DemoFormatError: an unknown format.
        InvalidDemonstrations: trajectories that cannot be joined to one data set.
    """
    path = Path(path)
    format_of(path, format).write(demonstrations, path)
    return path


def _from_name(name: str) -> Demonstrations:
    path, entries = Path(name), catalog()
    if name in entries:
        entry = entries[name]
        if not entry.file.is_file():
            raise DemoFormatError(
                f"{name!r} is in the catalog, but {entry.file} is missing; reinstall ganq-irl, or record it with: "
                + " && ".join(entry.commands)
            )
        return replace(format_of(entry.file).read(entry.file), source=name)
    if not path.exists() and not path.suffix and len(path.parts) == 1:
        raise ConfigurationError(f"no demonstrations are called {name!r}; {nearest(name, entries)}; or give a file's path")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "missing"
        raise DemoFormatError(f"{path} is {kind}, expected a file of demonstrations; known formats: {', '.join(FORMATS)}")
    return format_of(path).read(path)


def _from_objects(
    source: Any, observation_space: spaces.Space | None, action_space: spaces.Space | None, env_id: str | None
) -> Demonstrations:
    from ganq_irl_demos.formats.imitation import from_imitation, horizon_of, is_imitation

    if isinstance(source, Trajectory):
        source = [source]
    whole = is_imitation(source)
    if not whole and not isinstance(source, Sequence):
        raise InvalidDemonstrations(
            f"demonstrations cannot be made from a {type(source).__name__}; give a catalog name, a file, Demonstrations, "
            "or a sequence of trajectories"
        )
    if observation_space is None or action_space is None:
        raise IncompatibleSpaces(
            "trajectories carry no spaces; pass the environment's: "
            "load_demonstrations(..., observation_space=env.observation_space, action_space=env.action_space)"
        )
    if not whole and all(isinstance(item, Trajectory) for item in source):
        trajectories, kind = list(source), "trajectories"
    else:
        trajectories, kind = from_imitation(source, horizon_of(env_id)), "imitation's trajectories"
    return Demonstrations(tuple(trajectories), observation_space, action_space, env_id, source=kind)


def _agreeing(
    demonstrations: Demonstrations,
    observation_space: spaces.Space | None,
    action_space: spaces.Space | None,
    env_id: str | None,
) -> Demonstrations:
    source = demonstrations.source
    if env_id is not None and demonstrations.env_id is not None and not same_environment(demonstrations.env_id, env_id):
        raise InvalidDemonstrations(
            f"{source} was recorded in {demonstrations.env_id}, but {env_id} was asked for; "
            f"use demonstrations of {env_id}, or train on {demonstrations.env_id}"
        )
    if observation_space is not None:
        check_same_space(demonstrations.observation_space, observation_space, f"{source}: observation space")
    if action_space is not None:
        check_same_space(demonstrations.action_space, action_space, f"{source}: action space")
    return demonstrations
