"""Which algorithm to run on given demonstrations, and why."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from ganq_irl.runs.automatic import Choice, automatic_choices, problem_of
from ganq_irl.runs.envs import probe_env
from ganq_irl.runs.presets import AUTOMATIC
from ganq_irl.runs.resolve import resolve_config
from ganq_irl.space_matrix import trained_by

if TYPE_CHECKING:
    from ganq_irl_demos import Demonstrations

MANY_DIMENSIONS = 8
"""Observations of at least so many numbers count as high-dimensional. A rule of thumb, not a measured limit."""


@dataclass(frozen=True)
class Advice:
    """A recommended algorithm.

    Attributes:
        algo: name of the algorithm.
        reason: why this one.
        command: command line that trains it.
        beside: command lines to compare it with.
        facts: what the demonstrations and the environment show, one sentence each.
        preset: preset that the command uses.
        choices: settings that are chosen from the problem, if the preset is "auto".
    """

    algo: str
    reason: str
    command: str
    beside: tuple[str, ...]
    facts: tuple[str, ...]
    preset: str
    choices: tuple[Choice, ...]


def advise(
    demonstrations: Demonstrations,
    env: str,
    *,
    source: str | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> Advice:
    """Recommend an algorithm for demonstrations in an environment.

    Args:
        demonstrations: the demonstrations, which fit the environment's spaces.
        env: Gymnasium ID.
        source: file or catalog name of the demonstrations, for the commands; by default where they came from.
        columns: for a table, the columns of each field, for the commands.

    Raises:
        ConfigurationError: the environment cannot be created.
        IncompatibleSpaces: no algorithm trains in its spaces.

    Example:
        >>> advice = advise(demonstrations, "CartPole-v1", source="cartpole")
        >>> advice.algo, advice.command
        ('gail', 'ganq-irl train gail --env CartPole-v1 --demos cartpole')
    """
    made = probe_env(env)
    observations, actions = made.observation_space, made.action_space
    limit = None if made.spec is None else made.spec.max_episode_steps
    made.close()
    algo, reason = _choose(demonstrations, observations, actions)
    source = source or demonstrations.source
    told = [f"--demos {shlex.quote(source)}"]
    told += ["--columns " + shlex.quote(f"{field}={','.join(names)}") for field, names in (columns or {}).items()]
    config = resolve_config({"algo": algo, "env": env, "demos": source, "columns": columns})
    chosen = automatic_choices(problem_of(config)) if config.preset == AUTOMATIC else []
    command, beside = _command(algo, env, told), list[str]()
    if algo != "bc":
        beside += [] if "actions" in demonstrations.missing else [_command("bc", env, told)]
        beside += [f"{command} --control frozen"]
    facts = tuple(_facts(demonstrations, observations, actions, limit))
    return Advice(algo, reason, command, tuple(beside), facts, config.preset, tuple(chosen))


def _choose(demonstrations: Demonstrations, observations: spaces.Space, actions: spaces.Space) -> tuple[str, str]:
    if "actions" in demonstrations.missing:
        return "gaifo", "the demonstrations have no actions, and GAIfO compares states with the states that follow"
    if int(demonstrations.arrays["lengths"].max()) == 1:
        return "bc", "every episode is one step, so there is nothing that a wrong action leads to"
    is_vector = isinstance(observations, spaces.Box) and len(observations.shape) == 1
    n_dimensions = observations.shape[0] if is_vector and observations.shape else 0
    if n_dimensions >= MANY_DIMENSIONS and isinstance(actions, spaces.Box) and "dac" in trained_by(observations, actions):
        return "dac", "in continuous control of many dimensions, a generator with a replay buffer needs a tenth of the steps"
    return "gail", "it trains in all spaces, and the simulator is stepped by eight environments at once"


def _facts(demonstrations: Demonstrations, observations: Any, actions: Any, limit: int | None) -> list[str]:
    lengths, ended = (demonstrations.arrays[name] for name in ("lengths", "terminated"))
    n_early = int(ended.sum())
    returns = demonstrations.returns
    facts = [
        f"{len(lengths)} episodes of {lengths.min()} to {lengths.max()} steps, {int(lengths.sum())} transitions",
        f"{n_early} of them terminate; the environment "
        + ("has no time limit" if limit is None else f"truncates after {limit} steps"),
        f"observations {observations}, actions {actions}",
    ]
    if returns is not None:
        facts.append(f"returns {np.mean(returns):.4g} on average ({np.min(returns):.4g} to {np.max(returns):.4g})")
    return facts


def _command(algo: str, env: str, told: list[str]) -> str:
    return " ".join(["ganq-irl train", algo, "--env", shlex.quote(env), *told])
