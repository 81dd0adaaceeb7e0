"""Put a comparison into words: what the estimates support, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence

from ganq_irl.evaluation import Estimate
from ganq_irl.studies.estimates import ALL, Comparison, Entry, PairwiseComparison, Row, tracks

FEW_RUNS = 5
"""With fewer runs per environment, the interval of the interquartile mean covers the truth less often than 95 %."""


def write_verdict(comparison: Comparison) -> list[str]:
    """Return a paragraph per track and environment (who is best, and the control), then the limitations."""
    sentences: list[str] = []
    for track in tracks(row.entry for row in comparison.rows):
        rows = [row for row in comparison.rows if row.entry.track == track]
        pairs = [pair for pair in comparison.pairs if pair.first.track == track]
        for env in _places(rows):
            sentences.append(" ".join(_findings(track, env, [row for row in rows if row.env == env], pairs)))
    return [*sentences, *_limits(comparison)]


def _places(rows: Sequence[Row]) -> list[str]:
    """Return the environments, with ``ALL`` first."""
    envs = list(dict.fromkeys(row.env for row in rows))
    return [ALL, *(env for env in envs if env != ALL)] if ALL in envs else envs


def track_name(track: tuple[str, int | None]) -> str:
    """Return a title such as ``demonstrations only, 4 demonstrations``."""
    protocol, n_demos = track
    return protocol if n_demos is None else f"{protocol}, {n_demos} demonstration{'s' if n_demos != 1 else ''}"


def _findings(track: tuple[str, int | None], env: str, rows: list[Row], pairs: list[PairwiseComparison]) -> list[str]:
    place = f"{track_name(track).capitalize()}, {env}"
    levels = {index: level for index, row in enumerate(rows) if (level := _level(row)) is not None}
    if not levels:
        return [f"{place}: no run has ended well."]
    scored = [rows[index] for index in levels]
    best, *others = [rows[index] for index in levels if levels[index] == max(levels.values())]
    if others:
        names = ", ".join(row.entry.name for row in (best, *others))
        return [f"{place}: {names} are level, at {_reached(best)}.", *_against_control(scored, pairs)]
    highest = f"{place}: {best.entry.name} is highest, at {_reached(best)}."
    return [highest, *_standing(best, scored, pairs), *_against_control(scored, pairs)]


def _level(row: Row) -> float | None:
    """Return what rows are ordered by: the return in one environment, the normalized return over several."""
    estimate = row.normalized if row.env == ALL else row.final
    return None if estimate is None else estimate.value


def _reached(row: Row) -> str:
    parts = []
    if row.final is not None:
        parts.append(f"a return of {describe(row.final)}")
    if row.normalized is not None:
        parts.append(f"{describe(row.normalized)} between random (0) and expert (1)")
    return ", ".join(parts)


def describe(estimate: Estimate) -> str:
    """Format a number with its interval: ``0.93 [0.88, 0.97]``."""
    if estimate.interval is None:
        return f"{estimate.value:.3g}"
    low, high = estimate.interval
    return f"{estimate.value:.3g} [{low:.3g}, {high:.3g}]"


def chance(pairs: Sequence[PairwiseComparison], env: str, first: Entry, second: Entry) -> Estimate | None:
    """Return the probability that ``first`` ends above ``second``, in whichever order the pair is stored."""
    for pair in pairs:
        if pair.env == env and {pair.first, pair.second} == {first, second}:
            return pair.probability if pair.first == first else reversed_chance(pair.probability)
    return None


def reversed_chance(probability: Estimate) -> Estimate:
    """Return one minus a probability, with its interval."""
    assert probability.interval is not None
    low, high = probability.interval
    return Estimate(1 - probability.value, (1 - high, 1 - low), probability.runs, probability.failed)


def _standing(best: Row, rows: Sequence[Row], pairs: Sequence[PairwiseComparison]) -> list[str]:
    beaten: list[str] = []
    open_: list[str] = []
    for row in rows:
        probability = chance(pairs, best.env, best.entry, row.entry)
        if row is best or probability is None:
            continue
        assert probability.interval is not None
        text = f"{row.entry.name} ({describe(probability)})"
        (beaten if probability.interval[0] > 0.5 else open_).append(text)
    sentences = []
    if beaten:
        sentences.append(f"Its runs end above those of {'; '.join(beaten)}: chance, and 95 % interval.")
    if open_:
        sentences.append(f"The figures do not tell it apart from {'; '.join(open_)}.")
    return sentences


def _against_control(rows: Sequence[Row], pairs: Sequence[PairwiseComparison]) -> list[str]:
    sentences = []
    for control in (row for row in rows if row.entry.is_control):
        unproven = []
        for row in rows:
            probability = chance(pairs, row.env, row.entry, control.entry)
            if row.entry.is_control or probability is None:
                continue
            assert probability.interval is not None
            if probability.interval[0] <= 0.5:
                unproven.append(row.entry.name)
        name = control.entry.name
        if unproven:
            sentences.append(
                f"Not shown to end above the control {name}, whose discriminator never learns: {', '.join(unproven)}; a "
                "score like theirs takes no imitation."
            )
        else:
            sentences.append(f"Every other method ends above the control {name}, whose discriminator never learns.")
    return sentences


def _limits(comparison: Comparison) -> list[str]:
    rows = [row for row in comparison.rows if row.env != ALL]
    limits = []
    if len({row.entry.protocol for row in rows}) > 1:
        limits.append(
            "The protocols answer different questions: methods with a known reward are given what the others must infer. "
            "ALGO:true-reward shows what the generator of ALGO reaches if it is given the reward."
        )
    done, failed, missing = (sum(getattr(row, kind) for row in rows) for kind in ("runs", "failed", "missing"))
    if failed:
        limits.append(
            f"{failed} of {done + failed + missing} runs failed and are left out of means and intervals, which flatters who "
            "failed; profiles count them below every score."
        )
    if missing:
        limits.append(f"{missing} runs are still to be done.")
    few = sorted({row.runs for row in rows if row.runs < FEW_RUNS})
    if few:
        limits.append(
            f"As few as {few[0]} run{'s' if few[0] != 1 else ''} of a method in an environment: an interval cannot reach "
            f"beyond the runs that there are, so that below {FEW_RUNS} it holds the truth less often than it says."
        )
    if any(row.normalized is None for row in rows if row.runs):
        limits.append("Where the returns of random and expert play are unknown, scores are not normalized.")
    n_pairs = len(comparison.pairs)
    if n_pairs > 1:
        limits.append(
            f"Each interval is a separate 95 % interval: of {n_pairs}, about {max(1, round(0.05 * n_pairs))} may "
            "lie outside of theirs."
        )
    limits.append(
        "Methods ran with their presets, or Stable-Baselines3's defaults where there is none, and with what the request "
        "sets; they were not tuned with equal effort, and other settings may change the order."
    )
    return limits
