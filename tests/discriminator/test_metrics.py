import math

import pytest
import torch

from ganq_irl.discriminator.losses import build_loss
from ganq_irl.discriminator.metrics import discriminator_metrics


def test_metrics_by_hand():
    metrics = discriminator_metrics(build_loss("bce"), torch.tensor([2.0, 1.0, -1.0, 3.0]), torch.tensor([-1.0, 0.5]))
    assert metrics["real_accuracy"] == 0.75
    assert metrics["fake_accuracy"] == 0.5
    assert metrics["score_gap"].item() == pytest.approx(1.25 + 0.25)
    logits = [2.0, 1.0, -1.0, 3.0, -1.0, 0.5]
    probabilities = [1 / (1 + math.exp(-logit)) for logit in logits]
    entropy = -sum(p * math.log(p) + (1 - p) * math.log(1 - p) for p in probabilities) / 6
    assert metrics["entropy"].item() == pytest.approx(entropy, abs=1e-6)


@pytest.mark.parametrize(("name", "midpoint"), [("least-squares", 0.5), ("kl", 1.0), ("bce", 0.0), ("hinge", 0.0)])
def test_accuracy_asks_the_loss_for_its_midpoint(name, midpoint):
    real, fake = torch.tensor([midpoint + 0.1, midpoint + 0.2]), torch.tensor([midpoint - 0.1, midpoint - 0.2])
    metrics = discriminator_metrics(build_loss(name), real, fake)
    assert metrics["real_accuracy"] == metrics["fake_accuracy"] == 1.0
    metrics = discriminator_metrics(build_loss(name), fake, real)
    assert metrics["real_accuracy"] == metrics["fake_accuracy"] == 0.0


def test_a_critic_without_a_zero_is_judged_by_its_own_middle():
    metrics = discriminator_metrics(build_loss("wasserstein"), torch.tensor([105.0, 107.0]), torch.tensor([100.0, 101.0]))
    assert metrics["real_accuracy"] == metrics["fake_accuracy"] == 1.0
    assert "entropy" not in metrics


def test_metrics_keep_no_graph():
    scores = torch.tensor([1.0], requires_grad=True)
    assert not any(value.requires_grad for value in discriminator_metrics(build_loss("bce"), scores, scores).values())
