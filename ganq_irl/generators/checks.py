"""Check whether an SB3 algorithm and its environment can serve as a generator, before anything is built."""

from __future__ import annotations

from typing import Any

from gymnasium.wrappers import NormalizeReward
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, VecTransposeImage

from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.factory import GENERATORS
from ganq_irl.generators.off_policy.pricing import check_can_relabel
from ganq_irl.generators.policies.outputs import has_log_prob
from ganq_irl.rewards.wrappers import layers_of
from ganq_irl.space_matrix import TRAITS, Traits, check_trains


def check_generator(algo: str, model: BaseAlgorithm, batch_size: int) -> None:
    """Raise unless the imitation algorithm ``algo`` can train ``model`` with ``batch_size`` of its transitions per update.

    Raises:
        IncompatibleSpaces: the algorithm cannot train in the model's spaces.
        UnsupportedGenerator: the algorithm cannot train such a model; or it has no environment, normalized rewards, a
            recurrent policy, a replay buffer that cannot be relabeled or filled, or a rollout or buffer smaller than a
            batch.
    """
    check_is_generator(model)
    env = model.get_env()
    if env is None:
        raise UnsupportedGenerator(f"{type(model).__name__} has no environment; call its set_env before imitation")
    check_trains(algo, model.observation_space, model.action_space, *traits_of(model))
    _check_no_reward_normalization(env)
    if isinstance(model, OnPolicyAlgorithm):
        _check_policy(model)
        _check_enough(model.n_steps * model.n_envs, batch_size, "a rollout (n_steps x n_envs)", "n_steps")
    elif isinstance(model, OffPolicyAlgorithm):
        check_can_relabel(model)
        _check_order_of_wrappers(env)
        assert model.replay_buffer is not None
        _check_enough(model.replay_buffer.buffer_size * model.n_envs, batch_size, "the replay buffer", "buffer_size")
    else:
        raise UnsupportedGenerator(f"{type(model).__name__} is neither an on-policy nor an off-policy algorithm of SB3")


def traits_of(model: BaseAlgorithm) -> tuple[str, Traits]:
    """Return the name of a model's class, or of its registered base class, and the traits that decide where it can train."""
    for kind in type(model).__mro__:
        for name, path in GENERATORS.items():
            module, attribute = path.split(":")
            if kind.__name__ == attribute and kind.__module__.split(".")[0] == module.split(".")[0]:
                return name, TRAITS[name]
    traits = Traits(replays=isinstance(model, OffPolicyAlgorithm), has_log_prob=has_log_prob(model))
    return type(model).__name__, traits


def check_is_generator(model: Any) -> None:
    """Raise unless ``model`` is an algorithm of Stable-Baselines3.

    Raises:
        UnsupportedGenerator: it is not; the message says what it is.
    """
    if not isinstance(model, BaseAlgorithm):
        given = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise UnsupportedGenerator(
            f"generator: given {given}, expected a Stable-Baselines3 algorithm with its environment, such as "
            "PPO('MlpPolicy', env)"
        )


def _check_policy(model: OnPolicyAlgorithm) -> None:
    if any("Recurrent" in kind.__name__ for kind in type(model.policy).__mro__):
        raise UnsupportedGenerator(
            f"{type(model).__name__} has a recurrent policy, which log π and relabeling do not support; use ppo, a2c or "
            "trpo, with stacked frames if memory is needed"
        )
    if not isinstance(model.policy, ActorCriticPolicy):
        raise UnsupportedGenerator(
            f"{type(model).__name__} has a {type(model.policy).__name__}, which is not one of SB3's actor-critic policies; "
            "use ppo, a2c or trpo"
        )


def _check_order_of_wrappers(env: VecEnv) -> None:
    transposed = False
    for layer in layers_of(env):
        if isinstance(layer, VecNormalize) and transposed:
            raise UnsupportedGenerator(
                "VecNormalize passes its original images to the replay buffer before SB3 has transposed them; swap the "
                "wrappers: VecNormalize(VecTransposeImage(env))"
            )
        transposed = transposed or isinstance(layer, VecTransposeImage)


def _check_enough(n_transitions: int, batch_size: int, where: str, setting: str) -> None:
    if n_transitions < batch_size:
        raise UnsupportedGenerator(
            f"{where} holds {n_transitions} transitions, but the discriminator's batch_size is {batch_size}, so a batch "
            f"would repeat transitions; raise {setting} or lower batch_size"
        )


def _check_no_reward_normalization(env: VecEnv) -> None:
    if any(env.env_is_wrapped(NormalizeReward)):  # also checks environments in other processes
        raise UnsupportedGenerator("NormalizeReward wraps the environment, but rewards are learned here; remove the wrapper")
    for layer in layers_of(env):
        if isinstance(layer, VecNormalize) and layer.norm_reward:
            raise UnsupportedGenerator(
                "VecNormalize(norm_reward=True) would rescale the learned reward by the environment's; use norm_reward=False"
            )
