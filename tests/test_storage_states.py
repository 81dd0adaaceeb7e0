import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.errors import StorageError
from ganq_irl.storage import flatten_state, load_folder, save_folder, unflatten_state


def complaint(call):
    """What our error says, None where there is none; any other error passes."""
    try:
        call()
    except StorageError as error:
        return str(error)
    return None


# Nested states.

tensors = st.lists(st.floats(-1e3, 1e3, width=32), max_size=3).map(torch.tensor)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
keys = st.text("ab~'", min_size=1, max_size=4) | st.integers(-3, 3)


def containers(inner):
    return st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner, max_size=3)


states = st.recursive(scalars | tensors, containers, max_leaves=8)


def equal(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@given(states)
def test_states_survive_json(state):
    skeleton, found = flatten_state(state)
    assert equal(unflatten_state(json.loads(json.dumps(skeleton)), found), state)


def test_a_state_survives_a_folder(tmp_path):
    state = {"optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"betas": (0.9, 0.99), "lr": 1e-3}]}}
    skeleton, found = flatten_state(state)
    save_folder(tmp_path / "x", {"state": skeleton}, found)
    config, loaded = load_folder(tmp_path / "x")
    assert equal(unflatten_state(config["state"], loaded), state)


@pytest.mark.parametrize(
    "state",
    [
        {"a/b": torch.zeros(1), "a": {"b": torch.ones(1)}},
        {1: torch.zeros(1), "1": torch.ones(1)},
    ],
)
def test_no_tensor_takes_another_s_name(state):
    with pytest.raises(StorageError, match="two tensors would be saved as"):
        flatten_state(state)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", {"x": [lambda: 0]}])
def test_values_that_are_neither_tensors_nor_json(value):
    with pytest.raises(StorageError, match="cannot be saved as JSON or as a tensor"):
        flatten_state(value)


@pytest.mark.parametrize("key", [None, 1.5, (1, 2), True])
def test_keys_that_json_pairs_cannot_give_back(key):
    with pytest.raises(StorageError, match="cannot be saved; use strings or integers"):
        flatten_state({"a": {key: 1}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["tensor", "dict", "list", "tuple", "value", "x"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(json_values)
def test_whatever_json_is_read_only_our_error_is_raised(skeleton):
    message = complaint(lambda: unflatten_state(skeleton, {"x": torch.zeros(1)}))
    assert message is None or "malformed state" in message or "is missing" in message


@pytest.mark.parametrize(
    ("skeleton", "message"),
    [
        ({"tensor": "weight"}, "the tensor 'weight' is missing"),
        ({"tensor": ["x"]}, "malformed state"),
        ({"dict": [["key"]]}, "malformed state, expected a key and a value"),
        ({"dict": {"key": {"value": 1}}}, "malformed state"),
        ({"value": [1]}, "malformed state"),
        ({"value": 1, "tensor": "x"}, "malformed state"),
        ({"call": "os.system"}, "malformed state"),
    ],
)
def test_malformed_skeletons(skeleton, message):
    with pytest.raises(StorageError, match=message):
        unflatten_state(skeleton, {"x": torch.zeros(1)})
