"""Measure the time and memory that readers spend on small files which unpack to far more.

Each bomb is made in a temporary folder and given to a command in a process of its own, whose address space is limited to
8 GB. Memory is the peak of that process above the same command with a small valid input. The command should end with exit
code 2 and a sentence that names ``--read-limit`` (or what else is wrong), and stay below the budget of ``ganq_irl.budget``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganq_irl import budget

HERE = Path(__file__).parent
ADDRESSES = 8_000_000_000
SECONDS = 120
GANQ_IRL = [sys.executable, "-m", "ganq_irl_cli"]
INSPECT = ("demos", "inspect")
MANY = 10**8


@dataclass(frozen=True)
class Bomb:
    """How to make a bomb, and who reads it.

    Attributes:
        reader: format or kind of file.
        what: the bomb in a few words.
        make: writes it into an empty folder, and returns its path and how many bytes it would unpack to.
        command: that reads it; its last argument is the path.
    """

    reader: str
    what: str
    make: Callable[[Path], tuple[Path, int]]
    command: tuple[str, ...] = INSPECT


def zeros(rows: int, width: int = 1) -> np.ndarray:
    """Zeros that take no memory until they are written."""
    return np.zeros((rows, width), np.float32)


def npz_zeros(folder: Path) -> tuple[Path, int]:
    np.savez_compressed(folder / "a.npz", obs=zeros(MANY), acts=zeros(MANY), dones=np.zeros(MANY, bool))
    return folder / "a.npz", 9 * MANY


def npz_provenance(folder: Path) -> tuple[Path, int]:
    from ganq_irl_demos import load_demonstrations, save_demonstrations

    path = save_demonstrations(load_demonstrations("pendulum"), folder / "a.npz")
    with np.load(path) as file:
        entries = dict(file)
    header = entries["header"].tobytes()[:-1] + b', "more": [' + b"[]," * 10**7 + b"0]}"
    np.savez_compressed(path, **{**entries, "header": np.frombuffer(header, np.uint8)})
    return path, 64 * 10**7


def mix_of_small_sets(folder: Path) -> tuple[Path, int]:
    rows, sets = 4 * 10**6, 40
    text = ""
    for index in range(sets):
        obs = np.zeros((rows, 4), np.float32)
        np.savez_compressed(folder / f"{index}.npz", obs=obs, acts=zeros(rows), dones=np.ones(rows, bool)[:, None])
        text += f'[[demonstrations]]\nsource = "{index}.npz"\n'
    (folder / "sets.toml").write_text(text)
    return folder / "sets.toml", sets * rows * 21


def csv_wide(folder: Path) -> tuple[Path, int]:
    names = ",".join(f"obs_{index}" for index in range(100_000))
    (folder / "a.csv").write_text(f"{names},done\n" + ("0," * 100_000 + "1\n") * 200)
    return folder / "a.csv", 200 * 100_000 * 8


def csv_names(folder: Path) -> tuple[Path, int]:
    (folder / "a.csv").write_text("obs," + "a," * 500_000 + "\n" + "0," * 500_001 + "\n")
    return folder / "a.csv", 500_000 * 1000


def parquet(folder: Path, table: Any, **options: Any) -> Path:
    import pyarrow.parquet as pq

    pq.write_table(table, folder / "a.parquet", compression="zstd", **options)
    return folder / "a.parquet"


def parquet_row_groups(folder: Path) -> tuple[Path, int]:
    import pyarrow as pa

    rows = 5 * 10**7
    table = pa.table({"obs": np.zeros(rows), "action": np.zeros(rows), "done": np.zeros(rows, bool)})
    return parquet(folder, table, row_group_size=10**6), 17 * rows


def parquet_lists(folder: Path) -> tuple[Path, int]:
    import pyarrow as pa

    values = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(5 * 10**7, np.float32)), 10**5)
    return parquet(folder, pa.table({"obs": values, "done": np.ones(500, bool)})), 2 * 10**8


def parquet_pages(folder: Path) -> tuple[Path, int]:
    import pyarrow as pa

    rows = 4 * 10**7
    options = {"use_dictionary": False, "data_page_size": 1 << 30, "row_group_size": rows, "write_batch_size": rows}
    return parquet(folder, pa.table({"obs": np.zeros(rows), "done": np.ones(rows, bool)}), **options), 9 * rows


def parquet_texts(folder: Path) -> tuple[Path, int]:
    import pyarrow as pa

    rows, length = 16_384, 10**5
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["x" * length]))
    return parquet(folder, pa.table({"obs": np.zeros(rows), "episode": words})), rows * length


def d4rl_fill(folder: Path) -> tuple[Path, int]:
    import h5py

    with h5py.File(folder / "a.hdf5", "w") as file:
        for name in ("observations", "actions"):
            file.create_dataset(name, (MANY, 3), "f4", chunks=(4096, 3))
        file.create_dataset("terminals", (MANY,), "?", chunks=(4096,))
    return folder / "a.hdf5", 25 * MANY


def d4rl_chunk(folder: Path) -> tuple[Path, int]:
    import h5py

    rows = 6 * 10**7
    with h5py.File(folder / "a.hdf5", "w") as file:
        for name in ("observations", "actions", "next_observations"):
            file.create_dataset(name, data=zeros(rows), chunks=(rows, 1), compression="gzip")
    return folder / "a.hdf5", 12 * rows


def hdf5_groups(folder: Path) -> tuple[Path, int]:
    """Hundreds of episodes that are one, by hard links."""
    import h5py

    episodes, rows = 400, 10**6
    with h5py.File(folder / "a.hdf5", "w") as file:
        demo = file.create_group("data/demo_0")
        demo.create_dataset("obs/flat", (rows, 3), "f4", chunks=(4096, 3))
        demo.create_dataset("actions", (rows, 1), "f4", chunks=(4096, 1))
        for index in range(1, episodes):
            file[f"data/demo_{index}"] = demo
    return folder / "a.hdf5", episodes * rows * 16


def hdf5_one_group(folder: Path) -> tuple[Path, int]:
    import h5py

    with h5py.File(folder / "a.hdf5", "w") as file:
        for key in range(40):
            file.create_dataset(f"data/demo_0/obs/key{key}", (10**6, 3), "f4", chunks=(4096, 3))
        file.create_dataset("data/demo_0/actions", (10**6, 1), "f4", chunks=(4096, 1))
    return folder / "a.hdf5", 40 * 12 * 10**6


def minari(folder: Path, change: Callable[[Any], int]) -> tuple[Path, int]:
    import h5py

    from ganq_irl_demos import load_demonstrations, save_demonstrations

    path = save_demonstrations(load_demonstrations("pendulum"), folder / "a.minari")
    with h5py.File(path / "data/main_data.hdf5", "a") as file:
        size = change(file)
    return path, size


def minari_infos(folder: Path) -> tuple[Path, int]:
    def change(file: Any) -> int:
        for index in range(100):
            file.create_dataset(f"episode_0/infos/part{index}", (10**7,), "f4", chunks=(4096,))
        return 4 * 10**9

    return minari(folder, change)


def minari_links(folder: Path) -> tuple[Path, int]:
    def change(file: Any) -> int:
        rows = 4 * 10**6
        episode = file["episode_0"]
        for name in list(episode):
            shape = () if name not in ("observations", "actions") else episode[name].shape[1:]
            dtype = episode[name].dtype if name != "infos" else "f4"
            del episode[name]
            if name != "infos":
                episode.create_dataset(name, (rows + (name == "observations"), *shape), dtype, chunks=(4096, *shape))
        names = [name for name in file if name.startswith("episode_") and name != "episode_0"]
        for name in names:
            del file[name]
            file[name] = episode
        return (1 + len(names)) * rows * 22

    return minari(folder, change)


def minari_metadata(folder: Path) -> tuple[Path, int]:
    path, _ = minari(folder, lambda file: 0)
    file = path / "data/metadata.json"
    file.write_text(file.read_text()[:-1] + ', "more": [' + "[]," * 5 * 10**7 + "0]}")
    return path, 64 * 5 * 10**7


def lerobot_info(folder: Path) -> tuple[Path, int]:
    from ganq_irl_demos import load_demonstrations, save_demonstrations

    path = save_demonstrations(load_demonstrations("pendulum"), folder / "a.lerobot")
    (path / "meta/info.json").write_text('{"features": [' + "[]," * 8 * 10**7 + "0]}")
    return path, 64 * 8 * 10**7


def imitation_nulls(folder: Path) -> tuple[Path, int]:
    """A column of nulls: any number of rows without a byte."""
    import pyarrow as pa

    rows = 10**9
    path = folder / "a.imitation"
    path.mkdir()
    (path / "dataset_info.json").write_text("{}")
    (path / "state.json").write_text("{}")
    nothing = pa.nulls(rows)
    table = pa.table({"obs": nothing, "acts": nothing, "terminal": nothing})
    with pa.OSFile(str(path / "data.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return path, rows


def imitation_repeats(folder: Path) -> tuple[Path, int]:
    """Rows of a list view all show the same numbers."""
    import pyarrow as pa

    rows, length = 300, 10**6
    path = folder / "a.imitation"
    path.mkdir()
    (path / "dataset_info.json").write_text("{}")
    (path / "state.json").write_text("{}")
    offsets, sizes = pa.array([0] * rows, pa.int32()), pa.array([length] * rows, pa.int32())
    views = pa.ListViewArray.from_arrays(offsets, sizes, pa.array(np.zeros(length)))
    table = pa.table({"obs": views, "acts": views, "terminal": [True] * rows})
    with pa.OSFile(str(path / "data.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return path, rows * length * 16


def settings(text: str) -> Callable[[Path], tuple[Path, int]]:
    def make(folder: Path) -> tuple[Path, int]:
        (folder / "a.toml").write_text(text)
        return folder / "a.toml", len(text)

    return make


def run_folder(name: str, content: bytes) -> Callable[[Path], tuple[Path, int]]:
    def make(folder: Path) -> tuple[Path, int]:
        (folder / "config.toml").write_text('algo = "bc"\nenv = "Pendulum-v1"\n')
        (folder / "run.json").write_text('{"status": "finished"}')
        (folder / name).write_bytes(content)
        return folder, 64 * len(content) // 3

    return make


def policy_header(folder: Path) -> tuple[Path, int]:
    """A million tensors of nothing."""
    from ganq_irl.storage import _checksum

    run_folder("progress.csv", b"")(folder)
    (folder / "policy").mkdir()
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({str(index): empty for index in range(10**6)}).encode()
    tensors = folder / "policy/tensors.safetensors"
    tensors.write_bytes(len(header).to_bytes(8, "little") + header)
    config: dict[str, Any] = {"schema": 1, "kind": "policy"}
    config["sha256"] = _checksum(config, tensors)
    (folder / "policy/config.json").write_text(json.dumps(config))
    return folder, 10**9


LISTS = b"[" + b"[]," * 2 * 10**7 + b"0]"
BOMBS = (
    Bomb("arrays", "zeros", npz_zeros),
    Bomb("npz", "provenance of ten million lists", npz_provenance),
    Bomb("mix", "40 sets of zeros, each below the limit", mix_of_small_sets),
    Bomb("csv", "100 000 columns of observations", csv_wide),
    Bomb("csv", "500 000 other columns", csv_names),
    Bomb("parquet", "row groups of zeros", parquet_row_groups),
    Bomb("parquet", "lists of 100 000 zeros", parquet_lists),
    Bomb("parquet", "a page of zeros", parquet_pages),
    Bomb("parquet", "one long text for all rows", parquet_texts),
    Bomb("d4rl", "fill values", d4rl_fill),
    Bomb("d4rl", "chunks as large as the file", d4rl_chunk),
    Bomb("robomimic", "400 episodes that are one", hdf5_groups),
    Bomb("robomimic", "40 keys of fill values in an episode", hdf5_one_group),
    Bomb("minari", "infos of fill values", minari_infos),
    Bomb("minari", "episodes that are one", minari_links),
    Bomb("minari", "50 million lists in the metadata", minari_metadata),
    Bomb("lerobot", "80 million lists in info.json", lerobot_info),
    Bomb("imitation", "10^9 rows of nothing", imitation_nulls),
    Bomb("imitation", "300 rows that show the same numbers", imitation_repeats),
    Bomb("config.toml", "a key of 16 000 parts", settings("a." * 16_000 + "a = 1"), ("train", "gail", "--config")),
    Bomb("config.toml", "2000 keys of 250 parts", settings("\n".join(f"x{i}." + "a." * 250 + "a=1" for i in range(2000))),
         ("train", "gail", "--config")),
    Bomb("mix", "a key of 500 000 parts", settings("a." * 500_000 + "a = 1")),
    Bomb("run.json", "20 million lists", run_folder("run.json", LISTS), ("evaluate",)),
    Bomb("policy", "a million tensors of nothing", policy_header, ("evaluate",)),
)  # fmt: skip


def baseline(folder: Path, command: tuple[str, ...]) -> int:
    """Peak bytes of a command with a small input."""
    if command == INSPECT:
        return measured([*command, "pendulum"])[1]
    if command[0] == "evaluate":
        run_folder("progress.csv", b"")(folder)
        return measured([*command, str(folder)])[1]
    (folder / "b.toml").write_text("nothing = 1\n")
    return measured([*command, str(folder / "b.toml")])[1]


def measured(arguments: list[str]) -> tuple[float, int, int, str]:
    """Seconds, peak bytes, exit code and last line of a command."""
    start = time.monotonic()
    process = subprocess.Popen(
        [*GANQ_IRL, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)),
    )
    try:
        _, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
        errors += f"\nnot done after {SECONDS} s"
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    return time.monotonic() - start, peak, process.returncode, (errors.strip().splitlines() or [""])[-1]


def size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else path.parent.iterdir()
    return sum(file.stat().st_size for file in files if file.is_file())


def told(bomb: Bomb, scratch: Path, path: Path, unpacked: int) -> str:
    """A bomb that was made, read and told."""
    small = scratch / "small"
    small.mkdir()
    usual = baseline(small, bomb.command)
    seconds, peak, code, line = measured([*bomb.command, str(path)])
    cells = (
        bomb.reader,
        bomb.what,
        f"{size_of(path) / 2**10:.0f}",
        f"{unpacked / 2**20:.0f}",
        f"{seconds:.1f}",
        f"{max(0, peak - usual) / 2**20:.0f}",
        str(code),
        line.replace(str(scratch), "").replace("|", "/")[:160],
    )
    return "| " + " | ".join(cells) + " |"


def row(index: int) -> str:
    """A bomb made in one process and read from another: a peak is that of the largest child that a process ever had."""
    bomb = BOMBS[index]
    with tempfile.TemporaryDirectory(prefix="bombs-") as scratch:
        (Path(scratch) / "bomb").mkdir()
        made = _script("--make", index, scratch)
        done = made if made.returncode else _script("--read", index, scratch, *made.stdout.split("\n")[-3:-1])
        if done.returncode:
            return f"| {bomb.reader} | {bomb.what} | | | | | | not measured: {done.stderr[-200:]!r} |"
        return done.stdout.strip()


def _script(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="reader")
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "bombs.md")
    options = parser.parse_args()
    if options.make is not None:
        index, scratch = options.make
        print(*BOMBS[int(index)].make(Path(scratch) / "bomb"), sep="\n")
        return
    if options.read is not None:
        index, scratch, path, unpacked = options.read
        print(told(BOMBS[int(index)], Path(scratch), Path(path), int(unpacked)))
        return
    rows = []
    for index, bomb in enumerate(BOMBS):
        if options.only in (None, bomb.reader):
            rows.append(row(index))
            print(rows[-1], flush=True)
    header = [
        "# Small files that unpack to far more",
        "",
        f"`python benchmarks/bombs.py`. The budget of a command is {budget.in_words(budget.FREE)}, or {budget.RATIO} times",
        f"the size of the files where that is more, and at most {budget.in_words(budget.LIMIT)}. The peak is",
        "memory above the same command with a small input. Expected: exit code 2, and a peak below the budget.",
        "",
        "| reader | bomb | file (KiB) | would unpack to (MiB) | seconds | peak (MiB) | exit code | outcome |",
        "|---|---|---|---|---|---|---|---|",
    ]
    options.out.write_text("\n".join([*header, *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
