import csv
from pathlib import Path

import numpy as np
import pytest

from ganq_irl.studies.cells import record_failure
from ganq_irl.studies.execute import run_grid
from ganq_irl.studies.results import DONE, FAILED, MISSING, read_results, write_results
from tests.studies.grid_examples import InThisProcess, quick_grid


@pytest.fixture(scope="module")
def grid_run(tmp_path_factory):
    return run_grid(quick_grid(seeds=1), tmp_path_factory.mktemp("grid") / "out", engine=InThisProcess())


def rows_of(path: Path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_results_of_cells_that_ended_well(grid_run):
    dqn, bc = read_results(grid_run.folder, grid_run.cells)
    assert dqn.status == bc.status == DONE
    np.testing.assert_array_equal(dqn.curve.steps, [32, 64, 96])
    assert np.all(np.diff(dqn.curve.seconds) > 0)
    heights = dqn.curve.returns
    assert dqn.area == pytest.approx((heights[0] / 2 + heights[1] + heights[2] / 2) / 2)
    assert dqn.normalized == pytest.approx((dqn.mean_return - 23.7) / (500 - 23.7))
    assert (bc.curve, bc.area, bc.normalized_area) == (None, None, None)


def test_both_files(grid_run, tmp_path):
    results, final = (rows_of(path) for path in write_results(tmp_path, read_results(grid_run.folder, grid_run.cells)))
    assert [(row["method"], row["when"], row["steps"]) for row in results] == [
        *[("dqn", "training", steps) for steps in ("32", "64", "96")],
        ("dqn", "final", "96"),
        ("bc", "final", ""),
    ]
    assert [(row["method"], row["protocol"], row["n_demos"], row["status"]) for row in final] == [
        ("dqn", "reward known", "", DONE),
        ("bc", "demonstrations only", "1", DONE),
    ]


def test_cells_that_failed_or_were_not_run(grid_run, tmp_path):
    record_failure(tmp_path / grid_run.cells[0].path, "out of luck")
    results = read_results(tmp_path, grid_run.cells)
    assert [(result.status, result.error) for result in results] == [(FAILED, "out of luck"), (MISSING, "")]
    assert [row["status"] for row in rows_of(write_results(tmp_path, results)[1])] == [FAILED, MISSING]
