"""Compare GAN-Q's samples with known return distributions: a bandit with three arms, and a chain with four modes.

    python benchmarks/return_laws.py

Actions are uniformly random throughout training, so that every distribution is seen. GAN-Q otherwise has its defaults,
except for the settings that the page lists. The bandit's arms pay ±1 with probabilities 0.3 and 0.7, exactly a half, and a
normal variable with deviation 0.5. The chain pays ±2 on its first step and ±1 on its third; one-step targets propagate that
distribution to its start, ±2 ± γ² in four equal modes, through two bootstraps. W1 is computed with 800 000 draws.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import pictured_parser, versions, write_markdown
from gymnasium.wrappers import FlattenObservation
from matplotlib.figure import Figure
from stable_baselines3.common.env_util import make_vec_env
from tqdm import tqdm

from ganq_irl.algorithms import GANQ
from ganq_irl.environments.laws import ReturnLaw
from ganq_irl.environments.tabular import ARMS, TabularEnv, bandit, four_mode_chain
from ganq_irl.evaluation.return_distributions import wasserstein1

N_SAMPLES = 4_000
GAMMA = 0.99
SETTINGS: dict[str, Any] = {
    "n_samples": 16,
    "noise": "stratified",
    "critic_n_basis": 32,
    "n_steps": 1,
}


def train(make: Callable[[], TabularEnv], seed: int, steps: int) -> GANQ:
    """Train GAN-Q on an environment with uniformly random actions throughout."""
    model = GANQ(
        "MlpPolicy",
        make_vec_env(make, seed=seed, wrapper_class=FlattenObservation),  # one-hot states, for the accelerated update
        gamma=GAMMA,
        exploration_fraction=1.0,
        exploration_final_eps=1.0,
        seed=seed,
        device="cpu",
        **SETTINGS,
    )
    return model.learn(steps)


def draws(model: GANQ, action: int) -> np.ndarray:
    """Return ``(N_SAMPLES,)`` samples of the return of an action at the start."""
    torch.manual_seed(0)
    start = np.eye(model.observation_space.shape[0], dtype=np.float32)[0]
    return model.return_distribution(start, N_SAMPLES)[action]


def distance(samples: np.ndarray, law: ReturnLaw) -> float:
    """Return W1 to two hundred times as many draws of the distribution."""
    return wasserstein1(samples, law.sample(200 * N_SAMPLES, np.random.default_rng(0)))


def masses(samples: np.ndarray, law: ReturnLaw) -> dict[float, float]:
    """Return the share of the samples closest to each mode."""
    modes = np.array(list(law.mode_masses))
    nearest = np.abs(samples[:, None] - modes).argmin(axis=1)
    return dict(zip(modes.tolist(), np.bincount(nearest, minlength=len(modes)) / len(samples), strict=True))


def between(samples: np.ndarray, law: ReturnLaw) -> float:
    """Return the share of the samples in the middle halves of the gaps between modes, where the density is 0."""
    modes = np.array(list(law.mode_masses))
    half_gap = np.diff(modes).min() / 4
    return float((np.abs(samples[:, None] - modes).min(axis=1) > half_gap).mean())


def row(name: str, law: ReturnLaw, drawn: list[np.ndarray]) -> str:
    """Return a table row with the figures of each seed."""
    scale = law.std() or 1.0
    far = " ".join(f"{distance(samples, law) / scale:.3f}" for samples in drawn)
    spread = " ".join(f"{samples.std():.2f}" for samples in drawn)
    if len(law.mode_masses) < 2:
        return f"| {name} | {law.std():.2f} | {spread} | {far} | | |"
    off = " ".join(f"{max(abs(share - law.mode_masses[m]) for m, share in masses(s, law).items()):.3f}" for s in drawn)
    astray = " ".join(f"{between(samples, law):.2f}" for samples in drawn)
    return f"| {name} | {law.std():.2f} | {spread} | {far} | {off} | {astray} |"


def draw(path: Path, laws: dict[str, tuple[ReturnLaw, list[np.ndarray]]]) -> None:
    """Draw histograms of the first seed's samples, with the modes or densities of the distributions."""
    figure = Figure(figsize=(2.6 * len(laws), 2.4), layout="constrained")
    for axes, (name, (law, drawn)) in zip(figure.subplots(1, len(laws)), laws.items(), strict=True):
        truth = law.sample(N_SAMPLES, np.random.default_rng(1))
        low, high = min(truth.min(), drawn[0].min()) - 0.2, max(truth.max(), drawn[0].max()) + 0.2
        bins = np.linspace(low, high, 60).tolist()
        axes.hist(truth, bins, alpha=0.45, color="tab:gray", label="law")
        axes.hist(drawn[0], bins, alpha=0.6, color="tab:blue", label="GAN-Q")
        axes.set(title=name, yscale="log", yticks=[])
    axes.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = pictured_parser(__doc__, "return-laws", seeds="110,111,112,113,114")
    parser.add_argument("--steps", type=int, default=20_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    chain = four_mode_chain()
    laws: dict[str, tuple[ReturnLaw, list[np.ndarray]]] = {f"{arm} arm": (law, []) for arm, law in ARMS.items()}
    laws["chain, its beginning"] = chain.return_law(0, 0, GAMMA, np.zeros(4, dtype=np.int64)), []
    for seed in tqdm(arguments.seeds, desc="seeds", file=sys.stderr):
        arms = train(bandit, seed, arguments.steps)
        for action, arm in enumerate(ARMS):
            laws[f"{arm} arm"][1].append(draws(arms, action))
        laws["chain, its beginning"][1].append(draws(train(four_mode_chain, seed, arguments.steps), 0))

    lines = [
        "# Return samples of GAN-Q against known laws",
        "",
        f"Seeds {', '.join(map(str, arguments.seeds))}, in this order in every cell; {arguments.steps} steps each, "
        "an update a step after 1000.",
        "",
        "| | deviation | of the samples | W1 / deviation (W1 for the constant) | mode's mass off by | between modes |",
        "|---|---|---|---|---|---|",
        *[row(name, law, drawn) for name, (law, drawn) in laws.items()],
        "",
        "Beside the defaults: 16 samples a transition in strata of the noise, a critic of 32 units in x, one-step targets.",
        "",
        versions("python benchmarks/return_laws.py"),
    ]
    write_markdown(arguments.out, lines)
    draw(arguments.picture, laws)


if __name__ == "__main__":
    main()
