"""Load demonstrations from the catalog, a file, or objects in memory; and save them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gymnasium import spaces

from ganq_irl import budget
from ganq_irl.errors import (
    ConfigurationError,
    DemoFormatError,
    IncompatibleSpaces,
    InvalidDemonstrations,
    nearest,
    usable_path,
)
from ganq_irl.files import require_plain
from ganq_irl.spaces import check_same_space
from ganq_irl_demos import hub, mixing
from ganq_irl_demos.catalog import catalog, same_environment
from ganq_irl_demos.demonstrations import OPTIONAL_FIELDS, Demonstrations
from ganq_irl_demos.formats import FORMATS, format_of, named_format, suffix_format
from ganq_irl_demos.mixing import join
from ganq_irl_demos.streams import EpisodeStream, Request, split_mask
from ganq_irl_demos.trajectories import Trajectory


def load_demonstrations(
    source: Any,
    *,
    observation_space: spaces.Space | None = None,
    action_space: spaces.Space | None = None,
    env_id: str | None = None,
    format: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    trust: bool = False,
    needs: Sequence[str] = OPTIONAL_FIELDS,
) -> Demonstrations:
    """Load demonstrations. Their values are not checked, see ``require_valid``.

    Args:
        source: one of

            - a name of the catalog,
            - the path of a file or folder in any of ``FORMATS``, ``minari:ID``, or ``huggingface:ORGANIZATION/NAME[/FILE]``,
            - ``FILE#MASK``, the episodes that robomimic lists under ``mask/MASK``,
            - ``Demonstrations``, or a sequence of ``Trajectory``,
            - imitation's ``Transitions``, ``TransitionsMinimal``, or a sequence of ``Trajectory`` or ``TrajectoryWithRew``,
            - a table in memory with one row per transition: a dict of arrays, or a pandas ``DataFrame``,
            - to join several sources, a ``.toml`` file or a sequence of ``(source, weight)`` pairs.
        observation_space: the environment's observation space. Required if the source has none; otherwise they must agree.
        action_space: the environment's action space, likewise.
        env_id: ID of the environment, never required. Its time limit tells truncation from termination where the source does
            not.
        format: name of the file format; by default detected from the content.
        columns: for tables, field (``observations``, or another usual name, such as ``obs``) -> names of its columns.
        trust: whether a pickled replay buffer may be opened, which runs any code in it.
        needs: which of ``OPTIONAL_FIELDS`` the learner needs.

    Raises:
        ConfigurationError: an unknown name, or an invalid file name.
        DemoFormatError: a file cannot be read.
        StorageError: not a regular file, or a folder that holds a link, a pipe or another special file.
        ReadLimitExceeded: its content exceeds the read limit (``ganq_irl.budget``).
        MissingDependency: the library for the file format is not installed.
        IncompatibleSpaces: spaces are required, or disagree.
        InvalidDemonstrations: recorded in another environment, lacking a needed field, or not trajectories.

    Example:
        >>> len(load_demonstrations("cartpole"))
        20
        >>> table = {"obs": np.zeros((3, 4)), "actions": [0, 1, 0], "next_obs": np.zeros((3, 4)), "terminated": [0, 0, 1]}
        >>> load_demonstrations(table, observation_space=env.observation_space, action_space=env.action_space).n_transitions
        3
    """
    by_field = {field: (names,) if isinstance(names, str) else tuple(names) for field, names in (columns or {}).items()}
    request = Request(observation_space, action_space, env_id, by_field, trust)
    with budget.shared():
        demonstrations = _loaded(source, request, format)
    _require_present(demonstrations, needs)
    return demonstrations


def open_demonstrations(source: str | os.PathLike[str], request: Request, format: str | None = None) -> EpisodeStream:
    """Open a catalog name or a file as a stream of episodes, for demonstrations larger than memory.

    Raises:
        GanqIrlError: as ``load_demonstrations``.
    """
    name, mask = split_mask(require_demonstrations(source))
    if mask is not None:
        request = replace(request, mask=mask)
    if name in catalog():
        file = catalog()[name].file
        return replace(format_of(file).read(file, Request(mask=request.mask)), source=name)
    if hub.is_hub(name):
        folder = hub.fetch_data(name)
        return replace(format_of(folder, format).read(folder, request), source=name)
    path = require_plain(usable_path(name))
    if mixing.recognize(path):
        if request.mask is not None:
            raise ConfigurationError(f"{path} joins several sources; write the mask into it: FILE#{request.mask}")
        parts = [part for part in mixing.parts(path) if Path(part[0]) != path]
        return EpisodeStream.of(_joined(parts, request, str(path)))
    return format_of(path, format).read(path, request)


def require_demonstrations(source: str | os.PathLike[str]) -> str:
    """Return a name of demonstrations after checking that the catalog entry, file or folder exists.

    The file is not opened, and datasets of Minari or the Hugging Face hub are not looked up.

    Raises:
        ConfigurationError: an unknown name, or an invalid file name.
        DemoFormatError: the file is missing.
    """
    given, entries = os.fspath(source), catalog()
    name, _ = split_mask(given)
    if name in entries:
        entry = entries[name]
        if not entry.file.is_file():
            raise DemoFormatError(
                f"{name!r} is in the catalog, but {entry.file} is missing; reinstall ganq-irl, or record it with: "
                + " && ".join(entry.commands)
            )
        return given
    path = usable_path(name)
    if name.startswith("minari:") or hub.is_hub(name) or path.exists():
        return given
    if not path.suffix and len(path.parts) == 1:
        raise ConfigurationError(f"no demonstrations are called {name!r}; {nearest(name, entries)}; or give a file's path")
    raise DemoFormatError(f"{path} is missing, expected a file of demonstrations; known formats: {', '.join(FORMATS)}")


def save_demonstrations(demonstrations: Demonstrations, path: str | os.PathLike[str], format: str | None = None) -> Path:
    """Write demonstrations atomically to ``path``, in the given format or that of the file extension, and return the path.

    Raises:
        ConfigurationError: an invalid file name.
        DemoFormatError: an unknown format.
        MissingDependency: the library for the format is not installed.
        InvalidDemonstrations: trajectories do not fit together, or the format cannot store them.

    Example:
        >>> save_demonstrations(demos, "demos.npz").name
        'demos.npz'
        >>> load_demonstrations("demos.npz").checksum == demos.checksum
        True
    """
    path = usable_path(path)
    chosen = suffix_format(path) if format is None else named_format(format)
    chosen.write(EpisodeStream.of(demonstrations), path)
    return path


def _loaded(source: Any, request: Request, format: str | None = None) -> Demonstrations:
    """Load one source, or join several, and check that it agrees with the request."""
    if isinstance(source, str | os.PathLike):
        demonstrations = _collected(open_demonstrations(source, request, format))
    elif isinstance(source, Demonstrations):
        demonstrations = source
    elif _are_weighted(source):
        demonstrations = _joined(source, request, "several sets")
    else:
        with budget.unlimited():
            demonstrations = _from_objects(source, request)
    _check_agreement(demonstrations, request)
    return demonstrations


def _collected(stream: EpisodeStream) -> Demonstrations:
    """Collect all episodes of a stream, and issue its remarks as warnings."""
    for remark in stream.remarks:
        warnings.warn(f"{stream.source}: {remark}", stacklevel=4)
    return stream.collect()


def _joined(parts: Sequence[tuple[Any, float]], request: Request, name: str) -> Demonstrations:
    untrusted = replace(request, trust=False)
    return join([(_loaded(source, untrusted), weight) for source, weight in parts], name)


def _are_weighted(source: Any) -> bool:
    return (
        isinstance(source, Sequence)
        and bool(source)
        and all(isinstance(part, tuple) and len(part) == 2 and isinstance(part[1], int | float) for part in source)
    )


def _require_present(demonstrations: Demonstrations, needs: Sequence[str]) -> None:
    lacking = [name for name in demonstrations.missing if name in needs]
    if lacking:
        raise InvalidDemonstrations(
            f"{demonstrations.source} holds no {lacking[0].replace('_', ' ')}, which this algorithm learns from; "
            + (
                "use one that learns from observations only"
                if lacking[0] == "actions"
                else "use one that learns from pairs of observation and action, such as bc"
            )
        )


def _from_objects(source: Any, request: Request) -> Demonstrations:
    from ganq_irl_demos.formats.arrays import read_columns
    from ganq_irl_demos.imitation_types import from_imitation, horizon_of, is_imitation, pairs_of

    if isinstance(source, Mapping) or (hasattr(source, "columns") and hasattr(source, "items")):  # a pandas DataFrame
        return _collected(read_columns(dict(source.items()), request, f"a {type(source).__name__} in memory"))
    pairs = pairs_of(source)
    if pairs is not None:
        return _collected(read_columns(pairs, request, f"imitation's {type(source).__name__}"))
    if isinstance(source, Trajectory):
        source = [source]
    whole = is_imitation(source)
    if not whole and not isinstance(source, Sequence):
        raise InvalidDemonstrations(
            f"demonstrations cannot be made from a {type(source).__name__}; give a catalog name, a file, Demonstrations, "
            "a table (a dict of arrays, or a DataFrame), or a sequence of trajectories"
        )
    if request.observation_space is None or request.action_space is None:
        raise IncompatibleSpaces(
            "trajectories have no spaces; pass the environment's: "
            "load_demonstrations(..., observation_space=env.observation_space, action_space=env.action_space)"
        )
    if not whole and all(isinstance(item, Trajectory) for item in source):
        trajectories, kind = list(source), "trajectories"
    else:
        trajectories, kind = from_imitation(source, horizon_of(request.env_id)), "imitation's trajectories"
    return Demonstrations(trajectories, request.observation_space, request.action_space, request.env_id, source=kind)


def _check_agreement(demonstrations: Demonstrations, request: Request) -> None:
    source, env_id = demonstrations.source, request.env_id
    if env_id is not None and demonstrations.env_id is not None and not same_environment(demonstrations.env_id, env_id):
        raise InvalidDemonstrations(
            f"{source} was recorded in {demonstrations.env_id}, but {env_id} was asked for; "
            f"use demonstrations of {env_id}, or train on {demonstrations.env_id}"
        )
    if request.observation_space is not None:
        check_same_space(demonstrations.observation_space, request.observation_space, f"{source}: observation space")
    if request.action_space is not None:
        check_same_space(demonstrations.action_space, request.action_space, f"{source}: action space")
