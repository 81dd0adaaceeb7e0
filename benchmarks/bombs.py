"""Measure time and memory of reading small files that unpack to much larger data.

Each bomb is created in a temporary folder and read by a command in its own process. Memory is the peak of that process above
the same command with a small input. The command should exit with code 2 and a message that names ``--read-limit`` (or
another problem), and stay below the budget of ``ganq_irl.budget``.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bomb_demonstrations as formats
import bomb_runs as runs
import commands
from commands import Outcome

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from ganq_irl import budget  # noqa: E402  after the path

INSPECT = ("demos", "inspect")
RECORD = ("demos", "record", "--env", "Pendulum-v1", "--out", "none.npz", "--trust", "--policy")


@dataclass(frozen=True)
class Bomb:
    """A bomb: how to create it, and which command reads it.

    Attributes:
        reader: format or kind of file.
        what: short description of the bomb.
        make: writes it into an empty folder, and returns its path and unpacked size in bytes.
        command: command that reads it; the path is its last argument.
    """

    reader: str
    what: str
    make: Callable[[Path], tuple[Path, int]]
    command: tuple[str, ...] = INSPECT


BOMBS = (
    Bomb("arrays", "zeros", formats.npz_zeros),
    Bomb("npz", "provenance of ten million lists", formats.npz_provenance),
    Bomb("mix", "40 sets of zeros, each below the limit", formats.mix_of_small_sets),
    Bomb("csv", "100 000 columns of observations", formats.csv_wide),
    Bomb("csv", "500 000 other columns", formats.csv_names),
    Bomb("parquet", "row groups of zeros", formats.parquet_row_groups),
    Bomb("parquet", "lists of 100 000 zeros", formats.parquet_lists),
    Bomb("parquet", "a page of zeros", formats.parquet_pages),
    Bomb("parquet", "one long text for all rows", formats.parquet_texts),
    Bomb("d4rl", "fill values", formats.d4rl_fill),
    Bomb("d4rl", "chunks as large as the file", formats.d4rl_chunk),
    Bomb("robomimic", "400 episodes that are one", formats.hdf5_groups),
    Bomb("robomimic", "40 keys of fill values in an episode", formats.hdf5_one_group),
    Bomb("minari", "infos of fill values", formats.minari_infos),
    Bomb("minari", "episodes that are one", formats.minari_links),
    Bomb("minari", "50 million lists in the metadata", formats.minari_metadata),
    Bomb("lerobot", "80 million lists in info.json", formats.lerobot_info),
    Bomb("imitation", "10^9 rows of nothing", formats.imitation_nulls),
    Bomb("imitation", "300 rows that show the same numbers", formats.imitation_repeats),
    Bomb("config.toml", "a key of 16 000 parts", runs.settings("a." * 16_000 + "a = 1"), ("train", "gail", "--config")),
    Bomb("config.toml", "2000 keys of 250 parts",
         runs.settings("\n".join(f"x{i}." + "a." * 250 + "a=1" for i in range(2000))), ("train", "gail", "--config")),
    Bomb("mix", "a key of 500 000 parts", runs.settings("a." * 500_000 + "a = 1")),
    Bomb("run.json", "20 million lists", runs.run_folder("run.json", b"[", b"[],", 2 * 10**7), ("evaluate",)),
    Bomb("policy", "a million tensors of nothing", runs.policy_header, ("evaluate",)),
    Bomb("policy", "a terabyte of holes", runs.policy_sparse, ("evaluate",)),
    Bomb("policy.zip", "a description of blanks", runs.saved_zip, RECORD),
    Bomb("arrays", "1000 entries that are one",
         runs.overlapping(["obs.npy", "acts.npy", *(f"{i}.npy" for i in range(998))])),
    Bomb("npz", "1000 entries that are one", runs.overlapping([*formats.NATIVE, *(f"{i}.npy" for i in range(990))])),
    Bomb("arrays", "a directory of a million entries", runs.directory),
    Bomb("minari", "51 JPEGs of 13 000 by 13 000", runs.images("JPEG")),
    Bomb("minari", "51 PNGs of 13 000 by 13 000", runs.images("PNG")),
    Bomb("checkpoint", "6 million lists in the manifest", runs.checkpoint(runs.manifest_lists), ("resume",)),
    Bomb("checkpoint", "20 million lists in the state", runs.checkpoint(runs.state_lists), ("resume",)),
    Bomb("checkpoint", "a tensor named 10 000 times", runs.checkpoint(runs.state_repeats), ("resume",)),
    Bomb("checkpoint", "a million tensors of nothing", runs.checkpoint(runs.state_tensors), ("resume",)),
    Bomb("checkpoint", "70 million rows of a log", runs.checkpoint(runs.log_of_zeros), ("resume",)),
)  # fmt: skip


def small_input(folder: Path, command: tuple[str, ...]) -> str:
    """Create a small input for a command."""
    if command == INSPECT:
        return "pendulum"
    if command == RECORD:
        (folder / "small.zip").write_bytes(b"")
        return str(folder / "small.zip")
    if command[0] in ("evaluate", "report", "resume"):
        runs.run_folder("progress.csv")(folder)
        return str(folder)
    (folder / "b.toml").write_text("nothing = 1\n")
    return str(folder / "b.toml")


@functools.cache
def baseline(command: tuple[str, ...]) -> Outcome:
    """Run a command with a small input."""
    with tempfile.TemporaryDirectory(prefix="bombs-") as folder:
        return commands.run((*command, small_input(Path(folder), command)), Path(folder), Path(folder))


def size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else path.parent.iterdir()
    return sum(file.stat().st_size for file in files if file.is_file())


def row(bomb: Bomb) -> str:
    """Create and read a bomb and return its table row. It is created in another process, so that this one stays small."""
    usual = baseline(bomb.command)
    with tempfile.TemporaryDirectory(prefix="bombs-") as scratch:
        folder = Path(scratch) / "bomb"
        folder.mkdir()
        made = commands.forked(lambda: print(*bomb.make(folder), sep="\n"))
        if made.code:
            return f"| {bomb.reader} | {bomb.what} | | | | | | not made: {made.output[-200:]!r} |"
        path, unpacked = made.output.split("\n")[-3:-1]
        found = commands.run((*bomb.command, path), Path(scratch), Path(scratch))
        size = size_of(Path(path))
    lines = found.output.strip().splitlines() or [""]
    said = next((line for line in reversed(lines) if line.startswith("Error")), lines[-1])  # a pointer to a page may follow
    cells = (
        bomb.reader,
        bomb.what,
        f"{size / 2**10:.0f}",
        f"{int(unpacked) / 2**20:.0f}",
        f"{max(0, found.seconds - usual.seconds):.1f}",
        f"{max(0, found.peak - usual.peak) / 2**20:.0f}",
        str(found.code),
        said.replace(scratch, "").replace("|", "/")[:160],
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", help="readers")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "bombs.md")
    options = parser.parse_args()
    commands.preload()
    rows = []
    for bomb in BOMBS:
        if options.only is None or bomb.reader in options.only:
            rows.append(row(bomb))
            print(rows[-1], flush=True)
    header = [
        "# Small files that unpack to far more",
        "",
        f"`python benchmarks/bombs.py`. The budget of a command is {budget.in_words(budget.FREE)}, or {budget.RATIO} times",
        f"the size of the files where that is more, and at most {budget.in_words(budget.LIMIT)}. Seconds of the processor",
        "and peak of memory are those above the same command with a small input.",
        "Expected: exit code 2, and a peak below the budget. A checkpoint whose manifest is refused is passed over for an",
        "older one, and `resume` goes on: exit code 0.",
        "",
        "| reader | bomb | files (KiB) | would unpack to (MiB) | seconds | peak (MiB) | exit code | outcome |",
        "|---|---|---|---|---|---|---|---|",
    ]
    options.out.write_text("\n".join([*header, *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
