"""What updates with written-out gradients share: networks, flat parameters, Adam, and the reasons to leave it to autograd.

A written-out update is built once from torch modules and their optimizers, and then runs without autograd::

    critics = [list(q) for q in policy.critic.q_networks]          # networks of one shape, side by side
    vector = ParameterVector(stacks_of(critics))                   # their parameters, end to end
    network, adam = Dense(layers_of(critics, vector)), FlatAdam(policy.critic.optimizer, vector)

    adam.adopt()                                                   # before each round of updates
    values = network(rows)                                         # (2, batch, 1)
    network.backward(gradient_of_loss)                             # fills vector.gradient
    clip_norm(vector.gradient, max_grad_norm)
    adam.step()

The torch modules keep working: their parameters become views of the vector, and the optimizer's state becomes views of
Adam's vectors, so that saving, loading, evaluation, and a later step of autograd all see the same numbers. ``adopt`` repairs
the views after somebody has loaded others.

Everything runs under ``torch.no_grad``, on any device, in float32 or float64. The core is written in torch rather than
numpy: both take the same time for a product of matrices, torch takes a third of the time for activations and Adam, a single
network's outputs equal those of its modules bit for bit, and the same code runs on a GPU. Code that prefers numpy for small
arrays can work on views of the same memory (``tensor.numpy()``), which cost nothing.

What a network returns lies in its own memory, which its next call overwrites; clone what must live longer. A single network
takes ``(batch, in)``, several take ``(n_networks, batch, in)``.
"""

from ganq_irl.accelerated.core.activations import ACTIVATIONS
from ganq_irl.accelerated.core.adam import FlatAdam
from ganq_irl.accelerated.core.dense import Dense, Layer, layers_of, stacks_of
from ganq_irl.accelerated.core.support import has_hooks, reasons_of_layers, reasons_of_optimizer, reasons_of_parameters
from ganq_irl.accelerated.core.vectors import ParameterVector, clip_norm

__all__ = [
    "ACTIVATIONS",
    "Dense",
    "FlatAdam",
    "Layer",
    "ParameterVector",
    "clip_norm",
    "has_hooks",
    "layers_of",
    "reasons_of_layers",
    "reasons_of_optimizer",
    "reasons_of_parameters",
    "stacks_of",
]
