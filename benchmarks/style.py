"""A task in a style that its reward does not ask for: AMP beside the task alone and the style alone.

The task is CartPole's: keep the pole up, anywhere on the track. The demonstrations do so one unit right of the center, which
the reward does not ask for. ``return`` is the environment's, at most 500, and ``distance`` is the mean distance of the cart
from the demonstrated place after the first 100 steps, of the final policy in 10 episodes; the demonstrations have 0.07.

- ``task``: PPO on the environment's reward alone.
- ``style``: AMP without the environment's reward (``task_weight=0``).
- ``both``: AMP as it is (``task_weight=0.5``).

    python benchmarks/style.py [--seeds 11,12,13,14,15] [--jobs 2]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import configured, final_of, finished, grid_parser, run_cells, versions, write_markdown, write_rows

METHODS = ("task", "style", "both")
PLACE, SETTLED, STEPS, EPISODES, SEED = 1.0, 100, 60_000, 10, 20_000
GAINS = np.array([0.1, 0.2, 1.0, 0.3])  # of position, velocity, angle and angular velocity
FORMATS = {"return": ".0f", "distance": ".2f"}
DEMONSTRATIONS = Path("benchmarks/runs/style-demonstrations.npz")


@dataclass(frozen=True)
class Cell:
    """One method with one seed."""

    method: str
    seed: int

    def folder(self, runs: Path) -> Path:
        """Return the run directory."""
        return runs / f"{self.method}-seed{self.seed}"

    def run(self, folder: Path, overrides: list[str]) -> dict[str, Any]:
        """Train and measure."""
        from ganq_irl import load_policy
        from ganq_irl.evaluation import evaluate_returns
        from ganq_irl.runs import run_experiment
        from ganq_irl.runs.resolve import on_true_reward

        settings = {"algo": "amp", "env": "CartPole-v1", "demos": str(DEMONSTRATIONS), "timesteps": STEPS, "seed": self.seed}
        if self.method == "style":
            settings["adversary"] = {"task_weight": 0.0}
        config = configured({**settings, "preset": "auto", "device": "cpu"}, overrides)
        run_experiment(on_true_reward(config) if self.method == "task" else config, folder, progress_bar=False)
        played = evaluate_returns(load_policy(folder / "policy"), "CartPole-v1", EPISODES, seed=SEED, records=True)
        return {
            "return": float(played.returns.mean()),
            "distance": distance([one.observations for one in played.trajectories]),
        }


def distance(episodes: list[Any]) -> float:
    """Return the mean distance from the demonstrated place, once an episode has settled; NaN if none lasts so long."""
    settled = np.concatenate([observations[SETTLED:, 0] for observations in episodes])
    return float(np.abs(settled - PLACE).mean()) if len(settled) else float("nan")


def record() -> None:
    """Record the style, unless it has been done."""
    import gymnasium as gym

    from ganq_irl_demos import save_demonstrations
    from ganq_irl_demos.recording.policies import FunctionPolicy
    from ganq_irl_demos.recording.record import record_episodes

    env = gym.make("CartPole-v1")

    def act(observation: np.ndarray) -> int:
        return int(GAINS @ (observation - [PLACE, 0, 0, 0]) > 0)

    DEMONSTRATIONS.parent.mkdir(parents=True, exist_ok=True)
    save_demonstrations(record_episodes(FunctionPolicy(act, env.action_space, "scripted"), env, 4, seed=0), DEMONSTRATIONS)


def main() -> int:
    """Run the unfinished cells, then write the page and the CSV."""
    arguments = grid_parser(__doc__, "style", METHODS, seeds="11,12,13,14,15", jobs=2, chosen="method").parse_args()
    record()
    cells = [Cell(method, seed) for seed in arguments.seeds for method in arguments.method or METHODS]
    status = run_cells(cells, arguments)
    rows = [
        {"method": cell.method, "seed": cell.seed, **final_of(folder)}
        for cell in cells
        for folder in finished([cell.folder(arguments.runs)])
    ]
    lines = ["# A task in a style", "", versions("python benchmarks/style.py"), "", (__doc__ or "").split("\n\n")[1], ""]
    lines += ["| method | return | distance |", "|---|---|---|"]
    for method in METHODS:
        own = [row for row in rows if row["method"] == method]
        returns, distances = (" ".join(f"{row[key]:{form}}" for row in own) for key, form in FORMATS.items())
        lines.append(f"| {method} | {returns} | {distances} |")
    write_markdown(arguments.out, [*lines, "", "By seed. Every run: [style.csv](style.csv)."])
    write_rows(arguments.out, rows)
    return status


if __name__ == "__main__":
    sys.exit(main())
