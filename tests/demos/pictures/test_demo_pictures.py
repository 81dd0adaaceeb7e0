from __future__ import annotations

import io
import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from matplotlib.image import imread
from PIL import Image

from ganq_irl.errors import ConfigurationError, IncompatibleSpaces, InvalidDemonstrations
from ganq_irl_demos import Demonstrations, Trajectory, examine_demonstrations, record_episodes
from ganq_irl_demos.pictures.figure import draw_sets, plot_sets, principal_plane
from ganq_irl_demos.pictures.page import write_page
from ganq_irl_demos.pictures.video import render_episode
from tests.demos.demo_examples import SwingUp, make_demos, make_trajectory


def test_sets_side_by_side(tmp_path):
    sets = [make_demos(source="a$^{.npz"), make_demos(make_trajectory(9, 7, rewards=None), source="b.npz")]
    assert imread(plot_sets(sets, tmp_path / "both.png")).std() > 0
    assert draw_sets(sets[:1]) != draw_sets(sets)


@pytest.mark.parametrize(
    "demos",
    [
        make_demos(make_trajectory(observations=np.full((6, 3), np.nan)), make_trajectory(actions=np.full((5, 1), np.inf))),
        make_demos(make_trajectory(1, observations=np.zeros((2, 3)), rewards=None)),
        make_demos(make_trajectory(actions=np.zeros((5, 0), np.float32)), missing=("actions",)),
        Demonstrations(
            (Trajectory({"image": np.zeros((3, 20, 20), np.uint8), "n": np.arange(3)}, np.array([0, 1])),),
            spaces.Dict({"image": spaces.Box(0, 255, (20, 20), np.uint8), "n": spaces.Discrete(3)}),
            spaces.Discrete(2),
        ),
    ],
    ids=["NaN and infinite", "one constant step", "no actions", "images"],
)
def test_odd_sets_can_be_drawn(demos):
    assert Image.open(io.BytesIO(draw_sets([demos]))).size[0] > 100


def test_what_cannot_be_drawn_side_by_side_is_refused_and_writes_nothing(tmp_path):
    with pytest.raises(ConfigurationError, match="7 sets"):
        plot_sets([make_demos()] * 7, tmp_path / "a.png")
    with pytest.raises(ConfigurationError, match="'bmpx'"):
        plot_sets([make_demos()], tmp_path / "a.bmpx")
    with pytest.raises(IncompatibleSpaces, match="beside"):
        plot_sets([make_demos(), make_demos(action_space=spaces.Discrete(3))], tmp_path / "a.png")
    with pytest.raises(InvalidDemonstrations, match="nothing to draw"):
        plot_sets([make_demos()[:0]], tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_the_plane_is_the_one_that_explains_most():
    generator = np.random.default_rng(0)
    plane = generator.normal(size=(200, 2)) @ generator.normal(size=(2, 6))
    points, explained = principal_plane(plane)
    assert explained == pytest.approx(1)
    distances = [np.linalg.norm(rows[:, None] - rows[None], axis=-1) for rows in (points, plane / plane.std(axis=0))]
    np.testing.assert_allclose(*distances, atol=1e-9)


def test_a_page_needs_nothing_else_and_escapes_names(tmp_path):
    demos = make_demos(make_trajectory(actions=np.full((5, 1), np.nan, np.float32)), source="<script>alert(1)</script>.npz")
    text = write_page([demos], tmp_path / "page.html", {demos.source: examine_demonstrations(demos)}).read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert 'class="error"' in text
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert "http" not in text


@pytest.fixture
def pendulum():
    env = gym.make("Pendulum-v1", render_mode="rgb_array", max_episode_steps=12)
    yield env
    env.close()


def test_an_episode_is_drawn_again(pendulum, tmp_path):
    pytest.importorskip("pygame")
    episode = record_episodes(SwingUp(), gym.make("Pendulum-v1", max_episode_steps=12), 1, seed=3)[0]
    with Image.open(render_episode(episode, pendulum, tmp_path / "episode.gif")) as video:
        assert video.n_frames > 6  # Pillow joins frames that are alike
        first = np.asarray(video.convert("RGB"), dtype=int)
        video.seek(video.n_frames - 1)
        assert np.abs(np.asarray(video.convert("RGB"), dtype=int) - first).max() > 50


@pytest.mark.parametrize(
    ("changes", "name", "error", "message"),
    [
        ({"seed": None}, "v.gif", InvalidDemonstrations, "has no seed"),
        ({"actions": np.zeros((5, 0))}, "v.gif", InvalidDemonstrations, "has no actions"),
        ({}, "v.avi", ConfigurationError, "ending in .gif or .mp4"),
    ],
)
def test_what_cannot_be_drawn_again_says_why(changes, name, error, message, pendulum, tmp_path):
    with pytest.raises(error, match=message):
        render_episode(make_trajectory(**changes), pendulum, tmp_path / name)
    with pytest.raises(ConfigurationError, match="rgb_array"):
        render_episode(make_trajectory(), gym.make("Pendulum-v1"), tmp_path / "v.gif")
    assert not list(tmp_path.iterdir())


def test_mp4_names_the_extra_where_imageio_is_missing(pendulum, tmp_path, monkeypatch):
    import sys

    from ganq_irl.errors import MissingDependency

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingDependency, match=r"ganq-irl\[video\]"):
        render_episode(make_trajectory(), pendulum, tmp_path / "v.mp4")
