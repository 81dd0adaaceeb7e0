"""Analyze why samples of the return are too wide, with the residuals of GAN-Q's means over its final replay.

    python benchmarks/replay_residuals.py

trains GAN-Q on CartPole-v1 for 50 000 steps with its defaults and a replay buffer for all of them, and computes
Σ γᵏ r_k + γⁿ m(s', a*) - m(s, a) for every stored window. "neighbors" are, for 500 of the pairs that the policy visits, the
50 nearest stored ones with the same action, with observations in units of their standard deviation over the visits. "other
actions" counts those in a window, after its first, that the current policy would not take.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from common import page_parser, versions, write_markdown
from scipy.spatial import cKDTree

from ganq_irl.algorithms import GANQ
from ganq_irl.evaluation import monte_carlo_returns
from ganq_irl.generators.off_policy.n_step import windows

ENV, STEPS, AGE = "CartPole-v1", 50_000, 10_000
PAIRS, NEIGHBORS = 500, 50


def stored(model: GANQ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return observations, actions, residuals, and the number of other actions in each window of the replay."""
    buffer: Any = model.replay_buffer
    n = buffer.size()
    window = windows(np.arange(n), np.zeros(n, int), buffer.n_steps, (buffer.pos - 1) % n, buffer.dones, buffer.timeouts)
    observations, actions = buffer.observations[:n, 0], buffer.actions[:n, 0, 0]
    ended = buffer.dones[window.last, 0] * (1 - buffer.timeouts[window.last, 0])
    values, after = q_values(model, observations), q_values(model, buffer.next_observations[window.last, 0])
    bootstraps = model.gamma**window.lengths * (1 - ended) * after.max(axis=1)
    residuals = buffer._returns(window, None).numpy()[:, 0] + bootstraps - values[np.arange(n), actions]
    later = window.steps[:, 1:]
    others = ((values.argmax(axis=1)[later] != actions[later]) & window.inside[:, 1:]).sum(axis=1)
    return observations, actions, residuals, others


@torch.no_grad()
def q_values(model: GANQ, observations: np.ndarray) -> np.ndarray:
    return model.q_net_average(torch.as_tensor(observations)).numpy()


def main() -> None:
    arguments = page_parser(__doc__, "replay-residuals.md").parse_args()
    torch.set_num_threads(1)
    model = GANQ("MlpPolicy", ENV, seed=0, device="cpu").learn(STEPS, progress_bar=True)
    observations, actions, residuals, others = stored(model)

    visits = monte_carlo_returns(model, ENV, model.gamma, 10, seed=50_000)
    units = visits.observations.std(axis=0)
    pairs = np.column_stack([visits.observations / units, 100 * visits.actions.reshape(-1)])  # 100: only the same action
    chosen = np.random.default_rng(0).choice(len(pairs), PAIRS, replace=False)
    tree = cKDTree(np.column_stack([observations / units, 100 * actions]))
    nearest = tree.query(pairs[chosen], NEIGHBORS)[1]

    lines = ["# What GAN-Q's replay says of returns", ""]
    lines += ["| stored at step | share of the neighbors | deviation of their residuals |", "|---|---|---|"]
    for start in range(0, STEPS, AGE):
        rows = nearest[(nearest >= start) & (nearest < start + AGE)]
        lines.append(f"| {start:,} to {start + AGE:,} | {len(rows) / nearest.size:.1%} | {residuals[rows].std():.1f} |")
    lines += ["", "| other actions in a window | share of the replay | deviation of the residuals |", "|---|---|---|"]
    for count in range(6):
        rows = others == count
        lines.append(f"| {count} | {rows.mean():.1%} | {residuals[rows].std():.1f} |")
    write_markdown(arguments.out, [*lines, "", versions("python benchmarks/replay_residuals.py")])


if __name__ == "__main__":
    main()
