"""Start new episodes at a checkpoint if the state of the simulator cannot be saved.

A resumed run makes new environments, seeded by the run's seed and the step. An exact run does the same at each of its
checkpoints, so that from there on it has the same episodes whether it was interrupted or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from ganq_irl.generators.internals import restart_episodes

MakeEnvs = Callable[[], VecEnv]


def begin_episodes(model: BaseAlgorithm, make_envs: MakeEnvs, seed: int) -> None:
    """Replace the environments and begin an episode in each; current episodes end as if truncated by a time limit."""
    replace_simulators(model, make_envs, seed)
    restart_episodes(model)


def replace_simulators(model: BaseAlgorithm, make_envs: MakeEnvs, seed: int) -> None:
    """Replace the environments by new ones, which are seeded at their next reset.

    Environments in other processes are only seeded, since a resumed run already has new ones.
    """
    env: Any = model.env
    base = env.unwrapped
    if isinstance(base, DummyVecEnv):
        for old in base.envs:
            old.close()
        base.envs = make_envs().unwrapped.envs  # type: ignore[attr-defined]  # in one process, like the previous ones
    base.seed(seed % 2**31)


def boundary_seed(run_seed: int, step: int) -> int:
    """Return the seed of the episodes that begin at a step."""
    return int(np.random.SeedSequence([run_seed, step]).generate_state(1)[0])
