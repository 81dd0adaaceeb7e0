import math
from functools import partial

import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.discriminator import Encoded, InputEncoder
from ganq_irl.discriminator.penalties import (
    gradient_norms,
    gradient_penalty,
    gradient_penalty_at,
    historical_distance,
    interpolate,
    logit_entropy,
    pair,
)
from ganq_irl.types import Batch
from tests.toys import toy_batch, toy_discriminator

vectors = st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3).map(torch.tensor)


def rows(features, offset=0.0):
    n = len(features)
    return Encoded(features, torch.zeros(n), torch.full((n,), offset))


def slope(weights):
    """Norms of the gradient of a linear score."""
    return partial(gradient_norms, linear(weights))


def linear(weights, bias=0.0):
    """The score w·x + b - offset, whose gradient is w everywhere."""
    return lambda encoded: encoded.features @ weights + bias - encoded.offset


def random_sides(n=5, dim=3):
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, n, dim, generator=generator)
    return rows(real), rows(fake), torch.rand(n, generator=generator)


@given(weights=vectors)
def test_one_centered_and_zero_centered_on_a_linear_score(weights):
    """(‖w‖ - 1)² and ‖w‖², wherever the rows are."""
    real, fake, mix = random_sides()
    norm = weights.norm().item()
    assert gradient_penalty(slope(weights), real, fake, mix, 1.0).item() == pytest.approx((norm - 1) ** 2, abs=1e-4)
    assert gradient_penalty(slope(weights), real, fake, mix, 0.0).item() == pytest.approx(norm**2, abs=1e-4)


@pytest.mark.parametrize("direction", [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.6, -0.8, 0.0], [3**-0.5, -(3**-0.5), 3**-0.5]])
def test_a_gradient_of_norm_one_costs_nothing_wherever_it_points(direction):
    """Penalizing (g - 1)² instead of (‖g‖ - 1)², coordinate by coordinate, would charge all but the first."""
    real, fake, mix = random_sides()
    assert gradient_penalty(slope(torch.tensor(direction)), real, fake, mix).item() == pytest.approx(0, abs=1e-6)


def test_the_norm_is_of_each_row_not_of_the_batch():
    score = lambda encoded: (encoded.features**2).sum(dim=1) / 2  # noqa: E731  # gradient x
    points = rows(torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]]))
    assert torch.allclose(gradient_norms(score, points), torch.tensor([5.0, 2.0]))
    assert gradient_penalty_at(partial(gradient_norms, score), points).item() == pytest.approx((25 + 4) / 2)
    penalty = gradient_penalty(partial(gradient_norms, score), points, points, torch.tensor([0.3, 0.9]))
    assert penalty.item() == pytest.approx(((5 - 1) ** 2 + (2 - 1) ** 2) / 2, rel=1e-5)


@given(weights=vectors)
def test_r1_and_r2_on_a_linear_score(weights):
    real, _, _ = random_sides()
    assert gradient_penalty_at(slope(weights), real).item() == pytest.approx(weights.norm().item() ** 2, abs=1e-4)


def test_the_penalty_teaches_the_weights():
    """d/dw (‖w‖ - 1)² = 2 (‖w‖ - 1) w / ‖w‖."""
    weights = torch.tensor([3.0, 0.0, 4.0], requires_grad=True)
    real, fake, mix = random_sides()
    gradient_penalty(slope(weights), real, fake, mix).backward()
    assert torch.allclose(weights.grad, 2 * (5 - 1) * torch.tensor([0.6, 0.0, 0.8]), atol=1e-4)


def test_a_flat_score_has_a_finite_gradient_of_the_penalty():
    weights = torch.zeros(3, requires_grad=True)
    real, fake, mix = random_sides()
    gradient_penalty(slope(weights), real, fake, mix).backward()
    assert torch.isfinite(weights.grad).all()


def test_penalties_ignore_log_probabilities():
    real, fake, mix = random_sides()
    moved = Encoded(real.features, real.dones, real.offset + 100)
    weights = torch.tensor([1.0, 2.0, 2.0])
    assert gradient_penalty_at(slope(weights), moved).item() == pytest.approx(9.0)
    assert gradient_penalty(slope(weights), moved, fake, mix).item() == pytest.approx(4.0)


@given(weight=st.floats(0.0, 1.0))
def test_interpolates_lie_between(weight):
    real, fake, _ = random_sides()
    points = interpolate(real, fake, torch.full((5,), weight))
    low, high = torch.minimum(real.features, fake.features), torch.maximum(real.features, fake.features)
    assert (points.features >= low - 1e-6).all()
    assert (points.features <= high + 1e-6).all()
    assert torch.allclose(points.features, weight * real.features + (1 - weight) * fake.features, atol=1e-6)


def test_interpolates_have_a_weight_a_row():
    points = interpolate(rows(torch.ones(2, 3)), rows(torch.zeros(2, 3)), torch.tensor([0.25, 0.75]))
    assert torch.equal(points.features, torch.tensor([[0.25] * 3, [0.75] * 3]))
    assert len(points.dones) == len(points.offset) == 2


@given(n_real=st.integers(1, 6), n_fake=st.integers(1, 6))
def test_every_fake_row_is_paired_with_a_real_one(n_real, n_fake):
    real, fake = rows(torch.arange(float(n_real)).unsqueeze(1)), rows(torch.zeros(n_fake, 1))
    paired = pair(real, fake, torch.Generator().manual_seed(0))
    assert len(paired) == n_fake
    assert set(paired.features.ravel().tolist()) <= set(range(n_real))


def test_partners_are_drawn():
    """Rows at the end of both sides, such as absorbing states, meet more than each other."""
    real, fake = rows(torch.arange(4.0).unsqueeze(1)), rows(torch.zeros(400, 1))
    last = pair(real, fake, torch.Generator().manual_seed(0)).features[-100:].ravel().int()
    assert (torch.bincount(last, minlength=4) > 10).all()


def test_return_samples_stay_with_their_state_and_action():
    real, fake = (Encoded(*[torch.zeros(3)] * 3, returns=torch.full((3, 2), value)) for value in (1.0, 0.0))
    assert pair(real, fake, torch.Generator()) is real


def test_actions_are_one_hot_before_they_are_interpolated():
    """Between actions 0 and 2 of three lies half of each, and nothing of action 1."""
    encoder = InputEncoder(spaces.Discrete(2), spaces.Discrete(3), ("actions",))
    sides = [encoder(Batch(torch.zeros(1), torch.tensor([action]), torch.zeros(1), torch.zeros(1))) for action in (0, 2)]
    assert interpolate(*sides, torch.tensor([0.5])).features.tolist() == [[0.5, 0.0, 0.5]]


def test_gradient_norms_of_a_network_match_finite_differences():
    discriminator = toy_discriminator("shaped").double()
    encoded = discriminator.encode(toy_batch(4).map(torch.Tensor.double))
    encoded = Encoded(encoded.features.double(), encoded.dones, encoded.offset)
    found = gradient_norms(discriminator.score, encoded)
    slopes = []
    for column in range(encoded.features.shape[1]):
        step = torch.zeros_like(encoded.features)
        step[:, column] = 1e-5
        up, down = (discriminator.score(encoded.with_samples(encoded.features + sign * step)) for sign in (1, -1))
        slopes.append((up - down) / 2e-5)
    assert torch.allclose(found, torch.stack(slopes).norm(dim=0), atol=1e-6)


@given(logits=st.lists(st.floats(-8.0, 8.0), min_size=1, max_size=5))
def test_logit_entropy(logits):
    def h(p):
        return -p * math.log(p) - (1 - p) * math.log(1 - p)

    expected = sum(h(1 / (1 + math.exp(-logit))) for logit in logits) / len(logits)
    assert logit_entropy(torch.tensor(logits, dtype=torch.float64)).item() == pytest.approx(expected, abs=1e-9)


def test_logit_entropy_is_log_two_at_most_and_vanishes_with_certainty():
    assert logit_entropy(torch.zeros(3)).item() == pytest.approx(math.log(2))
    assert logit_entropy(torch.tensor([-60.0, 60.0])).item() == pytest.approx(0, abs=1e-6)


def test_raising_the_entropy_pulls_logits_to_zero():
    """dH/dl = -l σ(l) (1 - σ(l)): through both occurrences of the logit."""
    logits = torch.tensor([2.0, -1.0], requires_grad=True)
    logit_entropy(logits).backward()
    s = torch.sigmoid(logits.detach())
    assert torch.allclose(logits.grad, -logits.detach() * s * (1 - s) / 2, atol=1e-6)


def test_historical_distance():
    parameters = [torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])]
    averages = [torch.tensor([[0.0, 0.0]]), torch.tensor([5.0])]
    assert historical_distance(parameters, averages).item() == 1 + 4 + 4
