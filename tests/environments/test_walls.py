import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.environments.walls import Rectangle, first_contact, slide

ROOM = Rectangle((0.0, 0.0), (1.0, 1.0))
WALLS = (Rectangle((-1.0, 0.48), (0.75, 0.52)), Rectangle((0.4, 0.7), (0.6, 0.8)))

coordinates = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.4, 0.48, 0.52, 0.6, 0.7, 0.75, 0.8, 1.0]))
points = st.tuples(coordinates, coordinates).filter(lambda point: not any(wall.contains(point) for wall in WALLS))
lengths = st.one_of(st.floats(-1.5, 1.5, allow_subnormal=False), st.sampled_from([0.0, 0.05, -0.05, 0.22, -0.35]))
movements = st.tuples(lengths, lengths)


@pytest.mark.parametrize(
    ("point", "movement", "end"),
    [
        ((0.2, 0.2), (0.1, 0.05), (0.3, 0.25)),  # nothing in the way
        ((0.2, 0.45), (0.0, 0.2), (0.2, 0.48)),  # straight into the wall
        ((0.2, 0.45), (0.1, 0.06), (0.3, 0.48)),  # slantwise: what goes along the wall is kept
        ((0.2, 0.48), (0.1, 0.05), (0.3, 0.48)),  # from the wall along it
        ((0.2, 0.48), (0.1, -0.05), (0.3, 0.43)),  # and off it
        ((0.2, 0.55), (0.1, -0.06), (0.3, 0.52)),  # from above
        ((0.8, 0.50), (-0.1, 0.02), (0.75, 0.52)),  # onto the end of the wall, up along it
        ((0.8, 0.45), (0.0, 0.2), (0.8, 0.65)),  # through the gap
        ((0.7, 0.48), (0.1, 0.0), (0.8, 0.48)),  # touching the wall's edge from end to end
        ((0.95, 0.95), (0.2, 0.2), (1.0, 1.0)),  # into a corner of the room
        ((0.05, 0.4), (-0.1, 0.2), (0.0, 0.48)),  # the room's side, then the wall
        ((0.2, 0.2), (0.0, 0.0), (0.2, 0.2)),
        ((0.76, 0.40), (-0.02, 0.16), (0.75, 0.56)),  # past y = 0.48 beside the wall, then into its end
    ],
)
def test_ends_by_hand(point, movement, end):
    assert slide(point, movement, ROOM, WALLS[:1]) == pytest.approx(end, abs=1e-12)


def test_the_first_of_two_contacts_is_found():
    contact = first_contact((0.2, 0.45), (0.0, 0.6), ROOM, WALLS)
    assert (contact.axis, contact.place) == (1, 0.48)
    assert contact.time == pytest.approx(0.03 / 0.6)
    assert first_contact((0.2, 0.2), (0.1, 0.1), ROOM, WALLS) is None


@given(points, movements)
def test_no_movement_ends_inside_a_wall_or_outside_the_room(point, movement):
    x, y = slide(point, movement, ROOM, WALLS)
    assert 0 <= x <= 1
    assert 0 <= y <= 1
    for wall in WALLS:
        depth = min(x - wall.low[0], wall.high[0] - x, y - wall.low[1], wall.high[1] - y)
        assert depth <= 1e-12


@given(points, movements)
def test_no_straight_movement_leads_through_a_wall(point, movement):
    """Up to its first contact the path is free, sampled far more finely than the wall is thick."""
    contact = first_contact(point, movement, ROOM, WALLS)
    share = 1.0 if contact is None else contact.time
    for i in range(201):
        x, y = (start + share * i / 200 * length for start, length in zip(point, movement, strict=True))
        for wall in WALLS:
            assert min(x - wall.low[0], wall.high[0] - x, y - wall.low[1], wall.high[1] - y) <= 1e-12


@given(st.floats(0, 1), st.floats(0, 0.48), movements)
def test_a_wall_that_spans_the_room_is_never_crossed(x, y, movement):
    closed = Rectangle((-1.0, 0.48), (2.0, 0.480001))
    assert slide((x, y), movement, ROOM, (closed,))[1] <= 0.48


@given(points, movements)
def test_sliding_never_moves_further_along_an_axis_than_asked(point, movement):
    end = slide(point, movement, ROOM, WALLS)
    for start, length, arrived in zip(point, movement, end, strict=True):
        assert abs(arrived - start) <= abs(length) + 1e-12
        assert (arrived - start) * math.copysign(1, length) >= -1e-12
