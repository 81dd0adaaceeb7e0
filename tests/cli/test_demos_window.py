"""``demos play --window`` as a process under a virtual display, with real key presses; skipped where Xvfb is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganq_irl_cli import main
from ganq_irl_demos import load_demonstrations
from tests.command_line import call

pygame = pytest.importorskip("pygame")
NO_DISPLAY = pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool")


@pytest.fixture
def display():
    """A virtual display, by its number as Xvfb chooses it."""
    read, write = os.pipe()
    server = subprocess.Popen(
        # Without -noreset the server starts anew, and drops who connects just then, whenever its last client leaves: each
        # look of xdotool's before the game has its window.
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "900x700x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        yield f":{os.read(read, 16).decode().strip()}"
    finally:
        os.close(read)
        server.terminate()
        server.wait()


class Person:
    """Presses keys in the one window of a display, and reads its caption."""

    def __init__(self, display: str, game: subprocess.Popen[str]) -> None:
        self.env, self.game = {**os.environ, "DISPLAY": display}, game
        self.window = self.wait_for(lambda: self._tool("search", "--class", ".")).splitlines()[-1]
        self.wait_for(lambda: "episodes" in self.caption())
        self._tool("windowfocus", "--sync", self.window)

    def wait_for(self, condition, seconds=240):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            assert self.game.poll() is None, f"the game ended: {self.game.communicate()}"
            time.sleep(0.1)
        raise AssertionError("it did not happen in time")

    def _tool(self, *args: str) -> str:
        return subprocess.run(["xdotool", *args], env=self.env, capture_output=True, text=True).stdout.strip()

    def caption(self) -> str:
        return self._tool("getwindowname", self.window)

    def press(self, key: str) -> None:
        self._tool("key", key)

    def hold_until(self, key: str, words: str) -> None:
        self._tool("keydown", key)
        self.wait_for(lambda: words in self.caption())
        self._tool("keyup", key)


def start(display, *args):
    environment = {**os.environ, "DISPLAY": display, "SDL_VIDEODRIVER": "x11", "SDL_AUDIODRIVER": "dummy"}
    command = [sys.executable, "-m", "ganq_irl_cli", "demos", "play", "--window", *args]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@NO_DISPLAY
@pytest.mark.slow  # as long as a person plays
@pytest.mark.parametrize(("env", "ends"), [("CartPole-v1", "terminated"), ("Pendulum-v1", "limit")])
def test_a_person_plays_in_a_window(env, ends, display, tmp_path):
    out = tmp_path / "played.npz"
    process = start(display, "--env", env, "--seed", "4", "--fps", "50", "--out", str(out))
    try:
        person = Person(display, process)
        assert person.caption().startswith("episodes 0   step 0")
        person.press("r")
        person.wait_for(lambda: "restarted the episode" in person.caption())
        person.hold_until("Left", "episodes 1")
        assert ends in person.caption()
        person.press("u")
        person.wait_for(lambda: "discarded the last episode" in person.caption())
        person.hold_until("Left", "episodes 1")
        person.press("q")
        stdout, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, stderr
    assert "1 episodes, return" in stdout
    assert "episodes 1   step 0" in stderr
    demos = load_demonstrations(out)
    assert (len(demos), demos[0].seed, demos.env_id) == (1, 4, env)
    assert demos[0].terminated == (ends == "terminated")
    checked = CliRunner().invoke(main, ["demos", "check", str(out)])
    assert checked.exit_code == 0
    assert "when replayed" not in checked.stdout


def test_without_a_display_it_is_a_sentence(tmp_path, monkeypatch):
    pygame.display.quit()  # which another test may have begun with a driver that needs none
    for name, value in {"DISPLAY": "", "SDL_VIDEODRIVER": "x11", "SDL_AUDIODRIVER": "dummy"}.items():
        monkeypatch.setenv(name, value)
    result = call("demos", "play", "--window", "--env", "CartPole-v1", "--out", tmp_path / "none.npz")
    assert result.exit_code == 2
    assert "no window can be opened here" in result.stderr
    assert not list(Path(tmp_path).iterdir())
