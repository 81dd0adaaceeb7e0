"""Compare AIRL's state-only reward with exact MaxEnt IRL in tabular environments: chain, gridworld, windy gridworld.

python benchmarks/tabular_irl.py [--timesteps 40000] [--out benchmarks/results/tabular-irl.md]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from ganq_irl.algorithms import AIRL
from ganq_irl.algorithms.maxent import demonstrated_occupancy, maxent_irl, occupancy, soft_policy
from ganq_irl.environments.mazes import chain, gridworld, windy_gridworld
from ganq_irl.environments.tabular import TabularEnv
from ganq_irl.generators.factory import build_generator
from ganq_irl.rewards import RewardFunction, epic_distance, pearson, tabular_reward
from ganq_irl.rewards.tabular import enumerated_coverage, regret, reward_table, starc_distance
from ganq_irl_demos import Demonstrations, record_episodes

ENVS: dict[str, Callable[[], TabularEnv]] = {"chain": chain, "gridworld": gridworld, "windy gridworld": windy_gridworld}
GAMMA, HORIZON, N_EPISODES = 0.9, 50, 100
COLUMNS = ("environment", "reward", "EPIC to true", "STARC to true", "EPIC to exact", "Pearson", "regret", "gap")


class TablePolicy:
    """A policy given by a table of probabilities, for one environment at a time."""

    def __init__(self, table: np.ndarray, rng: np.random.Generator) -> None:
        self.table, self.rng = table, rng

    def predict(  # noqa: D102
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.int64, Any]:
        return np.int64(self.rng.choice(self.table.shape[1], p=self.table[int(observation)])), state


def demonstrate(env: TabularEnv, seed: int, n_episodes: int = N_EPISODES) -> Demonstrations:
    """Return episodes of the true reward's MaxEnt policy."""
    policy = TablePolicy(soft_policy(env, env.R, GAMMA), np.random.default_rng(seed))
    return record_episodes(policy, TimeLimit(env, HORIZON), n_episodes, seed=seed)


def airl(make: Callable[[], TabularEnv], demos: Demonstrations, timesteps: int, seed: int, *inputs: str) -> RewardFunction:
    """Return g of AIRL with the reward f - log π: a maximum causal entropy agent at temperature 1, like the expert."""
    venv = DummyVecEnv([lambda: Monitor(TimeLimit(make(), HORIZON)) for _ in range(8)])
    ppo = build_generator(
        "ppo", venv, seed=seed, device="cpu", gamma=GAMMA, n_steps=64, batch_size=256, n_epochs=5, learning_rate=1e-3
    )
    learner = AIRL(
        ppo,
        demos,
        reward="logit",
        reward_inputs=inputs,
        hidden_sizes=(32,),
        stabilizers=(),
        n_updates=8,
        batch_size=512,
        learning_rate=lambda left: 3e-3 * left,
        seed=seed,
    )
    return learner.learn(timesteps).recovered_reward()


def row(env: TabularEnv, recovered: RewardFunction, exact: RewardFunction) -> list[float]:
    """Return EPIC and STARC to the true reward, EPIC to the exact solution, correlation over states, and regret."""
    true, coverage = tabular_reward(env.R), enumerated_coverage(env)
    by_state = reward_table(recovered, env).mean(axis=1)
    return [
        epic_distance(recovered, true, coverage, GAMMA),
        starc_distance(recovered, true, env, GAMMA),
        epic_distance(recovered, exact, coverage, GAMMA),
        pearson(by_state, env.R.mean(axis=1)) or 0.0,
        regret(recovered, env, GAMMA).normalized,
    ]


def gap_up_to_a_constant(env: TabularEnv, recovered: RewardFunction) -> float:
    """Return the largest |r̂(s) - r(s)| after subtracting the mean difference."""
    gap = reward_table(recovered, env).mean(axis=1) - env.R.mean(axis=1)
    return float(np.abs(gap - gap.mean()).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timesteps", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---" + "|--:" * (len(COLUMNS) - 2) + "|"]
    for name, make in ENVS.items():
        env, demos = make(), demonstrate(make(), options.seed)
        exact = maxent_irl(env, occupancy(env, soft_policy(env, env.R, GAMMA), GAMMA), GAMMA)
        seen = demonstrated_occupancy([np.asarray(one.observations) for one in demos], len(env.R), GAMMA)
        rewards = {
            "MaxEnt, exact visits": exact,
            "MaxEnt, demonstrations": maxent_irl(env, seen, GAMMA, l2=1e-3),
            "AIRL, state-only": airl(make, demos, options.timesteps, options.seed, "observations"),
            "AIRL, state and action": airl(make, demos, options.timesteps, options.seed, "observations", "actions"),
        }
        for title, reward in rewards.items():
            cells = [*row(env, reward, exact), gap_up_to_a_constant(env, reward)]
            lines.append(f"| {name} | {title} | " + " | ".join(f"{max(value, 0.0):.3f}" for value in cells) + " |")
            print(lines[-1], flush=True)
    seconds = time.process_time() - start
    lines.append(f"\n{options.timesteps} steps of PPO, seed {options.seed}, {seconds:.0f} s of one core.")
    print("\n".join(lines))
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
