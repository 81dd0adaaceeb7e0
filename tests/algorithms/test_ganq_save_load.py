"""Saving and loading as SB3 has it: the policy is equal, and training goes on as if nothing had happened."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.algorithms import GANQ
from ganq_irl.generators.internals import generator_state, load_generator_state
from ganq_irl.generators.options import LinearSchedule
from tests.algorithms.ganq_examples import MODES, VECTOR, counting_env, same_state, small, spaces_env, state_of, walk_env

STATES = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
OPTIONS = {
    "default": {},
    "paper": {"mode": "paper"},
    "schedules": {
        "learning_rate": LinearSchedule(1e-2, 0.0),
        "critic_learning_rate": LinearSchedule(1e-2, 1e-3),
        "n_steps": 3,
        "loss": "least-squares",
        "stabilizers": ["spectral-norm", "averaged-discriminator", {"name": "fake-replay", "size": 64}],
    },
    "virtual batch norm": {"stabilizers": ["virtual-batch-norm"], "policy_kwargs": {"action_network": "branches"}},
}
every_option = pytest.mark.parametrize("name", OPTIONS)


def saved(model, tmp_path):
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    return tmp_path / "model"


@every_option
def test_what_was_saved_is_what_is_loaded(name, tmp_path):
    model = small(**OPTIONS[name]).learn(80)
    loaded = GANQ.load(saved(model, tmp_path), device="cpu")
    assert same_state(model, loaded)
    np.testing.assert_array_equal(
        loaded.predict(STATES, deterministic=True)[0], model.predict(STATES, deterministic=True)[0]
    )
    np.testing.assert_array_equal(loaded.return_distribution(STATES), model.return_distribution(STATES))
    for attribute in ("mode", "loss", "stabilizers", "n_samples", "average_rate", "td_weight"):
        assert getattr(loaded, attribute) == getattr(model, attribute)
    assert tuple(loaded.critic_hidden_sizes) == model.critic_hidden_sizes
    assert (loaded.num_timesteps, loaded._n_updates) == (model.num_timesteps, model._n_updates)
    assert loaded.exploration_rate == model.exploration_rate


@every_option
def test_training_continues_bit_by_bit(name, tmp_path):
    """Both go on in environments that begin alike, from the same random state."""
    first = small(**OPTIONS[name]).learn(80)
    path = saved(first, tmp_path)
    second = GANQ.load(path, device="cpu")
    second.load_replay_buffer(tmp_path / "buffer")
    for model in (first, second):
        model.set_env(walk_env())
        model.set_random_seed(7)
        model.learn(60, reset_num_timesteps=False)
    assert first._n_updates > 30
    assert same_state(first, second)


def test_the_critics_state_makes_a_difference(tmp_path):
    """Without it, training would not have continued as above."""
    first = small().learn(80)
    path = saved(first, tmp_path)
    second = GANQ.load(path, device="cpu")
    second.load_replay_buffer(tmp_path / "buffer")
    second.learner.load_state_dict(small(seed=3).learner.state_dict())
    for model in (first, second):
        model.set_env(walk_env())
        model.set_random_seed(7)
        model.learn(60, reset_num_timesteps=False)
    assert not same_state(first, second)


def test_load_with_another_environment_and_without_the_buffer(tmp_path):
    path = saved(small(walk_env(2)).learn(60), tmp_path)
    env = walk_env(2, seed=9)
    loaded = GANQ.load(path, env=env, device="cpu")
    assert loaded.get_env() is env
    assert loaded.replay_buffer.size() == 0
    updates = loaded._n_updates
    loaded.learn(60, reset_num_timesteps=False)
    assert loaded._n_updates > updates
    changed = GANQ.load(path, env=env, device="cpu", critic_learning_rate=0.5, gamma=0.5)
    assert (changed._critic_rate(1.0), changed.gamma) == (0.5, 0.5)
    with pytest.raises(ValueError, match="spaces do not match"):
        GANQ.load(path, env=counting_env(), device="cpu")


@pytest.mark.parametrize(
    ("policy", "space"),
    [("CnnPolicy", spaces.Box(0, 255, (36, 36, 1), np.uint8)), ("MultiInputPolicy", spaces.Dict(a=VECTOR))],
)
def test_other_observations_come_back(policy, space, tmp_path):
    model = small(spaces_env(space), policy).learn(40)
    loaded = GANQ.load(saved(model, tmp_path), env=spaces_env(space), device="cpu")
    loaded.load_replay_buffer(tmp_path / "buffer")
    assert same_state(model, loaded)
    loaded.learn(30, reset_num_timesteps=False)
    assert loaded._n_updates > model._n_updates


def test_under_vec_normalize(tmp_path):
    env = VecNormalize(walk_env(2), norm_reward=False)
    model = small(env).learn(60)
    path = saved(model, tmp_path)
    env.save(str(tmp_path / "statistics"))
    again = VecNormalize.load(str(tmp_path / "statistics"), walk_env(2))
    loaded = GANQ.load(path, env=again, device="cpu").learn(30, reset_num_timesteps=False)
    assert loaded._vec_normalize_env is again


@pytest.mark.parametrize("mode", MODES)
def test_parameters_go_from_one_to_another(mode):
    first, second = small(mode=mode).learn(60), small(mode=mode, seed=5)
    assert not same_state(first, second)
    second.set_parameters(first.get_parameters(), exact_match=True)
    assert same_state(first, second)
    before = state_of(second)
    first.learn(40, reset_num_timesteps=False)
    shared = [key for key, value in state_of(second).items() if not torch.equal(before[key], value)]
    assert all(key.startswith(".policy.optimizer") for key in shared)  # as with SB3's own: torch keeps the moments given
    with pytest.raises(ValueError, match="Names of parameters"):
        second.set_parameters({"policy": first.get_parameters()["policy"]}, exact_match=True)


def test_the_state_that_a_run_directory_keeps(tmp_path):
    first, second = small().learn(60), small(seed=5)
    load_generator_state(second, generator_state(first))
    assert same_state(first, second)
    assert second._n_updates == first._n_updates
