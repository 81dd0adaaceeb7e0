"""Run everything that needs a GPU, in under ten minutes on one: tests, speed, and seeds that share the device.

    python benchmarks/gpu.py --out benchmarks/results/gpu.md

First the tests marked ``cuda``. Then each algorithm takes turns: without acceleration on the device ("eager"), accelerated
on the device, and accelerated on the CPU. Where an accelerated class runs Stable-Baselines3's own code on the device, the
page gives its reason. Last, DAC with 1 to 64 seeds at once, one process each. Numbers of seeds that would take longer than
``--minutes`` in all are left out, and the page says so. ``--device cpu`` is a dry run.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from common import clock_of, in_turns, page_parser, ratio, versions, write_markdown
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_util import make_vec_env

from ganq_irl.accelerated.ppo import FastPPO
from ganq_irl.accelerated.sac import FastSAC
from ganq_irl.algorithms import DAC, GAIL, GANQ
from ganq_irl.studies.workers import run_tasks

CONTINUOUS, DISCRETE, DEMONSTRATIONS = "Pendulum-v1", "CartPole-v1", "pendulum"
ALGORITHMS = ("SAC", "DAC", "PPO", "GAIL", "GAN-Q")
ROLLOUT = 512
"""Steps of an on-policy rollout, and of a warm-up. PPO's batches are a fourth of it, those of SAC and GAN-Q half of it."""


class EagerGANQ(GANQ):
    """GAN-Q whose updates go through autograd."""

    def _step(self, *args: Any, **kwargs: Any) -> Any:
        return super()._step(*args, **kwargs)


class EagerDAC(DAC):
    """DAC whose discriminator is trained by autograd."""

    slow_reason = "eager"


class Trained(NamedTuple):
    """A model after its first updates.

    Attributes:
        learn: trains for a number of further steps.
        slow_reason: why it is not accelerated, or None if it is.
    """

    learn: Callable[[int], object]
    slow_reason: str | None


def build(name: str, device: str, *, accelerated: bool) -> Trained:
    """Return an algorithm, trained until every later step learns."""
    model: Any
    if name == "GAN-Q":
        model = (GANQ if accelerated else EagerGANQ)("MlpPolicy", DISCRETE, device=device, seed=0, **replaying())
    elif name in ("SAC", "DAC"):
        model = new_sac(FastSAC if accelerated else SAC, device, seed=0)
    else:
        sizes = {"n_steps": ROLLOUT // 8, "batch_size": ROLLOUT // 4}
        kind = FastPPO if accelerated else PPO
        model = kind("MlpPolicy", make_vec_env(CONTINUOUS, 8, seed=0), device=device, seed=0, **sizes)
    reason = getattr(model, "slow_reason", None)
    if name == "DAC":
        model = (DAC if accelerated else EagerDAC)(model, DEMONSTRATIONS)
    elif name == "GAIL":
        model = GAIL(model, DEMONSTRATIONS, batch_size=ROLLOUT // 2)
    model.learn(ROLLOUT)
    return Trained(partial(model.learn, reset_num_timesteps=False), reason)


def new_sac(kind: type[SAC], device: str, seed: int) -> SAC:
    return kind("MlpPolicy", CONTINUOUS, device=device, seed=seed, **replaying())


def replaying() -> dict[str, int]:
    half = ROLLOUT // 2
    return {"learning_starts": half, "batch_size": half, "buffer_size": 50_000, "train_freq": 1, "gradient_steps": 1}


def cuda_tests() -> list[str]:
    """Run the tests marked ``cuda``; return their summary."""
    ran = subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", "cuda"], capture_output=True, text=True, check=False)
    summary = (ran.stdout.strip().splitlines() or ["no output"])[-1]
    return ["## Tests", "", f"`pytest -m cuda`: exit code {ran.returncode}, {summary}", ""]


def speed(device: str, turns: int, steps: int) -> list[str]:
    """Table of steps a second: every algorithm eager and accelerated on the device, and accelerated on the CPU."""
    rows, reasons = [], []
    for name in ALGORITHMS:
        models = {
            "eager": build(name, device, accelerated=False),
            "accelerated": build(name, device, accelerated=True),
            "on the CPU": build(name, "cpu", accelerated=True),
        }
        length = max(steps, ROLLOUT) if name in ("PPO", "GAIL") else steps
        tasks = {way: partial(model.learn, length) for way, model in models.items()}
        seconds = in_turns(tasks, turns, name, time.perf_counter if device == "cpu" else clock_of(device))
        rates = [f"{length * turns / sum(of):.0f}" for of in seconds.values()]
        ratios = [ratio(seconds["eager"], seconds[way]) for way in ("accelerated", "on the CPU")]
        rows.append(f"| {' | '.join([name, *rates, *ratios])} |")
        if models["accelerated"].slow_reason:
            reasons.append(f"{name} is not accelerated on the device: {models['accelerated'].slow_reason}.")
    return [
        "## Steps a second",
        "",
        "| algorithm | eager | accelerated | on the CPU | eager / accelerated, time | eager / accelerated on the CPU |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        *reasons,
        f"Wall time, {turns} turns of {steps} steps each ({ROLLOUT} or more on-policy).",
        "",
    ]


def one_seed(device: str, seed: int, steps: int) -> float:
    """Train DAC in a worker; return the seconds that the steps took, without imports and the first updates."""
    algorithm = DAC(new_sac(FastSAC, device, seed), DEMONSTRATIONS)
    algorithm.learn(ROLLOUT)
    start = time.perf_counter()
    algorithm.learn(steps, reset_num_timesteps=False)
    return time.perf_counter() - start


def seeds_at_once(device: str, counts: Sequence[int], steps: int, deadline: float) -> list[str]:
    """Table of DAC's steps a second over all seeds that share the device."""
    rows, last = [], 0.0
    for count in counts:
        start = time.perf_counter()
        if start + 2 * last > deadline:
            rows.append(f"| {count} | left out, the time is up | |")
            continue
        tasks = {seed: partial(one_seed, device, seed, steps) for seed in range(count)}
        seconds = [outcome.result() for _, outcome in run_tasks(tasks, count)]
        last = time.perf_counter() - start
        rows.append(f"| {count} | {sum(steps / each for each in seconds):.0f} | {last:.0f} |")
    return [
        "## Seeds that share the device",
        "",
        "| seeds | steps a second, all together | seconds, start included |",
        "|---|---|---|",
        *rows,
        "",
    ]


def main() -> None:
    parser = page_parser(__doc__, "gpu.md")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500, help="of each algorithm in a turn")
    parser.add_argument("--seeds", default="1,4,16,64", help="how many share the device, separated by commas")
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything; more seeds than fit are left out")
    arguments = parser.parse_args()
    if arguments.device != "cpu" and not torch.cuda.is_available():
        sys.exit("this machine has no CUDA device; --device cpu is a dry run")
    torch.set_num_threads(1)
    deadline = time.perf_counter() + 60 * arguments.minutes
    device_name = "the CPU" if arguments.device == "cpu" else torch.cuda.get_device_name(arguments.device)
    lines = [f"# On {device_name}", ""]
    if arguments.device != "cpu":
        lines += cuda_tests()
    lines += speed(arguments.device, arguments.turns, arguments.steps)
    counts = [int(number) for number in arguments.seeds.split(",")]
    lines += seeds_at_once(arguments.device, counts, arguments.steps, deadline)
    write_markdown(arguments.out, [*lines, versions("python benchmarks/gpu.py")])


if __name__ == "__main__":
    main()
