import pickle
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import DQN
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise

from ganq_irl.errors import ConfigurationError, IncompatibleSpaces, MissingDependency
from ganq_irl.generators import factory
from ganq_irl.generators.factory import GENERATORS, build_generator, default_policy, generator_options
from ganq_irl.generators.options import LinearSchedule, parse_schedule
from ganq_irl.space_matrix import TRAITS, Traits, why_not

CONTINUOUS = {name for name, traits in TRAITS.items() if traits.acts_in == (spaces.Box,)}


def env_for(name):
    return make_vec_env("Pendulum-v1" if name in CONTINUOUS else "CartPole-v1", seed=0)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_is_built_from_plain_values_and_learns(name):
    options = {
        "learning_rate": {"initial": 1e-3, "final": 1e-4},
        "policy_kwargs": {"net_arch": [8], "activation_fn": "ELU"},
    }
    on_policy = name in ("ppo", "fast-ppo", "a2c", "trpo")
    options |= {"n_steps": 16} if on_policy else {"learning_starts": 8, "train_freq": [4, "step"], "buffer_size": 100}
    model = build_generator(name, env_for(name), seed=1, device="cpu", **options)
    model.learn(32)
    assert type(model).__name__ == GENERATORS[name].split(":")[1]
    assert any(isinstance(module, torch.nn.ELU) for module in model.policy.modules())
    assert model.lr_schedule(0.5) == pytest.approx(5.5e-4)


def test_equal_seeds_give_equal_weights():
    first, second, other = (build_generator("ppo", env_for("ppo"), seed=s, device="cpu") for s in (3, 3, 4))
    weights = [torch.nn.utils.parameters_to_vector(model.policy.parameters()) for model in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_options_given_are_not_written_to():
    options = {"policy_kwargs": {"net_arch": {"pi": [8], "vf": [8]}, "optimizer_kwargs": {"weight_decay": 0.1}}}
    build_generator("a2c", env_for("a2c"), device="cpu", **options)  # SB3 adds RMSprop's options to policy_kwargs
    assert options == {"policy_kwargs": {"net_arch": {"pi": [8], "vf": [8]}, "optimizer_kwargs": {"weight_decay": 0.1}}}


def test_action_noise_from_a_table():
    model = build_generator("td3", env_for("td3"), device="cpu", action_noise={"kind": "normal", "sigma": 0.3})
    assert isinstance(model.action_noise, NormalActionNoise)
    assert model.action_noise._sigma == pytest.approx(np.array([0.3]))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ppo", {"learning_rat": 1e-3}, "did you mean 'learning_rate'"),
        ("ppo", {"seed_": 1}, "no option 'seed_'"),
        ("ppo", {"learning_rate": "fast"}, "learning_rate: given 'fast'"),
        ("ppo", {"learning_rate": {"initial": 1, "end": 0}}, "final = 0.0"),
        ("ppo", {"learning_rate": True}, "learning_rate: given True"),
        ("gan-q", {"n_steps": {"initial": 9, "end": 2}}, "n_steps: given .* final = 0.0"),
        ("ppo", {"policy_kwargs": {"activation_fn": "Relu"}}, "did you mean 'ReLU'"),
        ("ppo", {"policy_kwargs": {"optimizer_class": "Adm"}}, "did you mean 'Adam'"),
        ("ppo", {"policy_kwargs": {"features_extractor_class": "NatureCN"}}, "did you mean 'NatureCNN'"),
        ("ppo", {"policy_kwargs": [64]}, "policy_kwargs: given"),
        ("ppo", {"policy_kwargs": {"net_arc": [8]}}, "net_arc"),
        ("ppo", {"policy": "MlpPolic"}, "MlpPolic"),
        ("ppo", {"batch_size": 1}, "ppo refuses"),
        ("dqn", {"train_freq": [1, "epoch"]}, "train_freq: given"),
        ("td3", {"action_noise": {"sgima": 0.1}}, "action_noise: given"),
        ("td3", {"action_noise": 0.1}, "action_noise: given 0.1; expected .* sigma = 0.1"),
        ("td3", {"action_noise": {"sigma": 0.1, "kind": "uniform"}}, "action_noise: given"),
        ("pp0", {}, "did you mean 'ppo'"),
    ],
)
def test_wrong_options_are_refused_with_what_to_write(name, options, message):
    with pytest.raises(ConfigurationError, match=message.replace("(", "\\(")):
        build_generator(name, env_for(name), device="cpu", **options)


def test_options_leave_out_what_the_factory_gives():
    assert not {"env", "seed", "device", "self", "tensorboard_log"} & generator_options("sac")
    assert {"learning_rate", "gamma", "ent_coef", "policy"} <= generator_options("sac")


def test_an_incompatible_environment_is_refused():
    with pytest.raises(IncompatibleSpaces, match=r"dqn acts in Discrete spaces, .* use ppo, a2c, trpo, sac, td3"):
        build_generator("dqn", make_vec_env("Pendulum-v1"), device="cpu")


def test_a_registered_generator_is_one_like_any_other(monkeypatch):
    monkeypatch.setattr(factory, "GENERATORS", dict(GENERATORS))
    for name in ("mine", "anywhere"):
        monkeypatch.setitem(TRAITS, name, Traits())  # forgotten again afterwards
    factory.register_generator("mine", "stable_baselines3:DQN", Traits((spaces.Discrete,), replays=True))
    model = build_generator("mine", env_for("dqn"), seed=0, device="cpu", buffer_size=50, train_freq=[4, "step"])
    assert type(model).__name__ == "DQN"
    factory.register_generator("anywhere", "stable_baselines3:PPO")
    box = spaces.Box(-1, 1, (2,))
    assert why_not("mine", box, box).startswith("mine acts in Discrete spaces")
    assert why_not("dac", box, box, "mine").startswith("mine acts in Discrete spaces")
    assert why_not("dac", box, spaces.Discrete(3), "mine") is None
    assert why_not("sac", box, spaces.Discrete(3)).endswith("gan-q, mine or anywhere")
    assert why_not("anywhere", box, spaces.MultiBinary(3)) is None


def test_what_fails_without_options_is_not_their_fault(monkeypatch):
    def broken(self, *_args, **_keywords):
        raise TypeError("a fault of the constructor's own")

    monkeypatch.setattr(DQN, "_setup_model", broken)
    for options in ({}, {"buffer_size": 50}):
        with pytest.raises(TypeError, match="constructor's own"):
            build_generator("dqn", env_for("dqn"), device="cpu", **options)


def test_n_steps_of_gan_q_may_be_a_table():
    model = build_generator("gan-q", env_for("gan-q"), device="cpu", buffer_size=50, n_steps={"initial": 9, "final": 2})
    assert model.n_bootstrap_steps == LinearSchedule(9, 2)
    assert model.replay_buffer.n_steps == 9


def test_both_learning_rates_of_gan_q_may_be_tables():
    rates = {"learning_rate": {"initial": 1e-3}, "critic_learning_rate": {"initial": 4e-3, "final": 1e-3}}
    model = build_generator("gan-q", env_for("gan-q"), device="cpu", buffer_size=50, **rates)
    assert model.lr_schedule(0.5) == pytest.approx(5e-4)
    assert model.critic_learning_rate == LinearSchedule(4e-3, 1e-3)
    assert model.learner.optimizer.param_groups[0]["lr"] == pytest.approx(4e-3)


def test_missing_contrib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(MissingDependency, match=r"ganq-irl\[contrib\]"):
        build_generator("trpo", env_for("trpo"))


def test_default_policies():
    image = spaces.Box(0, 255, (36, 36, 3), np.uint8)
    assert default_policy(gym.make("CartPole-v1").observation_space) == "MlpPolicy"
    assert default_policy(image) == "CnnPolicy"
    assert default_policy(spaces.Dict(image=image)) == "MultiInputPolicy"
    assert default_policy(spaces.Box(0, 255, (35, 36, 3), np.uint8)) == "MlpPolicy"


rates = st.floats(0, 1, allow_nan=False)


@given(rates, rates, rates)
def test_a_linear_schedule_goes_from_initial_to_final_and_round_trips(initial, final, progress):
    schedule = LinearSchedule(initial, final)
    assert schedule(1.0) == pytest.approx(initial)
    assert schedule(0.0) == final
    assert min(initial, final) - 1e-12 <= schedule(progress) <= max(initial, final) + 1e-12
    assert parse_schedule(schedule.to_json(), "x") == schedule == pickle.loads(pickle.dumps(schedule))
