"""How long GAIL and AIRL take beside bare PPO and beside imitation's own, on the same work.

    python benchmarks/speed.py --out benchmarks/results/speed.md

Every method trains SB3's PPO, or FastPPO, which is the same to rounding, on the same environments: 8 environments, 2048
steps a rollout, and 8 discriminator updates of 1024 + 1024 transitions a rollout, on ReLU networks of two layers: 32 wide,
imitation's default, and 64, ours. Methods take turns, one short run each, so that whatever else the machine does falls on
all of them; the figures are medians of the ratios within one turn. Then one SAC gradient step with and without pricing its
batch, and one update of GAN-Q beside DQN's and QR-DQN's with the same network and batch.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from common import versions, write_markdown
from imitation.algorithms.adversarial import airl as imitation_airl
from imitation.algorithms.adversarial import gail as imitation_gail
from imitation.data.wrappers import RolloutInfoWrapper
from imitation.rewards.reward_nets import BasicRewardNet, BasicShapedRewardNet
from imitation.util import logger as imitation_logger
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv
from tqdm import tqdm

from ganq_irl.algorithms import AIRL, GAIL
from ganq_irl.generators.fast_ppo import FastPPO
from ganq_irl_demos import random_policy, record_episodes, to_imitation

N_ENVS, N_STEPS, N_UPDATES, BATCH = 8, 256, 8, 1024
WIDTHS = (32, 64)
SHAPES = {"A: batch 64, 10 epochs": (64, 10), "B: batch 512, 5 epochs": (512, 5)}
METHODS = (
    "PPO",
    "GAIL",
    "AIRL",
    "GAIL, spectral norm",
    "AIRL, spectral norm",
    "GAIL, FastPPO, spectral norm",
    "AIRL, FastPPO, spectral norm",
    "imitation GAIL",
    "imitation AIRL",
)


def make_env(env_id: str) -> VecEnv:
    return make_vec_env(env_id, N_ENVS, seed=0, wrapper_class=RolloutInfoWrapper)


def make_ppo(env: VecEnv, shape: tuple[int, int], kind: type[PPO] = PPO) -> PPO:
    return kind("MlpPolicy", env, n_steps=N_STEPS, batch_size=shape[0], n_epochs=shape[1], seed=0, device="cpu")


def demonstrations(env_id: str):  # Demonstrations; any will do, the work is the same
    env = gym.make(env_id)
    return record_episodes(
        random_policy(env.action_space, np.random.default_rng(0)), env, 10 if env_id != "CartPole-v1" else 120, seed=0
    )


def build(method: str, env_id: str, shape: tuple[int, int], hidden: tuple[int, int]) -> Callable[[int], object]:
    """A function that trains for a number of steps, everything built beforehand."""
    env = make_env(env_id)
    model = make_ppo(env, shape, FastPPO if "FastPPO" in method else PPO)
    demos = demonstrations(env_id)
    if method == "PPO":
        return lambda steps: model.learn(steps)
    if method.startswith("imitation"):
        net_class = BasicRewardNet if "GAIL" in method else BasicShapedRewardNet
        shapes = {"hid_sizes": hidden} if "GAIL" in method else {"reward_hid_sizes": hidden, "potential_hid_sizes": hidden}
        trainer_class = imitation_gail.GAIL if "GAIL" in method else imitation_airl.AIRL
        trainer = trainer_class(
            demonstrations=to_imitation(demos),
            demo_batch_size=BATCH,
            venv=env,
            gen_algo=model,
            reward_net=net_class(env.observation_space, env.action_space, **shapes),
            n_disc_updates_per_round=N_UPDATES,
            gen_train_timesteps=N_ENVS * N_STEPS,
            gen_replay_buffer_capacity=N_ENVS * N_STEPS,
            allow_variable_horizon=True,
            custom_logger=imitation_logger.configure(format_strs=[]),
        )
        return trainer.train
    algorithm = GAIL if "GAIL" in method else AIRL
    stabilizers = ("spectral-norm",) if "spectral" in method else ()
    return algorithm(model, demos, n_updates=N_UPDATES, batch_size=BATCH, stabilizers=stabilizers, hidden_sizes=hidden).learn


def measure_adversarial(
    env_id: str, shape: tuple[int, int], hidden: tuple[int, int], turns: int, rollouts: int
) -> dict[str, list[float]]:
    """Seconds of each method in each turn."""
    steps = rollouts * N_ENVS * N_STEPS
    trainers = {method: build(method, env_id, shape, hidden) for method in METHODS}
    seconds: dict[str, list[float]] = {method: [] for method in METHODS}
    for turn in tqdm(range(turns + 1), desc=f"{env_id} {shape} {hidden}", file=sys.stderr):
        for method, train in trainers.items():
            start = time.perf_counter()
            train(steps)
            if turn:  # the first turn warms up
                seconds[method].append(time.perf_counter() - start)
    return seconds


def measure_relabel(env_id: str, turns: int, steps: int = 300) -> dict[str, list[float]]:
    """Seconds of ``steps`` SAC gradient steps, plain and with every batch priced by GAIL at sample time."""
    models = {}
    for name in ("SAC", "SAC, priced"):
        model = SAC(
            "MlpPolicy", make_vec_env(env_id, 1, seed=0), seed=0, device="cpu", learning_starts=10_000, batch_size=256
        )
        model.learn(2_000)  # fills the buffer, without a gradient step
        models[name] = model
    from ganq_irl.generators.off_policy import install_relabelling

    algorithm = GAIL(models["SAC, priced"], demonstrations(env_id))
    install_relabelling(models["SAC, priced"], algorithm.price)
    return _train_in_turns(models, 256, turns, steps)


def _train_in_turns(models: dict[str, Any], batch_size: int, turns: int, steps: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for turn in tqdm(range(turns + 1), desc=", ".join(models), file=sys.stderr):
        for name, model in models.items():
            start = time.perf_counter()
            model.train(gradient_steps=steps, batch_size=batch_size)
            if turn:  # the first turn warms up
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(of: list[float], to: list[float]) -> str:
    """Median, and range, of the ratios within a turn."""
    ratios = [a / b for a, b in zip(of, to, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/speed.md"))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--rollouts", type=int, default=3)
    parser.add_argument("--env", action="append", default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    lines = ["# Speed", "", "Time beside bare SB3 PPO in the same turn: median (range).", ""]
    for env_id in arguments.env or ["CartPole-v1", "Pendulum-v1"]:
        for (label, shape), width in itertools.product(SHAPES.items(), WIDTHS):
            seconds = measure_adversarial(env_id, shape, (width, width), arguments.turns, arguments.rollouts)
            lines += [
                f"## {env_id}, {label}; two layers of {width}",
                "",
                "| method | time / PPO | imitation / ours |",
                "|---|---|---|",
            ]
            for method in METHODS:
                peer = f"imitation {method[:4]}" if method[:4] in ("GAIL", "AIRL") else None
                faster = ratio(seconds[peer], seconds[method]) if peer else ""
                lines.append(f"| {method} | {ratio(seconds[method], seconds['PPO'])} | {faster} |")
            lines.append("")
    relabel = measure_relabel("Pendulum-v1", arguments.turns)
    lines += ["## One SAC gradient step (batch 256)", "", "| | time / SAC |", "|---|---|"]
    lines += [f"| priced at sample time by GAIL | {ratio(relabel['SAC, priced'], relabel['SAC'])} |", ""]
    lines += [f"{arguments.turns} turns of {arguments.rollouts} rollouts each.", "", versions("python benchmarks/speed.py")]
    write_markdown(arguments.out, lines)


if __name__ == "__main__":
    main()
