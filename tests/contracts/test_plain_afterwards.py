"""After ``learn()`` the user's model is what Stable-Baselines3 made, whatever it learned from in between."""

import functools

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnvWrapper, VecNormalize
from torch import nn

from ganq_irl.algorithms import ALGORITHMS, OffPolicyImitation
from ganq_irl.generators.policies.average import PolicyAverage
from ganq_irl.space_matrix import INVERSE_SOFT_Q
from tests.scripted import HAVE_NO_LOG_PROB, OFF_POLICY, ON_POLICY, demonstrations_for, generator, imitator, walk

REPLAYED = ("sqil", *INVERSE_SOFT_Q)
REFUSED = {
    *(("airl", name) for name in HAVE_NO_LOG_PROB),
    *((algorithm, name) for algorithm in ("dac", *REPLAYED) for name in ON_POLICY),
    *(("dagger", name) for name in OFF_POLICY),
    *((algorithm, name) for algorithm in INVERSE_SOFT_Q for name in OFF_POLICY if name not in ("sac", "dqn")),
}
OF_EACH_KIND = ("ppo", "sac", "dqn", "gan-q-continuous")
WITH = {"gail": (*ON_POLICY, *OFF_POLICY), **dict.fromkeys(("airl", "dac", *REPLAYED), OF_EACH_KIND)}
ALLOWED = [
    (algorithm, name)
    for algorithm in ALGORITHMS
    for name in WITH.get(algorithm, ("ppo", "sac"))
    if (algorithm, name) not in REFUSED
]
"""Every generator once, and one of each kind with the other algorithms."""
OBSERVATIONS = torch.linspace(-2, 2, 20).view(10, 2)


def imitating(algorithm, model, **options):
    if issubclass(ALGORITHMS[algorithm], OffPolicyImitation):
        return ALGORITHMS[algorithm](model, demonstrations_for_space(model))
    return imitator(algorithm, model, demonstrations_for_space(model), **options)


def demonstrations_for_space(model):
    return demonstrations_for("sac" if hasattr(model.action_space, "low") else "dqn")


def small(name, **options):
    return generator(name, **({"ent_coef": 0.1} if name == "sac" else {}), **options)


def layers(env):
    kinds = [type(env)]
    while isinstance(env, VecEnvWrapper):
        env = env.venv
        kinds.append(type(env))
    return kinds


def anatomy(model):
    """Classes and attribute names of a model and of all that it owns, except GAN-Q's cached update."""
    owned = {"model": model, "policy": model.policy, "env": model.env}
    for name in ("replay_buffer", "rollout_buffer"):
        if hasattr(model, name):
            owned[name] = getattr(model, name)
    owned |= {f"policy.{path}": module for path, module in model.policy.named_modules()}
    described = {name: (type(each), {key: type(value) for key, value in vars(each).items()}) for name, each in owned.items()}
    described["model"][1].pop("_fast_update", None)
    return described, layers(model.env), model.get_env() is model.env


@functools.cache
def plain_anatomy(name):
    """The anatomy of a model that Stable-Baselines3 alone has trained."""
    return anatomy(small(name).learn(66))


def check_plain(model, name):
    """It is built as a model that Stable-Baselines3 alone has trained, and stores what the environment paid."""
    assert anatomy(model) == plain_anatomy(name)
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        rows = slice(None) if buffer.full else slice(buffer.pos)
        assert buffer.size() > 0
        np.testing.assert_allclose(buffer.rewards[rows], -np.abs(buffer.next_observations[rows, :, 0]), rtol=1e-5)


@pytest.mark.parametrize(("algorithm", "name"), ALLOWED)
def test_a_model_is_plain_after_learning(algorithm, name):
    model = small(name)
    options = {} if algorithm in REPLAYED else {"callback": PolicyAverage(0.1)}
    imitating(algorithm, model).learn(66, **options)
    check_plain(model, name)
    before = model.num_timesteps
    model.learn(66, reset_num_timesteps=False)  # and goes on, on the environment's own reward
    assert model.num_timesteps > before
    check_plain(model, name)


class Stop(BaseCallback):
    """Raise at one of SB3's events."""

    def __init__(self, event):
        super().__init__()
        self.event = event

    def _raise_at(self, event):
        if event == self.event and self.num_timesteps > 40:
            raise KeyboardInterrupt

    def _on_step(self):
        self._raise_at("step")
        return self.event != "stop" or self.num_timesteps < 50

    def _on_rollout_start(self):
        self._raise_at("rollout start")

    def _on_rollout_end(self):
        self._raise_at("rollout end")


@pytest.mark.parametrize("event", ["step", "rollout start", "rollout end", "stop"])
@pytest.mark.parametrize(
    ("algorithm", "name"), [("gail", "ppo"), ("airl", "sac"), ("dac", "gan-q"), ("sqil", "dqn"), ("iq-learn", "sac")]
)
def test_a_model_is_plain_however_learning_ends(algorithm, name, event):
    model = small(name)
    run = imitating(algorithm, model)
    if event == "stop":
        run.learn(200, callback=Stop(event))
    else:
        with pytest.raises(KeyboardInterrupt):
            run.learn(200, callback=Stop(event))
    check_plain(model, name)


def test_a_value_head_is_in_reward_units_whenever_its_owner_can_see_it():
    """GAIL's value head learns standardized returns, and is the user's everywhere else."""
    model, seen, inside = small("ppo", learning_rate=0.0), [], []
    update = model.train

    def values():
        return model.policy.predict_values(OBSERVATIONS).detach()

    class Look(BaseCallback):
        def _on_step(self):
            seen.append(values())
            return True

    def train():
        inside.append((values(), run._values.mean, run._values.std))
        update()

    before, model.train = values(), train
    run = imitating("gail", model)
    run.price = lambda batch: 100 + batch.observations[:, 0]
    run.learn(192, callback=Look())
    for each in (*seen, values()):
        torch.testing.assert_close(each, before, atol=1e-3, rtol=1e-4)
    for standard, mean, std in inside:
        assert mean > 100
        torch.testing.assert_close(standard, (before - mean) / std, atol=1e-3, rtol=1e-4)


def test_a_failure_inside_an_update_leaves_the_value_head_in_reward_units():
    model = small("ppo")
    head = model.policy.value_net
    run = imitating("gail", model)
    before = model.policy.predict_values(OBSERVATIONS)

    def fail():
        assert not torch.allclose(model.policy.predict_values(OBSERVATIONS), before)
        raise RuntimeError("in the middle of an update")

    model.train = fail
    with pytest.raises(RuntimeError, match="middle"):
        run.learn(64)
    assert isinstance(head, nn.Linear)
    torch.testing.assert_close(model.policy.predict_values(OBSERVATIONS), before)


@pytest.mark.parametrize("options", [{"expert_share": 0.5}, {"replay_on_device": True}, {"learns_absorbing": True}])
@pytest.mark.parametrize("name", ["sac", "gan-q"])
def test_dacs_options_leave_nothing_behind(name, options):
    model = small(name)
    run = imitating("dac", model, **options)
    for _ in range(2):
        run.learn(66, reset_num_timesteps=False)
        check_plain(model, name)


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_under_vec_normalize_true_rewards_are_stored(name):
    model = small(name, env=VecNormalize(walk(name), norm_reward=False))
    imitating("gail", model).learn(66)
    assert layers(model.env)[0] is VecNormalize
    if name == "sac":
        buffer = model.replay_buffer
        rows = slice(buffer.pos)
        np.testing.assert_allclose(buffer.rewards[rows], -np.abs(buffer.next_observations[rows, :, 0]), rtol=1e-5)


def test_fine_tuning_learns_from_the_environments_reward():
    """The first thing that people do with a clone."""
    model = small("sac")
    imitating("dac", model).learn(66)
    rewards = []
    sample = model.replay_buffer.sample

    def spying(*arguments, **keywords):
        samples = sample(*arguments, **keywords)
        rewards.append((samples.rewards, samples.next_observations))
        return samples

    model.replay_buffer.sample = spying
    model.learn(66, reset_num_timesteps=False)
    assert len(rewards) > 10
    for paid, following in rewards:
        torch.testing.assert_close(paid, -following[:, :1].abs())
