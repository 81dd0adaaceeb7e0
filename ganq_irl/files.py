"""Safe access to untrusted files and folders, and atomic writes.

The entries of a folder are checked before the first file in it is opened. In a folder from an untrusted archive, a link
would lead reads and writes out of the folder, and reading a pipe or a device would never end.

Files and folders are written under a temporary name, flushed, and renamed, so a reader never sees a partial one. A folder is
replaced by two renames, with an instant between them when neither exists. Permissions follow the user's umask.
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
"""Maximum size of a JSON file in bytes; larger ones are refused."""

LARGEST_TOML = 2**20
"""Maximum size of a TOML file in bytes; the parser is slow."""

TEXT_BYTES = 5
"""Memory per byte of text: the byte itself, and up to four bytes for the decoded character."""

MOST_ENTRIES = 10**6
"""Maximum number of files and folders in a folder."""

LOCK = ".lock"
_NEVER_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a pipe without a writer would block
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def require_plain(path: Path | str) -> Path:
    """Return ``path`` if it and everything inside it are regular files and folders.

    The path itself may be a symbolic link, because the user named it; entries inside may not. A missing path is returned
    too, so that the caller can report what it expected.

    Raises:
        StorageError: it is or contains a pipe, a device or a socket, or contains a link.
    """
    path = Path(path)
    for _ in _plain_entries(path):
        pass
    return path


def require_own(folder: Path | str) -> Path:
    """Return a folder that can be written to without changing files elsewhere.

    Raises:
        StorageError: as ``require_plain``, or a file is a hard link, so writing would also change another file.
    """
    folder = Path(folder)
    for entry, found in _plain_entries(folder):
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            raise StorageError(
                f"{entry} is a hard link, so writing would also change a file elsewhere; copy the folder with "
                f"`cp -r {folder} COPY` and use the copy"
            )
    return folder


def _plain_entries(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Iterate over all entries of a folder, at any depth, and check each; a file or a missing path has none."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # opening it raises the error
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
            raise StorageError(f"{path} contains more than {MOST_ENTRIES} files; check that it is the right folder")


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
        advice = f"if you trust its target, copy the folder with `cp -rL {folder} COPY`" if "link" in what else "remove it"
        raise StorageError(f"{entry.path} is {what}, which ganq-irl does not follow; {advice}")


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
    """Open a regular file for binary reading.

    Raises:
        StorageError: it is a folder, a pipe, a device or a socket.
        OSError: it is missing, or reading is not permitted.
    """
    path = require_plain(path)
    if path.is_dir():
        raise StorageError(f"{path} is a folder, expected a file")
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NEVER_WAIT))  # noqa: SIM115
    mode = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(mode):  # changed after the check
        file.close()
        raise StorageError(f"{path} is {_kind(mode)}, expected a file")
    return file


def read_text(path: Path | str, largest: int) -> str:
    """Read a UTF-8 file of at most ``largest`` bytes.

    Raises:
        StorageError: it is missing, too large, not a regular file, or not text.
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
        raise StorageError(f"{path} has more than {largest} bytes, too many for a file of this kind")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StorageError(f"{path} is not text ({error})") from error


def read_json(path: Path | str, largest: int = LARGEST_JSON) -> Any:
    """Read a JSON file.

    Raises:
        StorageError: it is missing, larger than ``largest`` bytes, nested too deeply, or not JSON.
    """
    text = read_text(path, largest)
    try:
        return parse_json(text, path)
    except ReadLimitExceeded:
        raise
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is not valid JSON ({error})") from error


def read_toml(path: Path | str) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigurationError: it is missing, larger than ``LARGEST_TOML`` bytes, not a regular file, or not TOML.
    """
    try:
        text = read_text(path, LARGEST_TOML)
    except StorageError as error:
        raise ConfigurationError(f"{error}; give a TOML file") from error
    return parse_toml(text, path)


def made_folder(path: Path | str) -> Path:
    """Make a folder and its parents if they are missing.

    Raises:
        ConfigurationError: the path or one of its parents is a file.
    """
    path = usable_path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigurationError(f"{error.filename} is a file, so nothing can lie below it; give another path") from error
    return path


def require_vacant(folder: Path) -> None:
    """Check that nothing would be overwritten.

    Raises:
        ConfigurationError: the name is not valid for a folder.
        RunDirectoryError: the folder is not empty, or is a file.
    """
    if usable_path(folder).exists() and (not folder.is_dir() or any(path.name != LOCK for path in folder.iterdir())):
        raise RunDirectoryError(f"{folder} is not empty; choose another --out, or move it away")


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Create a file where nothing exists, not even a link, and flush it to disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def append_line(path: Path, line: str) -> None:
    """Append a line to a file, alone among all processes, and flush it to disk.

    What follows the last line end was cut off when a process was killed, and is removed first.
    """
    from filelock import FileLock

    flags = os.O_RDWR | os.O_CREAT | _NO_LINK | getattr(os, "O_BINARY", 0)
    with FileLock(path.with_name(LOCK), timeout=60), os.fdopen(os.open(path, flags, 0o666), "r+b") as file:
        file.truncate(file.read().rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def cut_file(path: Path, size: int) -> None:
    """Truncate a file to its first ``size`` bytes, without following links."""
    descriptor = os.open(path, os.O_RDWR | _NO_LINK)
    try:
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing_folder(target: Path | str) -> Iterator[Path]:
    """Yield an empty folder that replaces ``target`` if the block succeeds, and is deleted if it fails.

    Raises:
        StorageError: the target is a file.
        ConfigurationError: the target lies below a file.
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
    if retired.is_symlink():  # made by the user; its target stays
        retired.unlink()
    shutil.rmtree(retired, ignore_errors=True)


@contextlib.contextmanager
def replacing_file(target: Path | str) -> Iterator[Path]:
    """Yield a path in a temporary folder; its file replaces ``target`` if the block succeeds.

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
    """Write ``content`` to a file atomically: a reader sees either the old or the new content.

    Raises:
        ConfigurationError: as ``replacing_file``.
    """
    with replacing_file(target) as scratch, new_file(scratch) as file:
        file.write(content)


@contextlib.contextmanager
def _scratch_folder(target: Path) -> Iterator[Path]:
    """Make a temporary folder beside ``target``, on the same file system. It is deleted unless it was renamed."""
    made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    scratch = made_folder(target.parent) / f".{target.name[:40]}-{secrets.token_hex(4)}"
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):  # unless it holds something, as it does where all went well
                folder.rmdir()


def _flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    is_posix = os.name == "posix"
    if path.is_dir() and not is_posix:  # Windows cannot open folders, and flushes only files open for writing
        return
    descriptor = os.open(path, os.O_RDONLY if is_posix else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(folder: Path | str) -> Iterator[None]:
    """Lock a folder, so that no other process trains in it. It is made if missing; the lock ends with the process.

    Raises:
        RunDirectoryError: another process holds the lock.
        StorageError: the folder contains a link or a special file.
        ConfigurationError: the path is a file, or lies below one.
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
