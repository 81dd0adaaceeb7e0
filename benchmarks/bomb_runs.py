"""Bombs in settings, runs, policies, archives, images and checkpoints. Each function returns a path and an unpacked size."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from tests.bombs import write_directory, write_empty_tensors, write_overlapping, zeros_npy  # noqa: E402


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
