"""Recording functions and chance, looking at sets, and a person at the keyboard of a pseudo-terminal."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ganq_irl_cli import main
from ganq_irl_demos import load_demonstrations, save_demonstrations

STILL = "import numpy as np\ndef act(observation):\n    return np.zeros(1, np.float32)\n"


@pytest.fixture
def run(run, tmp_path):
    (tmp_path / "still_policy.py").write_text(STILL)
    return run


def test_record_a_function_with_noise_and_subsampling(run):
    record = ["demos", "record", "--env", "Pendulum-v1", "--policy", "still_policy:act", "--episodes", "2"]
    result = run(*record, "--out", "still.npz", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["fields"]["actions"]["max"] == [0]
    assert run(*record, "--noise", "0.2", "--out", "noisy.npz").exit_code == 0
    noisy = load_demonstrations("noisy.npz")
    assert 0.2 < noisy[0].actions.std() < 0.6
    assert noisy.provenance["policy"] == "still_policy:act (noise 0.2, random 0.0)"
    assert run(*record, "--subsample", "20", "--out", "thin.npz").exit_code == 0
    assert len(load_demonstrations("thin.npz")) == 20
    assert run(*record, "--random-share", "1", "--out", "mixed.arrays.npz").exit_code == 0


def test_record_a_saved_policy_and_several_in_turns(run, tmp_path, monkeypatch):
    from stable_baselines3 import SAC

    SAC("MlpPolicy", "Pendulum-v1", device="cpu", seed=0, policy_kwargs={"net_arch": [8]}).save("sac.zip")
    record = ["demos", "record", "--env", "Pendulum-v1", "--episodes", "3"]
    refused = run(*record, "--policy", "sac.zip", "--out", "sac.npz")
    assert refused.exit_code == 2
    assert (
        "sac.zip holds pickles, which can run any code when opened; if you know who made it, add --trust" in refused.stderr
    )
    result = run(*record, "--policy", "sac.zip", "--trust", "--out", "sac.npz")
    assert result.exit_code == 0, result.stderr
    assert load_demonstrations("sac.npz").provenance["policy"] == "SAC (sac.zip)"
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *args, **options: str(tmp_path))
    assert run(*record, "--policy", "huggingface:someone/sac", "--trust", "--out", "hub.npz").exit_code == 0
    assert load_demonstrations("hub.npz")[0].actions.tolist() == load_demonstrations("sac.npz")[0].actions.tolist()
    both = ["--policy", "sac.zip", "--policy", "still_policy:act", "--trust", "--episodes", "8", "--n-trajectories", "5"]
    result = run(*record, *both, "--seed", "3", "--out", "both.npz", "--json")
    assert result.exit_code == 0, result.stderr
    mixed = load_demonstrations("both.npz")
    assert 0 < sum(not one.actions.any() for one in mixed) < len(mixed) == 5
    assert len(set(mixed.provenance["selected"])) == 5
    assert set(mixed.provenance["selected"]) <= set(range(8))
    assert mixed.provenance["policy"] == "SAC (sac.zip) or still_policy:act"
    assert run(*record, *both, "--seed", "3", "--out", "again.npz").exit_code == 0
    assert load_demonstrations("again.npz").checksum == mixed.checksum


def test_record_chance_check_and_inspect(run):
    assert (
        run("demos", "record", "--env", "Pendulum-v1", "--random", "--episodes", "3", "--out", "random.npz").exit_code == 0
    )
    checked = run("demos", "check", "random.npz")
    assert checked.exit_code == 0
    assert "poor" in checked.stdout
    assert "nothing wrong, " in checked.stdout
    told = json.loads(run("demos", "check", "random.npz", "--json").stdout)
    assert told["valid"]
    assert "poor" in {finding["rule"] for finding in told["findings"]}
    both = run("demos", "inspect", "random.npz", "pendulum", "--json", "--plot", "both.png", "--html", "page.html")
    assert both.exit_code == 0, both.stderr
    assert [one["source"] for one in json.loads(both.stdout)["sets"]] == ["random.npz", "pendulum"]
    assert os.path.getsize("both.png") > 1000
    assert 'class="warning"' in Path("page.html").read_text()


def test_a_video_where_it_can_be_drawn_and_a_sentence_where_not(run):
    pytest.importorskip("pygame")
    result = run("demos", "inspect", "mountaincar", "--video", "episode.gif", "--episode", "3")
    assert result.exit_code == 0, result.stderr
    assert os.path.getsize("episode.gif") > 1000
    shipped = load_demonstrations("pendulum")
    unseeded = replace(shipped, trajectories=tuple(replace(one, seed=None) for one in shipped), env_id=None)
    save_demonstrations(unseeded, "unseeded.npz")
    result = run("demos", "inspect", "unseeded.npz", "--video", "none.gif")
    assert result.exit_code == 0
    assert "no video: the environment of unseeded.npz is unknown" in result.stderr
    result = run("demos", "inspect", "unseeded.npz", "--env", "Pendulum-v1", "--video", "none.gif")
    assert "no video: the episode has no seed" in result.stderr
    assert not os.path.exists("none.gif")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["record", "--policy", "still_policy:act", "--out", "d.npz"], "--env ID"),
        (["record", "--env", "Pendulum-v1", "--policy", "still_policy:act", "--random", "--out", "d.npz"], "--random-share"),
        (["record", "--env", "Pendulum-v1", "--policy", "still_policy:run", "--out", "d.npz"], "has no run"),
        (["record", "--env", "CartPole-v1", "--policy", "still_policy:act", "--out", "d.npz"], "expected an action"),
        (["record", "--env", "Pendulum-v1", "--random", "--random-share", "2", "--out", "d.npz"], "from 0 to 1"),
        (["record", "--env", "Pendulum-v1", "--random", "--n-trajectories", "30", "--out", "d.npz"], "at least as many"),
        (
            ["record", "--env", "Pendulum-v1", "--policy", "nowhere.zip", "--trust", "--out", "d.npz"],
            "is not a policy saved by",
        ),
        (["play", "--env", "CartPole-v1", "--out", "d.npz"], "not a terminal"),
        (["play", "--env", "Pendulum-v1", "--window", "--noop", "0", "--out", "d.npz"], "applies to Discrete"),
        (["play", "--env", "CartPole-v1", "--window", "--noop", "2", "--out", "d.npz"], "is not an action of"),
    ],
)
def test_wrong_requests_leave_nothing(args, expected, run):
    result = run("demos", *args)
    assert result.exit_code == 2, result.stderr
    assert expected in result.stderr
    assert not os.path.exists("d.npz")


def at_the_keyboard(keys, *args):
    """Run the command on a pseudo-terminal, pressing each key once the screen has answered the one before."""
    import pty
    import select

    child, terminal = pty.fork()
    if child == 0:
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, mode, closefd=False) for fd, mode in enumerate("rww"))
        try:
            main(["demos", "play", *args])
        except SystemExit as ended:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code or 0)
        finally:
            os._exit(1)
    shown, pending = b"", list(keys)
    deadline = time.monotonic() + 240
    answered = 0
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                read = os.read(terminal, 1 << 16)
            except OSError:  # the other side has gone
                break
            if not read:
                break
            shown += read
            screens = shown.count(b"save and quit")
            if pending and screens > answered:
                answered = screens
                os.write(terminal, pending.pop(0))
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_person_plays_in_a_terminal(tmp_path):
    out = tmp_path / "played.npz"
    keys = [b"\x1b[C"] * 4 + [b"r"] + [b"0"] * 12 + [b"u"] + [b"\x1b[D", b"1"] + [b"1"] * 12 + [b"q"]
    code, shown = at_the_keyboard(keys, "--env", "CartPole-v1", "--seed", "5", "--out", str(out))
    assert code == 0, shown
    assert "restarted the episode" in shown
    assert "episodes 1" in shown
    demos = load_demonstrations(out)
    assert len(demos) >= 1
    assert demos.env_id == "CartPole-v1"
    assert demos[0].seed == 5
    assert demos[0].terminated


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_finished_episodes_outlive_an_environment_that_fails(tmp_path, monkeypatch):
    (tmp_path / "fading.py").write_text(FADING)
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "played.npz"
    code, shown = at_the_keyboard([b"1"] * 5, "--env", "fading:Fading-v0", "--out", str(out))
    assert code == 1, shown
    assert "nan in observations at step 2 of the episode from seed 1" in shown
    assert "1 episodes that were finished before are saved" in " ".join(shown.split())
    assert [len(one) for one in load_demonstrations(out)] == [3]


FADING = """
import gymnasium as gym, numpy as np
class Fading(gym.Env):
    observation_space, action_space, life = gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(2), 0
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}
    def step(self, action):
        self.life += 1
        return np.full(2, np.nan if self.life == 5 else 0, np.float32), 1.0, False, False, {}
gym.register("Fading-v0", Fading, max_episode_steps=3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_nothing_played_is_nothing_saved(tmp_path):
    code, shown = at_the_keyboard([b"1", b"q"], "--env", "CartPole-v1", "--out", str(tmp_path / "none.npz"))
    assert code == 2
    assert "nothing was saved" in shown
    assert not list(tmp_path.iterdir())
