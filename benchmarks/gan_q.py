"""Does GAN-Q learn on every seed, and is it worth its time? Compared with DQN, QR-DQN, and variants of its parts.

    python benchmarks/gan_q.py --env CartPole-v1 --jobs 2
    python benchmarks/gan_q.py --env CartPole-v1 --ablation --jobs 2

trains a grid of methods and seeds with the presets of `ganq-irl train` (DQN's and QR-DQN's are from rl-baselines3-zoo), with
one run directory per cell under --runs, so that a second start continues the first. Then it writes the table of all finished
cells. "DQN, matched" has GAN-Q's network, replay, n-step returns, batch and schedule, and a Huber loss on the mean instead
of an adversary.

"last fifth" is the mean of the last 20 % of the evaluations (10 episodes each) of a run. "worst after" is the lowest
evaluation after the first one at the target. "W1" is the mean distance of G's samples from the Monte Carlo return of the
same policy at the same (s, a), as a share of the largest return; "bias" is that of the mean. Seconds are for one run, while
others run at the same time.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    configured,
    evaluations,
    final_of,
    finished,
    grid_parser,
    last_fifth,
    names_of,
    run_cells,
    steps_of,
    versions,
    write_markdown,
)

EVALUATIONS = 20
CHECK_SEED = 50_000
STEPS = {
    "CartPole-v1": 50_000,
    "Acrobot-v1": 50_000,
    "MountainCar-v0": 120_000,
    "LunarLander-v3": 150_000,
    "Pendulum-v1": 20_000,
}
TARGETS = {"CartPole-v1": 475.0, "Acrobot-v1": -90.0, "MountainCar-v0": -120.0, "LunarLander-v3": 0.0, "Pendulum-v1": -200.0}

Settings = dict[str, Any]


def settings_of(env: str) -> dict[str, tuple[str, Settings]]:
    """Return method -> algorithm and changes to its preset."""
    if env == "Pendulum-v1":
        return {"gan-q-continuous": ("gan-q-continuous", {}), "td3": ("td3", {}), "sac": ("sac", {})}
    return {"gan-q": ("gan-q", {}), "dqn": ("dqn", {}), "qrdqn": ("qrdqn", {}), "dqn, matched": ("dqn", matched(env))}


MATCHED = (
    "learning_rate",
    "buffer_size",
    "learning_starts",
    "batch_size",
    "gamma",
    "tau",
    "train_freq",
    "gradient_steps",
    "target_update_interval",
    "exploration_fraction",
    "exploration_final_eps",
)


def matched(env: str) -> Settings:
    """Return GAN-Q's settings for DQN, where it has them."""
    from ganq_irl.algorithms import GANQ
    from ganq_irl.algorithms.ganq.modes import MODES
    from ganq_irl.runs import resolve_config

    chosen = resolve_config({"algo": "gan-q", "env": env, "timesteps": STEPS[env]}).generator_kwargs
    defaults = {name: entry.default for name, entry in inspect.signature(GANQ).parameters.items() if name in MATCHED}
    rate = defaults["learning_rate"]
    defaults |= {"learning_rate": {"initial": rate(1.0), "final": rate(0.0)}, "n_steps": MODES["default"].n_steps}
    policy = {"net_arch": [64, 64], **chosen.get("policy_kwargs", {})}
    settings = {**defaults, **{key: value for key, value in chosen.items() if key in defaults}, "policy_kwargs": policy}
    if isinstance(settings["n_steps"], dict):
        settings["n_steps"] = int(settings["n_steps"]["initial"])  # SB3's DQN has no schedule for it
    return settings


ABLATIONS: dict[str, Settings] = {
    "as it is": {},
    "penalty centered at 1": {"stabilizers": [{"name": "gradient-penalty", "weight": 0.5}]},
    "penalty at the samples (R1 and R2)": {"stabilizers": [{"name": "r1", "weight": 0.5}, {"name": "r2", "weight": 0.5}]},
    "spectral norm instead": {"stabilizers": ["spectral-norm"]},
    "one-step returns": {"n_steps": 1},
    "three-step returns": {"n_steps": 3},
    "five-step returns": {"n_steps": 5},
    "critic as fast as the generator": {"critic_learning_rate": {"initial": 1e-3, "final": 0.0}},
    "twice the learning rates": {
        "learning_rate": {"initial": 2e-3, "final": 0.0},
        "critic_learning_rate": {"initial": 8e-3, "final": 0.0},
    },
    "first moment 0.9 in the generator": {"policy_kwargs": {"optimizer_kwargs": {"betas": [0.9, 0.999]}}},
    "returns as they are, not centered": {
        "mode": "paper",  # whose critic sees x itself, beside s and a; everything else is unchanged
        "n_steps": 10,
        "n_samples": 4,
        "average_rate": 0.005,
        "stabilizers": [{"name": "zero-centered-gradient-penalty", "weight": 0.5}],
        "policy_kwargs": {"return_model": "location-shape"},
    },
    "1 sample": {"n_samples": 1},
    "8 samples": {"n_samples": 8},
    "stratified noise": {"noise": "stratified"},
    "replay of 5 000": {"buffer_size": 5_000},
    "no moving average": {"average_rate": 1.0},
    "no learning-rate decay": {"learning_rate": 1e-3, "critic_learning_rate": 4e-3},
    "double_q": {"double_q": True},
    "no bound on gradients": {"max_grad_norm": None},
    "binary cross-entropy": {"loss": "bce"},
    "hinge": {"loss": "hinge"},
    "TD weight 0.05 (a hybrid)": {"td_weight": 0.05},
    "as published (mode paper)": {"mode": "paper"},
}


@dataclass(frozen=True)
class Cell:
    """One run."""

    env: str
    method: str
    algo: str
    seed: int
    settings: Settings

    def folder(self, runs: Path) -> Path:
        """Return the cell's run directory."""
        name = "".join(letter if letter.isalnum() else "-" for letter in self.method)
        return runs / self.env / f"{name}-seed{self.seed}"

    def run(self, folder: Path, overrides: list[str]) -> dict[str, Any]:
        """Train and evaluate it."""
        from ganq_irl.runs import load_run, run_experiment

        steps = STEPS[self.env]
        flags = {
            "algo": self.algo,
            "env": self.env,
            "seed": self.seed,
            "device": "cpu",
            "timesteps": steps,
            "generator_kwargs": self.settings,
            "evaluation": {"every": steps // EVALUATIONS, "episodes": 10},
        }
        result = run_experiment(configured(flags, overrides), folder, progress_bar=False)
        run = load_run(folder)
        return {"seconds": run.info["seconds"]["train"], "returns": returns_check(result.config, run.policy("cpu"))}


def returns_check(config: Any, policy: Any) -> dict[str, Any] | None:
    """Compare G's samples with Monte Carlo returns of the same policy; None for learners without distributions."""
    if not hasattr(policy.policy, "return_distribution"):
        return None
    from ganq_irl.evaluation import check_return_distribution, monte_carlo_returns
    from ganq_irl.runs.plots import discount_of

    visits = monte_carlo_returns(policy, config.env, discount_of(config), 10, seed=CHECK_SEED)
    samples = policy.policy.return_distribution(visits.observations)
    if samples.ndim == 3:  # samples of every action: select the executed ones
        samples = samples[np.arange(len(samples)), visits.actions.reshape(-1).astype(int)]
    return check_return_distribution(samples, visits.returns).to_json()


def table(env: str, done: dict[str, list[Path]]) -> list[str]:
    """Return the table of one environment."""
    target = TARGETS[env]
    lines = [
        f"## {env}, {steps_of([folder for folders in done.values() for folder in folders])}",
        "",
        f"| method | last fifth: mean ± std | each | ≥ {target:g} | first | worst after | W1 | bias | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return [*lines, *(_row(method, folders, target) for method, folders in done.items() if folders), ""]


def _row(method: str, folders: list[Path], target: float) -> str:
    finals = [final_of(folder) for folder in folders]
    lasts, firsts, worsts = [], [], []
    for folder in folders:
        steps, scores = evaluations(folder)
        lasts.append(last_fifth(scores))
        reached = np.flatnonzero(scores >= target)
        firsts.append(f"{steps[reached[0]] / 1000:.3g}k" if len(reached) else "-")
        worsts.append(f"{scores[reached[0] :].min():.3g}" if len(reached) else "-")
    checks = [final["returns"] for final in finals if final["returns"] is not None]
    distance, bias = "", ""
    if checks:
        distance = f"{np.mean([check['wasserstein1'] / check['scale'] for check in checks]):.1%}"
        bias = f"{np.mean([check['bias'] for check in checks]):.2g}"
    deviation = f" ± {np.std(lasts, ddof=1):.3g}" if len(lasts) > 1 else ""
    return (
        f"| {method} | {np.mean(lasts):.4g}{deviation} | {' '.join(f'{last:.4g}' for last in lasts)} "
        f"| {sum(last >= target for last in lasts)} of {len(lasts)} | {' '.join(firsts)} | {' '.join(worsts)} "
        f"| {distance} | {bias} | {np.mean([final['seconds'] for final in finals]):.0f} |"
    )


def main() -> int:
    parser = grid_parser(__doc__, "gan_q", STEPS, seeds="200,201,202,203,204", jobs=2)
    parser.set_defaults(out=None)  # a page for each of the two questions
    parser.add_argument("--ablation", action="store_true", help="change GAN-Q's parts one by one")
    parser.add_argument("--only", default="", help="names of methods, separated by semicolons; all by default")
    arguments = parser.parse_args()
    envs, seeds = arguments.env or list(STEPS), arguments.seeds
    name = "gan-q-ablation" if arguments.ablation else "gan-q"
    only = names_of(arguments.only)

    grid: dict[str, dict[str, list[Cell]]] = {}
    for env in envs:
        methods = {key: ("gan-q", value) for key, value in ABLATIONS.items()} if arguments.ablation else settings_of(env)
        grid[env] = {
            method: [Cell(env, method, algo, seed, settings) for seed in seeds]
            for method, (algo, settings) in methods.items()
            if not only or method in only
        }
    status = run_cells([c for methods in grid.values() for cells in methods.values() for c in cells], arguments)

    lines = ["# GAN-Q, part by part" if arguments.ablation else "# GAN-Q beside DQN and QR-DQN", ""]
    for env, of_env in grid.items():
        lines += table(
            env, {method: finished(cell.folder(arguments.runs) for cell in cells) for method, cells in of_env.items()}
        )
    out = arguments.out or Path(f"benchmarks/results/{name}.md")
    write_markdown(out, [*lines, versions("python benchmarks/gan_q.py")])
    return status


if __name__ == "__main__":
    sys.exit(main())
