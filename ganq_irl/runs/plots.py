"""Plots of a run: loss, score, and for value-based algorithms predicted against true Q."""

from __future__ import annotations

import inspect
from pathlib import Path

from ganq_irl.evaluation import ValueCheck, check_values, monte_carlo_returns
from ganq_irl.evaluation.pictures import plot_loss, plot_score, plot_values, save_figure
from ganq_irl.generators.factory import generator_class
from ganq_irl.generators.policies.outputs import has_action_values
from ganq_irl.generators.policies.store import StoredPolicy
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.directory import PROGRESS, Run
from ganq_irl.space_matrix import IMITATION

LOSS_PICTURE, SCORE_PICTURE, VALUES_PICTURE = "loss.png", "score.png", "values.png"


def discount_of(config: ExperimentConfig) -> float:
    """Return the discount of a run's generator: its setting, or its algorithm's default."""
    default = inspect.signature(generator_class(config.algo).__init__).parameters["gamma"].default
    return float(config.generator_kwargs.get("gamma", default))


def check_run_values(
    config: ExperimentConfig, policy: StoredPolicy, *, episodes: int | None = None, seed: int | None = None
) -> ValueCheck | None:
    """Compare the predicted Q of a run's policy with Monte Carlo returns in its environment.

    Args:
        config: the run's settings.
        policy: the run's policy.
        episodes: overrides ``config.evaluation.episodes``.
        seed: overrides ``config.evaluation.seed``.

    Returns:
        None if there is nothing to compare: the policy has no Q-values, or its Q-values are of a learned reward.

    Raises:
        ConfigurationError: no return is known, see ``monte_carlo_returns``.
    """
    if config.algo in IMITATION or config.reward is not None or not has_action_values(policy.policy):
        return None
    visits = monte_carlo_returns(
        policy,
        config.env,
        discount_of(config),
        config.evaluation.episodes if episodes is None else episodes,
        seed=config.evaluation.seed if seed is None else seed,
        env_kwargs=config.env_kwargs,
    )
    return check_values(policy.q_values(visits.observations), visits)


def draw_run(run: Run, folder: Path, values: ValueCheck | None) -> list[Path]:
    """Write ``loss.png``, ``score.png`` and, if there are values, ``values.png``; existing files are replaced.

    Args:
        run: the run.
        folder: created if missing.
        values: the result of ``check_run_values``.

    Returns:
        The files written.

    Raises:
        RunDirectoryError: the run logged no loss or no score.
    """
    progress = run.folder / PROGRESS
    figures = {LOSS_PICTURE: plot_loss(progress), SCORE_PICTURE: plot_score(progress)}
    if values is not None:
        figures[VALUES_PICTURE] = plot_values(values)
    return [save_figure(figure, folder / name) for name, figure in figures.items()]
