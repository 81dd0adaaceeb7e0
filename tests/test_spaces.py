import json

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.errors import IncompatibleSpaces, StorageError
from ganq_irl.spaces import check_same_space, space_from_json, space_to_json

HAS_START = hasattr(spaces.MultiDiscrete([2]), "start")
LIMITS = {np.float32: 2.0**126, np.float64: 2.0**1020}


@st.composite
def boxes(draw):
    dtype = draw(st.sampled_from([np.float32, np.float64, np.uint8, np.int32, np.int64]))
    shape = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    if dtype in LIMITS:
        width = 32 if dtype is np.float32 else 64
        numbers = st.floats(-LIMITS[dtype], LIMITS[dtype], width=width) | st.sampled_from([-np.inf, np.inf])
    else:
        numbers = st.integers(np.iinfo(dtype).min, np.iinfo(dtype).max)
    size = int(np.prod(shape))
    pairs = [sorted(draw(st.tuples(numbers, numbers))) for _ in range(draw(st.sampled_from([1, size])) or 1)]
    pairs = [(-np.inf if low == np.inf else low, np.inf if high == -np.inf else high) for low, high in pairs]
    low, high = (np.array([pair[side] for pair in pairs], dtype) for side in (0, 1))
    return spaces.Box(
        np.broadcast_to(np.resize(low, shape), shape), np.broadcast_to(np.resize(high, shape), shape), shape, dtype
    )


def multidiscretes():
    sizes = st.lists(st.integers(1, 9), min_size=1, max_size=4)
    if not HAS_START:
        return sizes.map(spaces.MultiDiscrete)
    pairs = st.lists(st.tuples(st.integers(1, 9), st.integers(-3, 3)), min_size=1, max_size=4)
    return pairs.map(lambda both: spaces.MultiDiscrete([n for n, _ in both], start=[start for _, start in both]))


leaves = st.one_of(
    boxes(),
    st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 99), st.integers(-9, 9)),
    multidiscretes(),
    st.integers(1, 9).map(spaces.MultiBinary),
    st.lists(st.integers(1, 3), min_size=1, max_size=2).map(spaces.MultiBinary),
)
dicts = lambda inner: st.dictionaries(st.text("abc/", min_size=1), inner, min_size=1, max_size=3).map(spaces.Dict)  # noqa: E731
any_space = st.recursive(leaves, dicts, max_leaves=4)


@given(any_space)
def test_a_space_survives_json(space):
    text = json.dumps(space_to_json(space), allow_nan=False)  # strict JSON: infinities are strings
    again = space_from_json(json.loads(text))
    assert again == space
    check_same_space(again, space, "it")


def test_uniform_bounds_are_one_number():
    description = space_to_json(spaces.Box(-np.inf, 255, (84, 84), np.float32))
    assert description == {"type": "Box", "shape": [84, 84], "dtype": "float32", "low": "-inf", "high": 255.0}


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_bounds_of_64_bits_are_exact(dtype):
    """Through a float the largest would become the smallest."""
    space = spaces.Box(np.iinfo(dtype).min, np.iinfo(dtype).max, (2,), dtype)
    assert space_from_json(json.loads(json.dumps(space_to_json(space)))) == space


@pytest.mark.parametrize("space", [spaces.Text(3), spaces.Tuple([spaces.Discrete(2)]), spaces.Dict({"a": spaces.Text(2)})])
def test_other_kinds_are_refused_in_a_sentence(space):
    with pytest.raises(IncompatibleSpaces, match=r"space is not supported; use Box, Discrete.*FlattenObservation"):
        space_to_json(space)


BOX = {"type": "Box", "shape": [2], "dtype": "float32", "low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    "description",
    [
        None,
        7,
        [],
        "Box",
        {},
        {"type": "Box"},
        BOX | {"shape": "ab"},
        BOX | {"dtype": "complex128x"},
        BOX | {"dtype": "object"},
        BOX | {"low": None},
        BOX | {"low": "low"},
        BOX | {"low": "nan"},
        BOX | {"dtype": "uint8", "low": 0.5},
        BOX | {"low": [0.0, 1.0, 2.0]},
        BOX | {"low": 2.0},
        BOX | {"dtype": "uint8", "high": 256},
        BOX | {"dtype": "uint8", "low": "-inf"},
        {"type": "Discrete", "n": 0, "start": 0},
        {"type": "Discrete", "n": "2", "start": 0},
        {"type": "Discrete", "n": 2},
        {"type": "MultiDiscrete", "nvec": [2, "x"]},
        {"type": "MultiDiscrete", "nvec": [0]},
        {"type": "MultiBinary", "n": -1},
        {"type": "Dict", "spaces": [BOX]},
        {"type": "Dict", "spaces": {"a": {"type": "Box"}}},
        {"type": "Tuple", "spaces": []},
    ],
)
def test_malformed_descriptions(description):
    with pytest.raises(StorageError, match=r"malformed description of a space|unknown kind of space 'Tuple'; known: Box"):
        space_from_json(description)


@pytest.mark.parametrize(
    ("given_", "expected", "same"),
    [
        (spaces.Box(-1, 1, (2,)), spaces.Box(-5, 5, (2,)), True),
        (spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (2,), np.float64), True),
        (spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (3,)), False),
        (spaces.Box(0, 255, (3, 9, 9), np.uint8), spaces.Box(0, 255, (9, 9, 3), np.uint8), False),
        (spaces.Discrete(2), spaces.Discrete(2), True),
        (spaces.Discrete(2), spaces.Discrete(3), False),
        (spaces.Discrete(2), spaces.Discrete(2, start=1), False),
        (spaces.Discrete(2), spaces.MultiDiscrete([2]), False),
        (spaces.Discrete(1), spaces.Box(0, 1, (1,)), False),
        (spaces.MultiDiscrete([2, 3]), spaces.MultiDiscrete([3, 2]), False),
        (spaces.MultiBinary(2), spaces.MultiBinary(2), True),
        (spaces.MultiBinary(2), spaces.MultiBinary(3), False),
        (spaces.Dict({"a": spaces.Discrete(2)}), spaces.Dict({"a": spaces.Discrete(2)}), True),
        (spaces.Dict({"a": spaces.Discrete(2)}), spaces.Dict({"b": spaces.Discrete(2)}), False),
        (spaces.Dict({"a": spaces.Discrete(2)}), spaces.Dict({"a": spaces.Discrete(3)}), False),
    ],
)
def test_spaces_are_compared_by_what_they_hold(given_, expected, same):
    if same:
        check_same_space(given_, expected, "actions")
    else:
        with pytest.raises(IncompatibleSpaces, match=r"actions: given .*, expected "):
            check_same_space(given_, expected, "actions")


@pytest.mark.skipif(not HAS_START, reason="this gymnasium's MultiDiscrete starts at 0")
def test_the_start_of_a_multidiscrete_counts():
    with pytest.raises(IncompatibleSpaces):
        check_same_space(spaces.MultiDiscrete([2, 2]), spaces.MultiDiscrete([2, 2], start=[1, 0]), "actions")
