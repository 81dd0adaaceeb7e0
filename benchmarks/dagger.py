"""How many of the expert's actions does DAgger need, and how many does behavioral cloning?

    python benchmarks/dagger.py --env Pendulum-v1 --env Hopper-v5

An expert is trained with its preset once for each environment. Then, for each seed and each number N of labels:

- BC clones the first N transitions of the expert's episodes.
- DAgger clones the first N/4, and asks the expert for the other labels while the policy acts, in 20 rollouts of 250 steps.

Both take 10,000 updates with their defaults. Scores are means of 50 episodes: 0 is random, and 1 the expert. Every score is
appended to the CSV file beside the page, so an interrupted run continues.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from common import append_row, configured, page_parser, read_rows, versions, write_markdown

PRESETS = {"Pendulum-v1": ("fast-sac", "sac-pendulum"), "Hopper-v5": ("fast-ppo", "fast-ppo-hopper")}
COUNTS = {"Pendulum-v1": (100, 200, 400, 800, 1600), "Hopper-v5": (125, 250, 500, 1000)}
ROLLOUTS, STEPS, UPDATES, EPISODES, TARGET = 20, 250, 10_000, 50, 0.95


class Task:
    """An environment with its expert, whose episodes and actions the methods learn from."""

    def __init__(self, env_id: str, folder: Path) -> None:
        import gymnasium as gym

        from ganq_irl.evaluation import RandomPolicy, evaluate_returns
        from ganq_irl.runs import load_run, run_experiment

        self.env_id = env_id
        run = folder / env_id
        if not (run / "policy").is_dir():
            algo, preset = PRESETS[env_id]
            settings = {"env": env_id, "algo": algo, "preset": preset, "seed": 100, "device": "cpu"}
            run_experiment(configured(settings, []), run)
        self.expert = load_run(run).policy("cpu")
        chance = RandomPolicy(gym.make(env_id).action_space, 0)
        self.low, self.high = (
            float(evaluate_returns(policy, env_id, 100, seed=70_000).returns.mean()) for policy in (chance, self.expert)
        )

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return the expert's actions."""
        return np.asarray(self.expert.predict(observations, deterministic=True)[0])

    def demonstrations(self, n: int, seed: int) -> Any:
        """Return the first ``n`` transitions of the expert's episodes."""
        from dataclasses import replace

        import gymnasium as gym

        from ganq_irl_demos import Trajectory, record_episodes

        chosen: list[Trajectory] = []
        played = record_episodes(self.expert, gym.make(self.env_id), -(-n // 100), seed=80_000 + 1000 * seed)
        for episode in played:
            left = n - sum(map(len, chosen))
            if left >= len(episode):
                chosen.append(episode)
            elif left:
                cut = {"observations": episode.observations[: left + 1], "actions": episode.actions[:left]}
                chosen.append(replace(episode, **cut, rewards=None, terminated=False, truncated=True))
        return replace(played, trajectories=[replace(episode, rewards=None) for episode in chosen])

    def score(self, policy: Any) -> float:
        """Return the normalized mean return."""
        from ganq_irl.evaluation import evaluate_returns

        mean = float(evaluate_returns(policy, self.env_id, EPISODES, seed=90_000).returns.mean())
        return (mean - self.low) / (self.high - self.low)


def clone(task: Task, n: int, seed: int) -> float:
    """Return the score of behavioral cloning."""
    from ganq_irl.algorithms import BC

    shown = task.demonstrations(n, seed)
    bc = BC(shown.observation_space, shown.action_space, shown, seed=seed, device="cpu").train(UPDATES)
    return task.score(bc.policy)


def correct(task: Task, n: int, seed: int) -> float:
    """Return the score of DAgger."""
    from stable_baselines3.common.env_util import make_vec_env

    from ganq_irl.algorithms import DAgger
    from ganq_irl.generators.factory import build_generator

    env = make_vec_env(task.env_id, 1, seed=seed)
    generator = build_generator("fast-ppo", env, seed=seed, device="cpu", n_steps=STEPS, batch_size=STEPS)
    asked = {"expert": task.act, "n_labels": n - n // 4, "n_updates": UPDATES // ROLLOUTS, "seed": seed}
    DAgger(generator, task.demonstrations(n // 4, seed), **asked).learn(ROLLOUTS * STEPS)
    return task.score(generator)


METHODS = {"bc": clone, "dagger": correct}


def page_of(rows: list[dict[str, str]]) -> list[str]:
    """Return a table for each environment, and the labels that each method needs."""
    scores: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for row in rows:
        scores[row["env"], row["method"], int(row["labels"])].append(float(row["score"]))
    lines = ["# Labels that DAgger and behavioral cloning need"]
    for env in dict.fromkeys(row["env"] for row in rows):
        lines += ["", f"## {env}", "", "| labels | BC, mean (each) | DAgger, mean (each) |", "|---|---|---|"]
        for n in sorted({count for name, _, count in scores if name == env}):
            shown = [scores.get((env, method, n), []) for method in METHODS]
            told = [f"{np.mean(each):.2f} ({' '.join(f'{x:.2f}' for x in each)})" if each else "" for each in shown]
            lines.append(f"| {n} | {' | '.join(told)} |")
        needed = {
            method: min(
                (n for (name, m, n), each in scores.items() if (name, m) == (env, method) and np.mean(each) >= TARGET),
                default=None,
            )
            for method in METHODS
        }
        seeds = ", ".join(dict.fromkeys(row["seed"] for row in rows if row["env"] == env))
        lines += [
            "",
            f"Seeds {seeds}. Fewest labels with a mean of at least {TARGET}: BC {needed['bc']}, DAgger {needed['dagger']}.",
        ]
    return lines


def main() -> int:
    """Measure what is not in the CSV yet, and write the page."""
    parser = page_parser(__doc__, "dagger.md")
    parser.add_argument("--env", action="append", choices=list(PRESETS))
    parser.add_argument("--seeds", default="11,12,13,14,15", help="separated by commas")
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/runs/dagger"), help="folder of the experts")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    table = arguments.out.with_suffix(".csv")
    done = {(row["env"], row["method"], int(row["labels"]), int(row["seed"])) for row in read_rows(table)}
    for env in arguments.env or PRESETS:
        task = Task(env, arguments.runs)
        for seed in map(int, arguments.seeds.split(",")):
            for n in COUNTS[env]:
                for method, measure in METHODS.items():
                    if (env, method, n, seed) in done:
                        continue
                    score = round(measure(task, n, seed), 4)
                    print(env, method, n, seed, score, file=sys.stderr)
                    append_row(table, {"env": env, "method": method, "labels": n, "seed": seed, "score": score})
    write_markdown(arguments.out, [*page_of(read_rows(table)), "", versions("python benchmarks/dagger.py")])
    return 0


if __name__ == "__main__":
    sys.exit(main())
