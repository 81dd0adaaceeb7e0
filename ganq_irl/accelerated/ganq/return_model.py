"""The location-shape return model and its gradient, without autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganq_irl.accelerated.core import Dense, ParameterVector, layers_of
from ganq_irl.networks.return_models import LocationShapeModel


class FastReturnModel:
    """G(z | s, a) = m(s, a) + w_a · (h(s) ⊙ (e(z) - ē)), with e(z) = tanh(ωz + φ) and m(s, a) = v_a · h(s) + c_a.

    For given noise it is linear in h: v_a and the w_a ⊙ (e(z_n) - ē) are the rows of a single last layer, (v, w ⊙ e).

    Args:
        model: the return model to compute.
        vector: vector of its parameters.
    """

    def __init__(self, model: LocationShapeModel, vector: ParameterVector) -> None:
        modules: Any = model.q_net
        network, head = modules
        own = head.weight, head.bias, model.shape, model.embedding.weight, model.embedding.bias
        self._v, self._c, self._w, omega, self._phi = arrays_of(own, vector, vector.data)
        self._omega = omega.reshape(-1)
        self._gradients = arrays_of(own, vector, vector.gradient)
        self._body = Dense(layers_of([list(network.base)], vector))
        self._grid = model.grid.numpy()

    def __call__(self, observations: Tensor, noise: np.ndarray) -> np.ndarray:
        """Return ``(batch, n_actions, 1 + n)``: the mean of G for each action, and the samples' distances from it."""
        self._n, self._points = len(noise), np.concatenate([noise, self._grid])
        self._tanh = np.tanh(self._points[:, None] * self._omega + self._phi)  # (n + grid, hidden)
        self._e = self._tanh[: self._n] - self._tanh[self._n :].mean(axis=0)
        last = np.empty((len(self._w), 1 + self._n, self._w.shape[1]), np.float32)
        last[:, 0] = self._v
        np.multiply(self._w[:, None], self._e, out=last[:, 1:])
        self._last = last.reshape(-1, last.shape[2])
        self._hidden = self._body(observations).numpy()
        outputs = (self._hidden @ self._last.T).reshape(-1, *last.shape[:2])
        outputs[:, :, 0] += self._c
        return outputs

    def means(self, observations: Tensor) -> np.ndarray:
        """Return the mean of G for each action, ``(batch, n_actions)``."""
        return self._body(observations).numpy() @ self._v.T + self._c

    def backward(self, gradient: np.ndarray) -> None:
        """Compute the gradient of every parameter for the rows of the last call.

        Args:
            gradient: gradient of the loss with respect to the result of the last call, in its shape.
        """
        of_v, of_c, of_w, of_omega, of_phi = self._gradients
        rows = gradient.reshape(len(gradient), -1)
        of_last = (rows.T @ self._hidden).reshape(*gradient.shape[1:], -1)  # (n_actions, 1 + n, hidden)
        of_v[:] = of_last[:, 0]
        np.sum(gradient[:, :, 0], axis=0, out=of_c)
        np.sum(of_last[:, 1:] * self._e, axis=1, out=of_w)
        of_e = (of_last[:, 1:] * self._w[:, None]).sum(axis=0)
        slopes = 1 - self._tanh * self._tanh
        slopes[: self._n] *= of_e
        slopes[self._n :] *= of_e.sum(axis=0) / -len(self._grid)
        np.matmul(self._points, slopes, out=of_omega.reshape(-1))
        np.sum(slopes, axis=0, out=of_phi)
        self._body.backward(torch.from_numpy(rows @ self._last))


def arrays_of(parameters: Sequence[Tensor], vector: ParameterVector, values: Tensor) -> list[np.ndarray]:
    """Return arrays that share the memory of ``values``, a vector like ``vector``: one for each parameter, in its shape."""
    return [vector.stack(values, (parameter,))[0].numpy() for parameter in parameters]
