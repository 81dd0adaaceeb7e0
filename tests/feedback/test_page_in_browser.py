"""A person's fifty answers in Chromium, by keyboard and mouse, in two windows, with a crash of the server in between."""

import re
import time
from contextlib import contextmanager

import gymnasium as gym
import numpy as np
import pytest

from ganq_irl.feedback import Questions, cut_segments
from ganq_irl_demos import load_demonstrations
from tests.chromium import PROGRAM, Chromium
from tests.command_line import forked

pytest.importorskip("flask")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine")]

N = 50
PAIR = "document.querySelector('input[name=question]').value"
KEYS = {"ArrowLeft": "left", "ArrowRight": "right", "ArrowUp": "equal", "=": "equal", "ArrowDown": "skipped", " ": "skipped"}
CLIPS_ARE_SHOWN = (
    "document.readyState == 'complete' && document.images.length == 2 && "
    "[...document.images].every(one => one.complete && one.naturalWidth)"
)


@pytest.fixture
def store(tmp_path):
    questions, env = Questions(tmp_path / "feedback"), gym.make("Pendulum-v1")
    segments = cut_segments(load_demonstrations("pendulum"), 2 * N, 25, np.random.default_rng(0))
    for left, right in zip(segments[::2], segments[1::2], strict=True):
        questions.add([left, right], env.observation_space, env.action_space, "Pendulum-v1")
    assert len(questions) == N
    return questions


@contextmanager
def serving(store, tmp_path):
    """Serve the page until the block ends with a SIGKILL; yield its address."""
    errors = tmp_path / f"stderr-{time.monotonic_ns()}"
    with forked("feedback", "serve", store.folder, "--no-browser", "--name", "anna", errors=errors):
        while not (found := errors.exists() and re.search(r"open (\S+)\n", errors.read_text())):
            time.sleep(0.05)
        yield found[1]


@pytest.fixture
def browser(tmp_path):
    browser = Chromium(tmp_path / "profile")
    yield browser
    browser.close()


def answered(window, n):
    """Wait for the page after the answer with this number."""
    window.until(f"document.readyState == 'complete' && document.getElementById('answered').textContent == '{n}'")


def test_fifty_answers_a_crash_and_two_windows(store, tmp_path, browser):
    given = []
    with serving(store, tmp_path) as address:
        one, two = browser.open(address), browser.open(address)
        assert one.ask("location.href").endswith(":" + re.search(r":(\d+)/", address)[1] + "/"), (
            "the token stays out of sight"
        )
        while len(given) < 20:
            window = one if len(given) % 4 < 2 else two
            window.until(CLIPS_ARE_SHOWN)
            pair = window.ask(PAIR)
            if pair in store.answers():  # it was answered in the other window
                window.press("ArrowLeft")
                window.until("document.getElementById('note').textContent.includes('already answered')")
                window.until(CLIPS_ARE_SHOWN)
                pair = window.ask(PAIR)
            key = list(KEYS)[len(given) % len(KEYS)]
            window.press(key)
            given.append((pair, KEYS[key]))
            answered(window, len(given))
        assert browser.errors() == []
        last = one if one.ask(PAIR) not in store.answers() else two
        last.press("u")  # and once more by the button
        answered(last, 19)
        last.click("form[action='/undo'] button")
        answered(last, 18)
        del given[-2:]
        assert browser.errors() == []
    one.press("ArrowLeft")  # the server is gone
    one.until("document.getElementById('note').textContent.includes('did not arrive')")
    browser.errors()  # that the connection was refused
    assert [(pair, answer.answer) for pair, answer in store.answers().items()] == given
    with serving(store, tmp_path) as address:
        one.go(address)
        answered(one, 18)
        while len(given) < N:
            one.until(CLIPS_ARE_SHOWN)
            answer = ["left", "right", "equal", "skipped"][len(given) % 4]
            given.append((one.ask(PAIR), answer))
            one.click(f"button[value={answer}]")
            answered(one, len(given))
        one.until("document.body.textContent.includes('No question waits')")
        assert browser.errors() == []
    assert [(pair, answer.answer) for pair, answer in store.answers().items()] == given
    assert {answer.who for answer in store.history()} == {"anna"}
    assert [answer.answer for answer in store.history()].count(None) == 2


def test_clips_are_rated_by_keys(tmp_path, browser):
    store, env = Questions(tmp_path / "feedback"), gym.make("Pendulum-v1")
    for segment in cut_segments(load_demonstrations("pendulum"), 4, 25, np.random.default_rng(0)):
        store.add([segment], env.observation_space, env.action_space, "Pendulum-v1")
    with serving(store, tmp_path) as address:
        window = browser.open(address)
        for number, key in enumerate(["5", "1", " ", "3"], 1):
            window.until(CLIPS_ARE_SHOWN.replace("length == 2", "length == 1"))
            window.press(key)
            answered(window, number)
        assert browser.errors() == []
    assert [given.answer for given in store.history()] == ["5", "1", "skipped", "3"]


def test_scripts_from_data_do_not_run(store, tmp_path, browser):
    with serving(store, tmp_path) as address:
        window = browser.open(address)
        window.until(CLIPS_ARE_SHOWN)
        window.ask(
            "const script = document.createElement('script'); script.textContent = 'window.hacked = 1';"
            "document.body.append(script);"
            "document.getElementById('note').innerHTML = '<img src=/static/icon.svg onload=\"window.hacked = 2\">';"
        )
        window.until("[...document.images].every(one => one.complete)")
        time.sleep(0.2)
        assert window.ask("window.hacked === undefined")
        assert len([error for error in browser.errors() if "Content Security Policy" in str(error)]) >= 2
        assert window.ask("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"


def test_the_page_fits_narrow_windows_is_dark_where_wanted_and_works_with_the_keyboard_alone(store, tmp_path, browser):
    with serving(store, tmp_path) as address:
        window = browser.open(address)
        color = "getComputedStyle(document.body).backgroundColor"
        light = window.ask(color)
        window.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        assert window.ask(color) != light
        window.send("Emulation.setDeviceMetricsOverride", width=320, height=800, deviceScaleFactor=1, mobile=False)
        assert window.ask("document.documentElement.scrollWidth <= 320")
        assert window.ask("[...document.images].every(one => one.alt)")
        assert window.ask(
            "[...document.querySelectorAll('button:enabled')].every(b => (b.focus(), document.activeElement == b))"
        )
        window.ask("document.querySelector('button[value=right]').focus()")
        window.press(" ")  # presses the button that has the focus, as everywhere
        answered(window, 1)
        assert [answer.answer for answer in store.history()] == ["right"]
