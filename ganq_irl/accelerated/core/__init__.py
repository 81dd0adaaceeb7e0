"""Building blocks of updates without autograd: networks, flat parameters, Adam, and reasons to use autograd after all.

Such an update is built once from torch modules and their optimizers, and then computes gradients explicitly::

    critics = [list(q) for q in policy.critic.q_networks]          # networks of the same shape, side by side
    vector = ParameterVector(stacks_of(critics))                   # their concatenated parameters
    network, adam = Dense(layers_of(critics, vector)), FlatAdam(policy.critic.optimizer, vector)

    adam.adopt()                                                   # before each round of updates
    values = network(rows)                                         # (2, batch, 1)
    network.backward(gradient_of_loss)                             # fills vector.gradient
    clip_norm(vector.gradient, max_grad_norm)
    adam.step()

The torch modules keep working. Their parameters become views of the vector, and the optimizer's state becomes views of
Adam's vectors, so that saving, loading, evaluation, and a later step with autograd all see the same numbers. ``adopt``
restores the views after other parameters were loaded.

Everything runs under ``torch.no_grad``, on any device, in float32 or float64. The core uses torch rather than numpy. Both
need the same time for matrix products, but torch needs a third of the time for activations and Adam. The outputs of a single
network equal those of its modules bit for bit, and the same code runs on a GPU. Code that prefers numpy for small arrays can
use views of the same memory (``tensor.numpy()``) at no cost.

The outputs of a network are in its own memory, which the next call overwrites; clone them to keep them. A single network
takes ``(batch, in)``, several take ``(n_networks, batch, in)``.
"""

from ganq_irl.accelerated.core.activations import ACTIVATIONS
from ganq_irl.accelerated.core.adam import FlatAdam
from ganq_irl.accelerated.core.dense import Dense, Layer, layers_of, stacks_of
from ganq_irl.accelerated.core.support import (
    has_hooks,
    reasons_beside,
    reasons_of_extractor,
    reasons_of_layers,
    reasons_of_methods,
    reasons_of_observations,
    reasons_of_optimizer,
    reasons_of_parameters,
)
from ganq_irl.accelerated.core.twin import Twin
from ganq_irl.accelerated.core.vectors import ParameterVector, clip_norm

__all__ = [
    "ACTIVATIONS",
    "Dense",
    "FlatAdam",
    "Layer",
    "ParameterVector",
    "Twin",
    "clip_norm",
    "has_hooks",
    "layers_of",
    "reasons_beside",
    "reasons_of_extractor",
    "reasons_of_layers",
    "reasons_of_methods",
    "reasons_of_observations",
    "reasons_of_optimizer",
    "reasons_of_parameters",
    "stacks_of",
]
