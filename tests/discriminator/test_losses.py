import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from ganq_irl.discriminator.losses import LOSSES, BradleyTerry, FDivergence, Hinge, Loss, build_loss, with_log_ratio
from ganq_irl.errors import ConfigurationError

RATIO_LOSSES = with_log_ratio()
F_DIVERGENCES = [name for name, loss in LOSSES.items() if issubclass(loss, FDivergence)]
INTERIOR = {"least-squares": (0.01, 0.99), "hinge": (-0.99, 0.99), "chi-squared": (-1.9, 20.0)}
"""Scores between those of certain fake and certain real, where a loss bounds them."""


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


# (real, fake, generator, log-ratio) of a score v, as the papers write them.
CLOSED_FORMS = {
    "bce": lambda v: (-math.log(sigmoid(v)), -math.log(1 - sigmoid(v)), -math.log(sigmoid(v)), v),
    "least-squares": lambda v: ((v - 1) ** 2 / 2, v**2 / 2, (v - 1) ** 2 / 2, math.log(v / (1 - v))),
    "wasserstein": lambda v: (-v, v, -v, None),
    "hinge": lambda v: (max(0, 1 - v), max(0, 1 + v), -v, None),
    "bradley-terry": lambda v: (-math.log(0.9 * sigmoid(v) + 0.05), -math.log(0.9 * sigmoid(-v) + 0.05), -v, None),
    "kl": lambda v: (-v, math.exp(v - 1), -v, v - 1),
    "reverse-kl": lambda v: (math.exp(-v), -1 - math.log(math.exp(-v)), math.exp(-v), v),
    "js": lambda v: (
        -math.log(2 / (1 + math.exp(-v))),
        -math.log(2 - 2 / (1 + math.exp(-v))),
        -math.log(2 / (1 + math.exp(-v))),
        v,
    ),
    "chi-squared": lambda v: (-v, v**2 / 4 + v, -v, math.log(1 + v / 2)),
    "hellinger": lambda v: (
        math.exp(-v) - 1,
        (1 - math.exp(-v)) / math.exp(-v),
        math.exp(-v) - 1,
        -2 * math.log(1 - (1 - math.exp(-v))),
    ),
}

# Divergences from p to q, none of them computed from a dual.
DIVERGENCES = {
    "kl": lambda p, q: entropy(p, q),
    "reverse-kl": lambda p, q: entropy(q, p),
    "js": lambda p, q: 2 * jensenshannon(p, q) ** 2,
    "chi-squared": lambda p, q: np.sum((p - q) ** 2 / q),
    "hellinger": lambda p, q: np.sum((np.sqrt(p) - np.sqrt(q)) ** 2),
}

distributions = st.lists(st.floats(0.05, 1.0), min_size=4, max_size=4).map(lambda masses: np.array(masses) / np.sum(masses))
log_ratios = st.floats(-4.0, 4.0)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)


def optimal_score(loss, log_ratio):
    """The score whose log-ratio is ``log_ratio``, by bisection: nothing but ``log_ratio`` itself is trusted."""
    low, high = INTERIOR.get(loss.name, (-30.0, 30.0)) if loss.name != "chi-squared" else (-1.99999, 200.0)
    if loss.name == "least-squares":
        low, high = 1e-5, 1 - 1e-5
    return brentq(lambda score: float(loss.log_ratio(column(score))) - log_ratio, low, high, xtol=1e-14, rtol=1e-14)


def test_every_loss_has_its_closed_form_here():
    assert CLOSED_FORMS.keys() == LOSSES.keys()
    assert DIVERGENCES.keys() == set(F_DIVERGENCES)
    assert all(name == loss.name for name, loss in LOSSES.items())


@pytest.mark.parametrize("score", [0.3, 0.8])
@pytest.mark.parametrize("name", LOSSES)
def test_closed_forms(name, score):
    loss = build_loss(name)
    real, fake, generator, log_ratio = CLOSED_FORMS[name](score)
    assert loss.real(column(score)).item() == pytest.approx(real, abs=1e-12)
    assert loss.fake(column(score)).item() == pytest.approx(fake, abs=1e-12)
    assert loss.generator(column(score)).item() == pytest.approx(generator, abs=1e-12)
    assert (log_ratio is None) == (not loss.has_log_ratio)
    if log_ratio is not None:
        assert loss.log_ratio(column(score)).item() == pytest.approx(log_ratio, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "least-squares"])
def test_closed_forms_of_a_negative_score(name):
    loss = build_loss(name)
    real, fake, generator, _ = CLOSED_FORMS[name](-1.3)
    found = [side(column(-1.3)).item() for side in (loss.real, loss.fake, loss.generator)]
    assert found == pytest.approx([real, fake, generator], abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_elementwise(name):
    loss, scores = build_loss(name), column(0.2, 0.4, 0.9)
    for side in (loss.real, loss.fake, loss.generator):
        assert side(scores).shape == (3,)
        assert torch.equal(side(scores), torch.cat([side(scores[i : i + 1]) for i in range(3)]))


@pytest.mark.parametrize("name", LOSSES)
@given(fraction=st.floats(0.0, 1.0))
def test_a_high_score_means_real(name, fraction):
    """Raising a score within its range helps real rows and generators, and hurts fake rows."""
    loss = build_loss(name)
    low, high = INTERIOR.get(name, (-8.0, 8.0))
    score = column(low + fraction * (high - low)).requires_grad_(True)
    slopes = [torch.autograd.grad(side(score).sum(), score)[0].item() for side in (loss.real, loss.fake, loss.generator)]
    assert slopes[0] < 0
    assert slopes[1] > 0
    assert slopes[2] < 0


@pytest.mark.parametrize("name", LOSSES)
def test_midpoint_is_where_both_sides_are_as_likely(name):
    loss = build_loss(name)
    real, fake = column(2.0, 4.0), column(-1.0, 0.0)
    middle = loss.midpoint(real, fake)
    assert middle.shape == ()
    if name in ("wasserstein", "bradley-terry"):
        assert middle.item() == pytest.approx((3.0 - 0.5) / 2)
    elif name == "hinge":
        assert middle.item() == 0
    else:
        assert loss.log_ratio(middle.double()).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["wasserstein", "bradley-terry"])
def test_a_midpoint_moves_with_scores_whose_zero_means_nothing(name):
    loss, real, fake = build_loss(name), column(2.0, 4.0), column(-1.0, 0.0)
    assert loss.midpoint(real + 7, fake + 7) == loss.midpoint(real, fake) + 7


@pytest.mark.parametrize("name", RATIO_LOSSES)
@given(log_ratio=log_ratios, q=st.floats(0.01, 1.0))
def test_the_objective_is_stationary_where_the_log_ratio_says_so(name, log_ratio, q):
    loss, p = build_loss(name), q * math.exp(log_ratio)
    score = column(optimal_score(loss, log_ratio)).requires_grad_(True)
    objective = p * loss.real(score) + q * loss.fake(score)
    (slope,) = torch.autograd.grad(objective.sum(), score)
    assert slope.item() == pytest.approx(0, abs=1e-8 * (1 + p + q))
    for step in (-1e-2, 1e-2):
        moved = score.detach() + step
        assert (p * loss.real(moved) + q * loss.fake(moved)).item() >= objective.item() - 1e-12


@pytest.mark.parametrize("name", F_DIVERGENCES)
@given(p=distributions, q=distributions)
def test_the_dual_reaches_the_divergence(name, p, q):
    """sup E_p[T] - E_q[f*(T)] = D_f(p || q): the variational bound is tight at the optimum."""
    loss = build_loss(name)
    scores = column(*[optimal_score(loss, log_ratio) for log_ratio in np.log(p / q)])
    dual = -(torch.from_numpy(p) * loss.real(scores) + torch.from_numpy(q) * loss.fake(scores)).sum().item()
    assert dual == pytest.approx(DIVERGENCES[name](p, q), abs=1e-9)


@pytest.mark.parametrize("name", F_DIVERGENCES)
@given(p=distributions, q=distributions, scores=st.lists(st.floats(-3.0, 3.0), min_size=4, max_size=4))
def test_the_dual_never_exceeds_the_divergence(name, p, q, scores):
    loss, v = build_loss(name), column(*scores)
    dual = -(torch.from_numpy(p) * loss.real(v) + torch.from_numpy(q) * loss.fake(v)).sum().item()
    assert dual <= DIVERGENCES[name](p, q) + 1e-9


@given(p=distributions, q=distributions)
def test_bce_at_its_optimum_is_jensen_shannon_less_log_four(p, q):
    loss, v = build_loss("bce"), column(*np.log(p / q))
    value = (torch.from_numpy(p) * loss.real(v) + torch.from_numpy(q) * loss.fake(v)).sum().item()
    assert value == pytest.approx(math.log(4) - 2 * jensenshannon(p, q) ** 2, abs=1e-9)


@pytest.mark.parametrize("name", RATIO_LOSSES)
@given(log_ratio=log_ratios)
def test_score_of_inverts_log_ratio(name, log_ratio):
    loss = build_loss(name)
    assert loss.log_ratio(loss.score_of(column(log_ratio))).item() == pytest.approx(log_ratio, abs=1e-9)


@pytest.mark.parametrize("name", RATIO_LOSSES)
@given(scores=st.tuples(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0)))
def test_log_ratio_rises_with_the_score(name, scores):
    found = build_loss(name).log_ratio(column(*sorted(scores)))
    assert found[0] <= found[1]


@pytest.mark.parametrize("name", RATIO_LOSSES)
def test_log_ratio_stays_finite_outside_the_range_of_an_optimum(name):
    assert torch.isfinite(build_loss(name).log_ratio(torch.tensor([-50.0, -2.0, -0.1, 0.0, 1.0, 1.1, 50.0]))).all()


@pytest.mark.parametrize("name", ["bce", "js", "least-squares", "hinge", "wasserstein", "bradley-terry", "chi-squared"])
def test_large_scores_do_not_overflow(name):
    loss, scores = build_loss(name), torch.tensor([-200.0, 200.0], requires_grad=True)
    total = (loss.real(scores) + loss.fake(scores) + loss.generator(scores)).sum()
    (gradient,) = torch.autograd.grad(total, scores)
    assert torch.isfinite(total)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - set(RATIO_LOSSES)))
def test_a_loss_without_log_ratio_refuses_and_names_those_that_have_one(name):
    loss = build_loss(name)
    with pytest.raises(ConfigurationError, match=rf"'{name}'.*'score'.*bce.*least-squares"):
        loss.log_ratio(column(0.0))
    assert torch.equal(loss.score_of(column(0.4)), column(0.4))


# Bradley-Terry: the only loss of pairs.

pairs = st.tuples(st.floats(-20.0, 20.0), st.floats(-20.0, 20.0))
rates = st.floats(0.0, 1.0)


def pair_loss(preferred, other, rate):
    return torch.stack(BradleyTerry(rate).of_sides(column(preferred), column(other))).sum().item()


@given(scores=pairs, rate=rates)
def test_the_loss_of_a_pair_is_that_of_the_paper(scores, rate):
    preferred, other = scores
    expected = -math.log((1 - rate) * sigmoid(preferred - other) + rate / 2)
    assert pair_loss(preferred, other, rate) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(scores=pairs, rate=rates)
def test_the_probabilities_of_both_answers_add_up_to_one(scores, rate):
    both = math.exp(-pair_loss(*scores, rate)) + math.exp(-pair_loss(*scores[::-1], rate))
    assert both == pytest.approx(1, abs=1e-6)


@given(scores=pairs)
def test_answers_that_are_all_chance_teach_nothing(scores):
    real, fake = (column(score).requires_grad_(True) for score in scores)
    loss = torch.stack(BradleyTerry(1.0).of_sides(real, fake)).sum()
    assert loss.item() == pytest.approx(math.log(2))
    assert torch.autograd.grad(loss, (real, fake)) == (column(0.0), column(0.0))


@given(scores=pairs, rate=st.floats(0.0, 0.9), shift=st.floats(-5.0, 5.0))
def test_the_gradient_of_a_pair_is_opposite_on_both_rows_and_ignores_a_shift(scores, rate, shift):
    real, fake = (column(score + shift).requires_grad_(True) for score in scores)
    slopes = torch.autograd.grad(torch.stack(BradleyTerry(rate).of_sides(real, fake)).sum(), (real, fake))
    right = sigmoid(scores[0] - scores[1])
    expected = -(1 - rate) * right * (1 - right) / ((1 - rate) * right + rate / 2)
    assert [slope.item() for slope in slopes] == pytest.approx([expected, -expected], rel=1e-6, abs=1e-9)


def test_pairs_need_as_many_rows_on_both_sides_and_a_rate_is_a_probability():
    with pytest.raises(ConfigurationError, match="in pairs: given 2 real and 1 fake ones"):
        build_loss("bradley-terry").of_sides(column(0.0, 1.0), column(0.0))
    with pytest.raises(ConfigurationError, match=r"mistake_rate: given 1\.5; expected a probability"):
        BradleyTerry(1.5)


def test_losses_are_built_by_name_and_unknown_names_meet_the_nearest():
    hinge = Hinge()
    assert build_loss(hinge) is hinge
    assert isinstance(build_loss("js"), Loss)
    with pytest.raises(ConfigurationError, match=r"unknown loss 'wasserstien': did you mean 'wasserstein'\? Known: bce"):
        build_loss("wasserstien")


def test_losses_are_frozen_values():
    assert build_loss("kl") == build_loss("kl")
    with pytest.raises(FrozenInstanceError):
        build_loss("kl").has_log_ratio = False
