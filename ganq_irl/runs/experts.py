"""Experts: the settings that train one, and demonstrations recorded from runs and other policies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ganq_irl.errors import ConfigurationError
from ganq_irl.runs.config import ExperimentConfig, without_none
from ganq_irl.runs.directory import Run
from ganq_irl.runs.envs import probe_env
from ganq_irl.runs.presets import load_presets, tuned_family
from ganq_irl.runs.resolve import resolve_config
from ganq_irl.spaces import check_same_space

if TYPE_CHECKING:
    from ganq_irl_demos import Demonstrations

# ContinuingAcrobot has Acrobot's dynamics and goal, so an expert for one is an expert for the other.
_TRAINED_ON = {"ganq_irl/ContinuingAcrobot-v0": "Acrobot-v1"}


def expert_config(env: str, *, seed: int, device: str = "auto") -> ExperimentConfig:
    """Settings that train an expert for an environment: those of the preset marked as the expert's.

    Raises:
        ConfigurationError: no preset is.
    """
    env = _TRAINED_ON.get(env, env)
    for name, preset in load_presets().items():
        if preset["env"] == tuned_family(env) and preset.get("expert", False):
            return resolve_config({"algo": preset["algo"], "env": env, "preset": name, "seed": seed, "device": device})
    raise ConfigurationError(
        f"no preset trains an expert for {env}; train one with `ganq-irl train ALGO --env {env}` and give its run with --run"
    )


def record_policies(
    runs: Sequence[Run],
    episodes: int,
    *,
    seed: int,
    others: Sequence[Callable[[gym.Env], Any]] = (),
    alter: Callable[[Any], Any] = lambda policy: policy,
    rng: np.random.Generator | None = None,
    env: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    min_return: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Demonstrations:
    """Record episodes of the policies of runs, and of others.

    With several policies, each episode draws one at random. Without any, actions are random. The provenance of a single run
    includes the settings that trained it.

    Args:
        runs: finished runs.
        episodes: number of episodes to keep.
        seed: reset seed of the first episode; the others follow it.
        others: functions that make further policies for the environment.
        alter: returns the policy to record, given the one that was drawn from all.
        rng: draws policies and random actions; by default it is seeded by ``seed``.
        env: environment to record in; by default that of the runs, with their keywords.
        env_kwargs: further keywords of the environment, such as ``max_episode_steps``.
        min_return: episodes with a lower return are dropped.
        progress: called as ``progress(kept, episodes)``.

    Raises:
        ConfigurationError: the runs were trained in different environments, or with different keywords.
        IncompatibleSpaces: a policy does not fit the environment.
        GanqIrlError: a run has no policy, or too few episodes reach ``min_return``.
    """
    from ganq_irl_demos import random_policy, record_episodes
    from ganq_irl_demos.recording.policies import MixedPolicy

    rng = np.random.default_rng(seed) if rng is None else rng
    name, keywords = _environment_of(runs, env)
    environment = probe_env(name, {**keywords, **(env_kwargs or {})})
    try:
        policies: list[Any] = [run.policy("cpu") for run in runs]
        for run, policy in zip(runs, policies, strict=True):
            check_same_space(policy.action_space, environment.action_space, f"{run.folder}: action space of the policy")
        policies += [make(environment) for make in others]
        if len(policies) > 1:
            policies = [MixedPolicy(policies, environment.action_space, rng)]
        policy = alter(policies[0] if policies else random_policy(environment.action_space, rng))
        provenance = {"policy": getattr(policy, "algorithm", "random")}
        if len(runs) == 1 and not others:
            provenance |= {
                "settings": without_none(dataclasses.asdict(runs[0].config)),
                "trained_with": runs[0].info.get("versions", {}),
            }
        return record_episodes(
            policy, environment, episodes, seed=seed, min_return=min_return, progress=progress, provenance=provenance
        )
    finally:
        environment.close()


def _environment_of(runs: Sequence[Run], env: str | None) -> tuple[str, dict[str, Any]]:
    """Return the environment to record in, and its keywords in the runs that were trained in it."""
    trained_in = list(dict.fromkeys(run.config.env for run in runs))
    if env is None and len(trained_in) != 1:
        raise ConfigurationError(
            f"the runs were trained in {' and '.join(trained_in)}; give the environment to record in with --env ID"
        )
    env = env or trained_in[0]
    alike = [run for run in runs if run.config.env == env]
    for other in alike[1:]:
        if other.config.env_kwargs != alike[0].config.env_kwargs:
            raise ConfigurationError(
                f"{alike[0].folder} was trained with env_kwargs {alike[0].config.env_kwargs}, {other.folder} with "
                f"{other.config.env_kwargs}; record each by itself, and join the files in a table of sets"
            )
    return env, dict(alike[0].config.env_kwargs) if alike else {}
