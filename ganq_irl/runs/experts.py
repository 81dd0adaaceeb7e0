"""Experts: the settings that train one, and demonstrations recorded from a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ganq_irl.errors import ConfigurationError
from ganq_irl.runs.config import ExperimentConfig, without_none
from ganq_irl.runs.directory import Run
from ganq_irl.runs.envs import probe_env
from ganq_irl.runs.presets import env_family, load_presets
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
        if preset["env"] == env_family(env) and preset.get("expert", False):
            return resolve_config({"algo": preset["algo"], "env": env, "preset": name, "seed": seed, "device": device})
    raise ConfigurationError(
        f"no preset trains an expert for {env}; train one with `ganq-irl train ALGO --env {env}` and give its run with --run"
    )


def record_run(
    run: Run,
    episodes: int,
    *,
    seed: int,
    policy: Any = None,
    env: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    min_return: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Demonstrations:
    """Record episodes of a run's policy; the settings that trained it go into the provenance.

    Args:
        run: a finished run.
        episodes: number of episodes to keep.
        seed: reset seed of the first episode; the others follow it.
        policy: acts instead of the run's policy, which it alters.
        env: environment to record in, if it is not the run's.
        env_kwargs: keywords of the environment besides the run's, such as ``max_episode_steps``.
        min_return: episodes with a lower return are dropped.
        progress: called as ``progress(kept, episodes)``.

    Raises:
        IncompatibleSpaces: the policy does not fit the environment.
        GanqIrlError: the run has no policy, or it rarely reaches ``min_return``.
    """
    from ganq_irl_demos import record_episodes

    policy = run.policy("cpu") if policy is None else policy
    same_env = env is None or env == run.config.env
    keywords = {**(run.config.env_kwargs if same_env else {}), **(env_kwargs or {})}
    environment = probe_env(env or run.config.env, keywords)
    check_same_space(policy.action_space, environment.action_space, f"{run.folder}: action space of the policy")
    provenance = {
        "policy": policy.algorithm,
        "settings": without_none(dataclasses.asdict(run.config)),
        "trained_with": run.info.get("versions", {}),
    }
    try:
        return record_episodes(
            policy, environment, episodes, seed=seed, min_return=min_return, progress=progress, provenance=provenance
        )
    finally:
        environment.close()
