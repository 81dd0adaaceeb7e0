"""Markdown, LaTeX, CSV and the page say the same numbers."""

import csv
import html
import io
import re

from ganq_irl.studies.execute import run_grid
from ganq_irl.studies.pages.page import render
from ganq_irl.studies.summary import summarize_grid
from ganq_irl.studies.tables import HEADER, write_tables
from ganq_irl.studies.verdict import describe
from tests.studies.grid_examples import InThisProcess, quick_grid
from tests.studies.test_estimates import BAD, GOOD, compared, result, runs

ESTIMATES = {"final": 2, "normalized": 3, "area": 4}
FORMATTED = re.compile(r"(-?[\d.e+-]+)(?: \[(-?[\d.e+-]+), (-?[\d.e+-]+)\])?$")


def rows_of_markdown(text):
    lines = [line.strip("| ").replace(r"\|", "¦") for line in text.splitlines() if line.startswith("|")]
    rows = [tuple(cell.strip().replace("¦", "|") for cell in line.split(" | ")) for line in lines]
    return [row for row in rows if row != HEADER and set(row) != {"---"}]


def rows_of_latex(text):
    lines = [line.removesuffix(r" \\") for line in text.splitlines() if line.endswith(r" \\")]
    rows = [tuple(re.sub(r"\\([_%&#${}])", r"\1", cell) for cell in line.split(" & ")) for line in lines]
    return [row for row in rows if row != HEADER]


def rows_of_page(text):
    body = "".join(re.findall(r"<tbody>(.*?)</tbody>", text, re.DOTALL))
    return [tuple(map(html.unescape, re.findall(r"<td>(.*?)</td>", row))) for row in re.findall(r"<tr>(.*?)</tr>", body)]


def check_agreement(markdown, latex, csv_text):
    shown = rows_of_markdown(markdown)
    assert shown
    assert rows_of_latex(latex) == shown
    records = list(csv.DictReader(io.StringIO(csv_text)))
    assert len(records) == len(shown)
    for record, row in zip(records, shown, strict=True):
        assert record["env"] == row[0]
        assert row[1] == ", ".join(filter(None, (record["method"], record["variation"])))
        assert [record[name] for name in ("runs", "failed", "missing")] == list(row[5:])
        for name, place in ESTIMATES.items():
            check_estimate(record, name, row[place])
    return shown


def check_estimate(record, name, text):
    if record[name] == "":
        assert text == "-"
        return
    exact = [record[key] for key in (name, f"{name}_low", f"{name}_high")]
    rounded = FORMATTED.match(text).groups()
    assert [value and f"{float(value):.3g}" for value in exact] == [value or "" for value in rounded]


def test_made_up_results_with_failures_gaps_and_strange_names(tmp_path):
    comparison = compared(
        runs("gan-q", GOOD),
        runs("dqn", BAD),
        runs("gail", GOOD, n_demos=4, varied={"n_envs": "a|b_c & 5%"}),
        [result("gail", 7, status="failed", n_demos=4, varied={"n_envs": "a|b_c & 5%"})],
        [result("bc", 0, status="not run", n_demos=4)],
        runs("gan-q", [-1, 0], env="Acrobot-v1"),
    )
    markdown, csv_file, latex, pairs = write_tables(tmp_path, comparison, ["A finding."])
    shown = check_agreement(markdown.read_text(), latex.read_text(), csv_file.read_text())
    assert ("CartPole-v1", "gail, n_envs=a|b_c & 5%") in {row[:2] for row in shown}
    for record, pair in zip(csv.DictReader(io.StringIO(pairs.read_text())), comparison.pairs, strict=True):
        assert (record["first"], record["second"]) == (pair.first.name, pair.second.name)
        assert float(record["probability"]) == pair.probability.value


def test_a_grid_and_its_page(tmp_path):
    run_grid(quick_grid(["dqn", "bc", "gail"], seeds=2), tmp_path, engine=InThisProcess())
    summary = summarize_grid(tmp_path)
    shown = check_agreement(*((tmp_path / f"table.{ending}").read_text() for ending in ("md", "tex", "csv")))
    page = render(summary)
    assert rows_of_page(page) == shown
    for sentence in summary.verdict:
        assert f"- {sentence}\n" in (tmp_path / "table.md").read_text()
        assert f"<li>{sentence}</li>" in html.unescape(page)
    finals = list(csv.DictReader(io.StringIO((tmp_path / "final.csv").read_text())))
    for row in summary.comparison.rows:
        own = [float(final["mean_return"]) for final in finals if final["method"] == row.entry.method]
        assert min(own) <= row.final.value <= max(own)
        assert describe(row.final) in page
