"""Files damaged with an eye for what they are made of: bits, and the structure that a reader meets behind them.

Everything is a pure function of the content and of the choices, so that a finding is a few bytes that repeat it.
"""

from __future__ import annotations

import copy
import io
import json
import tomllib
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import tomli_w

from tests.fuzz.choices import Choices

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2, 255, 2**16, 2**31 - 1, 2**31, 2**40, 2**63 - 1, 2**63, 2**64, 10**30),
    *(0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "x", "0", "inf", "x" * 3000, "\x00", "../../etc/passwd", "/etc/passwd", "os.system", "a/b", "é", "\ud800"),
    *([], {}, [[]], [None], [2**40, 2**40], [1] * 3000, {"": None}, {"type": "Dict", "spaces": {}}),
)
DTYPES = ("<f4", "<f8", "|O", "|b1", "<i8", "|u1", "<U5", "<M8[s]", "<c16", "|V8", "<f2", "[('a', '<f4')]", "|S0", ">i4")
SHAPES = ("(2,)", "()", "(0,)", "(1099511627776,)", "(-1,)", "(2, 3, 4)", "(1099511627776, 0)", "(True,)", "(2**9,)", "7")
BOMB = 300 << 20
"""Bytes of nothing that a compressed entry unpacks to."""


def damaged(content: bytes, choices: Choices, name: str = "") -> bytes:
    """The content with one thing changed: bytes of it, or a part of what they mean."""
    if choices.below(3):
        for belongs, change in _KINDS:
            if belongs(content, name):
                try:
                    return change(content, choices)
                except Exception:
                    break  # damaged before, in whatever way: nothing left to understand
    return damaged_bytes(content, choices)


def damaged_bytes(content: bytes, choices: Choices) -> bytes:
    """Bytes flipped, cut, repeated, removed, or replaced."""
    kind = choices.below(8)
    place = choices.below(len(content) + 1)
    if kind == 0 and place < len(content):
        return content[:place] + bytes([content[place] ^ 1 << choices.below(8)]) + content[place + 1 :]
    if kind == 1:
        return content[:place]
    if kind == 2:
        return content[:place] + content[place + choices.below(64) :]
    if kind == 3:
        start = choices.below(len(content) + 1)
        return content[:place] + content[start : start + choices.below(256)] + content[place:]
    if kind == 4:
        width = choices.of((1, 2, 4, 8))
        number = choices.of((0, 2 ** (8 * width) - 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (4 * width)))
        return content[:place] + number.to_bytes(width, "little") + content[place + width :]
    if kind == 5:
        return choices.bytes(64)
    if kind == 6:
        return choices.of((b"[" * 100_000, b'{"a":' * 100_000, b"a = " + b"[" * 100_000, b"\x80\x04.", b"\xff\xfe"))
    return content[:place] + choices.bytes(16) + content[place:]


def damaged_tree(tree: Any, choices: Choices) -> Any:
    """Nested values with one of them changed, removed, added, or put elsewhere."""
    tree = copy.deepcopy(tree)
    places = list(_places(tree))
    if not places:
        return choices.of(ODD)
    owner, key = choices.of(places)
    kind = choices.below(6)
    if kind == 0:
        del owner[key]
    elif kind == 1:
        owner[key] = copy.deepcopy(choices.of(places)[0])
    elif kind == 2 and isinstance(owner[key], int | float):
        owner[key] = owner[key] * choices.of((-1, 2, 2**20, 0.5)) + choices.of((0, 1, -1))
    elif kind == 3 and isinstance(owner, list):
        owner += owner[: 1 + choices.below(3)] * choices.of((1, 2, 500))
    elif kind == 4 and isinstance(owner, dict):
        owner[choices.of(("", "x", "shape", "source", "env_id", "a.b", "seed"))] = choices.of(ODD)
    else:
        owner[key] = choices.of(ODD)
    return tree


def _places(tree: Any) -> Any:
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from _places(tree[key])


def _json(content: bytes, choices: Choices) -> bytes:
    tree = json.loads(content)
    texts = [key for key, value in tree.items() if isinstance(value, str) and value[:1] in "{["] if tree else []
    if texts and choices.below(2):  # JSON inside of JSON
        key = choices.of(texts)
        return json.dumps(tree | {key: _json(tree[key].encode(), choices).decode()}).encode()
    return json.dumps(damaged_tree(tree, choices)).encode()


def _toml(content: bytes, choices: Choices) -> bytes:
    return tomli_w.dumps(damaged_tree(tomllib.loads(content.decode()), choices)).encode("utf-8", "surrogatepass")


def _safetensors(content: bytes, choices: Choices) -> bytes:
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(damaged_tree(json.loads(content[8 : 8 + size]), choices)).encode()
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def _npy(content: bytes, choices: Choices) -> bytes:
    size = int.from_bytes(content[8:10], "little")
    header, body = content[10 : 10 + size].decode("latin1"), content[10 + size :]
    if body[:1] == b"{" and choices.below(4):
        body = damaged(body, choices)
        array = io.BytesIO()
        np.save(array, np.frombuffer(body, np.uint8))
        return array.getvalue()
    old, new = choices.of([("'descr': '", f"'descr': {choices.of(DTYPES)!r}, 'x': '"), ("'shape': (", "'shape': (9, ")])
    if choices.below(2):
        old, new = header[header.index("'shape': ") : header.rindex("}")], f"'shape': {choices.of(SHAPES)}, "
    elif old.startswith("'descr"):
        old, new = header[header.index("'descr'") : header.index(", 'fortran")], f"'descr': {choices.of(DTYPES)!r}"
    header = header.replace(old, new)
    return content[:8] + len(header).to_bytes(2, "little") + header.encode("latin1") + body


def _zip(content: bytes, choices: Choices) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = choices.of(list(entries))
    kind = choices.below(8)
    twice: list[tuple[str, bytes]] = []
    if kind == 0:
        entries.pop(name)
    elif kind == 1:
        entries[choices.of(("../../x.npy", "/x.npy", "a/b.npy", "", "obs.npy", "actions.npy"))] = entries.pop(name)
    elif kind == 2:
        twice = [(name, entries[name])]
    elif kind == 3:
        entries[name] = entries[choices.of(list(entries))]
    elif kind == 4:
        return _bomb(tuple(entries.items()), name)
    else:
        entries[name] = damaged(entries[name], choices)
    return _zipped([*entries.items(), *twice], choices.of((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_LZMA)))


def _zipped(entries: list[tuple[str, bytes]], compression: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, body in entries:
            archive.writestr(zipfile.ZipInfo(name), body, compression)
    return file.getvalue()


@cache
def _bomb(entries: tuple[tuple[str, bytes], ...], name: str) -> bytes:
    """An array of nothing that is a thousand times as large as its file."""
    file, header = io.BytesIO(), io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": (BOMB,)}
    np.lib.format.write_array_header_1_0(header, description)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for other, body in entries:
            if other != name:
                archive.writestr(other, body)
        with archive.open(name or "x", "w", force_zip64=True) as entry:
            entry.write(header.getvalue())
            for _ in range(BOMB >> 20):
                entry.write(bytes(1 << 20))
    return file.getvalue()


def _hdf5(content: bytes, choices: Choices) -> bytes:
    import h5py

    buffer = io.BytesIO(content)
    with h5py.File(buffer, "a") as file:
        names: list[str] = []
        file.visit(names.append)
        name = choices.of(sorted(names))
        kind, found = choices.below(6), file[name]
        is_note = name == "ganq_irl" and choices.below(2)
        if kind == 0:
            del file[name]
        elif kind == 1:
            file.move(name, choices.of(("x", "data/demo_9", "next_observations", "obs", "rewards")))
        elif kind == 2 and found.attrs:
            found.attrs[choices.of(sorted(found.attrs))] = choices.of((0, -1, 2**40, "", "{", "[]", np.zeros(3)))
        elif isinstance(found, h5py.Dataset):
            values = found[()]
            if is_note:
                values = np.frombuffer(damaged(values.tobytes(), choices), np.uint8)
            del file[name]
            _replace_dataset(file, name, values, kind if not is_note else -1, choices)
        else:
            del file[name]
            file[name] = np.zeros(3)
    return buffer.getvalue()


def _replace_dataset(file: Any, name: str, values: np.ndarray, kind: int, choices: Choices) -> None:
    if kind == 3:
        shape = choices.of(((), (0,), (2**40, 1), (7, 2**33), (5, 3, 2)))
        file.create_dataset(
            name, shape, choices.of(("f4", "f8", "u1", "i8")), **({"chunks": True} if len(shape) > 1 else {})
        )
    elif kind == 4:
        dtype: Any = choices.of(("i8", "u1", "f2", "f8", "?", "c16", "S3", np.dtype([("a", "f4")])))
        file.create_dataset(name, np.shape(values), dtype)
    elif kind == 5:
        flat = np.ravel(values)
        file[name] = choices.of(
            (flat[: flat.size // 2], np.concatenate([values, values]) if np.ndim(values) else flat, flat)
        )
    else:
        file[name] = values


def _columnar(content: bytes, choices: Choices, read: Callable[[Any], Any], write: Callable[[Any, Any], None]) -> bytes:
    """A table of pyarrow's with a column or our note changed."""
    import pyarrow as pa

    table = read(pa.BufferReader(content))
    metadata = dict(table.schema.metadata or {})
    name = choices.of(table.column_names)
    place = table.column_names.index(name)
    kind = choices.below(6)
    odd = (pa.string(), pa.list_(pa.float32()), pa.null(), pa.struct([("a", pa.int8())]), pa.timestamp("s"), pa.bool_())
    if kind == 0:
        table = table.drop_columns([name])
    elif kind == 1:
        new = choices.of(
            ("obs", "observations.x", "action", "", "rewards", "episode", "next_obs_0", "observations_999999999")
        )
        table = table.rename_columns([new if known == name else known for known in table.column_names])
    elif kind == 2:
        table = table.set_column(place, name, pa.nulls(len(table), choices.of(odd)))
    elif kind == 3:
        table = table.set_column(place, name, pa.array([choices.of(([], [1.0], None))] * len(table), pa.list_(pa.float64())))
    elif kind == 4:
        table = pa.concat_tables([table.slice(choices.below(len(table) + 1))] * choices.of((1, 2, 0)) or [table.slice(0, 0)])
    keys = [key for key in metadata if choices.below(2)] if kind == 5 else []
    table = table.replace_schema_metadata(metadata | {key: damaged(metadata[key], choices) for key in keys})
    sink = pa.BufferOutputStream()
    write(table, sink)
    result: bytes = sink.getvalue().to_pybytes()
    return result


def _parquet(content: bytes, choices: Choices) -> bytes:
    import pyarrow.parquet as pq

    def write(table: Any, sink: Any) -> None:
        pq.write_table(table, sink, compression=choices.of(("snappy", "zstd", "gzip", "none")), use_dictionary=bool(table))

    return _columnar(content, choices, pq.read_table, write)


def _arrow(content: bytes, choices: Choices) -> bytes:
    import pyarrow as pa

    def write(table: Any, sink: Any) -> None:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)

    return _columnar(content, choices, lambda source: pa.ipc.open_stream(source).read_all(), write)


def _csv(content: bytes, choices: Choices) -> bytes:
    rows = [line.split(",") for line in content.decode().splitlines()]
    row = choices.of(rows)
    cells = ("", "nan", "inf", "-1", "1e999", "x", '"', '"a\nb"', "obs", "obs_1", "0x10", "9" * 400, "\x00", "é", "true")
    kind = choices.below(4)
    if kind == 0:
        row[choices.below(len(row))] = choices.of(cells)
    elif kind == 1:
        row.append(choices.of(cells))
    elif kind == 2:
        rows.insert(choices.below(len(rows)), row[: choices.below(len(row) + 1)])
    else:
        column = choices.below(len(rows[0]))
        cell = choices.of(cells)
        rows[1:] = [[cell if index == column else old for index, old in enumerate(one)] for one in rows[1:]]
    return choices.of(("\n", "\r\n", "\r")).join(",".join(one) for one in rows).encode()


_KINDS: tuple[tuple[Callable[[bytes, str], bool], Callable[[bytes, Choices], bytes]], ...] = (
    (lambda content, name: content.startswith(b"PK\x03\x04"), _zip),
    (lambda content, name: content.startswith(b"\x93NUMPY"), _npy),
    (lambda content, name: content.startswith(b"\x89HDF"), _hdf5),
    (lambda content, name: content.startswith(b"PAR1"), _parquet),
    (lambda content, name: content.startswith(b"\xff\xff\xff\xff") or name.endswith(".arrow"), _arrow),
    (lambda content, name: content[8:10] == b'{"', _safetensors),
    (lambda content, name: name.endswith(".toml"), _toml),
    (lambda content, name: name.endswith(".csv"), _csv),
    (lambda content, name: content[:1] in b"{[" and bool(content), _json),
)
