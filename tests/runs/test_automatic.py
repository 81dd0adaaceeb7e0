"""Settings that are chosen from the problem."""

import tomllib

import numpy as np
import pytest
from gymnasium import spaces

from ganq_irl.runs.automatic import Problem, automatic_choices, automatic_settings
from ganq_irl.runs.resolve import resolve_config
from ganq_irl.space_matrix import IMITATION, default_generator, why_not

VECTOR, IMAGE = spaces.Box(-1, 1, (3,), np.float32), spaces.Box(0, 255, (36, 36, 1), np.uint8)
BOX, DISCRETE = spaces.Box(-1, 1, (2,), np.float32), spaces.Discrete(3)


def problem(algo="gail", generator=None, observations=VECTOR, actions=BOX, horizon=200, sees_actions=True):
    generator = generator or default_generator(algo, actions)
    return Problem(algo, generator, observations, actions, horizon, sees_actions)


@pytest.mark.parametrize(("horizon", "gamma"), [(None, 0.99), (1000, 0.99), (500, 0.99), (200, 0.975), (50, 0.9), (5, 0.9)])
def test_the_discount_reaches_as_far_as_episodes_last(horizon, gamma):
    assert automatic_settings(problem(horizon=horizon))["generator_kwargs"]["gamma"] == gamma


def test_each_choice_has_a_reason():
    for algo in IMITATION[:-1]:
        choices = automatic_choices(problem(algo))
        assert all(choice.reason for choice in choices)
        assert len({choice.key for choice in choices}) == len(choices)


def test_actions_are_cloned_only_where_they_are_used():
    assert automatic_settings(problem())["adversary"]["bc_updates"] == 20
    assert "bc_updates" not in automatic_settings(problem(sees_actions=False))["adversary"]
    assert "bc_updates" not in automatic_settings(problem("dac"))["adversary"]
    assert automatic_settings(problem("dac"))["adversary"]["expert_share"] == 0.5


def test_only_vectors_are_normalized():
    assert automatic_settings(problem())["normalize_observations"]
    assert "normalize_observations" not in automatic_settings(problem(observations=IMAGE))
    assert "normalize_observations" not in automatic_settings(problem(observations=spaces.Discrete(4)))


def test_a_person_watches_one_environment():
    asked = {"algo": "dagger", "env": "CartPole-v1", "demos": "cartpole"}
    of = {name: resolve_config({**asked, "imitation": {"expert": name}}).n_envs for name in ("person", "runs/expert")}
    assert of == {"person": 1, "runs/expert": 8}


@pytest.mark.parametrize("algo", [name for name in IMITATION if name != "bc"])
@pytest.mark.parametrize("generator", [None, "ppo", "a2c", "sac", "td3", "dqn"])
@pytest.mark.parametrize("env", ["MountainCarContinuous-v0", "FrozenLake-v1"])
def test_every_combination_that_trains_resolves(algo, generator, env):
    space = BOX if "Car" in env else DISCRETE
    observations = VECTOR if "Car" in env else spaces.Discrete(16)
    if why_not(algo, observations, space, generator) is not None:
        pytest.skip("does not train")
    config = resolve_config({"algo": algo, "env": env, "demos": "anything.npz", "generator": generator})
    assert config.preset == "auto"
    assert config.generator_kwargs["gamma"] in (0.95, 0.99)


def test_requests_presets_and_none_come_first():
    asked = {"algo": "gail", "env": "Acrobot-v1", "demos": "acrobot"}
    assert resolve_config(asked).preset == "gail-acrobot"
    assert resolve_config({**asked, "preset": "auto"}).adversary["bc_updates"] == 20
    assert resolve_config({**asked, "preset": "none"}).adversary == {}
    given = resolve_config({**asked, "preset": "auto"}, assignments=["adversary.bc_updates=0", "n_envs=2"])
    assert (given.adversary["bc_updates"], given.n_envs) == (0, 2)
    assert (
        resolve_config({**asked, "preset": "auto"}, assignments=["adversary.mode=paper"]).adversary.get("bc_updates") is None
    )


def test_settings_as_written_repeat_the_run():
    config = resolve_config({"algo": "airl", "env": "FrozenLake-v1", "demos": "anything.npz"})
    again = resolve_config(tomllib.loads(config.to_toml()))
    assert again.preset == "none"
    assert (again.generator_kwargs, again.adversary, again.n_envs) == (config.generator_kwargs, config.adversary, 8)
