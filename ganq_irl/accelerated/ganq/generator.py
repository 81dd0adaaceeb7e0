"""The location-shape generator and its gradient, written out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganq_irl.accelerated.ganq.networks import Mlp, Views
from ganq_irl.networks.return_models import LocationShapeGenerator


class FastGenerator:
    """G(z | s, a) = m(s, a) + w_a · (h(s) ⊙ (e(z) - ē)), with e(z) = tanh(ωz + φ) and m(s, a) = v_a · h(s) + c_a.

    For given noise it is linear in h: v_a and the w_a ⊙ (e(z_n) - ē) are the rows of one last layer, (v, w ⊙ e).

    Args:
        generator: what is computed; it is read at construction alone.
        values: of its parameters.
    """

    def __init__(self, generator: LocationShapeGenerator, values: Views) -> None:
        modules: Any = generator.q_net
        network, head = modules
        self._head, self._shape, self._embedding = head, generator.shape, generator.embedding
        self._body = Mlp(network.base, values)
        self._v, self._c, self._w = values[head.weight], values[head.bias], values[generator.shape]
        self._omega = values[generator.embedding.weight].reshape(-1)
        self._phi = values[generator.embedding.bias]
        self._grid = generator.grid.numpy()

    def __call__(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """``(batch, n_actions, 1 + n)``: the mean of G for each action, and the samples' distances from it."""
        self._n, self._points = len(noise), np.concatenate([noise, self._grid])
        self._tanh = np.tanh(self._points[:, None] * self._omega + self._phi)  # (n + grid, hidden)
        self._e = self._tanh[: self._n] - self._tanh[self._n :].mean(axis=0)
        last = np.empty((len(self._w), 1 + self._n, self._w.shape[1]), np.float32)
        last[:, 0] = self._v
        np.multiply(self._w[:, None], self._e, out=last[:, 1:])
        self._last = last.reshape(-1, last.shape[2])
        self._hidden = self._body(observations)
        outputs = (self._hidden @ self._last.T).reshape(-1, *last.shape[:2])
        outputs[:, :, 0] += self._c
        return outputs

    def means(self, observations: np.ndarray) -> np.ndarray:
        """``(batch, n_actions)``: the mean of G for each action."""
        return self._body(observations) @ self._v.T + self._c

    def backward(self, gradient: np.ndarray, gradients: Views) -> None:
        """Write the gradient of every parameter, for the rows of the last call.

        Args:
            gradient: of the loss with respect to what was returned, in its shape.
            gradients: where to.
        """
        rows = gradient.reshape(len(gradient), -1)
        of_last = (rows.T @ self._hidden).reshape(*gradient.shape[1:], -1)  # (n_actions, 1 + n, hidden)
        gradients[self._head.weight][:] = of_last[:, 0]
        gradients[self._head.bias][:] = gradient[:, :, 0].sum(axis=0)
        np.sum(of_last[:, 1:] * self._e, axis=1, out=gradients[self._shape])
        of_e = (of_last[:, 1:] * self._w[:, None]).sum(axis=0)
        self._backward_embedding(of_e, gradients)
        self._body.backward(rows @ self._last, gradients)

    def _backward_embedding(self, of_e: np.ndarray, gradients: Views) -> None:
        slopes = 1 - self._tanh * self._tanh
        slopes[: self._n] *= of_e
        slopes[self._n :] *= of_e.sum(axis=0) / -len(self._grid)
        np.matmul(self._points, slopes, out=gradients[self._embedding.weight].reshape(-1))
        np.sum(slopes, axis=0, out=gradients[self._embedding.bias])
