"""Measure modes covered and sample quality of a plain GAN on a ring of eight Gaussians, for each stabilizer and loss.

    python benchmarks/ring.py

trains `examples.gan.GAN` on the ring with the shared learner. The baseline is binary cross-entropy without a stabilizer;
every
other row changes one thing, a stabilizer with its default settings or the loss. Each is run twice: with a first moment of
Adam of 0.5, where the plain game is stable, and of 0.9, where it is not. Figures are the mean and deviation over the seeds
of
2500 samples each: modes covered of 8, and the share of samples within three deviations of a mode (true data: 0.989). The row
of the loss js is the baseline's game, since the two losses differ by a constant. Their difference is rounding, amplified by
the game, so smaller differences between other rows are meaningless. All rows make the same number of updates, so a slower
method may not have converged yet.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import pictured_parser, versions, write_markdown
from matplotlib.figure import Figure
from torch import nn
from tqdm import tqdm

from examples.gan import GAN
from examples.ring import RADIUS, ring_quality, sample_ring
from ganq_irl.algorithms.sampling import seeded_torch
from ganq_irl.discriminator import LOSSES, STABILIZERS
from ganq_irl.errors import TrainingDiverged

BETAS = (0.5, 0.9)
N_SAMPLES, N_DATA, LATENT, WIDTH = 2500, 10_000, 2, 64
PICTURED = ("baseline", "r1", "label-smoothing", "minibatch-discrimination")


@dataclass(frozen=True)
class Setting:
    """A row of the table."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """A run: samples, modes covered and share of high-quality samples, all None if training diverged."""

    samples: np.ndarray
    covered: int = 0
    quality: float = 0.0


def settings() -> list[Setting]:
    """Return the baseline, each stabilizer, each other loss, and the usual combination for the Wasserstein loss."""
    stabilizers = [Setting(name, {"stabilizers": [name]}) for name in STABILIZERS]
    losses = [Setting(f"loss {name}", {"loss": name}) for name in LOSSES if name != "bce"]
    pair = {"loss": "wasserstein", "stabilizers": ["gradient-penalty"]}
    return [Setting("baseline", {}), *stabilizers, *losses, Setting("wasserstein, gradient-penalty", pair)]


def run(setting: Setting, beta: float, seed: int, n_updates: int) -> Outcome:
    """Train a GAN and evaluate its samples."""
    data = sample_ring(N_DATA, np.random.default_rng(seed))
    with seeded_torch(seed):
        widths = [LATENT, WIDTH, WIDTH]
        hidden = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
        generator = nn.Sequential(*hidden, nn.Linear(WIDTH, 2))
    gan = GAN(generator, data, latent_dim=LATENT, betas=(beta, 0.999), seed=seed, **setting.arguments)
    try:
        gan.learn(n_updates)
    except TrainingDiverged as error:
        print(f"{setting.name}, β₁ {beta}, seed {seed}: {error}", file=sys.stderr)
        return Outcome(np.zeros((0, 2)))
    samples = gan.sample(N_SAMPLES).numpy()
    return Outcome(samples, *ring_quality(samples))


def row(name: str, outcomes: dict[float, list[Outcome]]) -> str:
    """Return a row of the table."""
    cells = []
    for beta in BETAS:
        covered = [outcome.covered for outcome in outcomes[beta]]
        quality = [outcome.quality for outcome in outcomes[beta]]
        n_diverged = sum(not len(outcome.samples) for outcome in outcomes[beta])
        name += f" ({n_diverged} diverged, β₁ {beta})" if n_diverged else ""
        cells += [f"{np.mean(covered):.1f} ± {np.std(covered):.1f}", f"{np.mean(quality):.2f} ± {np.std(quality):.2f}"]
    return f"| {' | '.join([name, *cells])} |"


def draw(path: Path, chosen: Iterable[tuple[str, dict[float, Outcome]]]) -> None:
    """Draw a scatter plot of the first seed's samples, with a column per setting and a row per β₁."""
    columns = list(chosen)
    figure = Figure(figsize=(2.2 * len(columns), 4.6), layout="constrained")
    grid = figure.subplots(len(BETAS), len(columns), sharex=True, sharey=True, squeeze=False)
    for column, (name, outcomes) in enumerate(columns):
        for axes, beta in zip(grid[:, column], BETAS, strict=True):
            x, y = outcomes[beta].samples[:1000].T
            axes.plot(x, y, ",", color="tab:blue", alpha=0.6)
            axes.set(
                xlim=(-1.5 * RADIUS, 1.5 * RADIUS), ylim=(-1.5 * RADIUS, 1.5 * RADIUS), aspect="equal", xticks=[], yticks=[]
            )
            axes.set_title(f"{name}\nβ₁ {beta}: {outcomes[beta].covered} modes, {outcomes[beta].quality:.2f}", fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = pictured_parser(__doc__, "ring", seeds="100,101,102")
    parser.add_argument("--only", help="rows to run, by their names in the table, separated by semicolons; all by default")
    parser.add_argument("--updates", type=int, default=2000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    rows = [setting for setting in settings() if not arguments.only or setting.name in arguments.only.split(";")]

    outcomes: dict[str, dict[float, list[Outcome]]] = {}
    with tqdm(total=len(rows) * len(BETAS) * len(arguments.seeds), desc="runs") as bar:
        for setting in rows:
            results = outcomes.setdefault(setting.name, {beta: [] for beta in BETAS})
            for beta in BETAS:
                for seed in arguments.seeds:
                    results[beta].append(run(setting, beta, seed, arguments.updates))
                    bar.update()
            bar.write(row(setting.name, results))

    heads = " | ".join(f"modes, β₁ {beta} | quality, β₁ {beta}" for beta in BETAS)
    lines = [
        "# A ring of eight Gaussians",
        "",
        f"Seeds {', '.join(map(str, arguments.seeds))}; {arguments.updates} updates of each player on batches of 128, "
        f"networks of two layers of {WIDTH}, Adam 1e-3. Mean ± deviation over seeds; "
        "true data cover 8 modes with quality 0.99.",
        "",
        f"| one change to the baseline | {heads} |",
        f"|---|{'---|' * 2 * len(BETAS)}",
        *[row(name, results) for name, results in outcomes.items()],
        "",
        versions("python benchmarks/ring.py"),
    ]
    write_markdown(arguments.out, lines)
    draw(
        arguments.picture,
        [(name, {beta: outcomes[name][beta][0] for beta in BETAS}) for name in PICTURED if name in outcomes],
    )


if __name__ == "__main__":
    main()
