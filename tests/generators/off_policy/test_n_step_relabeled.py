"""n-step returns of rewards that are computed when a batch is sampled."""

import warnings
from collections import namedtuple

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.off_policy.pricing import check_can_relabel
from ganq_irl.generators.off_policy.pricing import relabeled as priced_view
from ganq_irl.generators.off_policy.replay import replaying
from tests.generators.off_policy.n_step_examples import draws, n_step_kwargs, needs_sb3s, one_by_one, sample
from tests.scripted import FakeAdversary, SpacesEnv, generator, imitator, vec_env, walk


class Reader(DQN):
    """An algorithm whose own update reads ``discounts``, whatever the version of SB3."""

    def train(self, gradient_steps, batch_size=100):
        for _ in range(gradient_steps):
            self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)


def reader(env, policy="MlpPolicy", **options):
    small = {"buffer_size": 100, "learning_starts": 8, "device": "cpu", "seed": 0, "policy_kwargs": {"net_arch": [8]}}
    return Reader(policy, env, **{**small, **n_step_kwargs(env), **options})


def relabeled(model, reward, n_steps=60):
    """The model's buffer after some steps, and the adversary that prices it."""
    adversary = FakeAdversary(reward)
    view = priced_view(model.replay_buffer, adversary.price)
    with replaying(model, view):
        model.learn(n_steps)
    adversary.priced.clear()
    return view, adversary


def test_relabeled_rewards_are_the_fold_of_single_prices():
    price = lambda observations, actions, following, dones: observations[:, 0] * 3 + actions + following[:, 1] + 7 * dones  # noqa: E731
    buffer, adversary = relabeled(reader(walk("dqn", limit=5)), price)
    samples = sample(buffer, batch_size=40)
    (priced,) = adversary.priced  # one call
    assert 40 < len(priced) < 40 * 3
    arrays = buffer.observations, buffer.actions[..., 0], buffer.next_observations, buffer.dones * (1 - buffer.timeouts)
    flat = [torch.as_tensor(array.reshape(-1, *array.shape[2:])) for array in arrays]
    buffer.stored.rewards = price(*flat).numpy().reshape(buffer.rewards.shape)  # each transition's, alone
    starts, envs = draws(buffer, 40)
    expected = [one_by_one(buffer, start, env) for start, env in zip(starts, envs, strict=True)]
    np.testing.assert_allclose(samples.rewards[:, 0], [total for total, *_ in expected], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(samples.discounts[:, 0], [discount for *_, discount in expected], rtol=1e-5)
    assert samples.dones[:, 0].tolist() == [done for _, _, done, _ in expected]


def test_relabeled_with_todays_reward():
    buffer, adversary = relabeled(reader(walk("dqn")), lambda observations, *_: torch.ones(len(observations)))
    adversary.reward = lambda observations, *_: torch.full((len(observations),), -2.0)
    samples = sample(buffer)
    expected = -2 * (1 - samples.discounts) / (1 - 0.99)
    torch.testing.assert_close(samples.rewards, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("is_dict", [False, True])
def test_relabeled_under_vec_normalize(is_dict):
    """The adversary sees raw observations, the algorithm normalized ones, and the learned reward is left as it is."""
    space = spaces.Dict(a=spaces.Box(-5, 5, (2,), np.float32)) if is_dict else spaces.Box(-5, 5, (2,), np.float32)
    env = VecNormalize(
        vec_env(SpacesEnv, observation_space=space, action_space=spaces.Discrete(3)), norm_reward=False, clip_obs=0.5
    )
    seen = (lambda rows: rows["a"]) if is_dict else (lambda rows: rows)
    model = reader(env, "MultiInputPolicy" if is_dict else "MlpPolicy")
    buffer, adversary = relabeled(model, lambda observations, *_: seen(observations)[:, 0] * 1000)
    samples = sample(buffer, env)
    (priced,) = adversary.priced
    raw = {tuple(row) for row in seen(buffer.observations)[: buffer.size()].reshape(-1, 2).tolist()}
    assert {tuple(row) for row in seen(priced.observations).tolist()} <= raw
    assert seen(samples.observations).abs().max() <= 0.5 < seen(priced.observations).abs().max()
    assert seen(samples.next_observations).abs().max() <= 0.5
    torch.testing.assert_close(samples.rewards, sample(buffer).rewards)


@pytest.mark.parametrize("algorithm", ["gail", "airl"])
def test_imitation_with_an_algorithm_that_reads_discounts(algorithm):
    learned = imitator(algorithm, reader(walk("dqn"), policy_kwargs={"net_arch": [8]})).learn(60)
    assert sample(priced_view(learned.generator.replay_buffer, learned.price)).rewards.std() > 0


@needs_sb3s
@pytest.mark.parametrize(("algorithm", "name"), [("gail", "dqn"), ("airl", "sac"), ("gail", "td3")])
@pytest.mark.parametrize("own", ["ours", "theirs"])
def test_imitation_with_sb3s_algorithms(algorithm, name, own):
    env = walk(name)
    options = n_step_kwargs(env) if own == "ours" else {"n_steps": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = generator(name, env, **options)
    before = [value.clone() for value in model.policy.parameters()]
    learned = imitator(algorithm, model).learn(200)
    assert any(not torch.equal(old, new) for old, new in zip(before, learned.policy.parameters(), strict=True))
    samples = sample(priced_view(model.replay_buffer, learned.price))
    assert samples.discounts.min() == pytest.approx(model.gamma**3)
    assert samples.rewards.std() > 0


def test_sb3s_algorithms_are_judged_by_their_samples_and_others_answer_for_themselves(monkeypatch):
    old = namedtuple("ReplayBufferSamples", "observations actions next_observations dones rewards")
    monkeypatch.setattr("ganq_irl.generators.off_policy.pricing.ReplayBufferSamples", old)
    env = walk("dqn")
    with pytest.raises(UnsupportedGenerator, match=r"DQN of this Stable-Baselines3.*to 2\.7"):
        check_can_relabel(generator("dqn", env, **n_step_kwargs(env)))
    check_can_relabel(generator("dqn", env))
    check_can_relabel(reader(env))
