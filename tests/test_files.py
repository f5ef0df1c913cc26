"""Atomic writes: whoever looks sees the old file or the new one, also after a kill."""

import os
import signal
from pathlib import Path

import pytest

from datasets.files import write_atomically, write_data, write_text

OLD, NEW = b"old", b"new and longer"


def test_while_it_is_written_the_old_file_is_there(tmp_path: Path):
    path = tmp_path / "one.bin"
    path.write_bytes(OLD)

    def write(temporary: Path) -> None:
        temporary.write_bytes(NEW)
        assert temporary.parent == path.parent  # or the rename would be a copy
        assert temporary.suffix == path.suffix
        assert path.read_bytes() == OLD

    write_atomically(path, write)
    assert path.read_bytes() == NEW


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path):
    path = tmp_path / "one.bin"
    path.write_bytes(OLD)

    def fail(temporary: Path) -> None:
        temporary.write_bytes(NEW[:3])
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        write_atomically(path, fail)
    assert path.read_bytes() == OLD


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "one.bin"
    path.write_bytes(OLD)

    def half(temporary: Path) -> None:
        temporary.write_bytes(NEW[:3])
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            write_atomically(path, half)
        finally:
            os._exit(1)  # not reached
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert path.read_bytes() == OLD
    assert all(other.name.startswith(".") for other in set(tmp_path.iterdir()) - {path})


def test_an_equal_file_keeps_its_time_of_change(tmp_path: Path):
    path = tmp_path / "below" / "one.txt"
    write_text(path, "é")
    os.utime(path, ns=(1, 1))
    write_data(path, "é".encode())
    assert path.stat().st_mtime_ns == 1
    write_text(path, "è")
    assert path.stat().st_mtime_ns != 1
    assert path.read_bytes() == "è".encode()
