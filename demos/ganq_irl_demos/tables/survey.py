"""Find contradictions between the columns of a table in one pass over its rows.

Inside an episode, a row's next observation is the observation of the next row. At the end of an episode, a flag is set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ganq_irl.errors import DemoFormatError
from ganq_irl_demos.tables.boundaries import (
    Block,
    Rules,
    boundary_fields,
    contradictions,
    flagged,
    gaps,
    last_row,
    marked_ends,
    next_names,
    number,
    rows_in,
    same_rows,
)

SHIFTS = (-1, 1, -2, 2)
"""Numbers of rows by which a column may be shifted."""

SHIFTED = 0.8
"""Share of the contradictions that one shift must explain to be reported."""


@dataclass
class Survey:
    """Irregularities found in a table.

    Attributes:
        out_of_order: first row that is out of order by its episode and step, counted from 0, or None.
        counts: kind of irregularity -> number of rows.
        places: kind of irregularity -> first place.
        shifts: number of rows by which a column is shifted -> contradictions that this explains.
        marks_every_end: whether the flags can mark every kind of end, and mark at least one.
        expects_marks: whether a column is expected to mark ends.
    """

    out_of_order: int | None = None
    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, str] = field(default_factory=dict)
    shifts: Counter[int] = field(default_factory=Counter)
    marks_every_end: bool = False
    expects_marks: bool = False

    def add(self, kind: str, mask: np.ndarray, block: Block, first_row: int) -> None:
        """Count the marked rows."""
        rows = np.flatnonzero(mask)
        if rows.size:
            self.counts[kind] += rows.size
            self.places.setdefault(kind, _place(block, int(rows[0]), first_row))

    def remarks(self, *, noted: bool) -> Iterator[str]:
        """Yield a sentence for each kind of irregularity; some are normal in ganq-irl's own files (``noted``)."""
        if self.counts["gap"]:
            yield self._sentence("gap", "rows are missing after {}; the episode was cut there")
        if self.counts["jump"] and self.expects_marks:
            yield self._sentence(
                "jump", "{} does not lead to the next row, and is not marked as an end; the episode was cut there"
            )
        if self.counts["inside"]:
            yield self._sentence("inside", "{} is marked as an end, but its episode continues; the flag was ignored")
        if self.counts["joined"] and not noted:
            yield self._joined()
        if self.counts["unmarked"] and self.marks_every_end and not noted:
            yield self._sentence("unmarked", "{} is the last of its episode, but unlike others not marked as an end")

    def _joined(self) -> str:
        late, early = self.counts["late"], self.counts["early"]
        if max(late, early) * 2 > self.counts["joined"]:
            which = "late" if late > early else "early"
            text = f"{{}} is marked as an end, but the next row continues the episode: ends are marked one step {which}"
        else:
            text = (
                "{} is marked as an end, but the next row continues from its next observation: either the mark is in the "
                "middle of an episode, or the next observation was taken after the reset"
            )
        return self._sentence("joined", text)

    def _sentence(self, kind: str, text: str) -> str:
        more = self.counts[kind] - 1
        return text.format(self.places[kind]) + (f" (and {more} more such rows)" if more else "")


def survey(blocks: Iterator[Block], rules: Rules, source: str) -> Survey:
    """Scan the rows once, block by block, up to the first row that is out of order.

    Raises:
        DemoFormatError: steps decrease without an episode column, or next observations are shifted by a row.
    """
    found, seen = Survey(), _Seen()
    before: Block | None = None
    first_row = 0
    for block in blocks:
        told = boundary_fields(block, before)
        carried = rows_in(told) - rows_in(block)
        row = seen.out_of_order(told, carried, first_row - carried, source)
        if row is not None:
            found.out_of_order = row
            return found
        _look_between(found, told, first_row - carried, rules)
        first_row += rows_in(block)
        before = last_row(told)
    if before is not None and "episode" in before:
        found.add("unmarked", ~flagged(before), before, first_row - 1)
    _refuse_shift(found, source)
    return found


def _look_between(found: Survey, block: Block, first_row: int, rules: Rules) -> None:
    """Count the irregularities between each row and the next."""
    ends, flags = marked_ends(block), flagged(block)[:-1]
    fields = set(block)
    found.expects_marks = bool(fields & {"episode", "truncated", "dones", "step"})
    found.marks_every_end |= bool(("dones" in fields or {"terminated", "truncated"} <= fields) and flags.any())
    found.add("gap", gaps(block, rules.usual) & ~ends, block, first_row)
    if "episode" in fields:
        found.add("inside", flags & ~ends, block, first_row)
        found.add("unmarked", ends & ~flags, block, first_row)
    if not next_names(block):
        return
    apart = contradictions(block)
    jumps, joined = apart & ~ends, ~apart & ends
    found.add("jump", jumps, block, first_row)
    found.add("joined", joined, block, first_row)
    found.counts["late"] += int((joined[1:] & jumps[:-1]).sum())
    found.counts["early"] += int((joined[:-1] & jumps[1:]).sum())
    if jumps.any():
        for shift in SHIFTS:
            found.shifts[shift] += int((jumps & _explained(block, shift)).sum())


def _explained(block: Block, shift: int) -> np.ndarray:
    """Return ``(rows - 1,)`` bool: whether shifting the next observations by ``shift`` rows makes a row consistent."""
    rows = np.arange(rows_in(block) - 1)
    meant = rows + 1 + shift
    inside = (meant >= 0) & (meant < rows_in(block))
    explained = inside.copy()
    for name in next_names(block):
        explained[inside] &= same_rows(block[name][rows[inside]], block[name.removeprefix("next_")][meant[inside]])
    return explained


def _refuse_shift(found: Survey, source: str) -> None:
    shift, explained = max(found.shifts.items(), key=lambda item: item[1], default=(0, 0))
    if explained > 1 and explained > SHIFTED * found.counts["jump"]:
        meant = "the row itself" if shift == -1 else f"the row {abs(1 + shift)} {'before' if shift < -1 else 'after'} it"
        raise DemoFormatError(
            f"{source}: next_observations are shifted: {found.places['jump']} leads to the observation of {meant}, expected "
            f"that of the next row ({explained} such rows); write the column again"
        )


class _Seen:
    """The episodes seen so far, to detect rows that are out of order."""

    def __init__(self) -> None:
        self._episodes: set[float] = set()
        self._start: float | None = None

    def out_of_order(self, block: Block, carried: int, first_row: int, source: str) -> int | None:
        """Return the first row that returns to an earlier episode, or whose step does not follow the previous one."""
        if "episode" not in block:
            self._refuse_steps_back(block, first_row, source)
            return None
        changes = np.append(not carried, block["episode"][1:] != block["episode"][:-1]).astype(bool)
        if "step" in block:
            back = np.flatnonzero(~changes[1:] & (np.diff(block["step"]) <= 0))
            if back.size:
                return first_row + int(back[0]) + 1
        for row in np.flatnonzero(changes).tolist():
            episode = block["episode"][row].item()
            if episode in self._episodes:
                return first_row + row
            self._episodes.add(episode)
        return None

    def _refuse_steps_back(self, block: Block, first_row: int, source: str) -> None:
        """Refuse steps that decrease to anything but a first step."""
        if "step" not in block:
            return
        steps = block["step"]
        self._start = float(steps[0]) if self._start is None else self._start
        back = np.flatnonzero((np.diff(steps) <= 0) & ~np.isin(steps[1:], (0, 1, self._start)))
        if back.size:
            row = int(back[0]) + 1
            raise DemoFormatError(
                f"{source}: step {number(steps[row])} in row {first_row + row} comes after step {number(steps[row - 1])}, "
                "and no column tells the episode; name that column with --columns episode=NAME, or sort the rows"
            )


def _place(block: Block, row: int, first_row: int) -> str:
    names = [f"{name} {number(block[name][row])}" for name in ("episode", "step") if name in block]
    return f"row {first_row + row}" + (f" ({', '.join(names)})" if names else "")
