import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.discriminator import LOSSES, build_loss
from ganq_irl.errors import ConfigurationError
from ganq_irl.rewards import REWARD_FORMS, build_reward_form, log_ratio
from tests.toys import toy_batch, toy_discriminator

OF_RATIO = [name for name, form in REWARD_FORMS.items() if form.of_log_ratio is not None]


def of_probability(form, probability):
    """The reward where the discriminator says D = ``probability``."""
    ratio = torch.tensor([math.log(probability) - math.log1p(-probability)], dtype=torch.float64)
    return REWARD_FORMS[form].of_log_ratio(ratio).item()


@pytest.mark.parametrize(
    ("form", "probability", "reward"),
    [
        ("gail", 0.5, math.log(2)),
        ("gail", 0.9, math.log(10)),
        ("log-d", 0.5, -math.log(2)),
        ("log-d", 0.1, -math.log(10)),
        ("logit", 0.5, 0.0),
        ("logit", 0.9, math.log(9)),
        ("amp", 0.5, 0.75),  # 1 - (0 - 1)²/4 in the paper's scale from -1 to 1
        ("amp", 0.9, 0.99),
        ("fairl", 0.5, 0.0),
        ("fairl", 0.9, -9 * math.log(9)),  # -l e^l with e^l = p/q = 9
        ("fairl", 1 / (1 + math.e), math.exp(-1)),  # its maximum, at l = -1
    ],
)
def test_values_by_hand(form, probability, reward):
    assert of_probability(form, probability) == pytest.approx(reward)


def test_all_but_the_raw_score_are_on_the_scale_of_a_log_ratio():
    assert {name for name, form in REWARD_FORMS.items() if not form.counts_ends} == {"score"}
    assert REWARD_FORMS["gail"].of(0.0) == pytest.approx(math.log(2))
    assert REWARD_FORMS["f"].of(1.5) == 1.5


@given(st.floats(0.001, 0.999))
def test_forms_as_the_papers_write_them(probability):
    assert of_probability("gail", probability) == pytest.approx(-math.log(1 - probability))
    assert of_probability("log-d", probability) == pytest.approx(math.log(probability))
    difference = of_probability("gail", probability) + of_probability("log-d", probability)
    assert of_probability("logit", probability) == pytest.approx(difference, abs=1e-9)


@given(st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=8))
def test_signs_are_as_declared_and_nothing_overflows(ratios):
    for name in OF_RATIO:
        form = REWARD_FORMS[name]
        rewards = form.of_log_ratio(torch.tensor(ratios))
        assert torch.isfinite(rewards).all()
        if form.sign == "positive":
            assert (rewards >= 0).all()
        if form.sign == "negative":
            assert (rewards <= 0).all()


@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if loss.has_log_ratio])
def test_the_log_ratio_of_a_plain_score_is_the_losss_and_of_a_shaped_one_the_score_itself(loss):
    batch = toy_batch()
    plain, shaped = toy_discriminator("plain").eval(), toy_discriminator("shaped").eval()
    encoded = plain.encode(batch)
    torch.testing.assert_close(log_ratio(plain, build_loss(loss), encoded), build_loss(loss).log_ratio(plain.score(encoded)))
    encoded = shaped.encode(batch)
    torch.testing.assert_close(log_ratio(shaped, build_loss(loss), encoded), shaped.shaped_reward(encoded) - batch.log_probs)


def test_parts_of_the_shaped_discriminator():
    """f = g + γ (1 - d) h(s') - h(s); logit = f - log π."""
    shaped, batch, loss = toy_discriminator("shaped").eval(), toy_batch(), build_loss("bce")
    encoded = shaped.encode(batch)
    f, g, logit, score = (REWARD_FORMS[name](shaped, loss, encoded) for name in ("f", "g", "logit", "score"))
    torch.testing.assert_close(logit, f - batch.log_probs)
    torch.testing.assert_close(score, logit)
    potential, following = (
        shaped.potential_network(encoded.features[:, shaped.encoder.columns(field)])
        for field in ("observations", "next_observations")
    )
    torch.testing.assert_close(f, g + shaped.discount * (1 - batch.dones) * following - potential)
    assert not f.requires_grad


def test_the_score_is_the_score():
    plain, batch = toy_discriminator("plain").eval(), toy_batch()
    encoded = plain.encode(batch)
    assert torch.equal(REWARD_FORMS["score"](plain, build_loss("wasserstein"), encoded), plain.score(encoded))


def test_only_what_subtracts_log_pi_needs_it():
    shaped, plain = toy_discriminator("shaped"), toy_discriminator("plain")
    assert {name for name, form in REWARD_FORMS.items() if form.needs_log_prob(shaped)} == {*OF_RATIO, "score"}
    assert not any(form.needs_log_prob(plain) for form in REWARD_FORMS.values())


def test_unknown_names():
    with pytest.raises(ConfigurationError, match="did you mean 'fairl'"):
        build_reward_form("fail")
