"""Policies for recording: random, noisy, mixed, or plain functions; and subsampling."""

from __future__ import annotations

import copy
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, InvalidDemonstrations
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.trajectories import Trajectory, named_arrays, observations_of


class Policy(Protocol):
    """Interface of policies that can be recorded: Stable-Baselines3's ``predict``."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Return the action for an observation, and the next hidden state (None without memory)."""
        ...


class RandomPolicy:
    """A policy for one environment that draws actions with ``action_space.sample``."""

    def __init__(self, action_space: spaces.Space, seed: int) -> None:
        self.action_space = copy.deepcopy(action_space)  # seeding the environment's own space would change its exploration
        self.action_space.seed(seed)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Return a random action for one observation, and the state."""
        return self.action_space.sample(), state


def random_policy(action_space: spaces.Space, rng: np.random.Generator) -> RandomPolicy:
    """Return the random policy, the 0 of a normalized score.

    Example:
        >>> policy = random_policy(env.action_space, np.random.default_rng(0))
        >>> len(record_episodes(policy, env, n_episodes=2, seed=0))
        2
    """
    return RandomPolicy(action_space, int(rng.integers(2**31)))


class FunctionPolicy:
    """A policy that calls a function ``observation -> action``.

    Args:
        function: the function.
        action_space: action space of the environment.
        name: name for the provenance.
    """

    def __init__(self, function: Callable[[Any], Any], action_space: spaces.Space, name: str = "function") -> None:
        self.function, self.action_space, self.algorithm = function, action_space, name

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Return the function's action for one observation, and None.

        Raises:
            InvalidDemonstrations: the function does not return a valid action.
        """
        action = self.function(observation)
        try:
            fits = isinstance(self.action_space, spaces.Box) or self.action_space.contains(
                np.asarray(action, dtype=self.action_space.dtype)
            )
            sound = fits and np.isfinite(np.asarray(action, dtype=np.float64)).all()
        except (TypeError, ValueError):
            sound = False
        if not sound or np.size(action) != int(np.prod(self.action_space.shape or ())):
            raise InvalidDemonstrations(f"{self.algorithm} returned {action!r}, expected an action of {self.action_space}")
        return action, None


class AlteredPolicy:
    """A policy with noisy actions, or with episodes of random actions.

    Args:
        policy: the policy to alter.
        action_space: action space of the environment.
        rng: random generator.
        noise: share of random actions; for Box actions, standard deviation of Gaussian noise relative to half the range.
        random_share: share of episodes with uniformly random actions.

    Raises:
        ConfigurationError: a share outside of 0 to 1, negative noise, or noise on unbounded actions.
    """

    def __init__(
        self,
        policy: Policy,
        action_space: spaces.Space,
        rng: np.random.Generator,
        *,
        noise: float = 0.0,
        random_share: float = 0.0,
    ) -> None:
        is_box = isinstance(action_space, spaces.Box)
        if not 0 <= random_share <= 1 or noise < 0 or (noise > 1 and not is_box):
            raise ConfigurationError(f"noise {noise} and random share {random_share}: expected numbers from 0 to 1")
        if noise and isinstance(action_space, spaces.Box) and not action_space.is_bounded():
            raise ConfigurationError(f"noise is relative to the range of actions, and {action_space} has none")
        self.policy, self.action_space, self.rng = policy, action_space, rng
        self.noise, self.random_share = noise, random_share
        self.chance = random_policy(action_space, rng)
        self.algorithm = f"{getattr(policy, 'algorithm', type(policy).__name__)} (noise {noise}, random {random_share})"
        self._at_random = False

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Return the policy's action, with noise or replaced at random, and its state."""
        if episode_start is not None and bool(np.any(episode_start)):
            self._at_random = bool(self.rng.random() < self.random_share)
        action, state = self.policy.predict(observation, state, episode_start, deterministic)
        if self._at_random:
            return self.chance.predict(observation)[0], state
        if self.noise and isinstance(self.action_space, spaces.Box):
            half = (self.action_space.high - self.action_space.low) / 2
            return action + self.rng.normal(size=half.shape) * half * self.noise, state
        if self.noise and self.rng.random() < self.noise:
            return self.chance.predict(observation)[0], state
        return action, state


class MixedPolicy:
    """Several policies. One of them is drawn for each episode, with equal probability.

    Args:
        policies: the policies, at least one.
        action_space: action space of the environment.
        rng: random generator.
    """

    def __init__(self, policies: Sequence[Policy], action_space: spaces.Space, rng: np.random.Generator) -> None:
        self.policies, self.action_space, self.rng = list(policies), action_space, rng
        self.algorithm = " or ".join(getattr(one, "algorithm", type(one).__name__) for one in policies)
        self._acting = self.policies[0]

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Return the action and state of the policy drawn for this episode."""
        if episode_start is not None and bool(np.any(episode_start)):
            self._acting = self.policies[int(self.rng.integers(len(self.policies)))]
        return self._acting.predict(observation, state, episode_start, deterministic)


def policy_function(name: str) -> Callable[[Any], Any]:
    """Import the function ``module:function``; the working directory is searched first, as in Python.

    Raises:
        ConfigurationError: the module or function does not exist.
    """
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise ConfigurationError(f"{name!r}: expected module:function")
    sys.path.insert(0, os.getcwd())
    try:
        function = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{name}: {error}; is it in the working directory?") from error
    except AttributeError as error:
        raise ConfigurationError(f"{name}: the module {module} has no {attribute}") from error
    finally:
        sys.path.remove(os.getcwd())
    if not callable(function):
        raise ConfigurationError(f"{name} is a {type(function).__name__}, expected a function of an observation")
    return function


def subsample(demos: Demonstrations, every: int, rng: np.random.Generator) -> Demonstrations:
    """Keep every ``every``-th transition of each episode, from a random start, each as a trajectory of one step.

    Ho & Ermon (2016, section 6) subsample their demonstrations in this way, with 20.

    Raises:
        ConfigurationError: ``every`` is less than 1.
    """
    if every < 1:
        raise ConfigurationError(f"every {every}-th step: expected 1 or more")
    kept = [
        _one_step(trajectory, step)
        for trajectory in demos
        for step in range(int(rng.integers(min(every, max(len(trajectory), 1)))), len(trajectory), every)
    ]
    noted = {"subsampled": {"every": every, "episodes": len(demos)}}
    return replace(demos, trajectories=tuple(kept), provenance={**demos.provenance, **noted})


def _one_step(trajectory: Trajectory, step: int) -> Trajectory:
    last = step == len(trajectory) - 1
    observations = {name: array[step : step + 2] for name, array in named_arrays(trajectory.observations).items()}
    return Trajectory(
        observations=observations_of(observations),
        actions=trajectory.actions[step : step + 1],
        rewards=None if trajectory.rewards is None else trajectory.rewards[step : step + 1],
        terminated=last and trajectory.terminated,
        truncated=not (last and trajectory.terminated),
    )
