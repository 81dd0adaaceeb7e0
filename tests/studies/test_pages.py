"""The page: well formed, of one piece, escaped, and drawn by its script in a browser where there is one."""

import base64
import dataclasses
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from ganq_irl.errors import ConfigurationError, RunDirectoryError
from ganq_irl.studies.execute import run_grid
from ganq_irl.studies.pages.chart_data import chart_data
from ganq_irl.studies.pages.figures import draw_curves, draw_improvement, draw_profiles, write_figures
from ganq_irl.studies.pages.page import render, write_page
from ganq_irl.studies.pages.pictures import Picture
from ganq_irl.studies.pages.videos import EnvVideos, videos_by_env
from ganq_irl.studies.results import FAILED, Result
from ganq_irl.studies.summary import summarize_grid
from tests.studies.grid_examples import InThisProcess, quick_grid

VOID = {"meta", "input", "img", "br", "link"}
SMALL_CRITIC = {"critic_hidden_sizes": [4], "policy_kwargs": {"net_arch": [4]}, "learning_starts": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("grid") / "out"
    grid = quick_grid(["gan-q", "dqn", "gail", "gail:frozen", "bc"], seeds=2)
    methods = {**grid.methods, "gan-q": {"generator_kwargs": SMALL_CRITIC}}
    run_grid(dataclasses.replace(grid, methods=methods), out, engine=InThisProcess())
    return out


@pytest.fixture(scope="module")
def page(folder):
    return write_page(summarize_grid(folder)).read_text(encoding="utf-8")


def test_the_main_figures_as_files(folder, tmp_path):
    summary = summarize_grid(folder)
    paths = write_figures(summary, tmp_path / "figures")
    assert [path.name for path in paths] == [
        f"{name}.{suffix}" for name in ("curves", "profiles", "improvement") for suffix in ("png", "pdf")
    ]
    for path in paths:
        assert path.read_bytes().startswith(b"%PDF" if path.suffix == ".pdf" else b"\x89PNG")
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_figures(summary, tmp_path / "figures")] == before


def test_figures_show_every_method_in_its_protocol_and_color(folder):
    data = chart_data(summarize_grid(folder))
    figure = draw_curves(data)
    known, imitation = figure.axes
    assert {line.get_label() for line in known.lines} == {"gan-q", "dqn"}
    styles = {line.get_label().split(",")[0]: line.get_linestyle() for line in imitation.lines}
    assert styles == {"gail": "-", "gail:frozen": ":", "bc": "--"}
    colors = {line.get_label(): line.get_color() for axes in (known, imitation) for line in axes.lines}
    assert len(set(colors.values())) == len(colors)
    profiles = {line.get_label(): line.get_color() for axes in draw_profiles(data).axes for line in axes.lines}
    assert profiles == colors
    pairs = [label.get_text() for label in draw_improvement(data).axes[0].get_yticklabels()]
    assert len(pairs) == len(data["pairs"])
    assert "gan-q above dqn" in pairs


def test_figures_that_the_results_have_nothing_for_are_left_out(folder, tmp_path):
    summary = summarize_grid(folder)
    unfinished = dataclasses.replace(
        summary, results=[], comparison=dataclasses.replace(summary.comparison, rows=[], pairs=[])
    )
    assert write_figures(unfinished, tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(RunDirectoryError, match="give a folder"):
        write_figures(summary, tmp_path / "file")


class Structure(HTMLParser):
    """Reads a page, and insists that every element is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.texts, self.attributes = [], [], {}, []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, *pair) for pair in attributes]
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(text)


def test_the_page_is_well_formed_and_of_one_piece(page):
    structure = Structure(page)
    assert len(structure.ids) == len(set(structure.ids))
    links = [value for _, name, value in structure.attributes if name in ("href", "src")]
    assert all(link.startswith(("#", "data:image/png;base64,", "data:image/gif;base64,")) for link in links)
    assert {link[1:] for link in links if link.startswith("#")} <= set(structure.ids)
    assert not re.search(r"https?:|@import|url\(", page)
    assert not re.search(r"\{\{|\{%|%\}", page)
    images = [(name, value) for tag, name, value in structure.attributes if tag == "img"]
    assert sum(name == "src" for name, _ in images) == sum(name == "alt" and bool(value) for name, value in images) > 0


def test_the_page_says_what_it_should(page):
    for text in (
        "Protocol: reward known",
        "Protocol: demonstrations only, 1 demonstration",
        "the control gail:frozen",
        "ganq-irl compare --config grid.toml --out out",
        "Predicted against true Q",
        "Return distributions against Monte Carlo returns",
        "Recovered reward",
        "No run failed.",
    ):
        assert text in page
    for text in ("gail on CartPole-v1, 1 demonstrations", "# the seeds: 0, 1", "algo = &#34;gail&#34;"):
        assert text in page


def test_the_videos_stand_beside_the_experts_and_move_only_when_asked(page):
    (shown,) = re.findall(r"<details><summary>Play the episodes of CartPole-v1</summary>(.*?)</details>", page, re.DOTALL)
    assert "<details open" not in page
    captioned = r"<strong>([^<]*)\.</strong> (?:return [\d.]+, \d+ steps|the first \d+ steps)</figcaption>"
    assert re.findall(captioned, shown) == [
        "the expert",
        "gan-q on CartPole-v1, seed 0",
        "dqn on CartPole-v1, seed 0",
        "gail on CartPole-v1, 1 demonstrations, seed 0",
        "gail:frozen on CartPole-v1, 1 demonstrations, seed 0",
        "bc on CartPole-v1, 1 demonstrations, seed 0",
    ]
    gifs = re.findall(r'src="data:image/gif;base64,(.*?)" alt="An episode of', shown)
    assert len(gifs) == 6
    assert all(base64.b64decode(gif).startswith(b"GIF89a") and len(gif) < 400_000 for gif in gifs)
    assert page.count("data:image/gif") == 6


def test_what_cannot_be_drawn_is_a_sentence(folder, monkeypatch):
    summary = summarize_grid(folder)

    def undrawable(*_):
        raise ConfigurationError("Env-v0 draws no images <here>")

    monkeypatch.setattr("ganq_irl.studies.pages.videos.make_rendered_env", undrawable)
    (screening,) = videos_by_env(summary)
    assert (screening.env, screening.videos) == ("CartPole-v1", [])
    assert "<p>Env-v0 draws no images &lt;here&gt;</p>" in render(summary, videos=[screening])
    monkeypatch.undo()
    monkeypatch.setattr("ganq_irl.studies.pages.videos.record_demonstration_video", undrawable)
    monkeypatch.setattr("ganq_irl.studies.pages.videos.record_policy_video", undrawable)
    (screening,) = videos_by_env(summary)
    assert [(video.caption, video.uri) for video in screening.videos] == [("Env-v0 draws no images <here>", "")] * 6
    Structure(render(summary, videos=[screening]))


def test_the_charts_data(page):
    (data,) = [json.loads(text) for text in Structure(page).texts["script"] if text.startswith("{")]
    labels = [entry["label"] for entry in data["entries"]]
    assert labels == ["gan-q", "dqn", "gail, n=1", "gail:frozen, n=1", "bc, n=1"]
    assert [labels[curve["entry"]] for curve in data["curves"]] == labels[:-1]
    assert all(curve["steps"] == [32, 64, 96] and curve["runs"] == 2 for curve in data["curves"])
    for curve in data["curves"]:
        assert all(low <= y <= high for low, y, high in zip(curve["low"], curve["y"], curve["high"], strict=True))
    assert [labels[level["entry"]] for level in data["levels"]] == ["bc, n=1"]
    assert len(data["profiles"]) == 5
    assert len(data["pairs"]) == 1 + 3
    assert {labels[line["entry"]] for line in data["health"]} >= {"gail, n=1"}


def test_nothing_that_comes_from_outside_is_markup(folder):
    summary = summarize_grid(folder)
    nasty = "</script><script>alert(1)</script>{{ data }}"
    failed = Result(dataclasses.replace(summary.results[0].cell, varied={"x": nasty}), FAILED, error=nasty)
    changed = dataclasses.replace(summary, verdict=[nasty], results=[*summary.results, failed])
    text = render(
        changed,
        [Picture(nasty, nasty)],
        [EnvVideos(nasty, [Picture(nasty, nasty)]), EnvVideos(nasty, [], nasty)],
    )
    structure = Structure(text)
    assert len(structure.texts["script"]) == 2
    assert "<script>alert" not in text
    data = json.loads(next(text for text in structure.texts["script"] if text.startswith("{")))
    assert any(nasty in entry["label"] for entry in data["entries"])


def test_a_grid_that_is_not_finished_has_a_page(folder, tmp_path):
    (tmp_path / "grid.toml").write_text((folder / "grid.toml").read_text())
    text = write_page(summarize_grid(tmp_path), tmp_path / "page.html").read_text(encoding="utf-8")
    Structure(text)
    assert "no run has ended well" in text
    with pytest.raises(RunDirectoryError, match="give the page a name"):
        write_page(summarize_grid(tmp_path), tmp_path)


PROBE = """<script>
(() => {
  const count = selector => document.querySelectorAll(selector).length;
  const found = { errors: window.errors, charts: {} };
  for (const place of document.querySelectorAll("[data-charts]"))
    found.charts[place.dataset.charts] = [...place.querySelectorAll("svg")].map(
      chart => chart.querySelectorAll("path.curve, circle").length);
  const isBroken = path => /NaN|Infinity|undefined/.test(path.getAttribute("d"));
  found.broken = [...document.querySelectorAll("path")].filter(isBroken).length;
  found.images = [...document.images].every(image => image.complete && image.naturalWidth > 0);
  const film = document.querySelector("#videos details"), gif = film.querySelector("img");
  const isSeen = () => gif.checkVisibility();
  found.film = [film.open, isSeen()];
  film.querySelector("summary").focus();
  found.reachable = document.activeElement === film.querySelector("summary");
  film.querySelector("summary").click();
  found.film.push(film.open, isSeen());
  const boxes = document.querySelectorAll("#legend input");
  found.boxes = boxes.length;
  boxes[0].focus();
  found.focused = document.activeElement === boxes[0];
  found.before = count(".off");
  boxes[0].click();
  found.hidden = count('[data-entry="0"]:not(.off)');
  found.off = count(".off");
  const axis = () => document.querySelector('[data-charts="curves"] svg').getAttribute("aria-label");
  found.steps = axis();
  document.querySelector('input[value="seconds"]').click();
  found.seconds = axis();
  found.stillHidden = count('[data-entry="0"]:not(.off)');
  boxes[0].click();
  found.after = count(".off");
  found.wide = document.documentElement.scrollWidth > window.innerWidth;
  document.title = JSON.stringify(found);
})();
</script></body>"""


def browser():
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@pytest.mark.skipif(browser() is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [360, 1280])
def test_the_script_draws_and_its_switches_work(page, tmp_path, width):
    """The page itself, with a witness of errors before its script and a hand on its switches after it."""
    witness = '<head><script>window.errors = []; addEventListener("error", e => errors.push(e.message));</script>'
    path = tmp_path / "page.html"
    path.write_text(page.replace("<head>", witness, 1).replace("</body>", PROBE, 1), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},2000", "--enable-logging=stderr"]
    command = [browser(), *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in result.stderr
    title = re.search(r"<title>(.*?)</title>", result.stdout)[1]
    found = json.loads(title.replace("&amp;", "&"))
    assert found["errors"] == []
    assert found["broken"] == 0
    assert found["images"]
    assert found["charts"]["curves"] == [2, 3]
    assert found["charts"]["profiles"] == [2, 3]
    assert found["charts"]["improvement"] == [1, 3]
    assert found["charts"]["health"]
    assert all(found["charts"]["health"])
    assert found["film"] == [False, False, True, True]
    assert found["reachable"]
    assert found["boxes"] == 5
    assert found["focused"]
    assert (found["before"], found["hidden"], found["stillHidden"], found["after"]) == (0, 0, 0, 0)
    assert found["off"] > 0
    assert found["steps"].endswith("over environment steps")
    assert found["seconds"].endswith("over seconds")
    assert not found["wide"]
