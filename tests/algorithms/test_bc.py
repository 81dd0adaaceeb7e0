from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.algorithms import BC, warm_start
from ganq_irl.algorithms.bc_losses import STANDARD_DEVIATION
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces, InvalidDemonstrations, UnsupportedGenerator
from ganq_irl_demos import Demonstrations, Trajectory, record_episodes, to_imitation
from tests.scripted import (
    BOX,
    DISCRETE,
    OFF_POLICY,
    ON_POLICY,
    SpacesEnv,
    WalkEnv,
    demonstrations,
    flat,
    generator,
    global_random_state,
    vec_env,
    walk,
)

ENV = WalkEnv()
SPACES = ENV.observation_space, ENV.action_space


class Expert:
    """Push against the position."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.clip(-observation[..., :1], -2, 2).astype(np.float32), None


@pytest.fixture(scope="module")
def expert():
    return record_episodes(Expert(), ENV, 20, seed=0)


OBSERVATIONS = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)


def error(policy):
    actions = policy.predict(OBSERVATIONS, deterministic=True)[0]
    return float(np.abs(actions - Expert().predict(OBSERVATIONS)[0]).mean())


@pytest.mark.once
def test_the_expert_is_cloned(expert):
    bc = BC(*SPACES, expert, learning_rate=1e-2, device="cpu")
    before = error(bc)
    assert error(bc.train(60)) < 0.1 < before


def test_equal_seeds_give_equal_policies_and_leave_the_global_random_state_alone(expert):
    state = global_random_state()
    first, second, other = (flat(BC(*SPACES, expert, device="cpu", seed=seed).train(20).policy) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert global_random_state() == state


def test_imitations_own_objects_give_the_same_policy(expert):
    ours, theirs = (flat(BC(*SPACES, demos, device="cpu").train(1).policy) for demos in (expert, to_imitation(expert)))
    assert torch.equal(ours, theirs)


def test_few_demonstrations_make_a_smaller_batch():
    single = Demonstrations(
        (Trajectory(np.zeros((3, 2), np.float32), np.zeros((2, 1), np.float32), terminated=True),), *SPACES
    )
    BC(*SPACES, single, batch_size=64, device="cpu").train(1)


@pytest.mark.parametrize("kind", ["dict", "image", "multi-discrete"])
def test_other_spaces(kind):
    image = spaces.Box(0, 255, (36, 40, 3), np.uint8)
    observation_space = {"dict": spaces.Dict(a=BOX, b=spaces.Discrete(2)), "image": image}.get(kind, BOX)
    action_space = spaces.MultiDiscrete([2, 3]) if kind == "multi-discrete" else spaces.Discrete(3)
    env = SpacesEnv(observation_space, action_space)
    bc = BC(observation_space, action_space, demonstrations(env), device="cpu").train(1)
    observation, _ = env.reset(seed=0)
    assert action_space.contains(np.asarray(bc.predict(observation, deterministic=True)[0]).astype(np.int64)[()])


def test_demonstrations_of_another_environment_or_with_holes_are_refused(expert):
    with pytest.raises(IncompatibleSpaces, match="observation space"):
        BC(spaces.Box(-1, 1, (3,), np.float32), BOX, expert)
    broken = Trajectory(np.full((3, 2), np.nan, np.float32), np.zeros((2, 1), np.float32), terminated=True)
    with pytest.raises(InvalidDemonstrations, match=r"trajectory 0, step 0.*observations"):
        BC(*SPACES, Demonstrations((broken,), *SPACES))


def of(name, expert):
    """The expert for a generator: discrete actions push by the sign."""
    if name not in DISCRETE:
        return generator(name, policy_kwargs={"net_arch": [64]}), expert
    signs = [replace(each, actions=(each.actions[:, 0] > 0).astype(np.int64)) for each in expert]
    env = vec_env(SpacesEnv, observation_space=expert.observation_space, action_space=spaces.Discrete(2))
    cloned = Demonstrations(tuple(signs), expert.observation_space, spaces.Discrete(2))
    return generator(name, env, policy_kwargs={"net_arch": [64]}), cloned


def error_of(name, model):
    if name not in DISCRETE:
        return error(model)
    actions = model.predict(OBSERVATIONS, deterministic=True)[0]
    return float((actions != (OBSERVATIONS[:, 0] < 0)).mean())


@pytest.mark.parametrize("name", [*ON_POLICY, *OFF_POLICY])
def test_a_warm_start_clones_into_the_generators_own_policy(name, expert):
    model, shown = of(name, expert)
    before, policy = error_of(name, model), model.policy
    assert warm_start(model, shown, 60, learning_rate=1e-2) is None
    assert model.policy is policy
    assert error_of(name, model) < 0.15 < before


@pytest.mark.parametrize("name", OFF_POLICY)
def test_targets_follow_the_clone_and_critics_are_left_alone(name, expert):
    model, shown = of(name, expert)
    before = {key: value.clone() for key, value in model.policy.state_dict().items()}
    warm_start(model, shown, 3)
    after = model.policy.state_dict()
    changed = {key for key in after if not torch.equal(before[key], after[key])}
    names = ("q_net", "quantile_net") if name in DISCRETE else ("actor",)
    assert changed
    assert all(key.split(".")[0].removesuffix("_target").removesuffix("_average") in names for key in changed)
    for key in changed:
        head, _, rest = key.partition(".")
        for copy in ("_target", "_average"):
            assert head + copy + "." + rest not in after or torch.equal(after[head + copy + "." + rest], after[key])


def test_a_cloned_sac_acts_with_little_noise(expert):
    model, shown = of("sac", expert)
    warm_start(model, shown, 100, learning_rate=1e-2)
    tensor, _ = model.policy.obs_to_tensor(OBSERVATIONS)
    deviations = model.actor.get_action_dist_params(tensor)[1].exp()
    assert ((deviations > STANDARD_DEVIATION / 3) & (deviations < STANDARD_DEVIATION * 3)).all()


def test_a_warm_start_is_repeated_by_its_seed(expert):
    first, second = generator("ppo"), generator("ppo")
    for model in (first, second):
        warm_start(model, expert, 2, seed=4, batch_size=16)
    assert torch.equal(flat(first.policy), flat(second.policy))


def test_a_warm_start_on_images():
    """SB3 transposes them for the policy; demonstrations stay as the environment gave them."""
    space = spaces.Box(0, 255, (36, 40, 3), np.uint8)
    model = generator("ppo", vec_env(SpacesEnv, observation_space=space, action_space=spaces.Discrete(2)))
    before = flat(model.policy)
    warm_start(model, demonstrations(SpacesEnv(space, spaces.Discrete(2))), 1)
    assert not torch.equal(flat(model.policy), before)


def test_a_policy_of_another_kind_is_refused(expert):
    model = generator("sac")
    model.policy.actor = None
    with pytest.raises(UnsupportedGenerator, match=r"cannot train a SACPolicy.*use ppo, sac"):
        warm_start(model, expert, 1)


def test_no_environment_or_no_statistics_yet(expert, tmp_path):
    generator("ppo").save(tmp_path / "model")
    with pytest.raises(ConfigurationError, match="set_env"):
        warm_start(PPO.load(tmp_path / "model", device="cpu"), expert, 1)
    with pytest.raises(UnsupportedGenerator, match="VecNormalize"):
        warm_start(generator("ppo", VecNormalize(walk("ppo"), norm_reward=False)), expert, 1)
