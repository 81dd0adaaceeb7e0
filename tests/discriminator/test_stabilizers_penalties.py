"""What penalties and stabilizers of the parameters do, against their papers; settings out of range."""

import math

import pytest
import torch
from gymnasium import spaces

from ganq_irl.discriminator import Discriminator, DiscriminatorLearner, Encoded, InputEncoder, build_stabilizer
from ganq_irl.discriminator.stabilizers import Step
from ganq_irl.errors import ConfigurationError
from ganq_irl.types import Batch
from tests.toys import parameters_of, toy_batch, toy_learner, toy_updates


def encoded(n, value=0.0, dim=5):
    return Encoded(torch.full((n, dim), float(value)), torch.full((n,), float(value)), torch.full((n,), float(value)))


# Penalties.


class LinearScore:
    """A learner whose score is w·(s, a) + b for w of a known norm."""

    def __init__(self, spec, norm=3.0, loss="bce"):
        encoder = InputEncoder(spaces.Box(-9, 9, (2,)), spaces.Box(-1, 1, (2,)), ("observations", "actions"))
        self.learner = DiscriminatorLearner(Discriminator(encoder, ()), self.batch(2), loss=loss, stabilizers=[spec])
        encoder.mean.zero_()
        encoder.std.fill_(1.0)
        layer = self.learner.discriminator.network.layers[0]
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[0.5, -0.5, 0.5, -0.5]]) * norm)
            layer.bias.zero_()

    @staticmethod
    def batch(seed):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)
        return Batch(x[:, :2], x[:, 2:], x[:, :2], torch.zeros(8))

    def metrics(self):
        return self.learner.update(self.batch(0), self.batch(1))


@pytest.mark.parametrize(
    ("name", "weight", "expected"),
    [
        ("gradient-penalty", 10.0, 10 * (3 - 1) ** 2),
        ("zero-centered-gradient-penalty", 10.0, 10 * 3**2),
        ("r1", 10.0, 10 / 2 * 3**2),
        ("r2", 0.5, 0.5 / 2 * 3**2),
    ],
)
def test_gradient_penalties_of_a_linear_score(name, weight, expected):
    metrics = LinearScore({"name": name, "weight": weight}).metrics()
    assert metrics[f"penalty/{name}"].item() == pytest.approx(expected, rel=1e-4)


def test_a_gradient_of_norm_one_is_what_the_one_centered_penalty_wants():
    assert LinearScore("gradient-penalty", norm=1.0).metrics()["penalty/gradient-penalty"].item() == pytest.approx(
        0, abs=1e-6
    )


def test_r1_looks_at_real_rows_and_r2_at_fake_ones():
    for name, expected in (("r1", 1.0), ("r2", 4.0)):
        stabilizer = build_stabilizer({"name": name, "weight": 2.0})
        learner = toy_learner()
        score = lambda rows: (rows.features**2).sum(dim=1) / 2  # noqa: E731  # ‖∇‖² = ‖x‖²
        learner.discriminator.score = score
        real, fake = encoded(3, 5**-0.5), encoded(3, (4 / 5) ** 0.5)
        step = Step(learner.discriminator, learner.loss, real, fake, score(real), score(fake), learner.rng)
        assert stabilizer.penalty(step).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", ["bce", "least-squares", "kl"])
def test_logit_entropy_reads_the_loss_s_log_ratio(loss):
    linear = LinearScore({"name": "logit-entropy", "weight": 0.5}, norm=0.3, loss=loss)
    with torch.no_grad():
        linear.learner.discriminator.network.layers[0].bias.fill_(0.5)
        scores = torch.cat([linear.learner.discriminator(linear.batch(seed)) for seed in (0, 1)])
        d = torch.sigmoid(linear.learner.loss.log_ratio(scores)).double()
    entropy = -(d * d.log() + (1 - d) * (1 - d).log()).mean().item()
    assert linear.metrics()["penalty/logit-entropy"].item() == pytest.approx(-0.5 * entropy, abs=1e-5)


def test_historical_averaging_is_the_distance_to_the_mean_of_the_past():
    learner = toy_learner(stabilizers=[{"name": "historical-averaging", "weight": 2.0}], learning_rate=1e-2)
    past = [parameters_of(learner.discriminator)]
    for update in range(6):
        distance = ((past[-1] - torch.stack(past).mean(dim=0)) ** 2).sum().item()
        (metrics,) = toy_updates(learner, 1, start=update)
        assert metrics["penalty/historical-averaging"].item() == pytest.approx(2.0 * distance, rel=1e-3, abs=1e-7)
        past.append(parameters_of(learner.discriminator))
    assert distance > 1e-4


# After the step.


def test_the_averaged_discriminator_follows_at_its_decay_and_scores():
    learner = toy_learner(stabilizers=[{"name": "averaged-discriminator", "decay": 0.8}], learning_rate=1e-2)
    scorer = learner.scorer
    assert scorer is not learner.discriminator
    assert torch.equal(scorer(toy_batch()), learner.discriminator.eval()(toy_batch()))
    toy_updates(learner, 1)
    average = parameters_of(learner.discriminator)  # the first step starts the average
    assert torch.equal(parameters_of(learner.scorer), average)
    for update in range(1, 6):
        toy_updates(learner, 1, start=update)
        average = 0.8 * average + 0.2 * parameters_of(learner.discriminator)
        assert torch.allclose(parameters_of(learner.scorer), average, atol=1e-6)
    assert not torch.allclose(average, parameters_of(learner.discriminator), atol=1e-4)


def test_the_average_of_a_normalized_discriminator_takes_its_buffers():
    learner = toy_learner(stabilizers=["averaged-discriminator", "batch-norm"])
    toy_updates(learner, 4)
    buffers = dict(learner.discriminator.named_buffers())
    for name, buffer in learner.scorer.named_buffers():
        assert torch.equal(buffer, buffers[name])


@pytest.mark.parametrize("other", ["spectral-norm", "minibatch-discrimination", "batch-norm", "virtual-batch-norm"])
@pytest.mark.parametrize("name", ["averaged-discriminator", "historical-averaging"])
def test_what_tracks_parameters_finds_the_final_networks_whatever_the_order(name, other):
    """A parametrized weight moves in the order of parameters: a copy taken before would follow the wrong ones."""
    scores = []
    for names in ([name, other], [other, name]):
        learner = toy_learner(stabilizers=names)
        toy_updates(learner, 4)
        scores.append(learner.scorer(toy_batch()))
    assert torch.equal(*scores)


@pytest.mark.parametrize("bound", [0.01, 0.2])
def test_weight_clipping_holds_before_and_after_every_step(bound):
    learner = toy_learner(stabilizers=[{"name": "weight-clipping", "bound": bound}], loss="wasserstein", learning_rate=0.1)
    assert parameters_of(learner.discriminator).abs().max() <= bound
    toy_updates(learner, 3)
    clipped = parameters_of(learner.discriminator).abs()
    assert clipped.max() == torch.tensor(bound)
    assert (clipped == torch.tensor(bound)).float().mean() > 0.1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "instance-noise", "std": -0.1}, r"std = -0.1, expected a number from 0.0"),
        ({"name": "instance-noise", "n_anneal": -1}, "n_anneal = -1, expected an integer from 0"),
        ({"name": "fake-replay", "fraction": 1.1}, "fraction = 1.1"),
        ({"name": "fake-replay", "size": 0}, "size = 0, expected an integer from 1"),
        ({"name": "fake-replay", "size": 1e4}, r"size = 10000.0, expected an integer"),
        ({"name": "freezing", "ceiling": 0.4}, "ceiling = 0.4, expected a number from 0.5 to 1.0"),
        ({"name": "label-smoothing", "epsilon": 0.6}, "epsilon = 0.6"),
        ({"name": "r1", "weight": -1.0}, "weight = -1.0"),
        ({"name": "gradient-penalty", "weight": "ten"}, "gradient-penalty: weight = 'ten', expected a number"),
        ({"name": "logit-entropy", "weight": math.nan}, "weight = nan"),
        ({"name": "averaged-discriminator", "decay": 1.5}, "decay = 1.5"),
        ({"name": "weight-clipping", "bound": 0.0}, "bound = 0.0"),
    ],
)
def test_settings_out_of_range(spec, message):
    with pytest.raises(ConfigurationError, match=message):
        toy_learner(stabilizers=[spec])
