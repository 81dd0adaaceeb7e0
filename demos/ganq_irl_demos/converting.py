"""Convert demonstrations between formats, one episode at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ganq_irl.errors import ConfigurationError, usable_path
from ganq_irl_demos.formats import named_format, suffix_format
from ganq_irl_demos.loading import open_demonstrations
from ganq_irl_demos.streams import Request
from ganq_irl_demos.trajectories import Trajectory


@dataclass(frozen=True)
class Conversion:
    """Summary of a conversion.

    Attributes:
        source, out: source and target.
        read_as, written_as: names of their formats.
        episodes, transitions: numbers of them.
        missing: fields that the demonstrations lack, see ``Demonstrations.missing``.
        notes: sentences about what was guessed, dropped, or does not survive a round trip.
    """

    source: str
    out: str
    read_as: str
    written_as: str
    episodes: int
    transitions: int
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def convert_demonstrations(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    read_as: str | None = None,
    write_as: str | None = None,
    request: Request | None = None,
    progress: Callable[[int], object] | None = None,
) -> Conversion:
    """Convert demonstrations of any size; at most one block is in memory.

    Args:
        source: a catalog name, a file or folder, ``minari:ID`` or ``huggingface:ORGANIZATION/NAME``.
        out: file or folder to write, which must not exist.
        read_as: format of the source; by default detected from its content.
        write_as: format to write; by default the one of the file extension of ``out``.
        request: spaces and ID of the environment, columns, trust.
        progress: called with the number of transitions after each episode.

    Raises:
        ConfigurationError: ``out`` exists, or is not a valid file name.
        GanqIrlError: as ``load_demonstrations`` and ``save_demonstrations``.

    Example:
        >>> convert_demonstrations("cartpole", "demos.csv").written_as
        'csv'
    """
    request = request or Request()
    target = usable_path(out)
    chosen = suffix_format(target) if write_as is None else named_format(write_as)
    if target.exists():
        raise ConfigurationError(f"{out} exists; choose another name")
    stream = open_demonstrations(source, request, read_as)
    counts = [0, 0]

    def counted() -> Iterator[Trajectory]:
        counts[:] = 0, 0  # writers may iterate over the episodes more than once
        for trajectory in stream.episodes():
            yield trajectory
            counts[0] += 1
            counts[1] += len(trajectory)
            if progress is not None:
                progress(len(trajectory))

    chosen.write(replace(stream, episodes=counted), target)
    notes = [
        "its spaces were guessed from its values, since neither it nor --env names an environment" if stream.guessed else "",
        f"last_steps {stream.provenance['last_steps']}" if "last_steps" in stream.provenance else "",
        *stream.remarks,
        f"{chosen.name} does not preserve {chosen.loses}" if ";" in chosen.loses else "",
    ]
    return Conversion(
        source=os.fspath(source),
        out=str(out),
        read_as=stream.format or "mix",
        written_as=chosen.name,
        episodes=counts[0],
        transitions=counts[1],
        missing=stream.missing,
        notes=tuple(note for note in notes if note),
    )
