import os
import signal
import socket
import stat

import pytest

from ganq_irl import files
from ganq_irl.errors import ConfigurationError, RunDirectoryError, StorageError, usable_path
from ganq_irl.files import (
    locked,
    made_folder,
    open_file,
    read_json,
    read_text,
    replace_file,
    replacing_file,
    replacing_folder,
    require_own,
    require_plain,
)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "folder" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "er" / "file").write_text("{}")
    return tmp_path / "folder"


def _socket(path, elsewhere):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


PLANTED = {
    "a symbolic link": lambda path, elsewhere: path.symlink_to(elsewhere),
    "a pipe": lambda path, elsewhere: os.mkfifo(path),
    "a socket": _socket,
}


# Looking things over.


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("place", ["x", "deep/x", "deep/er/x"])
def test_what_is_no_file_and_no_folder_is_refused_anywhere_in_a_folder(planted, place, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)  # names of sockets are short
    require_plain("folder")
    for elsewhere in (tmp_path, tmp_path / "folder" / "deep" / "er" / "file", tmp_path / "nowhere"):
        path = folder.relative_to(tmp_path) / place
        PLANTED[planted](path, elsewhere)
        with pytest.raises(StorageError, match=rf"{place} is {planted}, which ganq-irl does not follow"):
            require_plain("folder")
        path.unlink()


def test_what_the_user_names_may_be_a_link(folder, tmp_path):
    (tmp_path / "mine").symlink_to(folder)
    (tmp_path / "file").symlink_to(folder / "deep" / "er" / "file")
    assert require_plain(tmp_path / "mine") == tmp_path / "mine"
    assert read_json(tmp_path / "file") == {}
    assert require_plain(tmp_path / "nowhere") == tmp_path / "nowhere"  # whoever opens it says what was expected


def test_devices_and_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    signal.alarm(10)  # an open that waits would wait for ever
    for path, kind in ((tmp_path / "pipe", "a pipe"), ("/dev/zero", "a device")):
        for read in (require_plain, open_file, read_json, lambda path: read_text(path, 10)):
            with pytest.raises(StorageError, match=f"is {kind}, expected a file"):
                read(path)
    signal.alarm(0)


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(files, "require_plain", lambda path: path)
    signal.alarm(10)
    with pytest.raises(StorageError, match="is a pipe"):
        open_file(tmp_path / "pipe")
    signal.alarm(0)


def test_a_folder_without_end_is_not_walked(folder, monkeypatch):
    monkeypatch.setattr(files, "MOST_ENTRIES", 2)
    with pytest.raises(StorageError, match="contains more than 2 files"):
        require_plain(folder)


def test_a_second_name_of_a_file_is_no_harm_to_readers_but_to_writers(folder, tmp_path):
    (folder / "log").hardlink_to(folder / "deep" / "er" / "file")
    require_plain(folder)
    with pytest.raises(StorageError, match="is a hard link, so writing would also change a file elsewhere"):
        require_own(folder)
    with pytest.raises(StorageError, match="is a hard link"), locked(folder):
        pass


def test_files_are_bounded_and_text(tmp_path):
    (tmp_path / "file").write_bytes(b"\xff\xfe1234")
    with pytest.raises(StorageError, match="has more than 5 bytes"):
        read_text(tmp_path / "file", 5)
    with pytest.raises(StorageError, match="is not text"):
        read_text(tmp_path / "file", 6)
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        read_text(tmp_path / "nowhere", 6)
    with pytest.raises(StorageError, match="is a folder, expected a file"):
        read_text(tmp_path, 6)


# Writing.


def test_a_lock_is_held_once_and_is_no_link(folder):
    with locked(folder), pytest.raises(RunDirectoryError, match="another process is training in"), locked(folder):
        pass
    (folder / ".lock").unlink()
    (folder / "victim").write_text("precious")
    (folder / ".lock").symlink_to(folder / "victim")
    with pytest.raises(StorageError, match="is a symbolic link"), locked(folder):
        pass
    assert (folder / "victim").read_text() == "precious"


def test_nothing_lies_below_a_file(tmp_path):
    (tmp_path / "file").write_text("precious")
    below = tmp_path / "file" / "deep" / "er"
    for write in (made_folder, usable_path, lambda path: replace_file(path, b""), lambda path: locked(path).__enter__()):
        with pytest.raises(ConfigurationError, match=rf"{tmp_path / 'file'} is .*, so nothing can lie"):
            write(below)
    assert listing(tmp_path) == ["file"]


def test_a_failure_inside_the_block_leaves_what_was_there(folder):
    def interrupted():
        with replacing_folder(folder) as scratch:
            (scratch / "half").write_text("half")
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        interrupted()
    assert listing(folder) == ["deep"]
    assert listing(folder.parent) == ["folder"]


def test_the_old_folder_stands_until_the_block_ends(folder):
    with replacing_folder(folder) as scratch:
        (scratch / "new").write_text("new")
        assert listing(folder) == ["deep"]
        assert scratch.parent == folder.parent
    assert listing(folder) == ["new"]
    assert listing(folder.parent) == ["folder"]


def test_a_rename_that_fails_gives_the_old_folder_back(folder, monkeypatch):
    rename = type(folder).rename

    def failing(self, target):
        if str(target) == str(folder) and "retired" not in self.name:
            raise OSError("no space left on device")
        return rename(self, target)

    monkeypatch.setattr(type(folder), "rename", failing)
    with pytest.raises(OSError, match="no space"), replacing_folder(folder):
        pass
    assert listing(folder) == ["deep"]
    assert listing(folder.parent) == ["folder"]


def test_a_link_in_the_target_place_is_replaced_and_not_followed(folder, tmp_path):
    for name in ("folder", "nowhere"):
        (tmp_path / "link").symlink_to(tmp_path / name)
        with replacing_folder(tmp_path / "link") as scratch:
            (scratch / "new").write_text("new")
        assert listing(tmp_path / "link") == ["new"]
        assert not (tmp_path / "link").is_symlink()
        (tmp_path / "link" / "new").unlink()
        (tmp_path / "link").rmdir()
        (tmp_path / "link").symlink_to(folder / "deep" / "er" / "file")
        replace_file(tmp_path / "link", b"new")
        assert not (tmp_path / "link").is_symlink()
        (tmp_path / "link").unlink()
    assert listing(tmp_path) == ["folder"]
    assert (folder / "deep" / "er" / "file").read_text() == "{}"


def test_replace_file(tmp_path, monkeypatch):
    target = tmp_path / "deep" / "file.json"
    replace_file(target, b"old")
    replace_file(target, b"new")
    assert target.read_bytes() == b"new"

    def failing(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(KeyboardInterrupt):
        replace_file(target, b"half")
    assert target.read_bytes() == b"new"
    assert listing(target.parent) == ["file.json"]


def test_a_pipe_or_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for target, kind in ((tmp_path / "pipe", "a pipe"), (tmp_path, "a folder"), ("/dev/null", "a device")):
        with pytest.raises(ConfigurationError, match=f"is {kind}, expected a file or nothing there"):
            replace_file(target, b"")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(mask, tmp_path):
    before = os.umask(mask)
    try:
        replace_file(tmp_path / "file", b"")
        with replacing_folder(tmp_path / "folder") as scratch, files.new_file(scratch / "file"):
            pass
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "folder", "folder/file")]
    assert modes == [0o666 & ~mask, 0o777 & ~mask, 0o666 & ~mask]


def test_names_are_flushed_to_the_disk_as_well(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    replace_file(tmp_path / "file", b"")
    assert flushed[-1] == str(tmp_path)
    flushed.clear()
    with replacing_folder(tmp_path / "folder") as scratch:
        (scratch / "inside").mkdir()
        (scratch / "inside" / "file").write_text("")
    names = [name.removeprefix(str(scratch)) for name in flushed]
    assert sorted(names[:-1]) == ["", "/inside", "/inside/file"]
    assert names[-1] == str(tmp_path)


def test_long_names_have_room_for_a_scratch_folder(tmp_path):
    replace_file(tmp_path / ("ä" * 127), b"x")
    with replacing_file(tmp_path / ("b" * 255)) as scratch:
        scratch.write_text("x")
    assert sorted(map(len, listing(tmp_path))) == [127, 255]


@pytest.mark.parametrize("replacing", [replacing_file, replacing_folder])
def test_folders_that_were_made_for_what_failed_are_gone(replacing, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(OSError, match="full"), replacing(tmp_path / "mine" / "new" / "deep" / "x"):
        raise OSError("full")
    assert listing(tmp_path / "mine") == []
    with replacing_folder(tmp_path / "mine" / "new" / "x") as scratch:
        (scratch / "a").write_text("a")
    assert listing(tmp_path / "mine" / "new") == ["x"]
