"""Settings chosen from the problem, for imitation in environments that have no preset.

They depend on the kind of generator, on the spaces, and on how long episodes may last, never on an environment's name. What
the demonstrations say about the ends of episodes needs no setting: the algorithms count them (``ganq_irl.algorithms.ends``).
``docs/benchmarks/untuned.md`` shows what these settings reach in environments that they were not chosen on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gymnasium import spaces

from ganq_irl.algorithms import ALGORITHMS
from ganq_irl.discriminator import STATE_ACTION
from ganq_irl.generators.factory import GENERATORS
from ganq_irl.generators.policies.experts import PERSON
from ganq_irl.runs.config import ExperimentConfig, merged, nested
from ganq_irl.runs.envs import probe_env
from ganq_irl.runs.validation import ADVERSARIAL
from ganq_irl.space_matrix import EXACT_TWINS, TRAITS, default_generator

LONGEST, SHORTEST = 0.99, 0.9
"""Bounds of the discount factor. A horizon of 1 / (1 - γ) beyond 100 steps makes learning slower, and hardly changes what is
worth doing when every step is paid for resembling the expert."""


@dataclass(frozen=True)
class Choice:
    """A setting and why it was chosen.

    Attributes:
        key: dotted name of the setting.
        value: its value.
        reason: one clause for people.
    """

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Problem:
    """What the choice depends on.

    Attributes:
        algo: the imitation algorithm.
        generator: the algorithm that it trains.
        observation_space: the environment's.
        action_space: the environment's.
        horizon: steps after which the environment truncates an episode, or None.
        sees_actions: whether the demonstrated actions are used.
        asks_person: whether a person at the keyboard corrects the policy.
    """

    algo: str
    generator: str
    observation_space: spaces.Space
    action_space: spaces.Space
    horizon: int | None
    sees_actions: bool
    asks_person: bool = False


def problem_of(config: ExperimentConfig) -> Problem:
    """Describe the problem of a configuration whose environment exists."""
    env = probe_env(config.env, config.env_kwargs)
    inputs = config.adversary.get("inputs", _default_inputs(config.algo))
    generator = config.generator if config.generator in GENERATORS else default_generator(config.algo, env.action_space)
    horizon = None if env.spec is None else env.spec.max_episode_steps
    env.close()
    imitates_alone = not config.adversary.get("task_weight")
    sees_actions = imitates_alone and "actions" in inputs and config.adversary.get("mode") != "paper"
    return Problem(
        config.algo,
        generator,
        env.observation_space,
        env.action_space,
        horizon,
        sees_actions,
        config.imitation.get("expert") == PERSON,
    )


def _default_inputs(algo: str) -> Sequence[str]:
    """Return what the discriminator of an algorithm sees by default; state and action where that is no setting."""
    settings = ALGORITHMS[algo].modes["default"] if algo in ALGORITHMS else None
    inputs: Sequence[str] = getattr(settings, "inputs", STATE_ACTION)
    return inputs


def automatic_settings(problem: Problem) -> dict[str, Any]:
    """Return the chosen settings as nested tables."""
    settings: dict[str, Any] = {}
    for choice in automatic_choices(problem):
        settings = merged(settings, nested(choice.key, choice.value))
    return settings


def automatic_choices(problem: Problem) -> list[Choice]:
    """Return the choices for a problem, each with its reason."""
    replays = TRAITS[problem.generator].replays
    return [_discount(problem.horizon), *(_off_policy(problem) if replays else _on_policy(problem))]


def _discount(horizon: int | None) -> Choice:
    gamma = LONGEST if horizon is None else round(min(max(1 - 5 / horizon, SHORTEST), LONGEST), 3)
    lasts = "have no time limit" if horizon is None else f"last {horizon} steps at most"
    return Choice("generator_kwargs.gamma", gamma, f"episodes {lasts}")


def _on_policy(problem: Problem) -> Iterator[Choice]:
    falling = {"initial": 1e-3, "final": 1e-4}
    if problem.asks_person:
        yield Choice("n_envs", 1, "a person watches one environment")
    else:
        yield Choice("n_envs", 8, "a rollout holds parts of several episodes")
    if _is_vector(problem.observation_space):
        yield Choice("normalize_observations", True, "observations are vectors of any scale")
    if EXACT_TWINS.get(problem.generator, problem.generator) == "ppo":
        small = "small rollouts, so that the reward is renewed often"
        yield Choice("generator_kwargs.n_steps", 128, small)
        yield Choice("generator_kwargs.batch_size", 128, small)
        yield Choice("generator_kwargs.learning_rate", falling, "learn fast, then settle: the reward vanishes at the end")
        yield Choice("generator_kwargs.ent_coef", 0.01, "explore until the reward is clear")
    if problem.algo in ADVERSARIAL:
        yield Choice("adversary.learning_rate", falling, "as the generator's")
        if problem.sees_actions:
            yield Choice("adversary.bc_updates", 20, "the demonstrations show actions, so the policy stays close to them")


def _off_policy(problem: Problem) -> Iterator[Choice]:
    falling = {"initial": 7e-4, "final": 0.0}
    yield Choice("timesteps", 30_000, "off-policy generators need fewer steps")
    yield Choice("average_rate", 0.003, "the average of late policies is steadier than the last")
    yield Choice("generator_kwargs.learning_rate", falling, "learn fast, then settle")
    yield Choice("generator_kwargs.batch_size", 256, "rewards are noisy")
    kind = EXACT_TWINS.get(problem.generator, problem.generator)
    if kind in ("sac", "td3") and _is_vector(problem.observation_space):
        yield Choice("generator_kwargs.policy", "LayerNormCriticPolicy", "values stay bounded while the reward changes")
        yield Choice("generator_kwargs.tau", 0.01, "values follow a reward that changes")
    if kind in ("sac", "td3", "dqn") and not _has_images(problem.observation_space):
        yield Choice("generator_kwargs.policy_kwargs.net_arch", [128, 128], "small networks learn as well, and faster")
    if kind == "dqn":
        yield Choice("generator_kwargs.train_freq", 4, "as many updates as steps, four at a time")
        yield Choice("generator_kwargs.gradient_steps", 4, "as many updates as steps, four at a time")
        yield Choice("generator_kwargs.target_update_interval", 200, "values follow a reward that changes")
        yield Choice("generator_kwargs.exploration_fraction", 0.3, "explore until the reward is clear")
    if problem.algo in ADVERSARIAL:
        yield Choice("adversary.batch_size", 256, "as the generator's")
        yield Choice("adversary.n_updates", 0.5, "half as many updates as the generator's keep the reward steady")
        yield Choice("adversary.stabilizers", ["gradient-penalty"], "the score keeps a slope wherever the policy is")
    if problem.algo == "dac" and problem.sees_actions:
        yield Choice("adversary.expert_share", 0.5, "the critics see good actions from the first update on")


def _is_vector(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Box) and len(space.shape) == 1


def _has_images(space: spaces.Space) -> bool:
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    return any(isinstance(part, spaces.Box) and len(part.shape) == 3 for part in parts)
