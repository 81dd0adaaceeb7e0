"""Compare three Q-networks on the same seeds: actions as outputs, the action as an input, a separate layer per action.

    python benchmarks/q_networks.py --jobs 2
    python benchmarks/q_networks.py --algo dqn --algo gan-q --jobs 2

trains SB3's DQN and GAN-Q with the settings of the presets (DQN's are from rl-baselines3-zoo), where only the network
differs, with one run directory per cell under --runs, so that a second start continues the first. Then it writes the tables
and, for the first environment and algorithm, three plots: loss, score, and predicted against true Q. The widths of the
hidden layers are equal, so the network with a layer per action has more parameters; the table lists their number.

"last fifth" is the mean of the last 20 % of the evaluations (10 episodes each); "first" is the first evaluation at the
target. "Q error" is the mean of |predicted - true|, on 20 episodes from initial states that were not used before.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import product
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
    run_cells,
    steps_of,
    versions,
    write_markdown,
)

POLICIES = {"outputs": "MlpPolicy", "input": "ActionInputPolicy", "branches": "ActionBranchesPolicy"}
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "dqn": {network: {"policy": policy} for network, policy in POLICIES.items()},
    "gan-q": {network: {"policy_kwargs": {"action_network": network}} for network in POLICIES},
}
NAMES = {
    "outputs": "actions as outputs",
    "input": "action as an input",
    "branches": "a layer for each action",
}
TARGETS = {"CartPole-v1": 475.0, "Acrobot-v1": -90.0}
EVALUATIONS = 20
CHECK_SEED = 50_000


@dataclass(frozen=True)
class Cell:
    """One run."""

    env: str
    algo: str
    network: str
    seed: int

    def folder(self, runs: Path) -> Path:
        """Return the cell's run directory."""
        return runs / self.env / f"{self.algo}-{self.network}-seed{self.seed}"

    def run(self, folder: Path, overrides: list[str]) -> dict[str, Any]:
        """Train and evaluate it."""
        from ganq_irl.runs import load_run, run_experiment
        from ganq_irl.runs.plots import check_run_values

        flags: dict[str, Any] = {
            "algo": self.algo,
            "env": self.env,
            "seed": self.seed,
            "device": "cpu",
            "generator_kwargs": SETTINGS[self.algo][self.network],
        }
        timesteps = configured(flags, overrides).timesteps
        assert timesteps is not None
        flags["evaluation"] = {"every": max(1, timesteps // EVALUATIONS), "episodes": 10}
        result = run_experiment(configured(flags, overrides), folder, progress_bar=False)
        run = load_run(folder)
        policy: Any = run.policy("cpu")
        check = check_run_values(result.config, policy, episodes=20, seed=CHECK_SEED)
        assert check is not None
        np.savez(folder / "values.npz", predicted=check.predicted, returns=check.returns)
        parameters = sum(parameter.numel() for parameter in policy.policy.q_net.parameters())
        return {"parameters": parameters, "seconds": run.info["seconds"]["train"], "values": check.to_json()}


def table(env: str, algo: str, done: dict[str, list[Path]]) -> list[str]:
    """Return the table of one algorithm in one environment."""
    target = TARGETS[env]
    lines = [
        f"## {algo}, {env}, {steps_of(folder for folders in done.values() for folder in folders)}",
        "",
        f"| network | parameters | train, s | last fifth (each) | ≥ {target:g} | first | Q bias | Q error | correlation |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return [*lines, *(_row(network, folders, target) for network, folders in done.items() if folders), ""]


def _row(network: str, folders: list[Path], target: float) -> str:
    finals = [final_of(folder) for folder in folders]
    lasts, firsts = [], []
    for folder in folders:
        steps, scores = evaluations(folder)
        lasts.append(last_fifth(scores))
        reached = steps[scores >= target]
        firsts.append(f"{reached[0] / 1000:.3g}k" if len(reached) else "-")
    values = [final["values"] for final in finals]
    bias, error = (np.mean([value[key] for value in values]) for key in ("bias", "mean_absolute_error"))
    known = [value["correlation"] for value in values if value["correlation"] is not None]
    correlation = f"{np.mean(known):.2f}" if known else "-"
    return (
        f"| {NAMES[network]} | {finals[0]['parameters']:,} | {np.mean([final['seconds'] for final in finals]):.0f} "
        f"| {np.mean(lasts):.4g} ({' '.join(f'{last:.4g}' for last in lasts)}) | {sum(last >= target for last in lasts)} of "
        f"{len(lasts)} | {' '.join(firsts)} | {bias:.3g} | {error:.3g} | {correlation} |"
    )


def draw(path: Path, env: str, done: dict[str, list[Path]]) -> None:
    """Draw loss and score of every seed, and predicted against true Q of the first seed."""
    from matplotlib.figure import Figure

    from ganq_irl.evaluation import ValueCheck
    from ganq_irl.evaluation.pictures import STEPS, plot_values, read_progress, save_figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    loss, score, values = figure.subplots(1, 3)
    for color, (network, folders) in enumerate(done.items()):
        for index, folder in enumerate(folders):
            columns = read_progress(folder / "progress.csv")
            shown = np.isfinite(columns["train/loss"])
            style = {"color": f"C{color}", "linewidth": 1, "label": NAMES[network] if index == 0 else None}
            loss.plot(columns[STEPS][shown], columns["train/loss"][shown], **style)
            score.plot(*evaluations(folder), **style)
        if folders:
            with np.load(folders[0] / "values.npz", allow_pickle=False) as saved:
                chosen = np.linspace(0, len(saved["returns"]) - 1, 1000).astype(int)
                plot_values(ValueCheck(saved["predicted"][chosen], saved["returns"][chosen]), values, NAMES[network])
    loss.set(xlabel="environment steps", title="loss")
    if loss.dataLim.y0 > 0:  # an adversarial loss has both signs
        loss.set_yscale("log")
    score.set(xlabel="environment steps", ylabel=f"mean return on {env}", title="score")
    score.legend(frameon=False)
    save_figure(figure, path)


def main() -> int:
    parser = grid_parser(__doc__, "q_networks", TARGETS, seeds="100,101,102,103,104", jobs=2)
    parser.add_argument("--algo", action="append", choices=SETTINGS, help="may be given several times; dqn by default")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/q-networks.png"), help="of the first environment")
    arguments = parser.parse_args()
    envs, algos, seeds = arguments.env or ["CartPole-v1"], arguments.algo or ["dqn"], arguments.seeds

    status = run_cells([Cell(*of) for of in product(envs, algos, POLICIES, seeds)], arguments)

    lines = ["# Deep Q-learning: the three networks", ""]
    for env, algo in product(envs, algos):
        done = {name: finished(Cell(env, algo, name, seed).folder(arguments.runs) for seed in seeds) for name in POLICIES}
        lines += table(env, algo, done)
        if (env, algo) == (envs[0], algos[0]):
            draw(arguments.picture, env, done)
    write_markdown(arguments.out, [*lines, versions("python benchmarks/q_networks.py")])
    return status


if __name__ == "__main__":
    sys.exit(main())
