"""Convert cells of a table to numbers, including flags, numbers and episodes that are written as words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ganq_irl.errors import DemoFormatError
from ganq_irl_demos.fitting import NUMERIC
from ganq_irl_demos.tables.boundaries import FLAGS, Block

TEXT = "OSU"
"""Numpy dtype kinds that may hold words."""

YES, NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


def column_values(field: str, values: np.ndarray, column: str, source: str, first_row: int = 0) -> np.ndarray:
    """Convert one column to numbers; names of episodes stay words, see ``numbered_episodes``.

    Args:
        field: field that the column belongs to.
        values: ``(rows, ...)``.
        column: name of the column, for error messages.
        source: name of the table, for error messages.
        first_row: number of rows that precede these in the table.

    Raises:
        DemoFormatError: a value is not a number; the message names the column and the row, counted from 0.
    """
    if values.ndim and values.dtype.kind in NUMERIC:
        return values
    if not values.ndim or values.dtype.kind not in TEXT:
        raise DemoFormatError(f"{source}: column {column!r} holds {values.dtype} values, expected numbers in each row")
    missing = values == None  # noqa: E711  # elementwise
    if field != "rewards" and missing.any():
        raise _unexpected(values, missing, column, source, first_row, "a value")
    if field == "episode":
        return values.astype(str)
    words = np.char.lower(np.where(missing, "", values).astype(str))
    yes, no = np.isin(words, YES), np.isin(words, NO)
    if field in FLAGS:
        if not (yes | no).all():
            raise _unexpected(values, ~(yes | no), column, source, first_row, "0 or 1, true or false")
        return yes
    truths = np.isin(words, ("true", "false"))
    if truths.all():
        return words == "true"
    words = np.where(words == "true", "1", np.where(words == "false", "0", np.where(words == "", "nan", words)))
    try:
        return words.astype(np.float64)
    except ValueError:
        wrong = np.array([not _is_number(word) for word in words.ravel()]).reshape(words.shape)
        raise _unexpected(values, wrong, column, source, first_row, "a number") from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _unexpected(
    values: np.ndarray, wrong: np.ndarray, column: str, source: str, first_row: int, expected: str
) -> DemoFormatError:
    place = tuple(np.argwhere(wrong)[0])
    given = str(values[place])
    advice = "; give each number its own column, such as obs_0, obs_1" if given.strip()[:1] in ("[", "(") else ""
    where = f"{source}: column {column!r}, row {first_row + int(place[0])}"
    return DemoFormatError(f"{where}: given {given[:40]!r}, expected {expected}{advice}")


def numbered_episodes(blocks: Iterator[Block], source: str) -> Iterator[Block]:
    """Replace names of episodes with numbers, in the order of their first appearance.

    Raises:
        DemoFormatError: some episodes have names, and others have numbers.
    """
    numbers: dict[str, int] = {}
    named: set[bool] = set()
    for block in blocks:
        labels = block.get("episode")
        if labels is not None:
            named.add(labels.dtype.kind not in NUMERIC)
        if len(named) > 1:
            raise DemoFormatError(
                f"{source}: some episodes have names and others have numbers; use one or the other for all"
            )
        if labels is not None and True in named:
            names, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
            for name in names[np.argsort(first)]:
                numbers.setdefault(str(name), len(numbers))
            block = {**block, "episode": np.array([numbers[str(name)] for name in names])[inverse.reshape(-1)]}
        yield block
