"""Training metrics of a discriminator. They are scalar tensors, so that computing them does not synchronize the device."""

from __future__ import annotations

import torch
from torch import Tensor

from ganq_irl.discriminator.losses import Loss
from ganq_irl.discriminator.penalties import logit_entropy


@torch.no_grad()
def discriminator_metrics(loss: Loss, real_scores: Tensor, fake_scores: Tensor) -> dict[str, Tensor]:
    """Return both accuracies, the difference of the mean scores and, if the loss has a log-ratio, the entropy of D.

    ``real_accuracy`` and ``fake_accuracy`` near 1 with an ``entropy`` near 0 (in nats, at most ln 2) mean that the
    discriminator has won. Accuracies near 0.5, or one high and one low, mean that it cannot tell real from fake.
    """
    midpoint = loss.midpoint(real_scores, fake_scores)
    metrics = {
        "real_accuracy": (real_scores > midpoint).float().mean(),
        "fake_accuracy": (fake_scores <= midpoint).float().mean(),
        "score_gap": real_scores.mean() - fake_scores.mean(),
    }
    if loss.has_log_ratio:
        metrics["entropy"] = logit_entropy(loss.log_ratio(torch.cat([real_scores, fake_scores])))
    return metrics
