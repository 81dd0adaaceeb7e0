"""Does the distance from held-out demonstrations rank policies like the true return does, which it never sees?

Policies of every quality, deterministic, over ten episodes each:

- random actions,
- behavioral cloning of one and of four demonstrations, after 30 to 3000 updates,
- GAIL on four demonstrations with its preset, at seven points of its training,
- the same generator on the true reward, at seven points; it may solve the task in another way than the expert.

Columns: ``distance`` is what runs report (the normalized energy distance, with its interval); ``ends ignored`` is the same
without absorbing states; ``discriminator`` is one minus the cross-entropy in bits of a fresh discriminator with a gradient
penalty, of four folds by episode. The figures are Spearman's rank correlation with the mean return, its sign turned. The
distance was chosen on CartPole and Pendulum; the other environments report.

    uv run --all-extras python benchmarks/heldout.py
    uv run --all-extras python benchmarks/heldout.py --env acrobot --env maze
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from common import configured, final_of, finished, grid_parser, run_cells, versions, write_markdown, write_rows

if TYPE_CHECKING:
    from ganq_irl.runs.heldout import Heldout
    from ganq_irl_demos import Trajectory

EPISODES, SEED = 10, 20_000
UPDATES = (30, 100, 300, 1000, 3000)
SHARES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
CHOSEN_ON = ("cartpole", "pendulum")
RUNS: dict[str, tuple[int, str | None]] = {  # environment steps of both runs, and the preset of the true reward
    "cartpole": (50_000, "ppo-cartpole"),
    "pendulum": (60_000, "fast-ppo-pendulum"),
    "mountaincar": (100_000, None),  # PPO never meets the true reward
    "maze": (60_000, "fast-ppo-maze"),
    "acrobot": (100_000, "ppo-acrobot"),
    "lunarlander": (100_000, "ppo-lunarlander"),
    "hopper": (150_000, "fast-ppo-hopper"),
    "walker2d": (150_000, "fast-ppo-walker2d"),
}
FAMILIES = ("random and clones", "GAIL", "true reward")
SCORES = ("distance", "ends ignored", "discriminator")


@dataclass(frozen=True)
class Cell:
    """The policies of one family in one environment."""

    demos: str
    family: str
    seed: int

    def folder(self, runs: Path) -> Path:
        """Return the cell's folder."""
        return runs / self.demos / f"{self.family.replace(' ', '-')}-seed{self.seed}"

    def run(self, folder: Path, overrides: list[str]) -> dict[str, Any]:
        """Train the family and measure its policies."""
        from ganq_irl.runs.heldout import split_demonstrations

        steps, preset = RUNS[self.demos]
        common = {"env": env_of(self.demos), "device": "cpu", "seed": self.seed}
        gail = {**common, "algo": "gail", "demos": self.demos, "n_trajectories": 4, "timesteps": steps}
        config = configured(gail, overrides)
        heldout = split_demonstrations(config)[1]
        assert heldout is not None
        measured: list[dict[str, Any]] = []

        def measure(name: str, policy: Any) -> None:
            measured.append({"policy": name, **measurements(policy, config.env, heldout)})

        if self.family == "GAIL":
            self._train(gail, folder, overrides, measure)
        elif self.family == "true reward":
            assert preset is not None
            algo = "fast-ppo" if preset.startswith("fast") else "ppo"
            self._train({**common, "algo": algo, "preset": preset, "timesteps": steps}, folder, overrides, measure)
        else:
            folder.mkdir(parents=True)
            self._clone(config.env, measure)
        return {"policies": measured, "heldout": len(heldout.demonstrations)}

    def _train(self, settings: dict[str, Any], folder: Path, overrides: list[str], measure: Callable[..., None]) -> None:
        from stable_baselines3.common.callbacks import BaseCallback

        from ganq_irl.generators.policies.store import acting_policy
        from ganq_irl.runs import run_experiment

        family, points = self.family, [int(share * settings["timesteps"]) for share in SHARES]

        class Snapshots(BaseCallback):
            def _on_step(self) -> bool:
                while points and self.num_timesteps >= points[0]:
                    measure(f"{family}, {points.pop(0)} steps", acting_policy(self.model))
                return True

        config = configured({**settings, "evaluation": {"episodes": 2}}, overrides)
        run_experiment(config, folder, progress_bar=False, callback=Snapshots())

    def _clone(self, env_id: str, measure: Callable[..., None]) -> None:
        import gymnasium as gym

        from ganq_irl.algorithms import BC
        from ganq_irl.evaluation import RandomPolicy
        from ganq_irl_demos import load_demonstrations

        demonstrations = load_demonstrations(self.demos)
        measure("random", RandomPolicy(gym.make(env_id).action_space, self.seed))
        for n in (1, 4):
            chosen = demonstrations.select(n, np.random.default_rng(self.seed))
            bc = BC(chosen.observation_space, chosen.action_space, chosen, seed=self.seed, device="cpu")
            for n_updates in UPDATES:
                bc.train(n_updates - bc.n_updates_done)
                measure(f"BC of {n}, {n_updates} updates", bc.policy)


def env_of(demos: str) -> str:
    from ganq_irl_demos import catalog

    return catalog()[demos].env_id


def measurements(policy: Any, env_id: str, heldout: Heldout) -> dict[str, Any]:
    """Return the mean return of a policy and its distances, and how long these took."""
    from ganq_irl.evaluation import evaluate_returns

    episodes = evaluate_returns(policy, env_id, EPISODES, seed=SEED, records=True)
    start = time.process_time()
    found = heldout.distance(episodes.trajectories)
    seconds = time.process_time() - start
    assert found is not None

    def without_ends(side: Sequence[Trajectory]) -> list[Trajectory]:
        return [replace(trajectory, terminated=False) for trajectory in side]

    shown = heldout.demonstrations
    endless = replace(heldout, demonstrations=replace(shown, trajectories=without_ends(list(shown))))
    ignored = endless.distance(without_ends(episodes.trajectories))
    assert ignored is not None
    start = time.process_time()
    told_apart = discriminated(heldout, episodes.trajectories)
    return {
        "return": float(episodes.returns.mean()),
        "length": float(episodes.lengths.mean()),
        "distance": found.distance,
        "low": found.interval[0],
        "high": found.interval[1],
        "ends ignored": ignored.distance,
        "discriminator": told_apart,
        "seconds": seconds,
        "seconds of the discriminator": time.process_time() - start,
    }


def discriminated(heldout: Heldout, played: Sequence[Trajectory], folds: int = 4, n_updates: int = 300) -> float:
    """Return how well fresh discriminators tell episodes apart that they were not trained on: 0 not at all, 1 always."""
    import torch

    from ganq_irl.discriminator import Discriminator, DiscriminatorLearner, InputEncoder

    shown = heldout.demonstrations
    encoder = InputEncoder(shown.observation_space, shown.action_space, heldout.inputs)
    encoder.fit(shown.to_batch())
    sides = [[replace(shown, trajectories=[episode]).to_batch() for episode in side] for side in (list(shown), list(played))]
    rng, losses = np.random.default_rng(0), []
    for fold in range(min(folds, len(shown))):
        torch.manual_seed(fold)
        learner = DiscriminatorLearner(
            Discriminator(encoder, (32, 32), "relu"), stabilizers=["gradient-penalty"], learning_rate=1e-3, seed=fold
        )
        pools = [[batch for i, batch in enumerate(side) if i % folds != fold] for side in sides]
        for _ in range(n_updates):
            drawn = [pool[rng.integers(len(pool))] for pool in pools]  # rows of one episode a side
            learner.update(*(batch[torch.from_numpy(rng.integers(len(batch), size=128))] for batch in drawn), measures=False)
        scorer = learner.discriminator.eval()
        with torch.no_grad():
            for side, loss in zip(sides, (learner.loss.real, learner.loss.fake), strict=True):
                unseen = [batch for i, batch in enumerate(side) if i % folds == fold]
                losses.append(np.mean([float(loss(scorer.score(scorer.encode(batch))).mean()) for batch in unseen]))
    return float(max(0.0, 1 - np.mean(losses) / np.log(2)))


def correlation(policies: Sequence[dict[str, Any]], score: str) -> float:
    from scipy.stats import spearmanr

    return -float(spearmanr([each[score] for each in policies], [each["return"] for each in policies])[0])


def page(runs: Path, names: Sequence[str], seeds: Sequence[int]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the page's tables, and a row for each policy."""
    lines = [
        "| environment | seed | policies | distance | imitators alone | ends ignored | discriminator | their ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows: list[dict[str, Any]] = []
    for name in names:
        for seed in seeds:
            found = [
                {"demonstrations": name, "seed": seed, "family": family, **policy}
                for family in FAMILIES
                for folder in finished([Cell(name, family, seed).folder(runs)])
                for policy in final_of(folder)["policies"]
            ]
            if not found:
                continue
            imitators = [policy for policy in found if policy["family"] != "true reward"]
            shown = [correlation(found, "distance"), correlation(imitators, "distance")]
            shown += [correlation(found, score) for score in SCORES[1:]]
            took = [1000 * np.mean([policy[key] for policy in found]) for key in ("seconds", "seconds of the discriminator")]
            of = " (chosen on)" if name in CHOSEN_ON else ""
            cells = [f"{env_of(name)}{of}", seed, len(found), *(f"{value:.2f}" for value in shown)]
            lines.append(f"| {' | '.join(map(str, cells))} | {took[0]:.0f}, {took[1]:.0f} |")
            rows += found
    return lines, rows


def main() -> int:
    """Run the unfinished cells, then write the page and the CSV."""
    parser = grid_parser(__doc__, "heldout", RUNS, seeds="7", jobs=1)
    arguments = parser.parse_args()
    names = arguments.env or list(RUNS)
    cells = [
        Cell(name, family, seed)
        for name in names
        for family in FAMILIES
        if RUNS[name][1] is not None or family != "true reward"
        for seed in arguments.seeds
    ]
    status = run_cells(cells, arguments)
    lines, rows = page(arguments.runs, names, arguments.seeds)
    head = [
        "# Held-out distance and true return",
        "",
        versions("python benchmarks/heldout.py"),
        "",
        (__doc__ or "").split("\n\n")[0],
    ]
    write_markdown(arguments.out, [*head, "", *lines, "", "Every policy: [heldout.csv](heldout.csv)."])
    write_rows(arguments.out, rows)
    return status


if __name__ == "__main__":
    sys.exit(main())
