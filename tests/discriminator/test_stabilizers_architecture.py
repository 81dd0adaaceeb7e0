import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from ganq_irl.discriminator.layers import MinibatchDiscrimination, VirtualBatchNorm
from ganq_irl.errors import ConfigurationError
from tests.toys import KINDS, toy_batch, toy_discriminator, toy_learner, toy_updates


def enlarge(discriminator, factor=20.0):
    """Weights whose product is far from Lipschitz 1."""
    with torch.no_grad():
        for parameter in discriminator.parameters():
            if parameter.ndim == 2:
                parameter.mul_(factor)


def largest_slope(network, n=400, dim=5):
    """Of |D(x) - D(y)| / ‖x - y‖ over pairs far apart and close together."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, dim, generator=generator)
    slopes = []
    for distance in (1e-2, 0.3, 3.0):
        y = x + distance * torch.randn(n, dim, generator=generator)
        slopes.append(((network(x) - network(y)).abs() / (x - y).norm(dim=1)).max())
    return torch.stack(slopes).max().item()


@torch.no_grad()
@pytest.mark.parametrize("activation", ["relu", "tanh", "elu", "leaky-relu"])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_spectral_norm_bounds_the_lipschitz_constant(scale, activation):
    bare = toy_discriminator(hidden=(16, 16), activation=activation)
    enlarge(bare)
    assert largest_slope(bare.network) > 2 * scale

    learner = toy_learner(hidden=(16, 16), activation=activation, stabilizers=[{"name": "spectral-norm", "scale": scale}])
    enlarge(learner.discriminator)
    learner.set_learning_rate(0.0)
    with torch.enable_grad():
        toy_updates(learner, 30)  # each runs one power iteration
    slope = largest_slope(learner.scorer.network)
    assert slope <= scale * (1 + 1e-3)
    assert slope > 0.05 * scale  # bounded, and not squashed to nothing


@pytest.mark.parametrize("kind", KINDS)
def test_every_effective_weight_has_its_singular_value(kind):
    learner = toy_learner(kind, stabilizers=[{"name": "spectral-norm", "scale": 2.0}])
    toy_updates(learner, 40)
    for network in learner.scorer.networks():
        linear = [module for module in network.layers if isinstance(module, nn.Linear)]
        values = [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in linear]
        assert values == pytest.approx([1.0, 1.0, 2.0], rel=2e-2)


@pytest.mark.parametrize("is_first", [True, False])
def test_spectral_norm_covers_inserted_layers_whatever_the_order(is_first):
    """Attached first, it would miss the last layer, which minibatch discrimination replaces, and lose its scale with it."""
    names = ["spectral-norm", "minibatch-discrimination"]
    learner = toy_learner(stabilizers=names if is_first else names[::-1])
    modules = [module for module in learner.discriminator.modules() if isinstance(module, nn.Linear)]
    assert all(parametrize.is_parametrized(module, "weight") for module in modules)
    assert [spec["name"] for spec in learner.discriminator.architecture] == ["minibatch-discrimination", "spectral-norm"]


def test_the_weight_is_normalized_once_an_update():
    """One power iteration an update, whatever the number of forward passes: the batches share one weight."""
    learner = toy_learner(stabilizers=["spectral-norm", "gradient-penalty", "r1"])
    norm = learner.discriminator.network.layers[0].parametrizations.weight[0]
    counted = []
    norm.register_forward_hook(lambda *_: counted.append(1))
    toy_updates(learner, 1)
    assert len(counted) == 1


def test_batch_norm_stands_before_every_hidden_activation():
    learner = toy_learner(stabilizers=["batch-norm"])
    kinds = [type(module).__name__ for module in learner.discriminator.network.layers]
    assert kinds == ["Linear", "BatchNorm1d", "Tanh", "Linear", "BatchNorm1d", "Tanh", "Linear"]


def test_batch_norm_normalizes_each_side_by_itself():
    learner = toy_learner(stabilizers=["batch-norm"])
    seen = []
    learner.discriminator.network.layers[1].register_forward_hook(lambda _module, _given, out: seen.append(out.detach()))
    toy_updates(learner, 1, shift=5.0)
    assert len(seen) == 2
    for out in seen:
        assert torch.allclose(out.mean(dim=0), torch.zeros(8), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_virtual_batch_norm_by_hand(kind):
    """Rows of the reference, evenly spread, go through the network beside each row."""
    reference = toy_batch(50, seed=3)
    learner = toy_learner(
        kind, reference=reference, hidden=(6,), stabilizers=[{"name": "virtual-batch-norm", "n_reference": 5}]
    )
    discriminator = learner.discriminator
    encoded_reference, batch = discriminator.encode(reference), toy_batch(4, seed=1)
    for network, parts in discriminator.networks().items():
        columns = torch.cat([torch.arange(part.start, part.start + part.width) for part in parts])
        rows = encoded_reference.features[[0, 12, 24, 36, 49]][:, columns]
        assert torch.equal(network.reference, rows)
        first, norm, _, last = network.layers
        assert isinstance(norm, VirtualBatchNorm)
        x = discriminator.encode(batch).features[:, columns]
        for row, score in zip(x, network(x), strict=True):
            hidden = first(torch.cat([rows, row.unsqueeze(0)]))
            standard = (hidden[-1] - hidden.mean(dim=0)) / torch.sqrt(hidden.var(dim=0, correction=0) + 1e-5)
            assert score.item() == pytest.approx(last(torch.tanh(standard)).item(), abs=1e-5)


def test_minibatch_discrimination_feeds_the_last_layer():
    learner = toy_learner(stabilizers=[{"name": "minibatch-discrimination", "kernels": 3, "kernel_dim": 2}])
    *_, layer, last = learner.discriminator.network.layers
    assert isinstance(layer, MinibatchDiscrimination)
    assert (layer.kernels, layer.kernel_dim, last.in_features) == (3, 2, 8 + 3)


def test_minibatch_discrimination_sees_collapse():
    """Fakes that are one point are told from real rows around that very point, which a row's own score cannot do."""
    real, collapsed = toy_batch(64, seed=0), toy_batch(64, seed=1)[torch.zeros(64, dtype=torch.long)]
    learner = toy_learner(stabilizers=["minibatch-discrimination"], learning_rate=1e-2)
    for seed in range(60):
        point = toy_batch(1, seed=1000 + seed)[torch.zeros(64, dtype=torch.long)]
        learner.update(toy_batch(64, seed=seed), point)
    discriminator = learner.discriminator.train()
    assert discriminator(real).mean() > discriminator(collapsed).mean() + 2


def test_in_evaluation_fakes_of_the_last_batch_are_the_reference():
    learner = toy_learner(stabilizers=["minibatch-discrimination"])
    real, fake = toy_batch(16), toy_batch(80, seed=1)
    layers = learner.discriminator.network.layers
    with torch.no_grad():
        hidden = layers[:4](learner.discriminator.encode(fake).features)
        expected = layers[4].project(hidden).view(80, 8, 4)[:64]
    learner.update(real, fake)
    assert torch.allclose(layers[4].reference, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "spectral-norm", "scale": 0.0}, "spectral-norm: scale = 0.0, expected a number from"),
        ({"name": "spectral-norm", "scale": "1"}, "spectral-norm: scale = '1', expected a number"),
        ({"name": "virtual-batch-norm", "n_reference": 1}, "n_reference = 1, expected an integer from 2"),
        ({"name": "virtual-batch-norm", "n_reference": 8.0}, "n_reference = 8.0, expected an integer"),
        ({"name": "minibatch-discrimination", "kernels": 0}, "kernels = 0, expected an integer from 1"),
        ({"name": "minibatch-discrimination", "n_reference": 0}, "n_reference = 0, expected an integer from 1"),
        ({"name": "minibatch-discrimination", "kernel_dim": True}, "kernel_dim = True, expected an integer"),
    ],
)
def test_settings_out_of_range(spec, message):
    with pytest.raises(ConfigurationError, match=message):
        toy_learner(stabilizers=[spec])
