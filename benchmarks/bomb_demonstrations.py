"""Bombs in the formats of demonstrations. Each function writes one, and returns its path and unpacked size in bytes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from ganq_irl_demos.episodes import TABLE  # noqa: E402  after the path

NATIVE = [f"{name}.npy" for name in ("header", "actions", "rewards", *TABLE, "observations")]
MANY = 10**8


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
