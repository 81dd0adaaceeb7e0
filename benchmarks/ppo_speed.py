"""Compare the speed of FastPPO and Stable-Baselines3's PPO, alone and as the generator of GAIL, and of imitation's GAIL.

    python benchmarks/ppo_speed.py --out benchmarks/results/ppo_speed.md

The workload is that of ``speed.py``: 8 environments, 2048 steps per rollout, SB3's default networks, and for GAIL 8
discriminator updates of 1024 + 1024 transitions per rollout on a ReLU network with two layers of 32. Methods alternate, so
that the machine's load affects all equally, and CPU time is measured. Figures are medians of the ratios within a turn.
HalfCheetah is skipped if MuJoCo is not installed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import torch
from common import in_turns, page_parser, ratio, versions, write_markdown
from speed import BATCH, N_ENVS, N_STEPS, N_UPDATES, SHAPES, build, demonstrations, make_env, make_ppo
from stable_baselines3 import PPO

from ganq_irl.accelerated.ppo import FastPPO
from ganq_irl.algorithms import GAIL

HIDDEN = (32, 32)
METHODS = ("PPO", "FastPPO", "GAIL", "GAIL, FastPPO", "imitation GAIL")
PARTS = ("environment", "rest of the rollout", "update")


def make_fast_ppo(env_id: str, shape: tuple[int, int]) -> FastPPO:
    model = FastPPO(
        "MlpPolicy", make_env(env_id), n_steps=N_STEPS, batch_size=shape[0], n_epochs=shape[1], seed=0, device="cpu"
    )
    assert model.slow_reason is None
    return model


def trainer_of(method: str, env_id: str, shape: tuple[int, int]) -> Callable[[int], object]:
    """Return a function that trains for a number of steps, with everything built before."""
    if "FastPPO" not in method:
        return build(method, env_id, shape, HIDDEN)
    model = make_fast_ppo(env_id, shape)
    if method == "FastPPO":
        return model.learn
    return GAIL(model, demonstrations(env_id), n_updates=N_UPDATES, batch_size=BATCH, hidden_sizes=HIDDEN).learn


class Clock:
    """CPU seconds spent in each method of a model."""

    def __init__(self, model: PPO) -> None:
        self.seconds: dict[str, float] = {}
        for owner, name in ((model.env, "step"), (model, "train"), (model, "learn")):
            setattr(owner, name, self._timed(getattr(owner, name), name))

    def _timed(self, function: Callable, name: str) -> Callable:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            result = function(*args, **kwargs)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
            return result

        return timed


def milliseconds_by_part(env_id: str, shape: tuple[int, int], turns: int) -> dict[str, list[float]]:
    """Return milliseconds per rollout of PPO and FastPPO, in the order of ``PARTS``."""
    models = {"PPO": make_ppo(make_env(env_id), shape), "FastPPO": make_fast_ppo(env_id, shape)}
    for model in models.values():
        model.learn(N_ENVS * N_STEPS)  # warm-up
    clocks = {name: Clock(model) for name, model in models.items()}
    for _ in range(turns):
        for model in models.values():
            model.learn(N_ENVS * N_STEPS)
    by_method = {name: {key: 1e3 * value / turns for key, value in clock.seconds.items()} for name, clock in clocks.items()}
    return {name: [of["step"], of["learn"] - of["step"] - of["train"], of["train"]] for name, of in by_method.items()}


def page_of(env_id: str, label: str, shape: tuple[int, int], turns: int, rollouts: int) -> list[str]:
    steps = rollouts * N_ENVS * N_STEPS
    seconds = in_turns(
        {method: partial(trainer_of(method, env_id, shape), steps) for method in METHODS}, turns, f"{env_id} {shape}"
    )
    lines = [f"## {env_id}, {label}", "", "| method | time / PPO | PPO / it | imitation GAIL / it |", "|---|---|---|---|"]
    for method in METHODS:
        against = ratio(seconds["imitation GAIL"], seconds[method]) if "GAIL" in method else ""
        to_ppo, from_ppo = ratio(seconds[method], seconds["PPO"]), ratio(seconds["PPO"], seconds[method])
        lines.append(f"| {method} | {to_ppo} | {from_ppo} | {against} |")
    lines += ["", f"| ms a rollout | {' | '.join(PARTS)} |", "|---|---|---|---|"]
    for name, parts in milliseconds_by_part(env_id, shape, turns).items():
        lines.append(f"| {name} | {' | '.join(f'{part:.0f}' for part in parts)} |")
    return [*lines, ""]


def is_installed(env_id: str) -> bool:
    try:
        gym.make(env_id).close()
    except (gym.error.Error, ImportError) as error:
        print(f"{env_id} is left out: {error}", file=sys.stderr)
        return False
    return True


def main() -> None:
    parser = page_parser(__doc__, "ppo_speed.md")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rollouts", type=int, default=1)
    parser.add_argument("--env", action="append", default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = ["# FastPPO", "", "CPU time, ratios within one turn: median (range).", ""]
    for env_id in filter(is_installed, arguments.env or ["CartPole-v1", "HalfCheetah-v5"]):
        for label, shape in SHAPES.items():
            lines += page_of(env_id, label, shape, arguments.turns, arguments.rollouts)
    lines += [f"{arguments.turns} turns; a turn is {arguments.rollouts} x 2048 steps of each method.", ""]
    write_markdown(arguments.out, [*lines, versions("python benchmarks/ppo_speed.py")])


if __name__ == "__main__":
    main()
