"""Stabilizers that edit the networks when they are attached."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from ganq_irl.discriminator.inputs import Encoded, Part
from ganq_irl.discriminator.layers import MinibatchDiscrimination, VirtualBatchNorm
from ganq_irl.discriminator.networks import BaseDiscriminator, Network
from ganq_irl.discriminator.stabilizers.base import Stabilizer, check_count, check_range


@dataclass(eq=False)
class Architecture(Stabilizer):
    """Base class for stabilizers that edit networks. The discriminator records the edit, so that it can be rebuilt."""

    changes_architecture = True
    attach_rank = 0

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Edit every network of ``discriminator``."""
        for network, parts in discriminator.networks().items():
            self.edit(network, None if reference is None else _known(reference, parts))
        discriminator.architecture.append(self.settings())

    def edit(self, network: Network, reference: Tensor | None) -> None:
        """Edit one network; ``reference`` is real data encoded for this network, ``(rows, in_features)``."""
        raise NotImplementedError


class _Scale(nn.Module):
    """Parametrization that multiplies a weight by a constant."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale


@dataclass(eq=False)
class SpectralNorm(Architecture):
    """Divide every weight matrix by its largest singular value (Miyato et al., 2018).

    The Lipschitz constant of each network in its standardized inputs is then at most ``scale``. Only the last layer is
    scaled.
    """

    name = "spectral-norm"
    reparametrizes = True
    attach_rank = 1  # after inserted layers, so that it bounds them as well
    scale: float = 1.0

    def edit(self, network: Network, reference: Tensor | None) -> None:
        """Parametrize every linear and convolutional layer."""
        check_range(self.name, "scale", self.scale, 1e-6, float("inf"))
        for module in list(network.modules()):
            if isinstance(module, nn.Linear | nn.Conv2d):
                parametrizations.spectral_norm(module)
        if self.scale != 1.0:
            parametrize.register_parametrization(network.layers[-1], "weight", _Scale(self.scale))


@dataclass(eq=False)
class BatchNorm(Architecture):
    """Batch normalization before every hidden activation (Ioffe & Szegedy, 2015), with separate real and fake batches."""

    name = "batch-norm"
    uses_batch_statistics = True

    def edit(self, network: Network, reference: Tensor | None) -> None:
        """Insert a BatchNorm1d after each hidden linear layer."""
        _insert_after_hidden(network, nn.BatchNorm1d)


@dataclass(eq=False)
class VirtualBatchNormalization(Architecture):
    """Virtual batch normalization by a fixed reference batch of real rows (Salimans et al., 2016, section 3.5)."""

    name = "virtual-batch-norm"
    n_reference: int = 64

    def edit(self, network: Network, reference: Tensor | None) -> None:
        """Insert the layers and set the network's reference to evenly spaced rows of the real data."""
        check_count(self.name, "n_reference", self.n_reference, 2, 100_000)
        weight = next(network.parameters())
        rows = torch.zeros(self.n_reference, network.in_features)
        if reference is not None:
            rows = _spread(reference, self.n_reference).clone()
        network.reference = rows.to(weight.device)
        _insert_after_hidden(network, lambda width: VirtualBatchNorm(width, self.n_reference))

    def fit_reference(self, discriminator: BaseDiscriminator, reference: Encoded) -> None:
        """Set the reference rows to rows of ``reference``."""
        for network, parts in discriminator.networks().items():
            network.reference = _spread(_known(reference, parts), self.n_reference).clone()


@dataclass(eq=False)
class MinibatchDiscriminating(Architecture):
    """Show the last layer how similar the rows of a batch are (Salimans et al., 2016, section 3.2)."""

    name = "minibatch-discrimination"
    uses_batch_statistics = True
    kernels: int = 8
    kernel_dim: int = 4
    n_reference: int = 64

    def edit(self, network: Network, reference: Tensor | None) -> None:
        """Insert the layer before the last linear layer, and widen that one."""
        for setting in ("kernels", "kernel_dim", "n_reference"):
            check_count(self.name, setting, getattr(self, setting), 1, 100_000)
        *hidden, last = network.layers
        assert isinstance(last, nn.Linear)
        layer = MinibatchDiscrimination(last.in_features, self.kernels, self.kernel_dim, self.n_reference)
        widened = nn.Linear(layer.out_features, last.out_features)
        network.layers = nn.Sequential(*hidden, layer, widened).to(last.weight.device)


def _known(encoded: Encoded, parts: Iterable[Part]) -> Tensor:
    """Return the columns of ``parts``."""
    rows = encoded.rows()
    return torch.cat([rows[:, part.columns] for part in parts], dim=1)


def _spread(rows: Tensor, n: int) -> Tensor:
    """Return ``n`` evenly spaced rows."""
    return rows[torch.linspace(0, len(rows) - 1, n, device=rows.device).long()]


def _insert_after_hidden(network: Network, layer: Callable[[int], nn.Module]) -> None:
    layers: list[nn.Module] = []
    for module in network.layers:
        layers.append(module)
        if isinstance(module, nn.Linear) and module is not network.layers[-1]:
            layers.append(layer(module.out_features).to(module.weight.device))
    network.layers = nn.Sequential(*layers)
