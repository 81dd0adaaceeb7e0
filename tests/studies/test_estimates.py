import csv
import io

import numpy as np
import pytest

from ganq_irl.evaluation import Estimate
from ganq_irl.runs import ExperimentConfig
from ganq_irl.studies.estimates import ALL, compare_results
from ganq_irl.studies.grid import Cell
from ganq_irl.studies.methods import parse_method
from ganq_irl.studies.results import DONE, FAILED, MISSING, Result
from ganq_irl.studies.tables import to_latex, to_markdown, write_tables
from ganq_irl.studies.verdict import describe, write_verdict


def result(name, seed, value=None, env="CartPole-v1", n_demos=None, status=DONE, varied=None):
    """A made-up result; the configuration is no part of what is looked at here."""
    cell = Cell(parse_method(name), env, n_demos, varied or {}, seed, ExperimentConfig(parse_method(name).algo, env))
    if status != DONE:
        return Result(cell, status, error="diverged" if status == FAILED else "")
    return Result(cell, DONE, mean_return=value, normalized=value / 100, normalized_area=value / 200)


def runs(name, values, **keywords):
    return [result(name, seed, value, **keywords) for seed, value in enumerate(values)]


def compared(*groups):
    return compare_results([one for group in groups for one in group], np.random.default_rng(0), n_resamples=300)


GOOD, BAD = [90, 91, 92, 93, 94], [10, 11, 12, 13, 14]


def test_rows_hold_estimates_and_counts():
    failed = [result("gan-q", 5, status=FAILED), result("gan-q", 6, status=MISSING)]
    (row,) = compared(runs("gan-q", GOOD), failed).rows
    assert (row.final.value, row.normalized.value, row.area.value) == pytest.approx((92, 0.92, 0.46))
    assert (row.runs, row.failed, row.missing) == (5, 1, 1)
    low, high = row.final.interval
    assert 90 <= low < 92 < high <= 94


def test_only_those_that_are_shown_the_same_meet():
    comparison = compared(
        runs("gan-q", GOOD),
        runs("dqn", BAD),
        *(runs(name, GOOD, n_demos=n) for name in ("bc", "gail") for n in (1, 4)),
    )
    pairs = {(pair.first.label, pair.second.label) for pair in comparison.pairs}
    assert pairs == {("gan-q", "dqn"), ("bc, n=1", "gail, n=1"), ("bc, n=4", "gail, n=4")}


def test_several_environments_are_pooled_normalized():
    comparison = compared(runs("gan-q", [0, 0]), runs("gan-q", [100, 100], env="Acrobot-v1"))
    pooled = comparison.rows[-1]
    assert (pooled.env, pooled.final, pooled.normalized.value, pooled.runs) == (ALL, None, 0.5, 4)


def test_the_verdict_names_the_winner_whom_it_beats_and_who_is_close():
    close = [89, 91, 92.5, 93, 95]
    text = " ".join(write_verdict(compared(runs("gan-q", close), runs("dqn", BAD), runs("qrdqn", GOOD))))
    assert "Reward known, CartPole-v1: gan-q is highest" in text
    assert "Its runs end above those of dqn (1 [" in text
    assert "do not tell it apart from qrdqn" in text
    assert "not tuned with equal effort" in text
    assert "protocols answer different questions" not in text


def test_the_verdict_says_what_the_control_says():
    control = runs("gail:frozen", GOOD, n_demos=1)
    text = " ".join(write_verdict(compared(runs("gail", GOOD, n_demos=1), control)))
    assert "Not shown to end above the control gail:frozen, whose discriminator never learns: gail;" in text
    text = " ".join(write_verdict(compared(runs("gail", GOOD, n_demos=1), runs("gail:frozen", BAD, n_demos=1))))
    assert "Every other method ends above the control gail:frozen" in text


def test_the_verdict_says_what_is_missing():
    text = " ".join(
        write_verdict(
            compared(
                runs("gan-q", [1, 2, 3]),
                [result("gan-q", 3, status=FAILED)],
                [result("bc", 0, status=MISSING, n_demos=1)],
            )
        )
    )
    assert "1 of 5 runs failed" in text
    assert "1 runs are still to be done" in text
    assert "Demonstrations only, 1 demonstration, CartPole-v1: no run has ended well." in text
    assert "protocols answer different questions" in text
    assert "As few as 0 runs" in text


def test_a_score_of_zero_can_be_the_highest():
    (first, *_) = write_verdict(compared(runs("gan-q", [0, 0]), runs("dqn", [-5, -5])))
    assert "gan-q is highest, at a return of 0" in first


def test_those_that_are_level_are_named_together():
    (first, *_) = write_verdict(
        compared(runs("gan-q", [-200, -200]), runs("dqn", [-200, -200]), runs("qrdqn", [-201, -201]))
    )
    assert "gan-q, dqn are level, at a return of -200" in first


def test_numbers_with_and_without_interval():
    assert describe(Estimate(0.9312, (0.88, 0.97), 5, 0)) == "0.931 [0.88, 0.97]"
    assert describe(Estimate(-200.0, None, 1, 0)) == "-200"


def test_tables_in_every_format(tmp_path):
    comparison = compared(runs("gail", GOOD, n_demos=4, varied={"n_envs": "a|b_c"}), runs("dqn", BAD))
    markdown = to_markdown(comparison, ["A finding."])
    assert "## Demonstrations only, 4 demonstrations" in markdown
    assert r"gail, n_envs=a\|b_c" in markdown
    assert "- A finding." in markdown
    assert r"gail, n\_envs=a|b\_c" in to_latex(comparison)
    paths = write_tables(tmp_path, comparison, ["A finding."])
    assert [path.name for path in paths] == ["table.md", "table.csv", "table.tex", "improvement.csv"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert [row["method"] for row in rows] == ["dqn", "gail"]
    assert float(rows[0]["final"]) == 12
    assert rows[0]["n_demos"] == ""
    assert (tmp_path / "improvement.csv").read_text() == "\n"  # one in each track: nobody to meet
