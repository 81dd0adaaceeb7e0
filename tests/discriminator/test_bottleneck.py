"""The bottleneck: its score, its information, the price of it, and that it is rebuilt."""

from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from ganq_irl.discriminator import (
    STATE_ACTION,
    BottleneckDiscriminator,
    DiscriminatorLearner,
    InputEncoder,
    build_discriminator,
)
from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.stabilizers import InformationConstraint
from ganq_irl.errors import ConfigurationError
from tests.toys import ACTIONS, OBSERVATIONS, toy_batch, toy_discriminator


def bottleneck(code_size=4, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return BottleneckDiscriminator(InputEncoder(OBSERVATIONS, ACTIONS, STATE_ACTION), (8,), "tanh", code_size)


def learner(constraint=None, seed=0, stabilizers=(), **options):
    constraint = InformationConstraint() if constraint is None else constraint
    return DiscriminatorLearner(
        bottleneck(), toy_batch(64, seed=100), stabilizers=[*stabilizers, constraint], seed=seed, **options
    )


def sides():
    return toy_batch(seed=1), toy_batch(seed=2, shift=0.5)


# The score.


def test_the_score_of_a_noisy_code_is_distributed_as_the_decision_on_codes_drawn_in_full():
    discriminator = bottleneck()
    rows = discriminator.encode(toy_batch(3))
    n = 200_000
    with torch.no_grad():
        mean, log_variance = discriminator.code(rows)
        codes = mean + torch.exp(log_variance / 2) * torch.randn(n, 3, 4, generator=torch.Generator().manual_seed(0))
        drawn = discriminator.network.decision(codes).squeeze(2)
        noise = torch.randn(n, generator=torch.Generator().manual_seed(1))
        scores = torch.stack(
            [
                discriminator.score(Encoded(row.expand(n, -1), torch.zeros(n), torch.zeros(n), noise=noise))
                for row in rows.features
            ],
            dim=1,
        )
    torch.testing.assert_close(scores.mean(dim=0), drawn.mean(dim=0), atol=4 / n**0.5, rtol=0)
    torch.testing.assert_close(scores.std(dim=0), drawn.std(dim=0), rtol=0.01, atol=0)
    quantiles = torch.tensor([0.05, 0.5, 0.95])
    torch.testing.assert_close(scores.quantile(quantiles, dim=0), drawn.quantile(quantiles, dim=0), atol=0.02, rtol=0.02)


def test_without_noise_it_is_that_of_the_mean_code_in_either_mode():
    discriminator = bottleneck()
    batch = toy_batch()
    with torch.no_grad():
        mean, _ = discriminator.code(discriminator.encode(batch))
        expected = discriminator.network.decision(mean).squeeze(1)
    for mode in (True, False):
        assert torch.equal(discriminator.train(mode)(batch), expected)


def test_a_decision_without_weights_has_finite_scores_and_gradients():
    discriminator = bottleneck()
    torch.nn.init.zeros_(discriminator.network.decision.weight)
    rows = replace(discriminator.encode(toy_batch(4)), noise=torch.tensor([-1.0, 0.0, 0.5, 2.0]))
    scores = discriminator.score(rows)
    torch.testing.assert_close(scores, discriminator.network.decision.bias.expand(4), atol=1e-5, rtol=0)
    scores.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in discriminator.parameters())


def test_an_update_computes_each_sides_code_once():
    teacher = learner()
    reads = []
    teacher.discriminator.network.register_forward_hook(lambda network, given, output: reads.append(len(given[0])))
    real, fake = sides()
    teacher.update(real, fake)
    assert reads == [len(real), len(fake)]  # the score and the information share it
    teacher.update(real, fake)
    assert reads == 2 * [len(real), len(fake)]  # and it is not kept for the next update


def test_noise_comes_from_the_learners_generator_and_differs_between_sides():
    constraint = InformationConstraint()
    real, fake = (bottleneck().encode(side) for side in sides())
    state = torch.get_rng_state()
    first, again = (constraint.on_batch(real, fake, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first[0].noise, again[0].noise)
    assert not torch.equal(first[0].noise, first[1].noise)
    assert first[0].noise.shape == (32,)
    assert torch.equal(first[0].detach().noise, first[0].noise)


# Information and its price.


def test_information_is_the_divergence_from_a_standard_normal():
    discriminator = bottleneck()
    rows = discriminator.encode(toy_batch())
    mean, log_variance = discriminator.code(rows)
    expected = kl_divergence(Normal(mean, torch.exp(log_variance / 2)), Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(discriminator.information(rows), expected)
    with torch.no_grad():
        discriminator.network.layers[-1].weight.zero_()
        discriminator.network.layers[-1].bias.zero_()
    torch.testing.assert_close(discriminator.information(rows), torch.zeros(32))


def test_the_penalty_and_the_price_move_as_the_dual_says():
    capacity, rate = 0.3, 0.25
    constraint = InformationConstraint(capacity, rate, initial=0.4)
    teacher = learner(constraint)
    beta = 0.4
    for _ in range(3):
        discriminator = teacher.discriminator
        with torch.no_grad():
            real, fake = (discriminator.information(discriminator.encode(side)).mean().item() for side in sides())
        information = (real + fake) / 2
        metrics = teacher.update(*sides())
        assert metrics["penalty/information"].item() == pytest.approx(beta * (information - capacity), abs=1e-6)
        beta = max(0.0, beta + rate * (information - capacity))
        assert constraint.information.item() == pytest.approx(information, rel=1e-5)
        assert constraint.beta.item() == pytest.approx(beta, rel=1e-5)


def test_the_price_is_never_negative():
    constraint = InformationConstraint(capacity=1e6, rate=1.0)
    teacher = learner(constraint)
    teacher.update(*sides())
    assert constraint.beta.item() == 0


def test_information_is_brought_down_to_the_capacity():
    constraint = InformationConstraint(capacity=0.2, rate=0.05)
    teacher = learner(constraint, learning_rate=0.01)
    free = learner(InformationConstraint(capacity=0.2, rate=0.0, initial=0.0), learning_rate=0.01)
    for _ in range(400):
        teacher.update(*sides())
        free.update(*sides())
    unbounded = next(iter(free.stabilizers)).information
    assert constraint.information.item() == pytest.approx(0.2, abs=0.1)
    assert unbounded > 1


@pytest.mark.parametrize("name", ["fake-replay", "r1", "gradient-penalty", "spectral-norm", "averaged-discriminator"])
def test_other_stabilizers_work_beside_it(name):
    teacher = learner(stabilizers=[name])
    for _ in range(3):
        metrics = teacher.update(*sides())
    assert all(torch.isfinite(value) for value in metrics.values())
    assert torch.isfinite(teacher.scorer(toy_batch())).all()


def test_the_spectral_norm_bounds_the_slope_of_the_mean_score():
    teacher = learner(stabilizers=[{"name": "spectral-norm", "scale": 2.0}], learning_rate=0.05)
    for _ in range(50):
        teacher.update(*sides())
    discriminator = teacher.discriminator
    points = discriminator.encode(toy_batch(256, seed=9))
    slopes = discriminator.gradient_norms(points)
    assert 0 < slopes.max() <= 2 * (1 + 1e-3)


@pytest.mark.parametrize("setting", ["capacity", "rate", "initial"])
def test_negative_settings_are_refused(setting):
    with pytest.raises(ConfigurationError, match=f"information: {setting} = -1"):
        learner(InformationConstraint(**{setting: -1}))


def test_it_is_no_constraint_on_another_discriminator():
    with pytest.raises(ConfigurationError, match="VAIL's bottleneck"):
        DiscriminatorLearner(toy_discriminator(), toy_batch(), stabilizers=[InformationConstraint()])


@pytest.mark.parametrize("code_size", [0, -1, 2.0, True])
def test_codes_have_dimensions(code_size):
    with pytest.raises(ConfigurationError, match="code_size: given"):
        bottleneck(code_size)


# State.


def test_a_saved_learner_goes_on_bit_by_bit():
    first, second = learner(InformationConstraint(rate=0.1)), learner(InformationConstraint(rate=0.1), seed=1)
    first.update(*sides())
    second.load_state_dict(first.state_dict())
    metrics = [each.update(*sides()) for each in (first, second)]
    assert all(torch.equal(metrics[0][key], metrics[1][key]) for key in metrics[0])
    betas = [next(iter(each.stabilizers)).beta for each in (first, second)]
    assert torch.equal(*betas)
    assert betas[0] != 0.1


@pytest.mark.parametrize("architecture", [(), ("spectral-norm",), ("virtual-batch-norm",)])
def test_it_is_rebuilt_from_its_description(architecture):
    teacher = learner(stabilizers=list(architecture))
    teacher.update(*sides())
    config = teacher.discriminator.config()
    rebuilt = build_discriminator(OBSERVATIONS, ACTIONS, config)
    rebuilt.load_state_dict(teacher.discriminator.state_dict())
    assert config["code_size"] == 4
    assert torch.equal(rebuilt.eval()(toy_batch()), teacher.scorer(toy_batch()))
