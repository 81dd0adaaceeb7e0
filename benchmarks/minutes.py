"""How many minutes of processor time does a policy take to reach 0.9 of its expert in HalfCheetah?

    python benchmarks/minutes.py --seeds 310,311,312
    python benchmarks/minutes.py --method imitation --limit 75

trains DAC with its preset for HalfCheetah, or imitation's GAIL with the same generator and demonstrations, one seed after
the other. What is evaluated is the policy that would be saved: 5 episodes every 2,500 steps, not counted in the time. A run
stops at the first evaluation of at least 0.9, or after ``--limit`` minutes. The learning rate falls as in a run of 200,000
steps. Every evaluation is appended to the CSV file beside the page, which is drawn from it, so methods and seeds may be run
one by one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from common import append_row, configured, page_parser, read_rows, versions, write_markdown
from learning import demonstrations_of, normalizer
from peers import imitation_gail

ENV, EVERY, EPISODES, TARGET = "HalfCheetah-v5", 2_500, 5, 0.9


class Clock:
    """Evaluates a policy every 2,500 steps, with the processor time of training so far; says when to stop."""

    def __init__(self, limit: float, report: Callable[[int, float, float], None]) -> None:
        self._limit, self._report, self._next = limit, report, EVERY
        self._training, self._since = 0.0, time.process_time()

    def goes_on(self, policy: Any, step: int) -> bool:
        """Return whether the policy is below the target, and there is time left."""
        if step < self._next:
            return True
        from ganq_irl.evaluation.rollouts import evaluate_returns

        self._next += EVERY
        self._training += time.process_time() - self._since
        random, expert = normalizer(ENV)
        score = (evaluate_returns(policy, ENV, EPISODES, seed=10_000).returns.mean() - random) / (expert - random)
        self._report(step, self._training, float(score))
        self._since = time.process_time()
        return bool(score < TARGET and self._training < self._limit)


def train_dac(config: Any, clock: Clock) -> None:
    """Train DAC until the clock stops it."""
    from stable_baselines3.common.callbacks import BaseCallback

    from ganq_irl.runs.training import Training, build_trainable

    training = build_trainable(config)
    assert isinstance(training, Training)

    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            return clock.goes_on(training.policy(), self.num_timesteps)

    with tempfile.TemporaryDirectory() as folder:
        training.learn(Path(folder), progress_bar=False, callback=Stop())


class _Stopped(Exception):
    """Ends imitation's ``train``, which has no other way to."""


def train_imitation(config: Any, clock: Clock) -> None:
    """Train imitation's GAIL until the clock stops it."""
    trainer, generator = imitation_gail(config)

    def after_round(_round: int) -> None:
        if not clock.goes_on(generator, generator.num_timesteps):
            raise _Stopped

    try:
        trainer.train(config.timesteps, after_round)
    except _Stopped:
        return


METHODS = {"dac": train_dac, "imitation": train_imitation}


def page_of(rows: list[dict[str, str]]) -> list[str]:
    """Return a line for every run."""
    lines = [
        f"# Minutes of processor time to 0.9 of the expert, {ENV}",
        "",
        "| method | demonstrations | seed | steps | minutes | score there | highest before |",
        "|---|---|---|---|---|---|---|",
    ]
    for (method, n, seed), every in groupby(rows, lambda row: (row["method"], row["demonstrations"], row["seed"])):
        *before, last = every
        reached = float(last["score"]) >= TARGET
        highest = max((float(row["score"]) for row in before), default=0.0)
        steps, minutes = f"{int(last['step']):,}", f"{float(last['processor_seconds']) / 60:.1f}"
        if not reached:
            steps, minutes = f"not by {steps}", f"> {minutes}"
        lines.append(f"| {method} | {n} | {seed} | {steps} | {minutes} | {float(last['score']):.2f} | {highest:.2f} |")
    return lines


def main() -> None:
    """Run the seeds of a method, and write the page."""
    parser = page_parser(__doc__, "minutes.md")
    parser.add_argument("--method", choices=METHODS, default="dac")
    parser.add_argument("--seeds", default="310,311,312", help="separated by commas")
    parser.add_argument("--n-demos", type=int, default=4, help="demonstrations of 1,000 steps; 4 by default")
    parser.add_argument("--limit", type=float, default=40.0, help="minutes of processor time for a seed; 40 by default")
    parser.add_argument("--set", action="append", default=[], help="a setting, as in `ganq-irl train --set`")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    table = arguments.out.with_suffix(".csv")
    for seed in map(int, arguments.seeds.split(",")):
        flags = {
            "algo": "dac",
            "env": ENV,
            "demos": demonstrations_of(ENV),
            "n_trajectories": arguments.n_demos,
            "seed": seed,
            "device": "cpu",
            "timesteps": 200_000,
            "evaluation": {"every": 0},
        }
        config = configured(flags, arguments.set)
        name = f"{arguments.method}{''.join(f', {each}' for each in arguments.set)}"

        run = {"method": name, "demonstrations": arguments.n_demos, "seed": seed}

        def report(step: int, seconds: float, score: float, *, run: dict[str, Any] = run) -> None:
            measured = {"step": step, "processor_seconds": round(seconds, 1), "score": round(score, 4)}
            append_row(table, run | measured)

        METHODS[arguments.method](config, Clock(60 * arguments.limit, report))
    lines = page_of(read_rows(table))
    write_markdown(arguments.out, [*lines, "", versions("python benchmarks/minutes.py")])


if __name__ == "__main__":
    main()
