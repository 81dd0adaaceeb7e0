from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.discriminator import (
    FIELDS,
    STATE,
    STATE_ACTION,
    STATE_ACTION_RETURN,
    STATE_ACTION_STATE,
    STATE_TRANSITION,
    InputEncoder,
)
from ganq_irl.discriminator.inputs import representative
from ganq_irl.types import Batch
from tests.discriminator.input_examples import BOX, DISCRETE, IMAGE, batch_of, one_field


def samples(space, n=6, seed=0):
    space.seed(seed)
    return torch.as_tensor(np.stack([space.sample() for _ in range(n)]))


@pytest.mark.parametrize(
    ("space", "values", "expected"),
    [
        (BOX, [[1.5, -2.0]], [[1.5, -2.0]]),
        (spaces.Box(-1, 1, (2, 2)), [[[0.1, 0.2], [0.3, 0.4]]], [[0.1, 0.2, 0.3, 0.4]]),
        (spaces.Box(-1, 1, ()), [0.5, -0.5], [[0.5], [-0.5]]),
        (spaces.Box(0, 9, (1,), np.int64), [[3]], [[3.0]]),
        (DISCRETE, [2, 0], [[0, 0, 1], [1, 0, 0]]),
        (DISCRETE, [[2], [0]], [[0, 0, 1], [1, 0, 0]]),  # as SB3's buffers keep them
        (spaces.MultiDiscrete([2, 3]), [[1, 2]], [[0, 1, 0, 0, 1]]),
        (spaces.MultiBinary(3), [[1, 0, 1]], [[1, 0, 1]]),
        (spaces.MultiBinary((2, 2)), [[[1, 0], [0, 1]]], [[1, 0, 0, 1]]),
    ],
)
def test_each_kind_of_space(space, values, expected):
    features = one_field(space, torch.tensor(values))
    assert features.dtype == torch.float32
    assert torch.allclose(features, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("space", [BOX, DISCRETE, spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2), IMAGE])
def test_actions_of_each_kind_and_the_width(space):
    encoder = InputEncoder(DISCRETE, space, ("actions",))
    n = 4
    encoded = encoder(batch_of(torch.zeros(n, dtype=torch.long), samples(space, n)))
    assert encoded.features.shape == (n, encoder.dim)
    assert len(encoded) == n


def test_dict_observations_in_the_order_of_their_keys():
    space = spaces.Dict({"velocity": BOX, "color": DISCRETE})
    values = {"velocity": torch.tensor([[1.0, 2.0]]), "color": torch.tensor([1])}
    assert one_field(space, values).tolist() == [[0, 1, 0, 1, 2]]
    encoder = InputEncoder(space, DISCRETE, STATE)
    assert [(part.key, part.start, part.width) for part in encoder.parts] == [("color", 0, 3), ("velocity", 3, 2)]


@pytest.mark.parametrize("shape", [(36, 40, 3), (3, 36, 40), (84, 84, 1), (4, 84, 84)])
def test_images_are_scaled_flattened_and_never_standardized(shape):
    space = spaces.Box(0, 255, shape, np.uint8)
    encoder = InputEncoder(space, DISCRETE, STATE)
    pixels = samples(space, 3)
    encoder.fit(batch_of(pixels))
    (part,) = encoder.parts
    assert part.is_image
    assert not part.is_continuous
    assert torch.equal(encoder(batch_of(pixels)).features, pixels.float().flatten(1) / 255)


def test_tiny_images_are_columns_of_numbers():
    """NatureCNN's strides need 36 pixels; below, pixels go to the linear layers and are standardized like any number."""
    space = spaces.Box(0, 255, (10, 10, 3), np.uint8)
    encoder = InputEncoder(space, DISCRETE, STATE)
    batch = batch_of(samples(space, 200))
    encoder.fit(batch)
    (part,) = encoder.parts
    assert not part.is_image
    assert encoder(batch).features.mean().item() == pytest.approx(0, abs=1e-4)
    assert encoder(batch).features.std().item() == pytest.approx(1, abs=1e-2)


def test_the_choice_of_fields_is_the_order_of_the_columns():
    batch = Batch(
        torch.tensor([[1.0, 2.0]]), torch.tensor([1]), torch.tensor([[3.0, 4.0]]), torch.ones(1), torch.tensor([7.0])
    )
    parts = {
        "observations": [1, 2],
        "actions": [0, 1, 0],
        "next_observations": [3, 4],
        "dones": [1],
        "absorbing": [0],
        "returns": [7],
    }
    for fields in (
        STATE,
        STATE_ACTION,
        STATE_TRANSITION,
        STATE_ACTION_STATE,
        STATE_ACTION_RETURN,
        (*FIELDS[-2::-1], "returns"),
    ):
        encoder = InputEncoder(BOX, DISCRETE, fields)
        assert encoder(batch).rows().tolist() == [[number for field in fields for number in parts[field]]]
        for field in fields:
            assert encoder(batch).rows()[0, encoder.columns(field)].tolist() == parts[field]


def test_rows_of_the_absorbing_state_are_alike_where_the_input_has_its_bit_and_untouched_elsewhere():
    batch = replace(batch_of(torch.tensor([[1.0, 2.0], [3.0, 4.0]])), absorbing=torch.tensor([1.0, 0.0]))
    marked = InputEncoder(BOX, DISCRETE, ("observations", "absorbing"))
    assert marked(batch).features.tolist() == [marked.absorbing_state.tolist(), [3, 4, 0]]
    assert marked.absorbing_state.tolist()[:2] == [0, 0]
    assert marked.absorbing_state[2] > 0
    assert InputEncoder(BOX, DISCRETE, STATE)(batch).features.tolist() == [[1, 2], [3, 4]]


def test_dones_and_log_probs_travel_beside_the_features():
    batch = batch_of(torch.zeros(2, 2), dones=torch.tensor([0.0, 1.0]), log_probs=torch.tensor([-0.5, -2.0]))
    encoded = InputEncoder(BOX, DISCRETE, STATE)(batch)
    assert encoded.dones.tolist() == [0, 1]
    assert encoded.offset.tolist() == [-0.5, -2.0]
    assert InputEncoder(BOX, DISCRETE, STATE)(batch_of(torch.zeros(2, 2))).offset.tolist() == [0, 0]


@pytest.mark.parametrize("index", [torch.tensor([4, 1, 1]), slice(1, 3)])
def test_rows_of_what_is_encoded_are_what_the_rows_encode_to(index):
    encoder = InputEncoder(BOX, DISCRETE, STATE_ACTION_RETURN)
    some = {"dones": torch.rand(6), "log_probs": torch.randn(6), "returns": torch.randn(6)}
    batch = batch_of(samples(BOX), samples(DISCRETE), **some)
    encoder.fit(batch)
    chosen, expected = encoder(batch)[index], encoder(batch[index])
    for field in ("features", "dones", "offset", "returns"):
        assert torch.equal(getattr(chosen, field), getattr(expected, field))
    assert chosen.noise is None


def test_standardization_by_the_fitted_batch():
    encoder = InputEncoder(BOX, DISCRETE, STATE)
    fitted = torch.tensor([[0.0, 10.0], [2.0, 30.0], [4.0, 50.0]])
    encoder.fit(batch_of(fitted))
    deviations = fitted.numpy().std(axis=0)
    expected = (torch.tensor([[3.0, 10.0]]) - torch.tensor([2.0, 30.0])) / torch.tensor(deviations)
    assert torch.allclose(encoder(batch_of(torch.tensor([[3.0, 10.0]]))).features, expected)


def test_statistics_are_fixed_and_not_running():
    encoder = InputEncoder(BOX, DISCRETE, STATE)
    encoder.fit(batch_of(torch.randn(50, 2, generator=torch.Generator().manual_seed(0))))
    before = encoder.mean.clone(), encoder.std.clone()
    encoder.train()(batch_of(torch.full((50, 2), 9.0)))
    assert torch.equal(encoder.mean, before[0])
    assert torch.equal(encoder.std, before[1])


def test_next_observations_share_the_statistics_of_observations():
    """One potential h must read s and s' alike."""
    encoder = InputEncoder(BOX, DISCRETE, STATE_ACTION_STATE)
    generator = torch.Generator().manual_seed(0)
    observations = torch.randn(20, 2, generator=generator)
    encoder.fit(batch_of(observations, next_observations=5 + 3 * observations))
    features = encoder(batch_of(observations[:1], next_observations=observations[:1])).features
    assert torch.equal(features[:, encoder.columns("observations")], features[:, encoder.columns("next_observations")])


def test_next_observations_alone_have_statistics_of_their_own():
    encoder = InputEncoder(BOX, DISCRETE, ("next_observations",))
    next_observations = torch.tensor([[4.0, 0.0], [6.0, 2.0]])
    encoder.fit(batch_of(torch.zeros(2, 2), next_observations=next_observations))
    assert encoder.mean.tolist() == [5, 1]


def test_only_continuous_columns_are_standardized():
    space = spaces.Dict({"a": BOX, "b": DISCRETE, "c": spaces.MultiBinary(2)})
    values = {"a": samples(BOX), "b": samples(DISCRETE), "c": samples(spaces.MultiBinary(2))}
    batch = batch_of(values, actions=samples(DISCRETE), returns=torch.arange(6.0))
    encoder = InputEncoder(space, DISCRETE, (*STATE_ACTION, "dones", "returns"))
    encoder.fit(batch)
    assert encoder.mean[2:].abs().sum() == 0
    assert (encoder.std[2:] == 1).all()
    assert torch.equal(encoder(batch).rows()[:, encoder.columns("returns")].squeeze(1), batch.returns)


@pytest.mark.parametrize("value", [0.0, 0.3, -7.77, 1e4])
def test_a_constant_column_is_centered_and_keeps_its_unit(value):
    encoder = InputEncoder(BOX, DISCRETE, STATE)
    encoder.fit(batch_of(torch.tensor([[value, float(i)] for i in range(100)])))
    assert encoder.std[0] == 1
    assert encoder(batch_of(torch.tensor([[value + 0.5, 0.0]]))).features[0, 0].item() == pytest.approx(0.5, abs=2e-3)


def test_continuous_columns_are_clipped_at_ten_deviations_and_others_are_not():
    encoder = InputEncoder(BOX, DISCRETE, (*STATE, "returns"))
    encoder.fit(batch_of(torch.tensor([[-1e-3, -1.0], [1e-3, 1.0]]), returns=torch.zeros(2)))
    features = encoder(batch_of(torch.tensor([[5.0, -3.0]]), returns=torch.tensor([1e6]))).rows()
    assert features.tolist() == [[10.0, -3.0, 1e6]]


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=8))
def test_whatever_is_fitted_encodes_to_finite_numbers(values):
    encoder = InputEncoder(BOX, DISCRETE, STATE)
    batch = batch_of(torch.tensor(values, dtype=torch.float32))
    encoder.fit(batch)
    features = encoder(batch).features
    assert torch.isfinite(features).all()
    assert features.abs().max() <= 10


def test_statistics_are_part_of_the_state():
    fitted, fresh = InputEncoder(BOX, DISCRETE, STATE_ACTION), InputEncoder(BOX, DISCRETE, STATE_ACTION)
    batch = batch_of(samples(BOX))
    fitted.fit(batch)
    fresh.load_state_dict(fitted.state_dict())
    assert torch.equal(fresh(batch).features, fitted(batch).features)


def test_a_gradient_through_returns_survives():
    encoder = InputEncoder(BOX, DISCRETE, STATE_ACTION_RETURN)
    encoder.fit(batch_of(samples(BOX), returns=torch.zeros(6)))
    returns = torch.tensor([1.0, 2.0], requires_grad=True)
    encoded = encoder(batch_of(torch.zeros(2, 2), returns=returns))
    (encoded.rows()[:, encoder.columns("returns")] * torch.tensor([[3.0], [5.0]])).sum().backward()
    assert returns.grad.tolist() == [3, 5]
    assert not encoded.detach().features.requires_grad


def test_of_very_many_rows_evenly_spread_ones_are_representative(monkeypatch):
    monkeypatch.setattr("ganq_irl.discriminator.inputs._REPRESENTATIVE_ROWS", 4)
    rows = torch.arange(10.0)[:, None]
    batch = Batch(observations=rows, actions=rows, next_observations=rows, dones=torch.zeros(10))
    assert representative(batch).observations[:, 0].tolist() == [0.0, 3.0, 6.0, 9.0]
    assert representative(batch[:4]).observations[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
