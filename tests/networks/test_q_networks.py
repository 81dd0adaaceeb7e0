import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganq_irl.errors import ConfigurationError
from ganq_irl.networks.q_networks import ACTION_NETWORKS, ActionBranches, ActionHead, ActionInput, ActionOutputs

FEATURES, ACTIONS = 5, 3
NAMES = pytest.mark.parametrize("name", ACTION_NETWORKS)


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def features(batch=7):
    return torch.randn(batch, FEATURES, generator=torch.Generator().manual_seed(1))


@given(
    name=st.sampled_from(list(ACTION_NETWORKS)),
    net_arch=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    n_actions=st.integers(1, 4),
    batch=st.integers(1, 5),
)
def test_shapes(name, net_arch, n_actions, batch):
    network = ACTION_NETWORKS[name](FEATURES, n_actions, net_arch)
    hidden = network(features(batch))
    assert hidden.shape == (batch, n_actions, net_arch[-1])
    assert network.hidden_dim == net_arch[-1]
    assert ActionHead(network)(hidden).shape == (batch, n_actions)


@NAMES
def test_a_row_does_not_depend_on_the_others(name):
    network = ACTION_NETWORKS[name](FEATURES, ACTIONS, [8, 6])
    torch.testing.assert_close(network(features())[3:4], network(features()[3:4]))


@NAMES
def test_the_activation_is_the_one_asked_for(name):
    network = ACTION_NETWORKS[name](FEATURES, ACTIONS, [8, 6], nn.Tanh)
    assert sum(isinstance(module, nn.Tanh) for module in network.modules()) == 2
    assert not any(isinstance(module, nn.ReLU) for module in network.modules())
    assert network(100 * features()).abs().max() <= 1


def test_outputs_are_one_network_and_a_linear_layer():
    network = ActionOutputs(FEATURES, ACTIONS, [8, 6])
    head = ActionHead(network)
    hidden = network(features())
    assert hidden.stride()[1] == 0  # the actions share their memory
    expected = nn.functional.linear(network.base(features()), head.weight, head.bias)
    torch.testing.assert_close(head(hidden), expected)


def test_outputs_without_hidden_layers_are_linear_in_the_features():
    network = ActionOutputs(FEATURES, ACTIONS, [])
    assert network.hidden_dim == FEATURES
    assert torch.equal(network(features())[:, 1], features())


def test_input_is_the_network_run_on_features_with_a_one_hot_action():
    network = ActionInput(FEATURES, ACTIONS, [8, 6])
    plain = nn.Sequential(network.first, network.rest)
    for action in range(ACTIONS):
        one_hot = torch.eye(ACTIONS)[action].expand(7, -1)
        expected = plain(torch.cat([features(), one_hot], dim=1))
        torch.testing.assert_close(network(features())[:, action], expected)


def test_branches_are_a_base_and_a_layer_for_each_action():
    network = ActionBranches(FEATURES, ACTIONS, [8, 6])
    linear = network.own[0]
    for action, (weight, bias) in enumerate(zip(linear.weight.split(6), linear.bias.split(6), strict=True)):
        expected = nn.functional.linear(network.base(features()), weight, bias).relu()
        torch.testing.assert_close(network(features())[:, action], expected)


def test_the_branch_of_one_action_gets_no_gradient_from_another():
    network = ActionBranches(FEATURES, ACTIONS, [8, 6])
    network(features())[:, 1].sum().backward()
    reached = [gradient.abs().sum() > 0 for gradient in network.own[0].weight.grad.split(6)]
    assert reached == [False, True, False]
    assert network.base[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("name", "n_heads"), [("outputs", ACTIONS), ("input", 1), ("branches", ACTIONS)])
def test_the_action_is_told_apart_by_the_input_or_by_the_last_layer(name, n_heads):
    head = ActionHead(ACTION_NETWORKS[name](FEATURES, ACTIONS, [6]))
    assert head.weight.shape == (n_heads, 6)
    assert head.bias.shape == (n_heads,)


def test_the_head_is_initialized_as_a_linear_layer():
    head = ActionHead(ActionOutputs(FEATURES, 50, [400]))
    assert head.weight.abs().max() <= 1 / 20
    assert head.weight.std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.02)


@pytest.mark.parametrize("name", ["input", "branches"])
def test_no_hidden_layer_is_refused(name):
    with pytest.raises(ConfigurationError, match="at least one"):
        ACTION_NETWORKS[name](FEATURES, ACTIONS, [])
