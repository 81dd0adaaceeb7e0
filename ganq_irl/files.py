"""Files and folders on disk: the one way to look at what a stranger may have made, and to write what is whole or not there.

What a folder holds is looked over before the first file in it is opened: in a folder from a stranger's archive a link would
lead reading and writing out of the folder, and a pipe or a device would never end.

Files and folders are written beside their place, flushed, and renamed into it: a reader never finds half of one. Between the
two renames that replace a folder there is an instant without either. Permissions follow the user's umask.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from ganq_irl import budget
from ganq_irl.errors import ConfigurationError, ReadLimitExceeded, RunDirectoryError, StorageError, usable_path
from ganq_irl.parsing import parse_json, parse_toml

LARGEST_JSON = 2**26
"""Bytes of JSON that are read; more is taken for an attack."""

LARGEST_TOML = 2**20
"""Bytes of TOML that are read; the parser takes its time, so that more would be a wait."""

TEXT_BYTES = 5
"""Memory of a byte of text: itself, and the character that it becomes, which takes four where one of them needs as many."""

MOST_ENTRIES = 10**6
"""Files and folders that a folder may hold; more is no folder that anything here reads."""

LOCK = ".lock"
_NEVER_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe nobody writes to would be waited for
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def require_plain(path: Path | str) -> Path:
    """Return ``path`` unless it, or anything inside it, is something else than a regular file or a folder.

    The path itself may be a symbolic link, since whoever runs the command named it; what lies inside may not. A path where
    nothing is passes, so that the caller can say what it expected there.

    Raises:
        StorageError: it is a pipe, a device or a socket, or holds one, or holds a link.
    """
    path = Path(path)
    for _ in _plain_entries(path):
        pass
    return path


def require_own(folder: Path | str) -> Path:
    """Return a folder that is about to be written to, unless a file in it can lie elsewhere as well.

    Raises:
        StorageError: as ``require_plain``; or a file is a hard link, whose other name would be written to as well.
    """
    folder = Path(folder)
    for entry, found in _plain_entries(folder):
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            raise StorageError(
                f"{entry} is a hard link: a file elsewhere would be written to as well; copy the folder with "
                f"`cp -r {folder} COPY`, and use the copy"
            )
    return folder


def _plain_entries(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything inside a folder, at any depth, as far as it is plain; nothing where ``path`` is a file or missing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # whoever opens it says so
        return
    if stat.S_ISREG(mode):
        return
    if not stat.S_ISDIR(mode):
        raise StorageError(f"{path} is {_kind(mode)}, expected a file or a folder; write its content to a file first")
    folders, count = [os.fspath(path)], 0
    while folders:
        for entry in _listed(folders.pop()):
            with contextlib.suppress(FileNotFoundError):  # another process has just removed it
                found = entry.stat(follow_symlinks=False)
                _require_plain_entry(entry, found, path)
                if stat.S_ISDIR(found.st_mode):
                    folders.append(entry.path)
                yield entry.path, found
            count += 1
        if count > MOST_ENTRIES:
            raise StorageError(f"{path} holds more than {MOST_ENTRIES} files; give the folder that is meant")


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error.strerror}") from error


def _require_plain_entry(entry: os.DirEntry[str], found: os.stat_result, folder: Path) -> None:
    is_junction = getattr(entry, "is_junction", lambda: False)()  # Windows, from Python 3.12
    if is_junction or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        what = "a junction" if is_junction else _kind(found.st_mode)
        advice = (
            f"copy the folder with `cp -rL {folder} COPY`, if you know where it leads" if "link" in what else "remove it"
        )
        raise StorageError(f"{entry.path} is {what}, which is neither read nor written through; {advice}")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISLNK: "a symbolic link",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    return next((name for test, name in kinds.items() if test(mode)), "no file")


def open_file(path: Path | str) -> BufferedReader:
    """Open a regular file for reading, in binary.

    Raises:
        StorageError: it is a folder, a pipe, a device or a socket.
        OSError: it is missing, or closed to us.
    """
    path = require_plain(path)
    if path.is_dir():
        raise StorageError(f"{path} is a folder, expected a file")
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NEVER_WAIT))  # noqa: SIM115
    mode = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(mode):  # changed since it was looked at
        file.close()
        raise StorageError(f"{path} is {_kind(mode)}, expected a file")
    return file


def read_text(path: Path | str, largest: int) -> str:
    """Read a file of at most ``largest`` bytes of UTF-8.

    Raises:
        StorageError: it is missing, larger, no regular file, or no text.
    """
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            budget.current().add_source(path)
            budget.current().check(TEXT_BYTES * min(size, largest), path)
            content = file.read(largest + 1)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > largest:
        raise StorageError(f"{path} has more than {largest} bytes, which is taken for an attack")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StorageError(f"{path} is not text ({error})") from error


def read_json(path: Path | str, largest: int = LARGEST_JSON) -> Any:
    """Read a file of JSON.

    Raises:
        StorageError: it is missing, larger than ``largest`` bytes, nested too deeply, or no JSON.
    """
    text = read_text(path, largest)
    try:
        return parse_json(text, path)
    except ReadLimitExceeded:
        raise
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is not valid JSON ({error})") from error


def read_toml(path: Path | str) -> dict[str, Any]:
    """Read a file of TOML.

    Raises:
        ConfigurationError: it is missing, larger than ``LARGEST_TOML`` bytes, no regular file, or no TOML.
    """
    try:
        text = read_text(path, LARGEST_TOML)
    except StorageError as error:
        raise ConfigurationError(f"{error}; give a TOML file") from error
    return parse_toml(text, path)


def made_folder(path: Path | str) -> Path:
    """Make a folder, and those above it, unless it is there.

    Raises:
        ConfigurationError: it, or one above it, is a file.
    """
    path = usable_path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigurationError(f"{error.filename} is a file, so nothing can lie below it; give another path") from error
    return path


def require_vacant(folder: Path) -> None:
    """Raise if anything would be overwritten.

    Raises:
        ConfigurationError: no folder can have that name.
        RunDirectoryError: the folder holds something, or is a file.
    """
    if usable_path(folder).exists() and (not folder.is_dir() or any(path.name != LOCK for path in folder.iterdir())):
        raise RunDirectoryError(f"{folder} is not empty; choose another --out, or move it away")


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file where nothing is, not even a link, and flush it to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def cut_file(path: Path, size: int) -> None:
    """Shorten a file to its first ``size`` bytes; a link is not followed."""
    descriptor = os.open(path, os.O_RDWR | _NO_LINK)
    try:
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing_folder(target: Path | str) -> Iterator[Path]:
    """Yield an empty folder that takes the place of ``target`` when the block ends well, and vanishes when it does not.

    Raises:
        StorageError: the target is a file.
        ConfigurationError: it lies below one.
    """
    target = Path(target)
    if target.exists() and not target.is_dir():
        raise StorageError(f"{target} is a file, expected a folder or nothing there; choose another name")
    with _scratch_folder(target) as scratch:
        yield scratch
        for path in (*scratch.rglob("*"), scratch):
            _flush(path)
        _swap(scratch, target)
        _flush(target.parent)


def _swap(scratch: Path, target: Path) -> None:
    retired = scratch.with_name(f"{scratch.name}-retired")
    if not os.path.lexists(target):
        scratch.rename(target)
        return
    target.rename(retired)
    try:
        scratch.rename(target)
    except OSError:
        retired.rename(target)
        raise
    if retired.is_symlink():  # the user's own; what it led to stays
        retired.unlink()
    shutil.rmtree(retired, ignore_errors=True)


@contextlib.contextmanager
def replacing_file(target: Path | str) -> Iterator[Path]:
    """Yield a path in a scratch folder; its file takes the place of ``target`` when the block ends well.

    Raises:
        ConfigurationError: the target is a folder, a pipe or a device, or lies below a file.
    """
    target = Path(target)
    if target.exists() and not target.is_file():
        what = _kind(target.stat().st_mode) if not target.is_dir() else "a folder"
        raise ConfigurationError(f"{target} is {what}, expected a file or nothing there; choose another name")
    with _scratch_folder(target) as scratch:
        written = scratch / f"content{target.suffix}"  # libraries choose by suffix
        yield written
        _flush(written)
        os.replace(written, target)
        _flush(target.parent)


def replace_file(target: Path | str, content: bytes) -> None:
    """Write ``content`` to a file atomically: a reader sees the old content or the new, never a part.

    Raises:
        ConfigurationError: as ``replacing_file``.
    """
    with replacing_file(target) as scratch, new_file(scratch) as file:
        file.write(content)


@contextlib.contextmanager
def _scratch_folder(target: Path) -> Iterator[Path]:
    """A new folder beside ``target``, in whose file system it lies; gone after the block, unless it was renamed."""
    scratch = made_folder(target.parent) / f".{target.name[:40]}-{secrets.token_hex(4)}"
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _flush(path: Path) -> None:
    """Let a file, or the names in a folder, reach the disk."""
    is_posix = os.name == "posix"
    if path.is_dir() and not is_posix:  # Windows cannot open a folder, and flushes only what is open for writing
        return
    descriptor = os.open(path, os.O_RDONLY if is_posix else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(folder: Path | str) -> Iterator[None]:
    """Let no other process train in a folder, which is made where it is missing; the lock goes with the process.

    Raises:
        RunDirectoryError: another process holds it.
        StorageError: a link or the like is in it.
        ConfigurationError: it is a file, or lies below one.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(require_own(made_folder(folder)) / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunDirectoryError(
            f"another process is training in {folder}; wait until it is done, or end it, or choose another --out"
        ) from error
    try:
        yield
    finally:
        lock.release()
