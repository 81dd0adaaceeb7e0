"""Compare recovered rewards with each other and with the true one: EPIC, and correlations on visited transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganq_irl.environments.true_rewards import true_formula
from ganq_irl.errors import ConfigurationError
from ganq_irl.rewards import Coverage, FunctionReward, RewardFunction, epic_distances, pearson, rewards_of, spearman
from ganq_irl.rewards.wrappers import check_fits
from ganq_irl.runs.envs import probe_env
from ganq_irl.runs.rewards import StoredReward, env_kwargs_of, read_reward
from ganq_irl.types import Batch

DISCOUNT = 0.99  # default discount of EPIC
TRUE = "true"


@dataclass(frozen=True)
class Transitions:
    """Transitions of one policy, with the environment's rewards.

    Attributes:
        batch: the transitions.
        rewards: the environment's rewards, ``(n,)``; None if they were not recorded.
        first_length: length of the first episode, which comes first.
    """

    batch: Batch
    rewards: np.ndarray | None
    first_length: int


def gather_transitions(stored: StoredReward, env: str | None, *, episodes: int, seed: int) -> dict[str, Transitions]:
    """Collect transitions of random actions and, if the reward has a run, of its policy and demonstrations.

    Args:
        stored: the reward.
        env: environment to run in; that of the reward by default.
        episodes: number of episodes of the policy, and of random actions.
        seed: seed of the first episode of each.

    Raises:
        ConfigurationError: the environment is not known.
    """
    from ganq_irl_demos import load_demonstrations, record_episodes
    from ganq_irl_demos.recording.policies import RandomPolicy

    config = None if stored.run is None else stored.run.config
    env = env or stored.env
    if env is None:
        raise ConfigurationError(f"{stored.name} does not say which environment it belongs to; give --env ID")
    environment = probe_env(env, env_kwargs_of(stored, env))
    random = RandomPolicy(environment.action_space, seed)
    found = {"random": record_episodes(random, environment, episodes, seed=seed)}
    if stored.run is not None:
        found["policy"] = record_episodes(stored.run.policy("cpu"), environment, episodes, seed=seed)
    environment.close()
    if config is not None and config.demos is not None:
        found["demonstrations"] = load_demonstrations(config.demos, columns=config.columns)
    return {name: _transitions(episodes_) for name, episodes_ in found.items()}


def _transitions(episodes: Any) -> Transitions:
    rewards = [one.rewards for one in episodes]
    known = None if any(one is None or not np.isfinite(one).all() for one in rewards) else np.concatenate(rewards)
    return Transitions(episodes.to_batch(), known, len(episodes[0]))


def known_reward(env: str, env_kwargs: Mapping[str, Any] | None = None) -> RewardFunction | None:
    """Return the environment's reward as a function, or None if its formula is not known."""
    environment = probe_env(env, env_kwargs)
    formula = true_formula(environment)
    environment.close()
    return None if formula is None else FunctionReward(environment.observation_space, environment.action_space, formula)


def compare_stored(
    paths: Sequence[Path | str], env: str | None, *, episodes: int, discount: float = DISCOUNT, seed: int = 0
) -> dict[str, Any]:
    """Call ``compare_rewards`` with rewards on disk, on the transitions of the first one (see ``gather_transitions``).

    Raises:
        IncompatibleSpaces: the rewards are of different environments.
        GanqIrlError: a reward is missing or damaged, or no environment is known.
    """
    stored = [read_reward(path) for path in paths]
    first = stored[0]
    for other in stored[1:]:
        check_fits(other.reward, first.reward.observation_space, first.reward.action_space)
    transitions = gather_transitions(first, env, episodes=episodes, seed=seed)
    true = known_reward(env or str(first.env), env_kwargs_of(first, env))
    rewards = {one.name: one.reward for one in stored}
    return {"env": env or first.env, **compare_rewards(rewards, transitions, true, discount=discount, seed=seed)}


def compare_rewards(
    rewards: Mapping[str, RewardFunction],
    transitions: Mapping[str, Transitions],
    true: RewardFunction | None,
    *,
    discount: float = DISCOUNT,
    seed: int = 0,
) -> dict[str, Any]:
    """Compute EPIC distances between rewards, and correlations with the environment's rewards on each set of transitions.

    EPIC's coverage distribution takes equally many transitions from each set.

    Args:
        rewards: rewards by name.
        transitions: transitions by the name of their policy.
        true: the environment's reward as a function, compared like the others; None if unknown.
        discount: γ of EPIC.
        seed: seed of the draws for EPIC's coverage distribution.

    Returns:
        JSON values: ``epic`` name -> name -> distance, ``correlations`` name -> set -> ``pearson`` and ``spearman``.
    """
    rng = np.random.default_rng(seed)
    smallest = min(len(one.batch) for one in transitions.values())
    drawn = [one.batch[torch.as_tensor(rng.permutation(len(one.batch))[:smallest])] for one in transitions.values()]
    coverage = Coverage.sampled(Batch.cat(drawn), rng)
    distances = epic_distances({**rewards, **({} if true is None else {TRUE: true})}, coverage, discount)
    epic = {name: {other: round(value, 4) for other, value in distances[name].items()} for name in rewards}
    related = {name: correlations(reward, transitions) for name, reward in rewards.items()}
    return {"discount": discount, "epic": epic, "correlations": related}


def correlations(reward: RewardFunction, transitions: Mapping[str, Transitions]) -> dict[str, dict[str, float | None]]:
    """Return Pearson and Spearman correlations with the environment's rewards, on each set whose rewards are known."""
    return {name: _correlations(reward, one) for name, one in transitions.items() if one.rewards is not None}


def _correlations(reward: RewardFunction, transitions: Transitions) -> dict[str, float | None]:
    assert transitions.rewards is not None
    priced = rewards_of(reward, transitions.batch)
    found = {"pearson": pearson(priced, transitions.rewards), "spearman": spearman(priced, transitions.rewards)}
    return {name: None if value is None else round(value, 4) for name, value in found.items()}
