"""Tests of the built site: links, texts of pictures, and in a browser search, widths and errors. Slow: they build it."""

import functools
import html
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

import pytest

from tests.chromium import PROGRAM
from tests.docs.pages import DOCS, ROOT

pytestmark = pytest.mark.slow
pytest.importorskip("sphinx")
pytest.importorskip("myst_nb")

PROBE = """<script>
window.errors = [];
addEventListener("error", e => errors.push(e.message));
addEventListener("load", () => setTimeout(() => {
  const broken = [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src);
  const results = [...document.querySelectorAll("#search-results li a")].map(a => a.textContent);
  const wide = document.documentElement.scrollWidth > window.innerWidth;
  const dark = getComputedStyle(document.body).backgroundColor;
  document.title = JSON.stringify({errors, broken, results, wide, dark});
}, 4000));
</script>"""


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, built without running the tutorials, warnings as errors."""
    out = tmp_path_factory.mktemp("site") / "html"
    environment = {
        **os.environ,
        "DOCS_NOTEBOOKS": "off",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "cli", ROOT / "demos"))),
    }
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-d",
        str(out) + "-trees",
        str(DOCS),
        str(out),
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3000)
    assert result.returncode == 0, result.stderr
    return out


class Elements(HTMLParser):
    """Links, anchors and pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.silent = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given[key] for key in ("id", "name") if given.get(key)}
        self.links += [given[key] for key in ("href", "src") if given.get(key)]
        if tag == "img" and not given.get("alt"):
            self.silent.append(given.get("src"))


@pytest.fixture(scope="session")
def elements(site):
    return {path: Elements(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_no_internal_link_is_dead(site, elements):
    dead = []
    for page, found in elements.items():
        for link in found.links:
            target, anchor = urldefrag(link)
            if "://" in target or target.startswith(("mailto:", "data:")):
                continue
            path = (page.parent / unquote(target.partition("?")[0])).resolve() if target else page
            if not path.exists() or (anchor and path in elements and unquote(anchor) not in elements[path].ids):
                dead.append((page.relative_to(site).as_posix(), link))
    assert dead == []


def test_every_picture_has_a_text(elements):
    assert {page.name: found.silent for page, found in elements.items() if found.silent} == {}


def test_the_search_index_has_the_words(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert all(f'"{word}"' in index or f"{word}:" in index for word in ("gail", "penalti", "trajectori"))


@pytest.fixture(scope="session")
def browse(site, tmp_path_factory):
    """What the browser finds on a page: ``browse("index.html", width=360)``."""
    if PROGRAM is None:
        pytest.skip("no Chromium on this machine")
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("<head>", f"<head>{PROBE}", 1), encoding="utf-8")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def look(page, width=1280, *options):
        profile = tmp_path_factory.mktemp("profile")
        command = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},2000", *options]
        command += ["--virtual-time-budget=15000", "--enable-logging=stderr", f"--user-data-dir={profile}", "--dump-dom"]
        url = f"http://127.0.0.1:{server.server_address[1]}/{page}"
        result = subprocess.run([*command, url], capture_output=True, text=True, timeout=240)
        assert "CONSOLE" not in result.stderr
        found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", result.stdout, re.DOTALL)[1]))
        assert found["errors"] == []
        assert found["broken"] == []
        return found

    yield look
    server.shutdown()


@pytest.mark.parametrize("width", [500, 1280])  # the narrowest window that headless Chromium opens is 500 wide
@pytest.mark.parametrize("page", ["index.html", "algorithms/gail.html", "algorithms/index.html", "_generated/settings.html"])
def test_pages_fit_the_window(browse, page, width):
    assert not browse(page, width)["wide"]


def test_dark_mode_is_dark(browse):
    light, dark = browse("index.html")["dark"], browse("index.html", 1280, "--force-dark-mode")["dark"]
    assert light != dark


@pytest.mark.parametrize(
    ("query", "expected"), [("GAIL", "GAIL"), ("penalty", "Settings"), ("--n-trajectories", "Commands")]
)
def test_search_finds(browse, query, expected):
    assert any(expected in title for title in browse(f"search.html?q={query}")["results"])
