"""The moving average of a policy that learns."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.policies.average import PolicyAverage


class Rounds(BaseCallback):
    """The policies that the average is of."""

    def __init__(self):
        super().__init__()
        self.policies = []

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        self.policies.append(parameters(self.model.policy))

    def _on_training_end(self):
        self._on_rollout_start()


def parameters(policy):
    return torch.cat([value.detach().flatten().clone() for value in policy.parameters()])


def small_ppo():
    kwargs = {"n_steps": 32, "batch_size": 16, "n_epochs": 2, "policy_kwargs": {"net_arch": [8]}}
    return PPO("MlpPolicy", gym.make("Pendulum-v1"), seed=0, device="cpu", **kwargs)


def trained(rate):
    model = small_ppo()
    average, rounds = PolicyAverage(rate), Rounds()
    model.learn(96, callback=[average, rounds])
    return model, average, rounds.policies


def test_is_the_weighted_mean_of_the_policies_of_all_rounds():
    _, average, policies = trained(0.25)
    expected = policies[0]
    for policy in policies[1:]:
        expected = 0.75 * expected + 0.25 * policy
    assert len(policies) == 4
    assert not torch.equal(policies[0], policies[-1])
    torch.testing.assert_close(parameters(average.acting_policy().policy), expected)


def test_at_rate_one_is_the_last_policy():
    model, average, _ = trained(1.0)
    torch.testing.assert_close(parameters(average.acting_policy().policy), parameters(model.policy))


def test_leaves_training_as_it_is():
    model, _, _ = trained(0.25)
    alone = small_ppo()
    alone.learn(96)
    assert torch.equal(parameters(model.policy), parameters(alone.policy))


def test_acts_with_the_average_and_the_statistics_of_training():
    _, average, _ = trained(0.25)
    acting = average.acting_policy()
    observation = np.array([[0.1, 0.2, 0.3]], np.float32)
    expected, _ = acting.policy.predict(observation, deterministic=True)
    assert acting.algorithm == "PPO"
    assert np.array_equal(acting.predict(observation, deterministic=True)[0], expected)


def test_off_policy_generators_are_averaged_as_well():
    model = SAC("MlpPolicy", gym.make("Pendulum-v1"), seed=0, device="cpu", learning_starts=8, batch_size=8)
    average = PolicyAverage(0.1)
    model.learn(24, callback=average)
    assert not torch.equal(parameters(average.acting_policy().policy), parameters(model.policy))


def test_goes_on_from_its_state():
    model, average, _ = trained(0.25)
    again = PolicyAverage(0.25)
    again.init_callback(model)
    again.load_state_dict(average.state_dict())
    assert torch.equal(parameters(again.acting_policy().policy), parameters(average.acting_policy().policy))


def test_before_training_is_the_policy_itself():
    model = PPO("MlpPolicy", gym.make("Pendulum-v1"), device="cpu")
    assert PolicyAverage(0.5).acting_policy(model).policy is model.policy


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, float("nan")])
def test_refuses_what_is_no_rate(rate):
    with pytest.raises(ConfigurationError, match="average_rate"):
        PolicyAverage(rate)
