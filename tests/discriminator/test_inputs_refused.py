import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.discriminator import (
    STATE,
    STATE_ACTION,
    STATE_ACTION_RETURN,
    InputEncoder,
)
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces
from tests.discriminator.input_examples import BOX, DISCRETE, IMAGE, batch_of, one_field

# What is refused, each in a sentence.


@pytest.mark.parametrize("space", [spaces.Discrete(3, start=1), spaces.Discrete(2, start=-1)])
@pytest.mark.parametrize("field", ["observations", "actions"])
def test_discrete_spaces_that_start_elsewhere(space, field):
    with pytest.raises(IncompatibleSpaces, match=rf"{field}: Discrete.*does not start at 0"):
        InputEncoder(space, space, (field,))


@pytest.mark.skipif(not hasattr(spaces.MultiDiscrete([2]), "start"), reason="this gymnasium's MultiDiscrete starts at 0")
def test_multidiscrete_spaces_that_start_elsewhere():
    with pytest.raises(IncompatibleSpaces, match="does not start at 0"):
        InputEncoder(spaces.MultiDiscrete([2, 2], start=[0, 1]), DISCRETE, STATE)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Text(3),
        spaces.Tuple([BOX]),
        spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])),
        spaces.Dict({"a": spaces.Dict({"b": BOX})}),
    ],
)
def test_spaces_of_another_kind(space):
    with pytest.raises(IncompatibleSpaces, match=r"(?s)observations: .* cannot be encoded; use Box"):
        InputEncoder(space, DISCRETE, STATE)


def test_dict_actions():
    with pytest.raises(IncompatibleSpaces, match=r"actions: Dict.* cannot be encoded"):
        InputEncoder(BOX, spaces.Dict({"a": DISCRETE}), STATE_ACTION)


@pytest.mark.parametrize("fields", [(), ("observation",), ("actions", "actions"), "observations"])
def test_unknown_repeated_or_no_fields(fields):
    with pytest.raises(ConfigurationError, match="expected one or more different names out of"):
        InputEncoder(BOX, DISCRETE, fields)


@pytest.mark.parametrize(
    ("space", "values"),
    [
        (BOX, torch.zeros(4, 3)),
        (BOX, torch.zeros(4)),
        (BOX, torch.zeros(4, 2, 1)),
        (DISCRETE, torch.zeros(4, 2, dtype=torch.long)),
        (spaces.MultiDiscrete([2, 3]), torch.zeros(4, 3, dtype=torch.long)),
        (spaces.MultiDiscrete([2, 3]), torch.zeros(4, 1, dtype=torch.long)),
        (spaces.MultiBinary(3), torch.zeros(4, 2)),
        (IMAGE, torch.zeros(4, 3, 36, 40, dtype=torch.uint8)),
    ],
)
def test_rows_of_another_shape(space, values):
    with pytest.raises(IncompatibleSpaces, match=r"observations: given rows of shape .*; expected .*; check"):
        one_field(space, values)


@pytest.mark.parametrize(
    ("space", "values"),
    [
        (spaces.Discrete(2), torch.tensor([0, 7])),
        (spaces.Discrete(2), torch.tensor([0, -1])),
        (spaces.MultiDiscrete([2, 3]), torch.tensor([[0, 2], [2, 0]])),
    ],
)
def test_values_outside_a_discrete_space(space, values):
    with pytest.raises(IncompatibleSpaces, match=rf"observations: values from -?\d+ to {int(values.max())} do not fit"):
        one_field(space, values)


def test_returns_of_another_shape():
    with pytest.raises(IncompatibleSpaces, match=r"returns: given shape \(4, 2\) for 4 rows; expected 1 samples per row"):
        InputEncoder(BOX, DISCRETE, STATE_ACTION_RETURN)(batch_of(torch.zeros(4, 2), returns=torch.zeros(4, 2)))


@pytest.mark.parametrize("fields", [("returns",), ("returns", "observations")])
def test_returns_come_last_and_not_alone(fields):
    with pytest.raises(ConfigurationError, match="'returns' comes last, after what they are the returns of"):
        InputEncoder(BOX, DISCRETE, fields)


def test_a_field_that_the_batch_lacks():
    with pytest.raises(ConfigurationError, match="inputs include 'returns', but the batch has none"):
        InputEncoder(BOX, DISCRETE, STATE_ACTION_RETURN)(batch_of(torch.zeros(1, 2)))


def test_dicts_where_there_are_none_and_missing_keys():
    with pytest.raises(IncompatibleSpaces, match="observations: given a dict; expected Box"):
        one_field(BOX, {"a": torch.zeros(1, 2)})
    for values in ({"b": torch.zeros(1, 2)}, torch.zeros(1, 2)):
        with pytest.raises(IncompatibleSpaces, match="the key 'a' of the Dict space is missing"):
            one_field(spaces.Dict({"a": BOX}), values)
