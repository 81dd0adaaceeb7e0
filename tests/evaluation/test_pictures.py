import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from stable_baselines3.common.logger import configure

from ganq_irl.errors import RunDirectoryError
from ganq_irl.evaluation import ValueCheck
from ganq_irl.evaluation.pictures import (
    plot_loss,
    plot_return_histograms,
    plot_score,
    plot_values,
    read_progress,
    save_figure,
)


@pytest.fixture
def progress(tmp_path):
    """As SB3's logger writes it: columns that appear later, cells that stay empty."""
    logger = configure(str(tmp_path), ["csv"])
    for steps, values in [
        (10, {"rollout/ep_rew_mean": 1.0}),
        (20, {"rollout/ep_rew_mean": 2.0, "train/loss": 0.5}),
        (30, {"train/loss": 0.25, "train/critic_loss": 100.0, "eval/mean_reward": 7.0}),
    ]:
        logger.record("time/total_timesteps", steps)
        for name, value in values.items():
            logger.record(name, value)
        logger.dump(steps)
    logger.close()
    return tmp_path / "progress.csv"


def curves(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_read_progress(progress):
    columns = read_progress(progress)
    np.testing.assert_array_equal(columns["train/loss"], [np.nan, 0.5, 0.25])
    np.testing.assert_array_equal(columns["time/total_timesteps"], [10, 20, 30])


def test_every_loss_has_its_panel(progress):
    panels = plot_loss(progress).axes
    assert {axes.get_title() for axes in panels} == {"train/loss", "train/critic_loss"}
    assert [curves(axes) for axes in panels if axes.get_title() == "train/loss"] == [{"train/loss": [[20, 0.5], [30, 0.25]]}]


def test_score_of_evaluations_and_of_training(progress):
    (axes,) = plot_score(progress).axes
    assert curves(axes) == {"evaluation": [[30, 7]], "training episodes": [[10, 1], [20, 2]]}


def test_several_runs_share_axes(progress):
    figure = Figure()
    axes = figure.add_subplot()
    for label in ("first", "second"):
        assert plot_score(progress, axes, label) is figure
        plot_loss(progress, axes, label)
    assert {"first evaluation", "second evaluation", "second train/loss"} <= curves(axes).keys()


def test_values_lie_over_returns_beside_the_diagonal():
    check = ValueCheck(predicted=np.array([1.0, 5.0]), returns=np.array([2.0, 3.0]))
    (axes,) = plot_values(check).axes
    assert axes.lines[0].get_xydata().tolist() == [[2, 1], [3, 5]]
    assert axes.lines[1].get_slope() == 1
    assert "bias 0.5" in axes.texts[0].get_text()
    (named,) = plot_values(check, label="DQN").axes
    assert [text.get_text() for text in named.get_legend().get_texts()] == ["DQN"]


def test_return_histograms_share_their_bins():
    rng = np.random.default_rng(0)
    figure = plot_return_histograms({"left": rng.normal(size=500), "right": rng.normal(size=500)}, {"left": np.array([9.0])})
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("left", "right")
    (predicted,), seen = left.containers, left.patches[-1]
    assert predicted.datavalues[-1] == 0  # the one return lies in the last bin, no sample does
    assert sum(patch.get_width() * patch.get_height() for patch in predicted) == pytest.approx(1)
    assert seen.get_path().get_extents().x1 == pytest.approx(9)
    assert len(right.patches) == 60


def test_a_constant_distribution_can_be_drawn():
    plot_return_histograms({"a": np.full(10, 3.0)}, {"a": np.full(10, 3.0)}).savefig(io.BytesIO())


def test_save_figure_writes_a_png(progress, tmp_path):
    path = save_figure(plot_score(progress), tmp_path / "new" / "score.png")
    assert path == tmp_path / "new" / "score.png"
    assert matplotlib.image.imread(path).std() > 0
    assert [entry.name for entry in path.parent.iterdir()] == ["score.png"]


@pytest.mark.parametrize("content", [None, b"", b"time/total_timesteps,train/loss\n1,x\n", b"a,b\n1\n", b"\xff\xfe\x00"])
def test_what_is_no_progress_is_named(content, tmp_path):
    path = tmp_path / "progress.csv"
    if content is not None:
        path.write_bytes(content)
    for plot in (plot_loss, plot_score):
        with pytest.raises(RunDirectoryError, match=r"progress\.csv"):
            plot(path)


def test_a_run_without_losses_is_answered(tmp_path):
    path = tmp_path / "progress.csv"
    path.write_text("time/total_timesteps,eval/mean_reward\n10,1\n")
    with pytest.raises(RunDirectoryError, match="contains no loss"):
        plot_loss(path)
    assert plot_score(path).axes
