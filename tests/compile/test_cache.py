"""Compiled objects on disk: found again if sound, else not trusted, never a reason to fail."""

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from overbar.compile import cache

KEY, OTHER = cache.key_of("a"), cache.key_of("b")
CONTENT = bytes(range(100))

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners and modes are POSIX")


@pytest.fixture
def shelf(tmp_path):
    return cache.Shelf(tmp_path)


def file_of(shelf, key=KEY):
    return shelf.place / (key + ".object")


def left_over(place):
    return sorted(p.name for p in Path(place).iterdir() if not p.name.endswith(".object"))


def test_what_was_written_is_read(shelf):
    assert shelf.read(KEY) is None
    assert shelf.write(KEY, CONTENT)
    assert shelf.read(KEY) == CONTENT
    assert shelf.write(KEY, b"newer")
    assert shelf.read(KEY) == b"newer"
    assert shelf.read(OTHER) is None
    assert left_over(shelf.place) == []


def test_a_key_depends_on_every_part_and_on_where_parts_end():
    keys = {cache.key_of(*parts) for parts in [("ab", "c"), ("a", "bc"), ("abc",), ("abc", "")]}
    assert len(keys) == 4


def test_a_file_with_any_byte_changed_is_not_read(shelf):
    shelf.write(KEY, CONTENT)
    good = file_of(shelf).read_bytes()
    assert len(good) == len(cache.MAGIC) + 32 + len(CONTENT)
    for i in range(len(good)):
        bad = bytearray(good)
        bad[i] ^= 1 << (i % 8)
        file_of(shelf).write_bytes(bad)
        assert shelf.read(KEY) is None, f"byte {i}"
    file_of(shelf).write_bytes(good)
    assert shelf.read(KEY) == CONTENT


def test_a_file_cut_short_or_with_more_at_its_end_is_not_read(shelf):
    shelf.write(KEY, CONTENT)
    good = file_of(shelf).read_bytes()
    for length in range(len(good)):
        file_of(shelf).write_bytes(good[:length])
        assert shelf.read(KEY) is None, f"{length} bytes"
    file_of(shelf).write_bytes(good + b"\0")
    assert shelf.read(KEY) is None


def test_the_object_of_another_key_is_not_read(shelf):
    shelf.write(KEY, CONTENT)
    file_of(shelf).rename(file_of(shelf, OTHER))
    assert shelf.read(OTHER) is None
    assert shelf.write(OTHER, CONTENT)  # and it is replaced
    assert shelf.read(OTHER) == CONTENT


@posix
def test_a_file_of_another_user_or_writable_by_others_is_not_read(shelf, monkeypatch):
    shelf.write(KEY, CONTENT)
    assert file_of(shelf).stat().st_mode & 0o777 == 0o600
    for mode in (0o620, 0o602, 0o666):
        file_of(shelf).chmod(mode)
        assert shelf.read(KEY) is None
    file_of(shelf).chmod(0o644)
    assert shelf.read(KEY) == CONTENT
    us = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: us + 1)
    assert shelf.read(KEY) is None


@posix
def test_neither_links_nor_pipes_nor_folders_are_read(shelf, tmp_path):
    shelf.write(KEY, CONTENT)
    file_of(shelf).rename(tmp_path / "elsewhere")
    file_of(shelf).symlink_to(tmp_path / "elsewhere")
    assert shelf.read(KEY) is None
    file_of(shelf).unlink()
    os.mkfifo(file_of(shelf), 0o600)
    assert shelf.read(KEY) is None
    file_of(shelf).unlink()
    file_of(shelf).mkdir()
    assert shelf.read(KEY) is None
    assert not shelf.write(KEY, CONTENT)
    assert left_over(shelf.place) == ["elsewhere"]


# -- the folder -------------------------------------------------------------------------------


def test_the_folder_is_named_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("OVERBAR_CACHE", str(tmp_path / "mine"))
    assert cache.folder() == tmp_path / "mine" / "native"
    monkeypatch.setenv("OVERBAR_CACHE", "")
    assert cache.folder() is None
    assert cache.shelf() is None
    monkeypatch.delenv("OVERBAR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "overbar" / "native"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache.folder() == tmp_path / ".cache" / "overbar" / "native"


@posix
def test_the_folder_is_made_private(monkeypatch, tmp_path):
    monkeypatch.setenv("OVERBAR_CACHE", str(tmp_path / "new" / "er"))
    before = os.umask(0)
    try:
        made = cache.shelf()
    finally:
        os.umask(before)
    assert made.place == tmp_path / "new" / "er" / "native"
    assert made.place.stat().st_mode & 0o777 == 0o700
    assert cache.shelf() is made


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused_with_one_warning(monkeypatch, tmp_path, mode):
    monkeypatch.setenv("OVERBAR_CACHE", str(tmp_path))
    (tmp_path / "native").mkdir()
    (tmp_path / "native").chmod(mode)
    with pytest.warns(RuntimeWarning, match="can be written by other users"):
        assert cache.shelf() is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.shelf() is None
    (tmp_path / "native").chmod(0o700)
    assert cache.shelf() is not None


@posix
def test_a_folder_of_another_user_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("OVERBAR_CACHE", str(tmp_path))
    us = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: us + 1)
    with pytest.warns(RuntimeWarning, match="belongs to another user"):
        assert cache.shelf() is None


def test_where_no_folder_can_be_made_there_is_no_cache_and_no_word_about_it(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OVERBAR_CACHE", str(tmp_path / "file"))
    assert cache.shelf() is None


def test_a_folder_that_goes_away_is_no_error(shelf):
    shelf.write(KEY, CONTENT)
    file_of(shelf).unlink()
    shelf.place.rmdir()
    assert shelf.read(KEY) is None
    assert not shelf.write(KEY, CONTENT)
    shelf.sweep()


# -- the disk ---------------------------------------------------------------------------------


@posix
def test_a_full_disk_is_no_error_and_leaves_nothing_behind(tmp_path):
    """Files of this process may have 50 bytes: the write fails halfway."""
    program = f"""
import resource, signal
from overbar.compile import cache
shelf = cache.Shelf(__import__("pathlib").Path({str(tmp_path)!r}))
assert shelf.write({OTHER!r}, b"")
resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
assert not shelf.write({KEY!r}, bytes(1000))
assert shelf.read({KEY!r}) is None
assert shelf.read({OTHER!r}) == b""
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert left_over(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_the_objects_unused_for_longest_make_room(tmp_path):
    shelf, now = cache.Shelf(tmp_path, limit=10_000), time.time()
    keys = [cache.key_of(str(i)) for i in range(20)]
    for i, key in enumerate(keys[:9]):
        shelf.write(key, bytes(1000))
        os.utime(file_of(shelf, key), (now - 90_000 + i, now - 90_000 + i))
    assert shelf.read(keys[0]) is not None  # used just now
    for key in keys[9:12]:
        shelf.write(key, bytes(1000))
    kept = [i for i, key in enumerate(keys) if file_of(shelf, key).exists()]
    assert kept[0] == 0
    assert kept[1:] == list(range(kept[1], 12)), "the oldest went, in their order"
    assert kept[1] > 1
    for key in keys:
        shelf.write(key, bytes(1000))
        total = sum(p.stat().st_size for p in tmp_path.iterdir())
        assert total <= 10_000 + 1048, "one object more, until the next sweep"
    assert not shelf.write(KEY, bytes(5000)), "too large to be worth the others' place"


def test_stray_temporary_files_are_removed_when_they_are_old(shelf):
    for name, age in ((".old.part", 7200), (".new.part", 60)):
        (shelf.place / name).write_bytes(b"x")
        os.utime(shelf.place / name, (time.time() - age,) * 2)
    (shelf.place / "notes.txt").write_text("not ours")
    shelf.write(KEY, CONTENT)
    assert left_over(shelf.place) == [".new.part", "notes.txt"]


WRITER = """
import sys
from pathlib import Path
from overbar.compile import cache
shelf, me = cache.Shelf(Path(sys.argv[1]), limit=1 << 20), int(sys.argv[2])
keys = [cache.key_of(str(i)) for i in range(8)]
for turn in range(60):
    for i, key in enumerate(keys):
        if (turn + me) % 3:
            assert shelf.write(key, bytes([i]) * (20_000 + i))
        found = shelf.read(key)
        assert found in (None, bytes([i]) * (20_000 + i)), (turn, i, len(found))
    shelf.sweep()
"""


def test_processes_that_write_at_once_do_not_disturb_each_other(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    running = [
        subprocess.Popen([*command, str(i)], stderr=subprocess.PIPE, text=True) for i in range(3)
    ]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    shelf = cache.Shelf(tmp_path)
    for i in range(8):
        assert shelf.read(cache.key_of(str(i))) == bytes([i]) * (20_000 + i)
    assert left_over(tmp_path) == []
