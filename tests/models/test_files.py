"""What the system refuses to write is told in one line."""

import errno
import os

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.models.files import check_target, write_atomically


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_whatever_the_system_refuses_is_told_and_nothing_is_left_behind(tmp_path, monkeypatch, step):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(InputError, match="cannot write .*mask: No space left on device in folder"):
        write_atomically(tmp_path / "mask", b"content")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [check_target, lambda path: write_atomically(path, b"")])
def test_a_name_that_is_too_long_is_told(tmp_path, write):
    with pytest.raises(InputError, match="File name too long"):
        write(tmp_path / ("m" * 300))


def test_a_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="a device, a pipe or a socket"):
        write_atomically(pipe, b"content")
    assert pipe.is_fifo()
