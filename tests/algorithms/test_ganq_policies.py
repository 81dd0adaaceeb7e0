"""GAN-Q's policies: what they know of returns, and how they act on it."""

from inspect import getsource

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from ganq_irl.algorithms import GANQ
from ganq_irl.algorithms.ganq import CnnPolicy, MlpPolicy, MultiInputPolicy
from ganq_irl.algorithms.ganq.policies import GANQPolicy
from ganq_irl.algorithms.ganq.risk import Risk
from ganq_irl.environments.laws import ReturnLaw
from ganq_irl.environments.tabular import TabularEnv
from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.policies.outputs import action_values, predict_action_values
from ganq_irl.generators.policies.store import acting_policy, load_policy, save_policy
from tests.algorithms.ganq_examples import VECTOR, small, spaces_env, walk_env

STATES = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
IMAGE = spaces.Box(0, 255, (36, 36, 1), np.uint8)
KWARGS = [
    {},
    {"action_network": "input"},
    {"action_network": "branches"},
    {"return_model": "concatenated"},
    {"risk": {"name": "cvar", "level": 0.25}},
]
every_kind = pytest.mark.parametrize("policy_kwargs", KWARGS, ids=str)


@every_kind
def test_return_distributions_have_the_q_values_as_means(policy_kwargs):
    model = small(policy_kwargs=policy_kwargs).learn(40)
    values = model.policy.q_values(torch.as_tensor(STATES)).detach().numpy()
    for n in (1, 8, 32):
        assert model.return_distribution(STATES, n).shape == (6, 3, n)
        assert model.return_distribution(STATES[0], n).shape == (3, n)
    samples = model.return_distribution(STATES)
    np.testing.assert_allclose(samples.mean(axis=2), values, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(samples, model.return_distribution(STATES))  # no dice
    np.testing.assert_allclose(samples[0], model.return_distribution(STATES[0]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(predict_action_values(model.policy, STATES), values, rtol=1e-6)
    torch.testing.assert_close(action_values(model.policy, torch.as_tensor(STATES)), torch.as_tensor(values))


def test_the_average_acts_and_not_the_generator_that_learns():
    model = small(average_rate=0.01).learn(60)
    policy, states = model.policy, torch.as_tensor(STATES)
    assert not torch.allclose(policy.q_net(states), policy.q_net_average(states))
    assert torch.equal(policy.q_values(states), policy.q_net_average(states))
    with torch.no_grad():
        policy.q_net_average.q_net[1].bias.copy_(torch.tensor([0.0, 1e3, 0.0]))
    assert set(model.predict(STATES, deterministic=True)[0]) == {1}


def test_aliases_and_extractors():
    assert GANQ.policy_aliases == {"MlpPolicy": MlpPolicy, "CnnPolicy": CnnPolicy, "MultiInputPolicy": MultiInputPolicy}
    image = small(spaces_env(IMAGE), "CnnPolicy").policy
    assert isinstance(image.q_net.features_extractor, NatureCNN)
    assert isinstance(small(spaces_env(IMAGE), "MlpPolicy").policy.q_net.features_extractor, FlattenExtractor)
    mixed = small(spaces_env(spaces.Dict(a=IMAGE, b=VECTOR)), "MultiInputPolicy").policy
    assert isinstance(mixed.q_net.features_extractor, CombinedExtractor)
    assert len({id(net.features_extractor) for net in (mixed.q_net, mixed.q_net_target, mixed.q_net_average)}) == 3


@pytest.mark.parametrize("policy", ["CnnPolicy", GANQPolicy])
def test_float_images_go_through_the_cnn_where_they_are_said_to_be_normalized(policy):
    """They were flattened without a word; SB3's DQN has its CNN there."""
    env = spaces_env(spaces.Box(0, 1, (3, 36, 36), np.float32))
    model = small(env, policy, policy_kwargs={"normalize_images": False}).learn(40)
    assert isinstance(model.q_net.features_extractor, NatureCNN)
    assert model.predict(env.reset(), deterministic=True)[0].shape == (env.num_envs,)


# Risk.


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.floats(0.01, 1))
def test_statistics_in_closed_form(values, level):
    ordered, samples = np.sort(values), torch.tensor([values, values], dtype=torch.float64)
    worst = ordered[: int(np.ceil(level * len(values)))].mean()
    assert Risk("cvar", level)(samples).numpy() == pytest.approx(worst)
    assert Risk("quantile", level)(samples).numpy() == pytest.approx(np.quantile(values, level))
    assert Risk()(samples).numpy() == pytest.approx(np.mean(values))
    assert Risk("cvar", 1.0)(samples).numpy() == pytest.approx(np.mean(values))


def test_risks_are_read_from_names_and_tables():
    assert Risk.parse("mean") == Risk.parse({"name": "mean"}) == Risk()
    assert Risk.parse({"name": "cvar", "level": 0.1}) == Risk("cvar", 0.1)
    assert Risk.parse({"name": "quantile", "level": 1}).level == 1.0
    assert Risk().is_neutral
    assert Risk("cvar", 1.0).is_neutral
    assert not Risk("cvar", 0.5).is_neutral
    assert not Risk("quantile", 0.5).is_neutral


@pytest.mark.parametrize(
    "spec",
    [
        "cvar",
        "medain",
        {"name": "cvar"},
        {"name": "cvar", "level": 0},
        {"name": "cvar", "level": 1.1},
        {"name": "quantile", "level": True},
        {"name": "quantile", "level": "high"},
        {"name": "mean", "level": 0.5},
        {"name": "cvar", "level": 0.5, "alpha": 1},
        {},
    ],
)
def test_risks_that_are_none_are_refused(spec):
    with pytest.raises(ConfigurationError, match="level in"):
        Risk.parse(spec)


@pytest.mark.parametrize("risk", [{"name": "cvar", "level": 0.2}, {"name": "quantile", "level": 0.9}], ids=str)
def test_actions_maximize_the_risk_of_the_samples(risk):
    model = small(policy_kwargs={"risk": risk})
    with torch.no_grad():
        model.policy.q_net_average.shape.mul_(20)  # so that the actions' spreads differ
    states = (np.repeat(STATES, 20, axis=0) * np.linspace(-3, 3, 120)[:, None]).astype(np.float32)
    samples = torch.as_tensor(model.return_distribution(states))
    expected = Risk.parse(risk)(samples).argmax(dim=1)
    chosen, _ = model.predict(states, deterministic=True)
    np.testing.assert_array_equal(chosen, expected)
    assert (chosen != samples.mean(dim=2).argmax(dim=1).numpy()).any()


def gamble():
    """Action 0 pays -1 or 1.5, 0.75 on average; action 1 pays 0.5 for certain."""
    P = np.zeros((2, 2, 2))
    P[:, :, 1] = 1.0
    risky = ReturnLaw([-1.0, 1.5], [0.3, 0.7])
    return TabularEnv(P, [[risky, ReturnLaw(0.5)], [ReturnLaw(0.0)] * 2], terminal=[1])


@pytest.fixture(scope="module")
def gambler():
    model = GANQ(
        "MlpPolicy",
        make_vec_env(gamble, seed=0),
        learning_starts=64,
        exploration_fraction=1.0,
        exploration_final_eps=1.0,
        policy_kwargs={"net_arch": [16]},
        critic_hidden_sizes=(16,),
        learning_rate=3e-3,
        critic_learning_rate=3e-3,
        average_rate=0.05,
        seed=0,
        device="cpu",
    )
    return model.learn(600)


@pytest.mark.once
def test_a_bandits_returns_are_learned(gambler):
    risky, safe = gambler.return_distribution(np.array([0]), n=200)[0]
    assert risky.mean() == pytest.approx(0.75, abs=0.15)
    assert safe.mean() == pytest.approx(0.5, abs=0.1)
    assert risky.std() > 0.6 > 0.15 > safe.std()  # 1.15 and 0 in truth


@pytest.mark.once
def test_the_averse_take_the_safe_arm_and_the_neutral_the_better_one(gambler):
    expected = {"mean": 0, ("cvar", 0.25): 1, ("quantile", 0.9): 0, ("quantile", 0.1): 1}
    for risk, action in expected.items():
        gambler.policy.risk = Risk() if risk == "mean" else Risk(*risk)
        assert gambler.predict(np.array([0]), deterministic=True)[0].item() == action, risk
    gambler.policy.risk = Risk()


# Saved as a policy alone.


@pytest.mark.skipif("weights_only" not in getsource(BaseModel.load), reason="SB3 of then loads no policy with torch of now")
@every_kind
def test_policies_are_saved_and_loaded_by_sb3(policy_kwargs, tmp_path):
    model = small(policy_kwargs=policy_kwargs).learn(40)
    model.policy.save(str(tmp_path / "policy"))
    loaded = type(model.policy).load(str(tmp_path / "policy"), device="cpu")
    np.testing.assert_array_equal(loaded.return_distribution(STATES), model.return_distribution(STATES))
    np.testing.assert_array_equal(
        loaded.predict(STATES, deterministic=True)[0], model.predict(STATES, deterministic=True)[0]
    )
    assert loaded.risk == model.policy.risk


@every_kind
def test_policies_are_stored_without_pickling(policy_kwargs, tmp_path):
    model = small(policy_kwargs=policy_kwargs).learn(40)
    save_policy(model, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy", device="cpu")
    np.testing.assert_array_equal(loaded.return_distribution(STATES, 7), model.return_distribution(STATES, 7))
    np.testing.assert_array_equal(loaded.q_values(STATES), predict_action_values(model.policy, STATES))
    np.testing.assert_array_equal(
        loaded.predict(STATES, deterministic=True)[0], model.predict(STATES, deterministic=True)[0]
    )
    assert loaded.policy.risk == model.policy.risk
    assert loaded.algorithm == "GANQ"


@pytest.mark.parametrize(
    ("policy", "space"),
    [("CnnPolicy", IMAGE), ("MultiInputPolicy", spaces.Dict(a=IMAGE, b=VECTOR)), ("MlpPolicy", spaces.Discrete(5))],
)
def test_stored_policies_of_other_observations(policy, space, tmp_path):
    kwargs = {"action_network": "branches", "risk": {"name": "quantile", "level": 0.25}, "activation_fn": torch.nn.ELU}
    model = small(spaces_env(space), policy, policy_kwargs=kwargs)
    save_policy(model, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy", device="cpu")
    observations = model.get_env().reset()
    assert str(loaded.policy) == str(model.policy)
    np.testing.assert_array_equal(loaded.return_distribution(observations), model.return_distribution(observations))
    assert loaded.policy.risk == Risk("quantile", 0.25)


def test_a_stored_policy_takes_raw_observations(tmp_path):
    env = VecNormalize(walk_env(2), norm_reward=False)
    model = small(env).learn(60)
    save_policy(model, tmp_path / "policy")
    stored = load_policy(tmp_path / "policy", device="cpu")
    expected = model.return_distribution(env.normalize_obs(STATES))
    np.testing.assert_array_equal(stored.return_distribution(STATES), expected)
    assert not np.array_equal(expected, model.return_distribution(STATES))


def test_a_policy_without_distributions_says_so():
    from stable_baselines3 import DQN

    model = DQN("MlpPolicy", DummyVecEnv([gamble]), buffer_size=10, device="cpu")
    with pytest.raises(ConfigurationError, match="train gan-q"):
        acting_policy(model).return_distribution(np.array([0]))
