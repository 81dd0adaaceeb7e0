"""Written-out networks against the modules they are made of, and against finite differences."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from ganq_irl.accelerated.core import (
    ACTIVATIONS,
    Dense,
    ParameterVector,
    layers_of,
    reasons_of_layers,
    reasons_of_parameters,
    stacks_of,
)


@pytest.fixture(autouse=True)
def in_double():
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def mlp(activation=nn.ReLU, norm=False, widths=(5, 7, 6, 2)):
    modules = []
    for i, o in pairwise(widths[:-1]):
        linear = nn.Linear(i, o)
        layer_norm = nn.LayerNorm(o)
        nn.init.normal_(layer_norm.weight), nn.init.normal_(layer_norm.bias)
        modules += [linear, layer_norm, activation()] if norm else [linear, activation()]
    return [*modules, nn.Linear(widths[-2], widths[-1])]


def written_out(networks):
    vector = ParameterVector(stacks_of(networks))
    return Dense(layers_of(networks, vector)), vector


def run(networks, rows):
    """What the modules give, ``(n_networks, batch, out)``."""
    return torch.stack([nn.Sequential(*network)(rows[i]) for i, network in enumerate(networks)])


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n_networks", [1, 2, 3])
def test_gradients_are_those_of_autograd(activation, norm, n_networks):
    networks = [mlp(activation, norm) for _ in range(n_networks)]
    rows = torch.randn(n_networks, 4, 5, requires_grad=True)
    weights = torch.randn(n_networks, 4, 2)
    expected = run(networks, rows)
    (expected * weights).sum().backward()

    dense, vector = written_out(networks)
    given, gradient = (rows.detach(), weights) if n_networks > 1 else (rows.detach()[0], weights[0])
    with torch.no_grad():
        outputs = dense(given).clone()
        dense.backward(gradient.clone())
        torch.testing.assert_close(outputs.view_as(expected), expected.detach())
        for parameter, piece in zip(vector.parameters, vector.pieces(vector.gradient), strict=True):
            torch.testing.assert_close(piece, parameter.grad)
        pulled = dense.pull_back(gradient.clone())
        first = torch.stack([network[0].weight for network in networks])
        torch.testing.assert_close(pulled.view(n_networks, 4, -1) @ first, rows.grad)


def test_the_gradient_is_the_slope_of_the_loss():
    dense, vector = written_out([mlp(nn.Tanh, norm=True), mlp(nn.Tanh, norm=True)])
    rows, weights, h = torch.randn(2, 4, 5), torch.randn(2, 4, 2), 1e-6
    with torch.no_grad():
        dense(rows)
        dense.backward(weights.clone())
        analytic = vector.gradient.clone()
        for index in range(0, len(vector.data), 7):
            losses = []
            for step in (h, -2 * h):
                vector.data[index] += step
                losses.append(float((dense(rows) * weights).sum()))
            vector.data[index] += h
            assert (losses[0] - losses[1]) / (2 * h) == pytest.approx(float(analytic[index]), rel=1e-5, abs=1e-7)


def test_outputs_of_a_single_network_are_those_of_its_modules_bit_for_bit():
    for dtype in (torch.float32, torch.float64):
        network = [module.to(dtype) for module in mlp(widths=(17, 64, 64, 6))]
        dense, _ = written_out([network])
        for n_rows in (1, 8, 256, 1):
            rows = torch.randn(n_rows, 17, dtype=dtype)
            with torch.no_grad():
                assert torch.equal(dense(rows), nn.Sequential(*network)(rows))


def test_the_first_rows_of_a_batch_can_be_differentiated_alone():
    dense, vector = written_out([mlp(norm=True)])
    rows, gradient = torch.randn(9, 5), torch.randn(4, 2)
    with torch.no_grad():
        dense(rows)
        dense.backward(gradient.clone())
        of_many = vector.gradient.clone()
        dense(rows[:4])
        dense.backward(gradient.clone())
    torch.testing.assert_close(vector.gradient, of_many)


def test_batches_of_many_sizes_take_the_memory_of_the_largest():
    dense, _ = written_out([mlp()])
    with torch.no_grad():
        for n_rows in [*range(1, 40), *range(40, 1, -1)]:
            outputs = dense(torch.randn(n_rows, 5))
            assert outputs.shape == (n_rows, 2)
    assert outputs.untyped_storage().nbytes() == 40 * 2 * 8
    assert len(dense._scratch._by_size) <= 8


@pytest.mark.parametrize(
    ("modules", "reason"),
    [
        ([nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 1)], "a GELU layer"),
        ([nn.Linear(2, 2, bias=False)], "without bias"),
        ([nn.ReLU(), nn.Linear(2, 2)], "at an unusual position"),
        ([nn.Linear(2, 2), nn.ReLU(), nn.LayerNorm(2)], "at an unusual position"),
        ([nn.Linear(2, 2), nn.LayerNorm(2, elementwise_affine=False)], "without scale"),
        ([nn.Linear(2, 2), nn.BatchNorm1d(2)], "a BatchNorm1d layer"),
    ],
)
def test_other_networks_are_named(modules, reason):
    assert reason in next(reasons_of_layers(modules))


def test_networks_of_known_layers_have_no_reason():
    assert list(reasons_of_layers(mlp(nn.ELU, norm=True))) == []
    assert list(reasons_of_parameters(nn.Sequential(*mlp()))) == []


def frozen(network):
    network[0].bias.requires_grad_(False)


def mixed(network):
    network[0].float()


def hooked(network):
    network[0].register_forward_hook(lambda *_: None)


def hooked_parameter(network):
    network[0].weight.register_hook(lambda gradient: gradient)


def half(network):
    network.half()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (frozen, "the parameter 0.bias is frozen"),
        (mixed, "parameters of torch.float32, torch.float64"),
        (half, "parameters of torch.float16"),
        (hooked, "have hooks"),
        (hooked_parameter, "the parameter 0.weight has hooks"),
    ],
)
def test_parameters_that_only_autograd_heeds_are_named(change, reason):
    network = nn.Sequential(*mlp())
    change(network)
    assert reason in next(reasons_of_parameters(network))
