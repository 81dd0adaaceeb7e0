"""Movement of a point among walls: exact contact with axis-parallel rectangles, and sliding along them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Vector = tuple[float, float]


@dataclass(frozen=True)
class Rectangle:
    """The rectangle from ``low`` to ``high``."""

    low: Vector
    high: Vector

    def contains(self, point: Vector) -> bool:
        """Return whether a point lies strictly inside; the edges are outside."""
        return all(low < x < high for low, x, high in zip(self.low, point, self.high, strict=True))


@dataclass(frozen=True)
class Contact:
    """Contact of a movement with an edge at ``place`` on ``axis``, after the share ``time`` of the movement."""

    time: float
    axis: int
    place: float


def slide(point: Vector, movement: Vector, room: Rectangle, walls: Iterable[Rectangle]) -> Vector:
    """Return where a point ends that moves within a room and slides along walls.

    Each contact stops the component of the movement that goes into the edge; the rest continues along it. With two axes
    there are at most two contacts.

    Args:
        point: a point in the room and in no wall; it may lie on an edge.
        movement: the movement if nothing is in the way.
        room: the point does not leave it.
        walls: the point does not enter them. It can move along edges, so a wall that touches a side of the room must extend
            beyond it.
    """
    x, left = list(point), list(movement)
    walls = tuple(walls)
    while any(left):
        contact = first_contact((x[0], x[1]), (left[0], left[1]), room, walls)
        if contact is None:
            return x[0] + left[0], x[1] + left[1]
        x = [start + contact.time * length for start, length in zip(x, left, strict=True)]
        x[contact.axis] = contact.place  # exactly on the edge, without a rounding error
        left = [(1 - contact.time) * length for length in left]
        left[contact.axis] = 0.0
    return x[0], x[1]


def first_contact(point: Vector, movement: Vector, room: Rectangle, walls: Iterable[Rectangle]) -> Contact | None:
    """Return the first contact of a straight movement, or None."""
    met = [contact for wall in walls if (contact := _entry(point, movement, wall)) is not None]
    return min([*met, *_exits(point, movement, room)], key=lambda contact: contact.time, default=None)


def _exits(point: Vector, movement: Vector, room: Rectangle) -> list[Contact]:
    found = []
    for axis, (x, length) in enumerate(zip(point, movement, strict=True)):
        place = (room.high if length > 0 else room.low)[axis]
        if length and abs(length) > abs(place - x):
            found.append(Contact((place - x) / length, axis, place))
    return found


def _entry(point: Vector, movement: Vector, wall: Rectangle) -> Contact | None:
    """Return the contact at which a movement enters a wall (slab method), or None.

    A line is inside a rectangle while it is between both pairs of edges, so it enters at the later of the two.
    """
    entry, leave = Contact(float("-inf"), 0, 0.0), float("inf")
    for axis, (x, length, low, high) in enumerate(zip(point, movement, wall.low, wall.high, strict=True)):
        if not length:
            if not low < x < high:
                return None
            continue
        near, far = (low, high) if length > 0 else (high, low)
        entry = max(entry, Contact((near - x) / length, axis, near), key=lambda contact: contact.time)
        leave = min(leave, (far - x) / length)
    return entry if 0 <= entry.time < min(leave, 1.0) else None
