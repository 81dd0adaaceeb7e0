"""What TensorBoard is told: settings, histograms and films, none of which changes a run or its ``progress.csv``."""

import csv
import io

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util.tensor_util import make_ndarray

from ganq_irl.errors import ConfigurationError
from ganq_irl.runs import resolve_config, resume_experiment, run_experiment
from ganq_irl.runs import tensorboard as watching
from ganq_irl.runs.validation import check_config
from tests.resume_examples import record_demos, run_and_kill, tiny_config, written

pytestmark = pytest.mark.filterwarnings("ignore")
FILMED = {"evaluation": {"episodes": 1, "every": 32, "video": True}}


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    return record_demos(tmp_path_factory.mktemp("demos"))


def events(folder):
    """What was written: ``(kind, tag) -> steps``."""
    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                kind = value.metadata.plugin_data.plugin_name
                found.setdefault((kind, value.tag), []).append((event.step, value))
    return found


def steps(entries):
    """In order: the files of two processes that began in one second are named in any."""
    return sorted(step for step, _ in entries)


def run(folder, *args, **settings):
    run_experiment(tiny_config(*args, **settings), folder, progress_bar=False)
    return folder


@pytest.mark.parametrize(("algo", "generator"), [("gail", "ppo"), ("dac", "dqn"), ("sqil", "dqn"), ("dqn", None)])
def test_histograms_of_actions_rewards_and_returns_and_the_settings(algo, generator, demos, tmp_path, monkeypatch):
    settings = {"evaluation": {"episodes": 2, "every": 32}, "checkpoint_every": 0}
    found = events(run(tmp_path / "run", algo, generator, demos, **settings))
    histograms = {tag for kind, tag in found if kind == "histograms"}
    assert histograms == {"rollout/actions", "eval/returns"} | ({"rollout/rewards"} if algo != "sqil" else set())
    assert {tag for kind, tag in found if kind == "hparams"} >= {"_hparams_/experiment", "_hparams_/session_start_info"}
    with open(tmp_path / "run/progress.csv") as file:
        header = next(csv.reader(file))
    assert "eval/mean_reward" in header
    assert not histograms & set(header)
    monkeypatch.setattr(watching.Histograms, "_on_rollout_end", lambda self: None)
    assert written(run(tmp_path / "without", algo, generator, demos, **settings)) == written(tmp_path / "run")


def test_rewards_that_are_learned_are_shown_and_not_the_environments(demos, tmp_path):
    found = events(run(tmp_path / "run", "dac", "dqn", demos, checkpoint_every=0))
    (_, value) = found["histograms", "rollout/rewards"][-1]
    rows = make_ndarray(value.tensor)  # from, to, how many
    occupied = rows[rows[:, 2] > 0]
    assert not ((occupied[:, 0] <= 1) & (occupied[:, 1] >= 1)).all()  # CartPole pays 1


def test_films_at_evaluations_change_nothing_and_are_gone_on_with(tmp_path):
    plain = run(tmp_path / "plain", "gan-q", evaluation={"episodes": 1, "every": 32})
    filmed = run(tmp_path / "filmed", "gan-q", **FILMED)
    assert written(filmed) == written(plain)
    shown = events(filmed)["images", "eval/episode"]
    assert steps(shown) == [32, 64, 96]
    image = Image.open(io.BytesIO(shown[-1][1].tensor.string_val[2]))
    assert (image.format, image.n_frames > 1) == ("GIF", True)
    run_and_kill(tiny_config("gan-q", **FILMED), tmp_path / "killed", 70)
    resume_experiment(tmp_path / "killed", progress_bar=False)
    assert written(tmp_path / "killed") == written(filmed)
    through, resumed = events(filmed), events(tmp_path / "killed")
    assert {key: steps(value) for key, value in resumed.items()} == {key: steps(value) for key, value in through.items()}


def test_a_film_needs_evaluations_and_an_environment_that_can_be_drawn(tmp_path):
    base = {"algo": "dqn", "env": "CartPole-v1", "preset": "none"}
    with pytest.raises(ConfigurationError, match=r"set evaluation\.every as well"):
        check_config(resolve_config(base | {"evaluation": {"video": True}}))
    maze = base | {"env": "ganq_irl/PointMaze-v0", "algo": "ppo", "evaluation": {"video": True, "every": 10}}
    with pytest.raises(ConfigurationError, match="renders no images"):
        check_config(resolve_config(maze))
