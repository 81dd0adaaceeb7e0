"""LS-IQ: a squared error with bounded targets, and what the end of an episode is worth."""

import copy

import numpy as np
import pytest
import torch

from ganq_irl.algorithms import LSIQ
from ganq_irl.algorithms.absorbing import BoundedAbsorbingValue
from ganq_irl.algorithms.iq_objective import IQObjective
from ganq_irl.algorithms.ls_iq import LSIQObjective
from ganq_irl.errors import ConfigurationError
from tests.scripted import demonstrations_for, generator

GAMMA = 0.9


def batch(seed=0, n=6):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(n, generator=rng) for _ in range(3)]


def imitator(name, **settings):
    return LSIQ(generator(name, **({"ent_coef": 0.1} if name == "sac" else {})), demonstrations_for(name), **settings)


def test_with_bootstrapped_targets_it_is_iq_learns_objective_on_the_replayed_actions():
    """With χ² over both halves, -E[r] + E_policy[r] + c r² is the squared error of ±1/c, up to a constant."""
    q_values, _, continuations = batch()
    q_values.requires_grad_(True)
    rewards, c = q_values - continuations, 0.5
    theirs = -rewards[:3].mean() + rewards[3:].mean() + c * rewards.square().mean()
    ours = LSIQObjective(1 / c, "bootstrapped", GAMMA)(q_values, None, continuations, 3)
    assert torch.allclose(ours - theirs, torch.tensor(1 / c))
    gradients = [torch.autograd.grad(loss, q_values, retain_graph=True)[0] for loss in (ours, theirs)]
    assert torch.allclose(*gradients)
    # The same χ² as IQ-Learn's: c = 1 / 4α.
    chi2 = IQObjective("v0", "both", 1 / (4 * c), GAMMA)(q_values, torch.zeros(6), continuations, 3) + rewards[:3].mean()
    assert torch.allclose(chi2, c * rewards.square().mean())


def test_a_fixed_target_does_not_depend_on_the_next_state():
    q_values, _, continuations = batch()
    objective = LSIQObjective(2.0, "fixed", GAMMA)
    assert objective.bound == pytest.approx(20.0)
    expected = ((q_values[:3] - 20).square().mean() + (q_values[3:] - continuations[3:] + 2).square().mean()) / 4
    assert torch.allclose(objective(q_values, None, continuations, 3), expected)


@pytest.mark.parametrize(("setting", "value"), [("expert_target", "fixd"), ("max_reward", 0.0), ("max_reward", -1.0)])
def test_invalid_settings_are_refused(setting, value):
    with pytest.raises(ConfigurationError, match=setting):
        imitator("sac", **{setting: value})


@pytest.mark.parametrize("name", ["sac", "dqn"])
def test_next_values_are_clipped_and_ends_lead_to_the_absorbing_state(name):
    update = imitator(name, max_reward=0.01).update
    bound = 0.01 / (1 - update.model.gamma)
    assert update.use_target
    update.absorbing.value = -0.7
    data = update.expert.draw(3, None)._replace(dones=torch.tensor([[0.0], [0.0], [1.0]]))
    continuations = update._continuations(data, torch.tensor([100.0, -100.0, 5.0]))
    expected = update.model.gamma * torch.tensor([bound, -bound, -0.7])
    assert torch.allclose(continuations, expected)


@pytest.mark.parametrize(("expert", "policy", "reward"), [(0, 1, -2.0), (1, 0, 2.0), (1, 1, 0.0), (0, 0, 0.0), (1, 3, -1.0)])
def test_the_reward_of_the_absorbing_state_tells_whose_episodes_end(expert, policy, reward):
    value = BoundedAbsorbingValue(generator("sac"), 2.0)
    for _ in range(20):
        value.observe(torch.tensor([[float(expert)], [0.0], [float(policy)], [0.0]]), 2)
    assert value.reward == pytest.approx(reward)


def test_its_value_follows_the_targets_and_stays_within_the_bound():
    model = generator("sac", tau=0.5)
    value = BoundedAbsorbingValue(model, 2.0)
    value.observe(torch.ones(4, 1), 0)
    value.follow(value.reward)
    for _ in range(2000):
        model._n_updates += 1
        value.follow(value.reward)
    assert value.value == pytest.approx(-2 / (1 - model.gamma), rel=1e-3)
    other = BoundedAbsorbingValue(model, 2.0)
    other.load_state_dict(copy.deepcopy(value.state_dict()))
    assert (other.value, other.reward) == (value.value, value.reward)


def test_without_absorbing_states_an_end_is_worth_nothing():
    run = imitator("sac", absorbing=False).learn(66)
    assert run.update.absorbing is None
    data = run.expert.draw(2, None)._replace(dones=torch.ones(2, 1))
    assert not run.update._continuations(data, torch.ones(2)).any()


def test_training_learns_the_value_of_an_end_and_prices_transitions():
    run = imitator("sac").learn(66)
    assert run.update.absorbing.value != 0
    reward = run.recovered_reward()
    assert reward.provenance["algorithm"] == "ls-iq"
    observations = np.zeros((4, 2), np.float32)
    assert np.isfinite(reward.reward(observations, np.zeros((4, 1), np.float32), observations)).all()
