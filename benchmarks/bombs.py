"""Measure time and memory of reading small files that unpack to much larger data.

Each bomb is created in a temporary folder and read by a command in its own process. Memory is the peak of that process above
the same command with a small input. The command should exit with code 2 and a message that names ``--read-limit`` (or
another problem), and stay below the budget of ``ganq_irl.budget``.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import commands
import numpy as np
from commands import Outcome

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from ganq_irl import budget  # noqa: E402  after the path
from ganq_irl_demos.episodes import TABLE  # noqa: E402
from tests.bombs import write_directory, write_empty_tensors, write_overlapping, zeros_npy  # noqa: E402

INSPECT = ("demos", "inspect")
RECORD = ("demos", "record", "--env", "Pendulum-v1", "--out", "none.npz", "--trust", "--policy")
NATIVE = [f"{name}.npy" for name in ("header", "actions", "rewards", *TABLE, "observations")]
MANY = 10**8


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


def zeros(rows: int, width: int = 1) -> np.ndarray:
    """Return zeros that take no memory until they are written."""
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
    """Store hundreds of episodes that are hard links to the same one."""
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
    """Store a column of nulls: any number of rows without data."""
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
    """Store a list view whose rows all refer to the same numbers."""
    import pyarrow as pa

    rows, length = 300, 10**6
    path = folder / "a.imitation"
    path.mkdir()
    (path / "dataset_info.json").write_text("{}")
    (path / "state.json").write_text("{}")
    offsets, numbers = pa.array([0] * rows, pa.int32()), pa.array(np.zeros(length))
    obs, acts = (
        pa.ListViewArray.from_arrays(offsets, pa.array([size] * rows, pa.int32()), numbers) for size in (length, length - 1)
    )
    table = pa.table({"obs": obs, "acts": acts, "terminal": [True] * rows})
    with pa.OSFile(str(path / "data.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return path, rows * length * 16


def settings(text: str) -> Callable[[Path], tuple[Path, int]]:
    def make(folder: Path) -> tuple[Path, int]:
        (folder / "a.toml").write_text(text)
        return folder / "a.toml", len(text)

    return make


def run_folder(name: str, begin: bytes = b"", unit: bytes = b"", count: int = 0) -> Callable[[Path], tuple[Path, int]]:
    def make(folder: Path) -> tuple[Path, int]:
        content = begin + count * unit
        (folder / "config.toml").write_text('algo = "bc"\nenv = "Pendulum-v1"\n')
        (folder / "run.json").write_text('{"status": "finished"}')
        (folder / name).write_bytes(content)
        return folder, 64 * len(content) // 3

    return make


def policy_header(folder: Path) -> tuple[Path, int]:
    """Store a million empty tensors."""
    run_folder("progress.csv")(folder)
    (folder / "policy").mkdir()
    write_empty_tensors(folder / "policy", 10**6)
    return folder, 10**9


def policy_sparse(folder: Path) -> tuple[Path, int]:
    """Store a sparse file of a terabyte."""
    run_folder("progress.csv")(folder)
    (folder / "policy").mkdir()
    write_empty_tensors(folder / "policy", 1)
    with open(folder / "policy/tensors.safetensors", "ab") as file:
        file.truncate(1 << 40)
    return folder, 1 << 40


def saved_zip(folder: Path) -> tuple[Path, int]:
    """Store a description that is mostly spaces."""
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("data", "w") as file:
        for _ in range(1000):
            file.write(b" " * 2**20)
        file.write(b"{}")
    return folder / "a.zip", 1000 << 20


def overlapping(names: list[str]) -> Callable[[Path], tuple[Path, int]]:
    """Store many entries that share the same compressed bytes."""

    def make(folder: Path) -> tuple[Path, int]:
        return folder / "a.npz", write_overlapping(folder / "a.npz", names, zeros_npy(10**6))

    return make


def directory(folder: Path) -> tuple[Path, int]:
    return folder / "a.npz", write_directory(folder / "a.npz", 10**6)


def images(kind: str) -> Callable[[Path], tuple[Path, int]]:
    """Store empty images just below the size that Pillow refuses."""

    def make(folder: Path) -> tuple[Path, int]:
        import h5py
        from gymnasium.spaces import Box
        from PIL import Image

        from ganq_irl_demos import Demonstrations, Trajectory, save_demonstrations

        pixels, side, steps = Box(0, 255, (64, 64, 3), np.uint8), 13_000, 50
        content = BytesIO()
        Image.new("RGB", (side, side)).save(content, kind)
        frames = np.zeros((steps + 1, 64, 64, 3), np.uint8)
        one = Trajectory(frames, np.zeros((steps, 1), np.float32), None, terminated=True, truncated=False)
        path = save_demonstrations(Demonstrations((one,), pixels, Box(-1, 1, (1,), np.float32)), folder / "a.minari")
        metadata = path / "data/metadata.json"
        metadata.write_text(json.dumps({**json.loads(metadata.read_text()), "jpeg_encoding": True}))
        with h5py.File(path / "data/main_data.hdf5", "a") as file:
            del file["episode_0/observations"]
            stored = file["episode_0"].create_dataset("observations", (steps + 1,), h5py.vlen_dtype(np.uint8))
            for row in range(steps + 1):
                stored[row] = np.frombuffer(content.getvalue(), np.uint8)
        return path, (steps + 1) * 3 * side**2

    return make


def checkpoint(change: Callable[[Path], int]) -> Callable[[Path], tuple[Path, int]]:
    """Store an interrupted run with another checkpoint whose checksums match."""

    def make(folder: Path) -> tuple[Path, int]:
        from tests.resume_examples import run_and_kill, seal, tiny_config

        run_and_kill(tiny_config("ppo"), folder / "run", 70)
        newest = max((folder / "run/checkpoints").iterdir())
        size = change(newest)
        seal(newest)
        return folder / "run", size

    return make


def manifest_lists(newest: Path) -> int:
    manifest = newest / "manifest.json"
    manifest.write_text(manifest.read_text().rstrip()[:-1] + ', "more": [' + "[]," * 6 * 10**6 + "0]}")
    return 64 * 6 * 10**6


def state_lists(newest: Path) -> int:
    (newest / "state.json").write_bytes(b"[" + b"[]," * 2 * 10**7 + b"0]")
    return 64 * 2 * 10**7


def state_repeats(newest: Path) -> int:
    """Store a tensor with ten thousand names."""
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2**20)}, newest / "tensors-00000.safetensors")
    state = {"dict": [["training", {"list": [{"tensor": "a"}] * 10**4}]]}
    (newest / "state.json").write_text(json.dumps({"tree": state, "tensors": {"a": "tensors-00000.safetensors"}}))
    return 4 * 2**20 * 10**4


def state_tensors(newest: Path) -> int:
    for file in newest.glob("*.safetensors"):
        write_empty_tensors(newest, 10**6)
        (newest / "tensors.safetensors").replace(file)
    (newest / "config.json").unlink()
    return 10**9


def log_of_zeros(newest: Path) -> int:
    (newest / "progress.csv").write_bytes(b"a,b\n" + b"0,0\n" * 7 * 10**7)
    return 128 * 14 * 10**7


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
    Bomb("run.json", "20 million lists", run_folder("run.json", b"[", b"[],", 2 * 10**7), ("evaluate",)),
    Bomb("policy", "a million tensors of nothing", policy_header, ("evaluate",)),
    Bomb("policy", "a terabyte of holes", policy_sparse, ("evaluate",)),
    Bomb("policy.zip", "a description of blanks", saved_zip, RECORD),
    Bomb("arrays", "1000 entries that are one", overlapping(["obs.npy", "acts.npy", *(f"{i}.npy" for i in range(998))])),
    Bomb("npz", "1000 entries that are one", overlapping([*NATIVE, *(f"{i}.npy" for i in range(990))])),
    Bomb("arrays", "a directory of a million entries", directory),
    Bomb("minari", "51 JPEGs of 13 000 by 13 000", images("JPEG")),
    Bomb("minari", "51 PNGs of 13 000 by 13 000", images("PNG")),
    Bomb("checkpoint", "6 million lists in the manifest", checkpoint(manifest_lists), ("resume",)),
    Bomb("checkpoint", "20 million lists in the state", checkpoint(state_lists), ("resume",)),
    Bomb("checkpoint", "a tensor named 10 000 times", checkpoint(state_repeats), ("resume",)),
    Bomb("checkpoint", "a million tensors of nothing", checkpoint(state_tensors), ("resume",)),
    Bomb("checkpoint", "70 million rows of a log", checkpoint(log_of_zeros), ("resume",)),
)  # fmt: skip


def small_input(folder: Path, command: tuple[str, ...]) -> str:
    """Create a small input for a command."""
    if command == INSPECT:
        return "pendulum"
    if command == RECORD:
        (folder / "small.zip").write_bytes(b"")
        return str(folder / "small.zip")
    if command[0] in ("evaluate", "report", "resume"):
        run_folder("progress.csv")(folder)
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
    cells = (
        bomb.reader,
        bomb.what,
        f"{size / 2**10:.0f}",
        f"{int(unpacked) / 2**20:.0f}",
        f"{max(0, found.seconds - usual.seconds):.1f}",
        f"{max(0, found.peak - usual.peak) / 2**20:.0f}",
        str(found.code),
        (found.output.strip().splitlines() or [""])[-1].replace(scratch, "").replace("|", "/")[:160],
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
