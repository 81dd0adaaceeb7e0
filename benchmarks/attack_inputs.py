"""Attacks on the commands: links, pipes, devices, escapes, hostile settings and full disks, each with the commands to run.

Each attack is a function that modifies a fresh copy of valid folders and yields the commands to run on it. ``attacks.py``
runs them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ESCAPE = "\x1b]0;gone\x07\x1b[31m\x9b2J\u202e"
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
