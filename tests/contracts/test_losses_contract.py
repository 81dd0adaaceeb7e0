"""What every loss must do with a real network and the one update."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.discriminator import LOSSES, STATE, Discriminator, DiscriminatorLearner, InputEncoder
from ganq_irl.discriminator.losses import with_log_ratio
from ganq_irl.types import Batch
from tests.toys import KINDS, toy_batch, toy_learner

REAL_COUNTS, FAKE_COUNTS = [4, 2, 1, 1], [1, 1, 4, 2]


def counted(counts):
    """A batch in which state i occurs exactly ``counts[i]`` times: its expectation is no sample."""
    states = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
    n = len(states)
    return Batch(states, torch.zeros(n, dtype=torch.long), states, torch.zeros(n))


@pytest.mark.parametrize("name", with_log_ratio())
def test_training_to_the_optimum_recovers_the_log_ratio(name):
    """A score a state, two known distributions: at the optimum log_ratio is log p/q, state by state."""
    encoder = InputEncoder(spaces.Discrete(4), spaces.Discrete(2), STATE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        discriminator = Discriminator(encoder, ())
    real, fake = counted(REAL_COUNTS), counted(FAKE_COUNTS)
    learner = DiscriminatorLearner(discriminator, real, loss=name, max_grad_norm=None)
    steps = 300
    for step in range(steps):
        learner.set_learning_rate(0.2 * (1 - step / steps))
        metrics = learner.update(real, fake)
    found = learner.loss.log_ratio(learner.scorer(counted([1, 1, 1, 1]))).detach().numpy()
    expected = np.log(np.array(REAL_COUNTS) / np.array(FAKE_COUNTS))
    assert found == pytest.approx(expected, abs=0.02)
    assert metrics["real_accuracy"].item() == pytest.approx(6 / 8)
    assert metrics["fake_accuracy"].item() == pytest.approx(6 / 8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_learns_that_a_high_score_means_real(name, kind):
    learner = toy_learner(kind, loss=name, learning_rate=2e-2, stabilizers=[{"name": "spectral-norm", "scale": 3.0}])
    for seed in range(30):
        metrics = learner.update(toy_batch(64, seed=2 * seed, shift=0.7), toy_batch(64, seed=2 * seed + 1, shift=-0.7))
    assert metrics["score_gap"] > 0
    assert (metrics["real_accuracy"] + metrics["fake_accuracy"]) / 2 > 0.7
    real, fake = toy_batch(200, seed=500, shift=0.7), toy_batch(200, seed=501, shift=-0.7)
    assert learner.scorer(real).median() > learner.scorer(fake).median()


@pytest.mark.parametrize("name", LOSSES)
def test_a_generator_s_loss_pulls_its_samples_towards_real_ones(name):
    """d generator / d observations points against the direction in which rows become real."""
    learner = toy_learner(loss=name, learning_rate=2e-2, stabilizers=[{"name": "spectral-norm", "scale": 3.0}])
    for seed in range(20):
        learner.update(toy_batch(64, seed=2 * seed, shift=0.7), toy_batch(64, seed=2 * seed + 1, shift=-0.7))
    encoded = learner.scorer.encode(toy_batch(100, seed=500, shift=-0.7)).detach()
    features = encoded.features.requires_grad_(True)
    learner.loss.generator(learner.scorer.score(encoded.with_samples(features))).mean().backward()
    assert (features.grad[:, :3].mean(dim=0) < 0).all()
