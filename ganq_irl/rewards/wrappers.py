"""Wrappers that replace an environment's reward by a recovered one, to train with any Stable-Baselines3 algorithm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from ganq_irl.episodes import copied, transitions_end
from ganq_irl.errors import ConfigurationError
from ganq_irl.rewards.functions import RewardFunction
from ganq_irl.spaces import check_same_space, in_layout_of, space_in_layout_of

ORIGINAL_REWARD = "original_reward"
"""Key of ``info`` that holds the environment's own reward."""


class RewardWrapper(gym.Wrapper):
    """Replace the reward by r(s, a, s', d) of a recovered reward; ``info["original_reward"]`` holds the original.

    d is 1 only for termination, not for a time limit, and s' at the end of an episode is its last observation. A Monitor
    inside this wrapper reports the environment's return; one outside reports that of the recovered reward.

    Args:
        env: the environment, with raw observations like those that the reward was learned from.
        reward_model: a ``RewardModel``, or any other ``RewardFunction``.

    Raises:
        IncompatibleSpaces: the reward has other observation or action spaces.

    Example:
        >>> wrapped = RewardWrapper(env, reward)
        >>> observation, info = wrapped.reset(seed=0)
        >>> wrapped.step(1)[4]["original_reward"]  # the reward that the step returns is the recovered one
        1.0
    """

    def __init__(self, env: gym.Env, reward_model: RewardFunction) -> None:
        super().__init__(env)
        check_fits(reward_model, env.observation_space, env.action_space)
        self.reward_model = reward_model
        self._last: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._last = _row(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step and compute its reward."""
        taken = _row(action)
        observation, original, terminated, truncated, info = self.env.step(action)
        following = _row(observation)
        rewards = _price(self.reward_model, self._last, taken, following, np.array([terminated]))
        self._last = following
        return observation, float(rewards[0]), terminated, truncated, {**info, ORIGINAL_REWARD: float(original)}


class VecRewardWrapper(VecEnvWrapper):
    """``RewardWrapper`` for vectorized environments: the rewards of each step are computed in one batch.

    Args:
        venv: the environments, with raw observations: put a ``VecNormalize`` that normalizes observations outside.
        reward_model: a ``RewardModel``, or any other ``RewardFunction``.

    Raises:
        ConfigurationError: a VecNormalize inside normalizes the observations.
        IncompatibleSpaces: the reward has other observation or action spaces.

    Example:
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> venv = VecRewardWrapper(make_vec_env("CartPole-v1", 2), reward)
        >>> model = PPO("MlpPolicy", venv, n_steps=32, batch_size=64, device="cpu").learn(64)
    """

    def __init__(self, venv: VecEnv, reward_model: RewardFunction) -> None:
        super().__init__(venv)
        _check_raw(venv)
        check_fits(reward_model, venv.observation_space, venv.action_space)
        self.reward_model = reward_model
        self._last: Any = None
        self._actions = np.empty(0)

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment."""
        observations = self.venv.reset()
        self._last = copied(observations)
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Start a step with these actions."""
        self._actions = np.array(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Return the result of the step with its recovered rewards."""
        observations, originals, dones, infos = self.venv.step_wait()
        current = copied(observations)
        following, terminated = transitions_end(current, dones, infos)
        rewards = _price(self.reward_model, self._last, self._actions, following, terminated)
        infos = [{**info, ORIGINAL_REWARD: float(own)} for info, own in zip(infos, originals, strict=True)]
        self._last = current
        return observations, rewards, dones, infos


def layers_of(env: VecEnv) -> Iterator[VecEnvWrapper]:
    """Iterate over the wrappers around vectorized environments, outermost first."""
    while isinstance(env, VecEnvWrapper):
        yield env
        env = env.venv


def check_fits(reward_model: RewardFunction, observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """Check that a reward fits these spaces; images may have channels first or last.

    Raises:
        IncompatibleSpaces: the spaces differ; the message says how.
    """
    expected = reward_model.observation_space
    given = space_in_layout_of(expected, observation_space)
    check_same_space(given, expected, "observations of the environment and of the reward")
    check_same_space(action_space, reward_model.action_space, "actions of the environment and of the reward")


def _check_raw(env: VecEnv) -> None:
    for layer in layers_of(env):
        if isinstance(layer, VecNormalize) and layer.norm_obs:
            raise ConfigurationError(
                "given a VecNormalize inside VecRewardWrapper, but the reward needs raw observations; swap them: "
                "VecNormalize(VecRewardWrapper(env, reward), norm_reward=False)"
            )


def _price(reward: RewardFunction, observations: Any, actions: Any, following: Any, terminated: np.ndarray) -> np.ndarray:
    space = reward.observation_space
    observations, following = in_layout_of(space, observations), in_layout_of(space, following)
    return np.array(reward.reward(observations, actions, following, terminated.astype(np.float32)), np.float32)


def _row(value: Any) -> Any:
    """Return a copy as a batch of one, because environments may reuse their buffers."""
    if isinstance(value, Mapping):
        return {key: _row(entry) for key, entry in value.items()}
    return np.array(value)[None]
