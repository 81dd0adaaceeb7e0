"""Measure the cost of an update of GAN-Q, DQN and QR-DQN with the same network and batch, on CartPole.

    python benchmarks/gan_q_speed.py --out benchmarks/results/gan-q-speed.md

Methods alternate, with some updates per turn, and figures are the median and range of the ratios of processor time within a
turn, so that the machine's load affects all methods equally. GAN-Q's critic has the default widths, 64 and 64, or the return
model's own. "by autograd" is the same algorithm with ``DiscriminatorLearner.update``, as with settings other than the
defaults.

Prediction before the measurement, for width 64: about 170 numpy calls of 1 to 2 µs, eight products of 64 x 64 x 64 of 6 µs,
40 µs for tanh of 3 x 4 x 16 units per row, and 120 µs for the replay buffer (45 µs for DQN's). This gives 500 µs, or 0.5 to
0.7 of the 900 µs of DQN's update, most of which is autograd, small kernels, and Adam on six tensors. The result was 0.9, at
a load of six to thirteen on two cores, where DQN's update took 1600 µs.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

import torch
from common import in_turns, page_parser, ratio, versions, write_markdown
from sb3_contrib import QRDQN
from stable_baselines3 import DQN

from ganq_irl.algorithms import GANQ

ENV, BATCH = "CartPole-v1", 64
OURS = ("GAN-Q", "GAN-Q, double_q", "GAN-Q, critic as wide", "GAN-Q by autograd")


class AutogradGANQ(GANQ):
    """GAN-Q with an overridden step, which is therefore never accelerated."""

    def _step(self, sampled: Any, measures: bool) -> Any:
        return super()._step(sampled, measures)


def build(width: int) -> dict[str, Any]:
    """Build value learners with two layers of ``width`` and a filled replay buffer, before their first update."""
    shared: dict[str, Any] = {"device": "cpu", "learning_starts": 10_000, "batch_size": BATCH, "buffer_size": 10_000}
    shared |= {"seed": 0, "policy_kwargs": {"net_arch": [width, width]}}
    models = {
        "DQN": DQN("MlpPolicy", ENV, **shared),
        "QR-DQN": QRDQN("MlpPolicy", ENV, **shared),
        "GAN-Q": GANQ("MlpPolicy", ENV, **shared),
        "GAN-Q, double_q": GANQ("MlpPolicy", ENV, double_q=True, **shared),
        "GAN-Q, critic as wide": GANQ("MlpPolicy", ENV, critic_hidden_sizes=(width, width), **shared),
        "GAN-Q by autograd": AutogradGANQ("MlpPolicy", ENV, **shared),
    }
    for model in models.values():
        model.learn(2_000)
    return models


def measure(models: dict[str, Any], turns: int, updates: int) -> dict[str, list[float]]:
    """Return the processor time of an update of each in microseconds, turn by turn."""
    updating = {name: partial(model.train, gradient_steps=updates, batch_size=BATCH) for name, model in models.items()}
    seconds = in_turns(updating, turns, "turns")
    return {name: [second / updates * 1e6 for second in each] for name, each in seconds.items()}


def main() -> None:
    parser = page_parser(__doc__, "gan-q-speed.md")
    parser.add_argument("--turns", type=int, default=11)
    parser.add_argument("--updates", type=int, default=24)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    lines = [
        "# One update of GAN-Q",
        "",
        "Processor time in the same turn: median (range). Batch 64, CartPole-v1, two layers.",
    ]
    lines += ["", "| width | | time / DQN | time / QR-DQN | µs, median |", "|---|---|---|---|---|"]
    for width in (64, 256):
        times = measure(build(width), arguments.turns, arguments.updates)
        for name in OURS:
            compared = " | ".join(ratio(times[name], times[peer]) for peer in ("DQN", "QR-DQN"))
            lines.append(f"| {width} | {name} | {compared} | {statistics.median(times[name]):.0f} |")
        lines.append(
            f"| {width} | DQN | 1 | {ratio(times['DQN'], times['QR-DQN'])} | {statistics.median(times['DQN']):.0f} |"
        )
    lines += ["", f"{arguments.turns} turns of {arguments.updates} updates each.", ""]
    lines.append(versions("python benchmarks/gan_q_speed.py"))
    write_markdown(arguments.out, lines)


if __name__ == "__main__":
    main()
