"""Flat parameters and Adam: torch's numbers, and torch's own objects as views of the same memory."""

import copy
import io

import pytest
import torch
from torch import nn

from ganq_irl.accelerated.core import FlatAdam, ParameterVector, clip_norm, reasons_of_optimizer


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def vector_of(module):
    return ParameterVector([(parameter,) for parameter in module.parameters()])


def set_gradients(module, vector, seed):
    torch.manual_seed(seed)
    gradient = torch.randn(len(vector.data))
    vector.gradient.copy_(gradient)
    for parameter, piece in zip(module.parameters(), vector.pieces(gradient), strict=True):
        parameter.grad = piece.clone()


def test_parameters_are_views_in_the_order_of_the_stacks():
    a, b = nn.Linear(2, 3), nn.Linear(2, 3)
    before = a.weight.detach().clone()
    vector = ParameterVector([(a.weight, b.weight), (a.bias, b.bias)])
    assert torch.equal(vector.stack(vector.data, (a.weight, b.weight))[0], before)
    vector.data.zero_()
    assert not a.weight.any()
    assert not b.bias.any()
    with torch.no_grad():
        b.bias.fill_(2)
    assert vector.stack(vector.data, (a.bias, b.bias)).tolist() == [[0, 0, 0], [2, 2, 2]]


def test_other_memory_is_adopted():
    module = network()
    vector = vector_of(module)
    module[0].weight.data = torch.ones(4, 3)
    vector.adopt()
    assert torch.equal(vector.data[:12], torch.ones(12))
    vector.data[0] = 5
    assert module[0].weight[0, 0] == 5


@pytest.mark.parametrize("options", [{}, {"eps": 1e-5, "betas": (0.5, 0.9)}, {"weight_decay": 0.1}])
def test_adam_is_that_of_torch(options):
    module = network()
    other = copy.deepcopy(module)
    expected = torch.optim.Adam(other.parameters(), lr=1e-2, **options)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2, **options)
    vector = vector_of(module)
    adam = FlatAdam(optimizer, vector)
    for step in range(50):
        expected.param_groups[0]["lr"] = optimizer.param_groups[0]["lr"] = 1e-2 / (1 + step)
        set_gradients(other, vector, step)
        adam.step()
        expected.step()
    for own, theirs in zip(module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-6, atol=1e-7)


def test_torch_and_the_flat_steps_can_take_turns():
    module, other = network(), network()
    optimizer, expected = (torch.optim.Adam(each.parameters(), lr=1e-2) for each in (module, other))
    adam = FlatAdam(optimizer, vector := vector_of(module))
    for step in range(9):
        set_gradients(other, vector, step)
        set_gradients(module, vector, step)
        expected.step()
        if step % 3:
            adam.step()
        else:
            optimizer.step()
        assert {float(state["step"]) for state in optimizer.state.values()} == {step + 1}
    for own, theirs in zip(module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-6, atol=1e-7)


def test_loaded_state_is_adopted():
    module = network()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    adam = FlatAdam(optimizer, vector := vector_of(module))
    for step in range(3):
        set_gradients(module, vector, step)
        adam.step()
    file = io.BytesIO()
    torch.save([module.state_dict(), optimizer.state_dict()], file)
    file.seek(0)
    set_gradients(module, vector, 3)
    adam.step()
    expected = vector.data.clone()

    parameters, state = torch.load(file, weights_only=True)
    module.load_state_dict(parameters)
    optimizer.load_state_dict(state)
    adam.adopt()
    set_gradients(module, vector, 3)
    adam.step()
    assert torch.equal(vector.data, expected)
    assert {float(state["step"]) for state in optimizer.state.values()} == {4}


def test_a_new_optimizer_state_begins_at_zero():
    module = network()
    optimizer = torch.optim.Adam(module.parameters())
    adam = FlatAdam(optimizer, vector := vector_of(module))
    set_gradients(module, vector, 0)
    adam.step()
    optimizer.state.clear()
    adam.adopt()
    assert all(not any(tensor.any() for tensor in state.values()) for state in optimizer.state.values())


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping_is_that_of_torch(max_norm):
    module = network()
    vector = vector_of(module)
    set_gradients(module, vector, 0)
    norm = torch.nn.utils.clip_grad_norm_(module.parameters(), max_norm)
    torch.testing.assert_close(clip_norm(vector.gradient, max_norm), norm)
    for parameter, piece in zip(module.parameters(), vector.pieces(vector.gradient), strict=True):
        torch.testing.assert_close(piece, parameter.grad)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda m: torch.optim.SGD(m.parameters(), lr=1.0), "another optimizer"),
        (lambda m: torch.optim.AdamW(m.parameters()), "another optimizer"),
        (lambda m: torch.optim.Adam(m.parameters(), amsgrad=True), "another optimizer"),
        (lambda m: torch.optim.Adam(m[0].parameters()), "in one group"),
        (lambda m: torch.optim.Adam([{"params": m[0].parameters()}, {"params": m[2].parameters()}]), "in one group"),
        (lambda m: torch.optim.Adam(m.parameters(), lr=torch.tensor(1.0)), "a learning rate that is a tensor"),
    ],
)
def test_other_optimizers_are_named(make, reason):
    module = network()
    assert reason in next(reasons_of_optimizer(make(module), module.parameters()))


def test_parameters_that_learned_at_different_times_are_named():
    module = network()
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert list(reasons_of_optimizer(optimizer, module.parameters())) == []
    module[0].zero_grad()
    optimizer.step()
    assert "different numbers of steps" in next(reasons_of_optimizer(optimizer, module.parameters()))
