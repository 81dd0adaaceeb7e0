"""From a fresh clone to fifty answers in the page and a trained policy: how long does it take?

    python benchmarks/person.py

In a folder of its own, this types what the guides tell a new user to type: it clones the repository, installs it with the
extra ``feedback``, starts `train preferences --teacher human` and `feedback serve`, and answers in Chromium. A script is in
the place of the person: it waits ``--seconds`` before each answer, looks at the files of the clips, and presses a key. The
environment's reward plays no part. Pictures of the page are taken on the way. Needs git, uv and Chromium.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import page_parser, versions, write_markdown

ROOT = Path(__file__).resolve().parent.parent
N, STEPS = 50, 4_000
SHOWN = (
    "document.readyState == 'complete' && document.images.length && "
    "[...document.images].every(one => one.complete && one.naturalWidth)"
)
WAITING = "document.readyState == 'complete' && !document.querySelector('input[name=question]')"


@contextmanager
def started(command: list[str], folder: Path, errors: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside this program, with its messages in a file, until the block ends."""
    with errors.open("wb") as file, subprocess.Popen(command, cwd=folder, stdout=file, stderr=file) as process:
        try:
            yield process
        finally:
            process.terminate()


def height(segment: Any) -> float:
    """Return how high a pendulum is on average: -1 if it hangs, 1 if it stands."""
    return float(np.mean(segment.observations[1:, 0]))


def key_for(segments: Any) -> str:
    """Return the key that a person would press who wants the pendulum to stand."""
    heights = [height(segment) for segment in segments]
    if len(heights) == 1:
        return str(1 + int(np.digitize(heights[0], [-0.6, -0.2, 0.2, 0.7])))
    return "ArrowLeft" if heights[0] > heights[1] else "ArrowRight"


def answer_all(window: Any, run: Path, seconds: float, training: subprocess.Popen[bytes], pictures: dict[str, bytes]) -> int:
    """Answer until the run ends; return the number of answers."""
    from ganq_irl.feedback import Questions

    questions, given = Questions(run / "feedback"), 0
    while training.poll() is None:
        if window.ask(WAITING):
            if given:
                pictures.setdefault("waiting", window.picture())
            time.sleep(0.5)
            continue
        if not window.ask(SHOWN):
            time.sleep(0.05)
            continue
        question = window.ask("document.querySelector('input[name=question]').value")
        pictures.setdefault("first", window.picture())
        time.sleep(seconds)
        window.press(key_for(questions.load(question)))
        given += 1
        window.until(f"document.readyState == 'complete' && document.getElementById('answered').textContent == '{given}'")
    return given


def main() -> int:
    """Take the path, and write its times and pictures."""
    parser = page_parser(__doc__, "person.md")
    parser.add_argument("--ask", choices=["comparisons", "ratings"], default="comparisons")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds that a person needs for an answer; 4 by default")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the page; none by default")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.chromium import Chromium

    times: list[tuple[str, float]] = []
    pictures: dict[str, bytes] = {}
    start = time.monotonic()

    def did(what: str) -> None:
        times.append((what, time.monotonic() - start))
        print(f"{times[-1][1]:6.0f} s  {what}", file=sys.stderr)

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        clone, run = folder / "ganq-irl", folder / "ganq-irl" / "runs" / "mine"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        did("`git clone`")
        subprocess.run(["uv", "sync", "-q", "--extra", "feedback"], cwd=clone, check=True)
        did("`uv sync --extra feedback`")
        program = ["uv", "run", "--extra", "feedback", "ganq-irl"]
        train = [*program, "train", "preferences", "--env", "Pendulum-v1", "--teacher", "human", "--queries", str(N)]
        train += ["--ask", arguments.ask, "--generator", "fast-sac", "--timesteps", str(STEPS), "--out", str(run)]
        with started(train, clone, folder / "train.txt") as training:
            while training.poll() is None and not (run / "feedback").is_dir():
                time.sleep(0.1)
            did("the run asks")
            serve = [*program, "feedback", "serve", str(run), "--no-browser", "--name", "person"]
            with started(serve, clone, folder / "serve.txt"):
                while not (found := re.search(r"open (\S+)\n", (folder / "serve.txt").read_text())):
                    time.sleep(0.05)
                browser = Chromium(folder / "profile")
                window = browser.open(found[1])
                window.until(SHOWN)
                did("the page shows a clip")
                given = answer_all(window, run, arguments.seconds, training, pictures)
                browser.close()
            did(f"{given} answers, and the policy is trained")
        from ganq_irl.evaluation import evaluate_returns
        from ganq_irl.runs import load_run

        mean = float(evaluate_returns(load_run(run).policy("cpu"), "Pendulum-v1", 50, seed=20_000).returns.mean())
    lines = ["# A person's path", "", "| what was done | seconds since the beginning |", "|---|---|"]
    lines += [f"| {what} | {seconds:.0f} |" for what, seconds in times]
    lines += [
        "",
        f"A script answered, {arguments.seconds:g} s for each of {given} {arguments.ask}; packages came from a local cache.",
    ]
    lines += [f"The policy's mean return over 50 episodes of Pendulum is {mean:.0f} (random actions: about -1200)."]
    write_markdown(arguments.out, [*lines, "", versions("python benchmarks/person.py")])
    for name, picture in pictures.items() if arguments.pictures else ():
        (arguments.pictures / f"{arguments.ask}-{name}.png").write_bytes(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
