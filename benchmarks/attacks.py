"""Test how the commands handle untrusted files, a malicious working directory, a full disk, and signals.

``attack_inputs.py`` lists the attacks on folders and files; those on imports and processes are here. Each command runs in
its own process, with ``home`` as its home and ``work`` as its working directory. It fails if it hangs
(``commands.SECONDS``), is ended by a signal, prints a traceback or a raw control character, changes a file that it should
not write, or leaves a partial file behind. Commands start from a process that has already imported the libraries, except
in attacks on imports and processes, which start like a user's.

Run it manually, as root for devices and small disks: ``python benchmarks/attacks.py [--only NAME]``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import commands
from attack_inputs import ATTACKS, IMITATE, QUICK, WINDOW, Command
from commands import Outcome

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

RAW = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


# Attacks on processes, which start like a user's.


def planted_modules(scratch: Path) -> Iterator[tuple[str, str, Outcome]]:
    """Put a module into the working directory for each name that Python or a library may import."""
    from tests.studies.planted import run_among_planted_modules

    small = ("--timesteps", 64, *WINDOW)
    grid = ("--algos", "bc", *WINDOW, "--seeds", 2, "--jobs", 2, "--set", "methods.bc.bc.n_updates=2", "--out", "x")
    (scratch / "sweep.toml").write_text(SWEEP)
    for arguments in (
        ("demos", "inspect", "cartpole"),
        ("demos", "record", *WINDOW, "--episodes", 1, "--out", "x.npz"),
        ("demos", "convert", "cartpole", "--out", "x.hdf5"),
        ("train", "ppo", *small, "--preset", "none", *QUICK, "--out", "x"),
        ("compare", *grid),
        ("sweep", "--config", scratch / "sweep.toml", "--trials", 2, "--jobs", 2, "--out", "x"),
    ):
        folder = scratch / f"planted-{arguments[0]}-{arguments[1]}".replace("--", "")
        folder.mkdir()
        text = f"import sys; from ganq_irl_cli import main; main({list(map(str, arguments))!r})"
        start = time.monotonic()
        done, ran = run_among_planted_modules(folder, f"if __name__ == '__main__':\n    {text}\n")
        wrong = f"ran {ran}" if ran else "" if done.returncode == 0 else f"exit code {done.returncode}"
        yield " ".join(map(str, arguments[:2])), wrong, Outcome(done.returncode, time.monotonic() - start, 0, done.stderr)


SWEEP = """
algos = ["dqn"]
env = ["CartPole-v1"]
seeds = 1
timesteps = 64
preset = "none"
evaluation = { episodes = 2, every = 32 }
[methods.dqn.generator_kwargs]
learning_starts = 16
[search]
"generator_kwargs.gamma" = { low = 0.9, high = 0.99 }
"""


def signals_to_parents(scratch: Path) -> Iterator[tuple[str, str, Outcome]]:
    """End processes that have started workers; the workers must end within seconds."""
    asked = {
        "compare": ("compare", "--algos", "ppo", *WINDOW, "--seeds", 2, "--jobs", 2, "--timesteps", 10**7, "--out"),
        "quickstart": ("quickstart", "--out"),
    }
    for what, arguments in asked.items():
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGKILL):
            folder = scratch / f"{what}-{number.name}"
            command = [sys.executable, "-m", "ganq_irl_cli", *map(str, arguments), str(folder)]
            # Under nohup this process ignores SIGHUP, and a command that it starts would, too.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            children = _awaited_children(process.pid)
            start = time.monotonic()
            process.send_signal(number)
            try:
                _, errors = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                errors = "not ended after 60 s"
            while (
                left := [child for child in children if Path(f"/proc/{child}").exists()]
            ) and time.monotonic() < start + 60:
                time.sleep(0.2)
            wrong = f"{len(left)} of {len(children)} processes go on" if left else "" if children else "no worker was seen"
            for child in left:
                os.kill(child, signal.SIGKILL)
            yield f"{number.name} to {what}", wrong, Outcome(process.returncode, time.monotonic() - start, 0, errors)


def _awaited_children(parent: int) -> list[int]:
    """Return the child processes of a process, once two of them are training; a busy machine starts them slowly."""
    end = time.monotonic() + commands.SECONDS
    while time.monotonic() < end:
        found = _below(parent)
        busy = [child for child in found if _ticks(child) > 300]
        if len(busy) >= 2:
            return found
        time.sleep(1)
    return _below(parent)


def _below(parent: int) -> list[int]:
    try:
        text = "".join(path.read_text() for path in Path(f"/proc/{parent}/task").glob("*/children"))
    except OSError:
        return []
    own = list(map(int, text.split()))
    return own + [child for one in own for child in _below(one)]


def _ticks(process: int) -> int:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


PROCESSES = {"planted modules": planted_modules, "signals to parents": signals_to_parents}


# Running the attacks.


def sound_folders(place: Path) -> None:
    """Create a valid run, grid and demonstrations, and files that must not be changed."""
    (place / "work").mkdir(parents=True)
    (place / "home").mkdir()
    (place / "home/profile").write_text("precious\n")
    (place / "home/step-000000000001").mkdir()
    made = (*IMITATE, *QUICK, "--timesteps", 128, "--checkpoint-every", 64, "--out", "run")
    grid = ("compare", "--algos", "bc", *WINDOW, "--seeds", 1, "--set", "methods.bc.bc.n_updates=2", "--out", "grid")
    for arguments in (
        made,
        (*grid, "--set", "evaluation.episodes=1"),
        *(("demos", "convert", "cartpole", "--out", f"a.{suffix}") for suffix in ("minari", "lerobot", "imitation")),
    ):
        outcome = run(Command("", arguments), place)
        if outcome.code:
            raise SystemExit(f"{arguments}: {outcome.output}")


def run(command: Command, place: Path) -> Outcome:
    """Run a command in the working directory of an attack."""
    return commands.run(command.arguments, place / "work", place / "home", command.full)


def tree(place: Path, besides: tuple[str, ...]) -> dict[str, object]:
    """Return everything that a command must not change."""
    found: dict[str, object] = {}
    for root in ("home", "work"):
        for folder, folders, names in os.walk(place / root):
            inside = Path(folder).relative_to(place)
            if root == "work" and len(inside.parts) > 1 and inside.parts[1] in besides:
                folders.clear()
                continue
            for name in (*folders, *names):
                path = Path(folder) / name
                if root == "work" and inside == Path("work") and name in besides:
                    continue
                is_file = path.is_file() and not path.is_symlink()
                found[str(inside / name)] = (
                    hashlib.sha256(path.read_bytes()).hexdigest() if is_file else path.lstat().st_mode
                )
    return found


def verdict(command: Command, outcome: Outcome, place: Path, before: dict[str, object]) -> str:
    """Return what is wrong, or an empty string."""
    after = tree(place, command.writes)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    own = [name for name in changed if not (name.endswith("/.lock") or (outcome.code == 0 and _is_output(command, name)))]
    faults = (
        (outcome.code is None, "hangs"),
        (outcome.code is not None and outcome.code < 0, f"ended by signal {-(outcome.code or 0)}"),
        ("Traceback" in outcome.output or "--debug" in outcome.output, "a traceback"),
        (RAW.search(outcome.output) is not None, "raw control characters"),
        (bool(own), f"changed {own[:3]}"),
        (outcome.code is not None and outcome.code >= 0 and outcome.code not in command.codes, f"exit code {outcome.code}"),
    )
    return "; ".join(text for found, text in faults if found) or command.check(place)


def _is_output(command: Command, name: str) -> bool:
    given = [str(word) for word in command.arguments]
    return "--out" in given and Path(name).parts[1] == Path(given[given.index("--out") + 1]).parts[0]


def attacked(name: str, scratch: Path, sound: Path) -> Iterator[tuple[str, str, Outcome]]:
    """Yield input, problem and outcome of each command of an attack."""
    if name in PROCESSES:
        yield from PROCESSES[name](scratch)
        return
    place = scratch / "place"
    shutil.copytree(sound, place)
    for command in ATTACKS[name](place):
        before = tree(place, command.writes)
        outcome = run(command, place)
        yield command.what, verdict(command, outcome, place, before), outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*ATTACKS, *PROCESSES], nargs="+", default=[*ATTACKS, *PROCESSES])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "attacks.md")
    options = parser.parse_args()
    commands.preload()
    rows = []
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        sound = Path(folder) / "sound"
        sound_folders(sound)
        for name in options.only:
            scratch = Path(folder) / name.replace(" ", "-")
            scratch.mkdir()
            try:
                for what, wrong, outcome in attacked(name, scratch, sound):
                    rows.append(_row(name, what, wrong, outcome, folder))
                    if wrong:
                        print(name, "|", *rows[-1][1:], flush=True)
            except Exception:
                rows.append([name, "the attack itself", "", "", traceback.format_exc(limit=-1)[-300:], "not run"])
                traceback.print_exc()
            print(name, sum(row[0] == name for row in rows), "inputs", flush=True)
    write(rows, options.out)


def _row(name: str, what: str, wrong: str, outcome: Outcome, folder: str) -> list[str]:
    lines = [line for line in outcome.output.strip().splitlines() if line.strip()] or [""]
    said = next((line for line in reversed(lines) if line.startswith("Error")), lines[-1]).replace(folder, "")
    cells = (name, what, str(outcome.code), f"{outcome.seconds:.1f}", said[:200], wrong or "held")
    return [RAW.sub(lambda found: f"\\x{ord(found[0]):02x}", cell.replace("|", "/")) for cell in cells]


def write(rows: list[list[str]], out: Path) -> None:
    """Write the results as one table row per attack, every failure, and all rows as CSV."""
    with open(out.with_suffix(".csv"), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["attack", "input", "exit code", "seconds", "sentence", "verdict"])
        writer.writerows(rows)
    text = ["# Attacks", "", "`python benchmarks/attacks.py`; every input is in [attacks.csv](attacks.csv).", ""]
    text += ["| attack | inputs | held | longest (s) | exit codes | a sentence |", "|---|---|---|---|---|---|"]
    for name in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == name]
        codes = ", ".join(sorted({row[2] for row in mine}))
        longest = max(float(row[3] or 0) for row in mine)
        held = sum(row[5] == "held" for row in mine)
        text.append(f"| {name} | {len(mine)} | {held} | {longest:.1f} | {codes} | {mine[-1][4]} |")
    wrong = [row for row in rows if row[5] != "held"]
    if wrong:
        text += [
            "",
            "What did not hold:",
            "",
            "| attack | input | exit code | seconds | sentence | what is wrong |",
            "|" + "---|" * 6,
        ]
        text += ["| " + " | ".join(row) + " |" for row in wrong]
    out.write_text("\n".join([*text, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
