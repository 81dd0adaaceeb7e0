import pytest
import torch
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.generators.internals import generator_state, load_generator_state
from ganq_irl.storage import flatten_state, unflatten_state
from tests.scripted import OFF_POLICY, ON_POLICY, flat, generator, imitator, walk


def through_storage(state):
    return unflatten_state(*flatten_state(state))


@pytest.mark.parametrize("name", [*ON_POLICY, *OFF_POLICY])
def test_everything_that_learning_changed_comes_back(name):
    first = imitator("gail", generator(name)).learn(70).generator
    second = generator(name, seed=5)
    load_generator_state(second, through_storage(generator_state(first)))
    assert torch.equal(flat(first.policy), flat(second.policy))
    for counter in ("num_timesteps", "_n_updates", "_episode_num", "_n_calls", "exploration_rate"):
        assert getattr(second, counter, None) == getattr(first, counter, None), counter
    states, _ = first._get_torch_save_params()
    for path in states:
        ours, theirs = (model.get_parameters()[path] for model in (first, second))
        assert flatten_state(ours)[0] == flatten_state(theirs)[0], path  # step counts, learning rates
        for key, value in flatten_state(ours)[1].items():
            assert torch.equal(value, flatten_state(theirs)[1][key]), (path, key)


def test_sacs_entropy_coefficient_comes_back_and_is_still_optimized():
    first = imitator("gail", generator("sac", learning_rate=0.01)).learn(120).generator
    second = generator("sac", learning_rate=0.01)
    assert first.log_ent_coef.item() != second.log_ent_coef.item()
    load_generator_state(second, through_storage(generator_state(first)))
    assert second.log_ent_coef.item() == first.log_ent_coef.item()
    assert second.ent_coef_optimizer.param_groups[0]["params"][0] is second.log_ent_coef


def test_the_copy_does_not_share_memory():
    first, second = generator("sac"), generator("sac", seed=1)
    load_generator_state(second, generator_state(first))
    before = flat(first.policy)
    imitator("gail", second).learn(80)
    assert torch.equal(flat(first.policy), before)


def test_observation_statistics_come_back():
    first, second = (generator("ppo", VecNormalize(walk("ppo", seed=seed), norm_reward=False)) for seed in (0, 1))
    first.learn(64)
    load_generator_state(second, through_storage(generator_state(first)))
    ours, theirs = (model.get_vec_normalize_env().obs_rms for model in (first, second))
    assert (ours.mean == theirs.mean).all()
    assert (ours.var == theirs.var).all()
    assert ours.count == theirs.count > 1


def test_a_state_of_another_algorithm_is_no_key_of_this_one():
    with pytest.raises((KeyError, RuntimeError, ValueError)):
        load_generator_state(generator("td3"), generator_state(generator("sac")))
    with pytest.raises(KeyError):
        load_generator_state(
            generator("ppo", VecNormalize(walk("ppo"), norm_reward=False)), generator_state(generator("ppo"))
        )
