"""Test how the commands handle untrusted files, a malicious working directory, a full disk, and signals.

Each attack is a function that modifies a fresh copy of valid folders and yields the commands to run on it. Each command
runs in its own process, with ``home`` as its home and ``work`` as its working directory. It fails if it hangs
(``commands.SECONDS``), is ended by a signal, prints a traceback or a raw control character, changes a file that it should
not write, or leaves a partial file behind. Commands start from a process that has already imported the libraries, except
in attacks on imports and processes, which start like a user's.

Run it manually, as root for devices and small disks: ``python benchmarks/attacks.py [--only NAME]``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import commands
from commands import Outcome

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

ESCAPE = "\x1b]0;gone\x07\x1b[31m\x9b2J\u202e"
RAW = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
WINDOW = ("--env", "CartPole-v1")
QUICK = ("--set", "evaluation.episodes=1", "--set", "generator_kwargs.n_steps=64", "--set", "generator_kwargs.batch_size=32")
IMITATE = (
    "train",
    "gail",
    *WINDOW,
    "--demos",
    "cartpole",
    "--n-trajectories",
    "1",
    "--preset",
    "none",
    "--device",
    "cpu",
    "--set",
    "adversary.batch_size=32",
)


@dataclass(frozen=True)
class Command:
    """A command to run.

    Attributes:
        what: a short description of the attack and its input.
        arguments: arguments of ``ganq-irl``.
        codes: acceptable exit codes.
        writes: names in ``work`` that the command may create or change.
        full: maximum size of a file in bytes, to simulate a full disk.
        check: inspects the folder afterwards and returns what is wrong.
    """

    what: str
    arguments: tuple[object, ...]
    codes: tuple[int, ...] = (2,)
    writes: tuple[str, ...] = ()
    full: int | None = None
    check: Callable[[Path], str] = field(default=lambda place: "")


Attack = Callable[[Path], Iterator[Command]]


# Links, pipes, devices and sockets in untrusted folders.


def _socket(path: Path, elsewhere: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(path.parent)  # paths of sockets must be short
        server.bind(path.name)
        os.chdir(before)


PLANTED: dict[str, Callable[[Path, Path], None]] = {
    "a link to a file": lambda path, elsewhere: path.symlink_to(elsewhere / "profile"),
    "a link to a folder": lambda path, elsewhere: path.symlink_to(elsewhere),
    "a link to nowhere": lambda path, elsewhere: path.symlink_to(elsewhere / "new"),
    "a link to itself": lambda path, elsewhere: path.symlink_to(path),
    "a link upwards": lambda path, elsewhere: path.symlink_to(path.parent.parent),
    "a pipe": lambda path, elsewhere: os.mkfifo(path),
    "a socket": _socket,
    "a device": lambda path, elsewhere: os.mknod(path, 0o020666, os.makedev(1, 5)),  # /dev/zero
}
RUN_COMMANDS: dict[str, tuple[object, ...]] = {
    "resume": ("--timesteps", 256),
    "evaluate": ("--episodes", 1),
    "reward show": ("--episodes", 1),
    "reward compare": ("--episodes", 1),
    "reward export": ("--out", "x.onnx"),
    "reward transfer": ("--to", "CartPole-v1", "--out", "x", "--timesteps", 64),
    "reward retrain": ("--out", "x", "--timesteps", 64),
}
RUN_PLACES = (
    "progress.csv", "run.json", "config.toml", ".lock", "policy", "policy/tensors.safetensors", "reward/config.json",
    "checkpoints", "checkpoints/step-000000000064/state.json", "checkpoints/step-000000000000", "a/b/c", "reward.png",
)  # fmt: skip


def links_in_a_run(place: Path) -> Iterator[Command]:
    for index, (kind, plant) in enumerate(PLANTED.items()):
        for number, name in enumerate(RUN_PLACES):
            command = list(RUN_COMMANDS)[(index + number) % len(RUN_COMMANDS)]
            run = place / "work" / f"run{index}-{number}"
            shutil.copytree(place / "work/run", run)
            _replaced(run / name, plant, place / "home")
            yield Command(f"{kind} as {name}: {command}", (*command.split(), run.name, *RUN_COMMANDS[command]))
            shutil.rmtree(run)


def hard_links_in_a_run(place: Path) -> Iterator[Command]:
    for name in ("progress.csv", "run.json", "checkpoints/step-000000000064/progress.csv", "policy/config.json"):
        run = place / "work" / f"run-{name.replace('/', '-')}"
        shutil.copytree(place / "work/run", run)
        (run / name).unlink(missing_ok=True)
        os.link(place / "home/profile", run / name)
        yield Command(f"a hard link as {name}: resume", ("resume", run.name, "--timesteps", 256))
        shutil.rmtree(run)


def links_in_a_grid(place: Path) -> Iterator[Command]:
    asked = (("report",), ("compare", "--out"))
    for index, (kind, plant) in enumerate(PLANTED.items()):
        for number, name in enumerate(("grid.toml", "final.csv", "cells", "report.html", "cells/x/run.json")):
            grid, command = place / "work" / f"grid{index}-{number}", asked[(index + number) % 2]
            shutil.copytree(place / "work/grid", grid)
            _replaced(grid / name, plant, place / "home")
            yield Command(f"{kind} as {name}: {command[0]}", (*command, grid.name))
            shutil.rmtree(grid)


def links_in_demonstrations(place: Path) -> Iterator[Command]:
    asked = {
        "demos inspect": (),
        "demos check": (),
        "demos export": ("--out", "x.npz"),
        "demos convert": ("--out", "x.npz"),
        "demos import": ("--out", "x.npz"),
        "train bc": ("--env", "CartPole-v1", "--out", "x"),
    }
    for index, (kind, plant) in enumerate(PLANTED.items()):
        for number, suffix in enumerate(("minari", "lerobot", "imitation")):
            source = place / "work" / f"a.{suffix}"
            if not source.exists():
                continue
            files = sorted(path for path in source.rglob("*") if path.is_file())
            for turn, name in enumerate((files[0].relative_to(source), files[-1].relative_to(source), Path("deep/x"))):
                command = list(asked)[(index + number + turn) % len(asked)]
                copy = place / "work" / f"b{index}{turn}.{suffix}"
                shutil.copytree(source, copy)
                _replaced(copy / name, plant, place / "home")
                given = ("--demos", copy.name) if command.startswith("train") else (copy.name,)
                yield Command(f"{kind} as {suffix}/{name}: {command}", (*command.split(), *given, *asked[command]))
                shutil.rmtree(copy)


def _replaced(path: Path, plant: Callable[[Path, Path], None], home: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    plant(path, home)


# Pipes, devices and sockets as input.

INPUTS: tuple[tuple[object, ...], ...] = (
    ("train", "bc", "--config", "INPUT"),
    ("train", "bc", *WINDOW, "--demos", "INPUT"),
    ("train", "ppo", *WINDOW, "--reward", "INPUT"),
    ("compare", "--config", "INPUT"),
    ("sweep", "--config", "INPUT"),
    ("resume", "INPUT"),
    ("evaluate", "INPUT"),
    ("report", "INPUT"),
    ("reward", "show", "INPUT"),
    ("reward", "compare", "run", "INPUT"),
    ("reward", "export", "INPUT"),
    ("reward", "transfer", "INPUT", "--to", "CartPole-v1"),
    ("reward", "retrain", "INPUT"),
    ("demos", "inspect", "INPUT"),
    ("demos", "inspect", "cartpole", "INPUT"),
    ("demos", "check", "INPUT", *WINDOW),
    ("demos", "export", "INPUT", "--out", "x.npz"),
    ("demos", "import", "INPUT", *WINDOW, "--trust", "--out", "x.npz"),
    ("demos", "convert", "INPUT", "--out", "x.npz"),
    ("demos", "record", *WINDOW, "--policy", "INPUT", "--trust", "--out", "x.npz"),
)


def inputs_without_end(place: Path) -> Iterator[Command]:
    work = place / "work"
    os.mkfifo(work / "pipe.zip")
    _socket(work / "socket.zip", place)
    os.mknod(work / "device.zip", 0o020666, os.makedev(1, 5))
    (work / "linked.zip").symlink_to("/dev/zero")
    for number, arguments in enumerate(INPUTS):
        for given in ("pipe.zip", "socket.zip", "device.zip", "linked.zip", "/dev/zero", "/proc/self/fd/0")[number % 2 :: 2]:
            filled = tuple(given if word == "INPUT" else word for word in arguments)
            yield Command(f"{given}: {' '.join(map(str, arguments))}", filled)


def outputs_that_are_no_files(place: Path) -> Iterator[Command]:
    os.mkfifo(place / "work/pipe.npz")
    os.mknod(place / "work/device.npz", 0o020666, os.makedev(1, 5))
    for given in ("pipe.npz", "device.npz", "/dev/full", "run", "run.csv/x.npz"):
        if given == "run.csv/x.npz":
            (place / "work/run.csv").write_text("")
        yield Command(f"--out {given}: demos export", ("demos", "export", "cartpole", "--out", given, "--format", "npz"))
        yield Command(f"--out {given}: demos record", ("demos", "record", *WINDOW, "--episodes", 1, "--out", given))


# Text that controls a terminal.


def escapes(place: Path) -> Iterator[Command]:
    from dataclasses import replace

    from ganq_irl_demos import load_demonstrations, save_demonstrations

    work, name = place / "work", f"n{ESCAPE}"
    noted = replace(load_demonstrations("cartpole"), env_id=name, provenance={name: [name, {name: name}], "remarks": [name]})
    for suffix in ("npz", "csv", "minari", "lerobot", "imitation", "parquet"):
        save_demonstrations(noted, work / f"{name}.{suffix}")
        for command in (("inspect",), ("check",), ("inspect", "--json")):
            yield Command(f"note in {suffix}: {' '.join(command)}", ("demos", *command, f"{name}.{suffix}"), (0, 1, 2))
    (work / "c.csv").write_text(f"obs_0,{name},action,done\n1,2,{name},1\n")
    (work / "d.csv").write_text(f"{name},{name}\n1,2\n")
    for file in ("c.csv", "d.csv"):
        for told in ((), ("--columns", f"observations={name}"), ("--columns", f"{name}=a")):
            arguments = ("demos", "convert", file, "--out", "x.npz", *told)
            yield Command(f"names of columns: {' '.join(arguments)[:40]!r}", arguments, (0, 1, 2), ("x.npz",))
    (work / "e.toml").write_text(f'algo = "bc"\nenv = "{_toml(name)}"\n')
    (work / "f.toml").write_text(f'"{_toml(name)}" = 1\n')
    (work / "g.toml").write_text(f'[[demonstrations]]\nsource = "{_toml(name)}"\n')
    yield Command("env in settings: train", ("train", "--config", "e.toml", "bc"))
    yield Command("a key in settings: train", ("train", "--config", "f.toml", "bc"))
    yield Command("a key in a grid: compare", ("compare", "--config", "f.toml"))
    yield Command("a source in a table of sets: inspect", ("demos", "inspect", "g.toml"))
    for flag in ("--preset", "--demos", "--generator", "--set", "--control", "--reward", "--out"):
        yield Command(f"{flag}: train", ("train", "gail", "--env", "None-v0", flag, name))
    yield Command("a name: presets show", ("presets", "show", name))
    yield Command("a name: reward transfer", ("reward", "transfer", "run", "--to", name))
    shutil.copytree(work / "run", work / name)
    info = json.loads((work / "run/run.json").read_text())
    info |= {"warnings": [{"message": name, "step": 1, "category": name}], "versions": {name: name}, "status": name}
    (work / name / "run.json").write_text(json.dumps(info))
    (work / name / "progress.csv").write_text(f"{name},time/total_timesteps\n1,{name}\n")
    for command in ("evaluate", "resume", "reward show", "report"):
        yield Command(f"name and notes of a run: {command}", (*command.split(), name), (0, 1, 2), (name,))
    shutil.copytree(work / "grid", work / f"g{name}")
    for file in sorted((work / f"g{name}").glob("cells/*/run.json")):
        file.with_name("failed.json").write_text(json.dumps({"error": name, "message": name}))
    yield Command("notes of a failed cell: report", ("report", f"g{name}"), (0, 1, 2), (f"g{name}",))
    yield Command("notes of a failed cell: compare", ("compare", "--out", f"g{name}"), (0, 1, 2), (f"g{name}",))


def _toml(text: str) -> str:
    return json.dumps(text)[1:-1].replace("\x7f", "\\u007f")


# Settings that take much time or memory to parse.


def settings(place: Path) -> Iterator[Command]:
    texts = {
        "arrays in arrays": "a = " + "[" * 100_000 + "]" * 100_000,
        "tables in tables": "a = " + "{b = " * 100_000 + "1" + "}" * 100_000,
        "a quoted key of 10 000 parts": '"a".' * 10_000 + "a = 1",
        "20 000 headers of growing depth": "\n".join(f"[{'a.' * (i % 200)}b{i}]" for i in range(20_000)),
        "a dotted key in an inline table": "a = {" + "b." * 30_000 + "c = 1}",
        "an array of 150 000 tables": "[[a]]\n" * 150_000,
        "a number of 10^5 digits": "a = " + "9" * 100_000,
        "a text of 1 MiB": 'a = "' + "x" * (2**20 - 100) + '"',
        "2 MiB": "#" * 2**21,
        "200 000 comments": "#\n" * 200_000,
        "a key of 500 000 letters": "a" * 500_000 + " = 1",
        "bytes that are no text": "\udcff",
        "nothing": "",
        "a mark of bytes first": "\ufeffalgo = 'bc'",
        "dates": "a = 9999-99-99",
        "a key twice": "a = 1\na = 2",
    }
    for what, text in texts.items():
        (place / "work/a.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
        for command in (("train", "bc", "--config"), ("compare", "--config"), ("sweep", "--config"), ("demos", "inspect")):
            yield Command(f"{what}: {command[0]}", (*command, "a.toml"))


# Full disks.


def full_disks(place: Path) -> Iterator[Command]:
    writers: dict[str, tuple[object, ...]] = {
        **{f"demos convert {suffix}": ("demos", "convert", "pendulum", "--out", f"x.{suffix}")
           for suffix in ("npz", "csv", "parquet", "hdf5", "minari", "lerobot", "imitation")},
        "demos record": ("demos", "record", *WINDOW, "--episodes", 30, "--out", "x.npz"),
        "demos inspect --html": ("demos", "inspect", "cartpole", "--html", "x.html"),
        "demos inspect --plot": ("demos", "inspect", "cartpole", "--plot", "x.png"),
        "train": (*IMITATE, *QUICK, "--timesteps", 64, "--out", "x"),
        "train with checkpoints": (*IMITATE, *QUICK, "--timesteps", 128, "--checkpoint-every", 64, "--out", "x"),
        "evaluate": ("evaluate", "run", "--episodes", 1),
        "reward export": ("reward", "export", "run", "--out", "x.onnx"),
        "reward show": ("reward", "show", "run", "--episodes", 1, "--out", "x"),
        "reward compare": ("reward", "compare", "run", "run", "--episodes", 1, "--out", "x.json"),
        "report": ("report", "grid", "--out", "x.html"),
    }  # fmt: skip
    for what, arguments in writers.items():
        for full in (0, 4096):
            keeps_folder = arguments[0] == "train"
            check = _nothing_half_written if not keeps_folder else lambda place: ""
            writes = ("x",) if keeps_folder else {"evaluate": ("run",), "demos record": ("runs",)}.get(what, ())
            yield Command(f"files of {full} bytes at most: {what}", arguments, (0, 1, 2), writes, full, check)
            shutil.rmtree(place / "work/x", ignore_errors=True)


def _nothing_half_written(place: Path) -> str:
    left = [path.name for path in (place / "work").iterdir() if path.name.startswith((".x", ".report"))]
    return f"left {left}" if left else ""


ATTACKS: dict[str, Attack] = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        links_in_a_run, hard_links_in_a_run, links_in_a_grid, links_in_demonstrations, inputs_without_end,
        outputs_that_are_no_files, escapes, settings, full_disks,
    )
}  # fmt: skip


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
