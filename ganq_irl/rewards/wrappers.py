"""Environments that pay a recovered reward instead of their own, for retraining with any Stable-Baselines3 algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from ganq_irl.errors import ConfigurationError
from ganq_irl.rewards.functions import RewardFunction
from ganq_irl.spaces import check_same_space, in_layout_of, space_in_layout_of

ORIGINAL_REWARD = "original_reward"
"""Key of the step's info that holds the reward which the environment itself gave."""


class RewardWrapper(gym.Wrapper):
    """Pay r(s, a, s', d) of a recovered reward; the environment's own reward goes to ``info["original_reward"]``.

    d is 1 for termination alone, not at a time limit, and s' at an episode's end is its last observation. A Monitor inside
    reports the environment's return, one outside the recovered reward's.

    Args:
        env: the environment; it must give raw observations, as those that the reward was learned from.
        reward_model: a ``RewardModel``, or any other ``RewardFunction``.

    Raises:
        IncompatibleSpaces: the reward belongs to other observations or actions.
    """

    def __init__(self, env: gym.Env, reward_model: RewardFunction) -> None:
        super().__init__(env)
        check_fits(reward_model, env.observation_space, env.action_space)
        self.reward_model = reward_model
        self._last: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._last = _row(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, and price what happened."""
        taken = _row(action)
        observation, original, terminated, truncated, info = self.env.step(action)
        following = _row(observation)
        rewards = _price(self.reward_model, self._last, taken, following, np.array([terminated]))
        self._last = following
        return observation, float(rewards[0]), terminated, truncated, {**info, ORIGINAL_REWARD: float(original)}


class VecRewardWrapper(VecEnvWrapper):
    """``RewardWrapper`` for vectorised environments: every step is priced in one batch.

    Args:
        venv: the environments, giving raw observations: a ``VecNormalize`` of observations belongs outside of this wrapper.
        reward_model: a ``RewardModel``, or any other ``RewardFunction``.

    Raises:
        ConfigurationError: a VecNormalize inside normalises the observations.
        IncompatibleSpaces: the reward belongs to other observations or actions.
    """

    def __init__(self, venv: VecEnv, reward_model: RewardFunction) -> None:
        super().__init__(venv)
        _check_raw(venv)
        check_fits(reward_model, venv.observation_space, venv.action_space)
        self.reward_model = reward_model
        self._last: Any = None
        self._actions = np.empty(0)

    def reset(self) -> VecEnvObs:
        """Begin an episode in every environment."""
        observations = self.venv.reset()
        self._last = _copied(observations)
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Step with the actions as the environments take them."""
        self._actions = np.array(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Result of the step, priced."""
        observations, originals, dones, infos = self.venv.step_wait()
        current = _copied(observations)
        following, terminated = current, np.array(dones)
        if dones.any():
            following = _copied(observations)
            for index in np.flatnonzero(dones):
                _assign(following, int(index), infos[index]["terminal_observation"])
                terminated[index] = not infos[index].get("TimeLimit.truncated", False)
        rewards = _price(self.reward_model, self._last, self._actions, following, terminated)
        infos = [{**info, ORIGINAL_REWARD: float(own)} for info, own in zip(infos, originals, strict=True)]
        self._last = current
        return observations, rewards, dones, infos


def check_fits(reward_model: RewardFunction, observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """Raise unless a reward prices transitions of these spaces; images may have their channels first or last.

    Raises:
        IncompatibleSpaces: naming what differs.
    """
    expected = reward_model.observation_space
    given = space_in_layout_of(expected, observation_space)
    check_same_space(given, expected, "observations of the environment, beside those of the reward")
    check_same_space(action_space, reward_model.action_space, "actions of the environment, beside those of the reward")


def _check_raw(env: VecEnv) -> None:
    while isinstance(env, VecEnvWrapper):
        if isinstance(env, VecNormalize) and env.norm_obs:
            raise ConfigurationError(
                "VecNormalize inside of VecRewardWrapper: a recovered reward takes raw observations; wrap the other way "
                "round: VecNormalize(VecRewardWrapper(env, reward), norm_reward=False)"
            )
        env = env.venv


def _price(reward: RewardFunction, observations: Any, actions: Any, following: Any, terminated: np.ndarray) -> np.ndarray:
    space = reward.observation_space
    observations, following = in_layout_of(space, observations), in_layout_of(space, following)
    return np.array(reward.reward(observations, actions, following, terminated.astype(np.float32)), np.float32)


def _row(value: Any) -> Any:
    """A copy as a batch of one: environments may reuse their buffers."""
    if isinstance(value, Mapping):
        return {key: _row(entry) for key, entry in value.items()}
    return np.array(value)[None]


def _copied(observations: Any) -> Any:
    if isinstance(observations, Mapping):
        return {key: np.array(value) for key, value in observations.items()}
    return np.array(observations)


def _assign(rows: Any, index: int, value: Any) -> None:
    if isinstance(rows, Mapping):
        for key, array in rows.items():
            array[index] = value[key]
    else:
        rows[index] = value
