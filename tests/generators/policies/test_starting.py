"""A generator starts from a stored policy, and holds it while its critics learn."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.errors import ConfigurationError, RunDirectoryError, UnsupportedGenerator
from ganq_irl.generators.policies.acting import HoldPolicy, acting_names
from ganq_irl.generators.policies.starting import start_from
from ganq_irl.generators.policies.store import acting_policy, save_policy
from tests.scripted import DISCRETE, OFF_POLICY, ON_POLICY, SpacesEnv, flat, generator, vec_env, walk

OBSERVATIONS = np.random.default_rng(0).uniform(-2, 2, (20, 2)).astype(np.float32)
HAVE_ACTORS = [name for name in (*ON_POLICY, *OFF_POLICY) if name not in DISCRETE]


def acting(model):
    state = model.policy.state_dict()
    return torch.cat([state[name].float().flatten() for name in acting_names(model.policy)])


def valued(model):
    state, names = model.policy.state_dict(), set(acting_names(model.policy))
    return torch.cat([value.float().flatten() for name, value in state.items() if name not in names])


@pytest.mark.parametrize("name", [*ON_POLICY, *OFF_POLICY])
def test_a_stored_policy_is_loaded_with_its_critics(name, tmp_path):
    first, second = generator(name, seed=0), generator(name, seed=1)
    save_policy(first, tmp_path / "run" / "policy")
    assert not torch.equal(flat(first.policy), flat(second.policy))
    assert start_from(second, tmp_path / "run").critics
    assert torch.equal(flat(first.policy), flat(second.policy))
    second.learn(66)  # the optimizers train what was loaded
    assert not torch.equal(flat(first.policy), flat(second.policy))


@pytest.mark.parametrize(("name", "twin"), [("ppo", "fast-ppo"), ("sac", "fast-sac"), ("td3", "fast-td3")])
def test_an_accelerated_twin_takes_over(name, twin, tmp_path):
    first, second = generator(name, seed=0), generator(twin, seed=1)
    save_policy(first, tmp_path)
    start_from(second, tmp_path)
    for deterministic in (True, False):
        torch.manual_seed(0)
        theirs = first.predict(OBSERVATIONS, deterministic=deterministic)[0]
        torch.manual_seed(0)
        np.testing.assert_allclose(second.predict(OBSERVATIONS, deterministic=deterministic)[0], theirs, atol=1e-5)


def test_other_critics_stay_untrained_and_the_target_actor_follows():
    first = generator("td3", seed=0)
    second = generator("td3", seed=1, policy_kwargs={"net_arch": {"pi": [16], "qf": [7]}})
    third = generator("td3", seed=2, policy_kwargs={"net_arch": {"pi": [16], "qf": [5]}})
    del first
    critics = flat(third.policy.critic)
    assert not start_from(third, acting_policy(second)).critics
    assert torch.equal(flat(third.policy.critic), critics)
    assert torch.equal(flat(third.policy.actor), flat(second.policy.actor))
    assert torch.equal(flat(third.policy.actor_target), flat(second.policy.actor))


@pytest.mark.parametrize(
    ("given", "own", "options", "message"),
    [
        ("ppo", "sac", {}, r"holds a policy of ppo or fast-ppo.*SAC cannot start from.*bc --generator"),
        ("sac", "td3", {}, r"a policy of sac or fast-sac"),
        ("sac", "sac", {"policy_kwargs": {"net_arch": [5]}}, r"other networks than SAC here.*'net_arch': \[\d+"),
        ("sac", "sac", {"policy_kwargs": {"activation_fn": torch.nn.Tanh}}, r"other networks.*'activation_fn': 'ReLU'"),
    ],
)
def test_other_policies_are_refused_in_one_sentence(given, own, options, message, tmp_path):
    save_policy(generator(given), tmp_path)
    model = generator(own, **options)
    before = flat(model.policy)
    with pytest.raises(ConfigurationError, match=message) as error:
        start_from(model, tmp_path)
    assert "\n" not in str(error.value)
    assert torch.equal(flat(model.policy), before)


def test_other_spaces_and_empty_folders_are_refused(tmp_path):
    save_policy(generator("sac"), tmp_path / "policy")
    wider = vec_env(SpacesEnv, observation_space=walk("sac").observation_space, action_space=spaces.Box(-9, 9, (1,)))
    with pytest.raises(ConfigurationError, match=r"has the action space .*, and the environment has"):
        start_from(generator("sac", wider), tmp_path)
    with pytest.raises(RunDirectoryError, match="holds no policy"):
        start_from(generator("sac"), tmp_path / "nothing")


def test_statistics_of_observations_are_loaded_or_asked_for(tmp_path):
    env = VecNormalize(walk("sac"), norm_reward=False)
    first = generator("sac", env)
    env.obs_rms.mean[:], env.obs_rms.var[:] = 0.3, 2.0
    save_policy(first, tmp_path / "normalized")
    save_policy(generator("sac"), tmp_path / "raw")
    second = generator("sac", VecNormalize(walk("sac"), norm_reward=False), seed=1)
    start_from(second, tmp_path / "normalized")
    raw = acting_policy(first).predict(OBSERVATIONS, deterministic=True)[0]
    np.testing.assert_allclose(acting_policy(second).predict(OBSERVATIONS, deterministic=True)[0], raw, rtol=1e-5)
    with pytest.raises(ConfigurationError, match="set normalize_observations=true"):
        start_from(generator("sac"), tmp_path / "normalized")
    with pytest.raises(ConfigurationError, match="set normalize_observations=false"):
        start_from(second, tmp_path / "raw")


@pytest.mark.parametrize("name", HAVE_ACTORS)
def test_a_held_policy_stays_while_its_critics_learn_and_moves_afterwards(name):
    model = generator(name)
    before, critics = acting(model).clone(), valued(model).clone()
    model.learn(66, callback=HoldPolicy(1000))
    assert torch.equal(acting(model), before)
    assert not torch.equal(valued(model), critics)
    model.learn(66, callback=HoldPolicy(0))
    assert not torch.equal(acting(model), before)


def test_values_cannot_be_held():
    with pytest.raises(UnsupportedGenerator, match="DQN acts by its values"):
        generator("dqn").learn(10, callback=HoldPolicy(5))
