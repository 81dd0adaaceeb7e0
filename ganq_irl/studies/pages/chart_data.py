"""The data of a report's charts, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ganq_irl.evaluation import Scores, interquartile_mean, performance_profile
from ganq_irl.evaluation.pictures import curve_of, read_progress
from ganq_irl.runs.directory import PROGRESS
from ganq_irl.studies.estimates import ALL, Entry, PairwiseComparison, by_entry, scores_of
from ganq_irl.studies.results import DONE, Curve, Result, grouped
from ganq_irl.studies.summary import BOOTSTRAP_SEED, GridSummary

Values = dict[str, Any]

HEALTH = {
    "discriminator/real_accuracy": "accuracy on demonstrations",
    "discriminator/fake_accuracy": "accuracy on the policy",
    "discriminator/score_gap": "score gap",
    "discriminator/entropy": "entropy",
    "critic/real_accuracy": "accuracy on targets",
    "critic/fake_accuracy": "accuracy on samples",
}
"""Columns of ``progress.csv`` on the state of the discriminator -> their titles."""

_RESAMPLES = 500  # per point of a curve; fewer than in tables, since only a band is drawn
_PROFILE = np.linspace(-0.25, 1.25, 61)


def chart_data(summary: GridSummary) -> Values:
    """Return everything that the page's script and the figures draw."""
    groups = by_entry(summary.results)
    index = {entry: number for number, entry in enumerate(groups)}
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    return {
        "entries": [_entry(entry) for entry in groups],
        "curves": [part for entry, results in groups.items() for part in _curves(index[entry], results, rng)],
        "levels": [part for entry, results in groups.items() for part in _levels(index[entry], results)],
        "profiles": [part for entry, results in groups.items() for part in _profiles(index[entry], results)],
        "pairs": [_pair(pair, index) for pair in summary.comparison.pairs],
        "health": [part for entry, results in groups.items() for part in _health(summary, index[entry], results)],
    }


def _entry(entry: Entry) -> Values:
    return {"label": entry.label, "protocol": entry.protocol, "control": entry.is_control}


def _by_env(results: Sequence[Result]) -> dict[str, list[Result]]:
    return grouped(results, lambda result: result.cell.env)


def _curves(index: int, results: Sequence[Result], rng: np.random.Generator) -> list[Values]:
    """Return one curve per environment: interquartile mean and band at each evaluation that all its runs have."""
    found = []
    for env, group in _by_env(results).items():
        curves = [result.curve for result in group if result.curve is not None and len(result.curve.steps)]
        if curves:
            found.append({"entry": index, "env": env, "runs": len(curves), **_band(curves, rng)})
    return found


def _band(curves: Sequence[Curve], rng: np.random.Generator) -> Values:
    length = min(len(curve.steps) for curve in curves)
    returns = np.stack([curve.returns[:length] for curve in curves])  # (runs, length)
    points = [interquartile_mean(Scores({"": column}), rng, n_resamples=_RESAMPLES) for column in returns.T]
    bounds = [point.interval or (point.value, point.value) for point in points]
    return {
        "steps": np.mean([curve.steps[:length] for curve in curves], axis=0).tolist(),
        "seconds": np.mean([curve.seconds[:length] for curve in curves], axis=0).tolist(),
        "y": [point.value for point in points],
        "low": [low for low, _ in bounds],
        "high": [high for _, high in bounds],
    }


def _levels(index: int, results: Sequence[Result]) -> list[Values]:
    """Return horizontal lines for methods that take no environment steps and so have no curve."""
    found = []
    for env, group in _by_env(results).items():
        final = [result.mean_return for result in group if result.mean_return is not None and result.curve is None]
        if final and not group[0].cell.method.counts_steps:
            found.append({"entry": index, "env": env, "runs": len(final), "y": float(np.mean(final))})
    return found


def _profiles(index: int, results: Sequence[Result]) -> list[Values]:
    scores = scores_of(results, lambda result: result.normalized)
    if not scores.runs:
        return []
    profile = performance_profile(scores, _PROFILE)
    values = {name: getattr(profile, name).tolist() for name in ("low", "high")} | {"runs": profile.runs}
    return [{"entry": index, "x": profile.thresholds.tolist(), "y": profile.shares.tolist(), **values}]


def _pair(pair: PairwiseComparison, index: Mapping[Entry, int]) -> Values:
    assert pair.probability.interval is not None
    low, high = pair.probability.interval
    who = {"first": index[pair.first], "second": index[pair.second], "env": pair.env, "pooled": pair.env == ALL}
    return who | {"value": pair.probability.value, "low": low, "high": high}


def _health(summary: GridSummary, index: int, results: Sequence[Result]) -> list[Values]:
    """Return the discriminator's metrics in the first finished run of each environment; a mean would hide a collapse."""
    found = []
    for env, group in _by_env(results).items():
        first = next((result for result in group if result.status == DONE and result.cell.method.counts_steps), None)
        if first is None:
            continue
        columns = read_progress(summary.folder / first.cell.path / PROGRESS)
        for name, title in HEALTH.items():
            steps, values = (part.tolist() for part in curve_of(columns, name))
            if steps:
                found.append({"entry": index, "env": env, "what": title, "steps": steps, "y": values})
    return found
