"""Pipes, devices and files of no size that can be meant are refused at once, whatever was to be read from them."""

import errno
import os
from pathlib import Path

import pytest

from fnet_core import inputs, texts
from fnet_core.errors import RequestError
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.networks.atlas import Atlas
from fnet_core.storage import artifacts
from fnet_core.storage.artifacts import read_header


@pytest.mark.parametrize("read", [texts.from_file, texts.whole_file, Atlas.load, Fingerprint.load, read_header])
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path, read):
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        with pytest.raises(RequestError, match="a device or a pipe"):
            read(path)


@pytest.mark.parametrize("read", [texts.from_file, Atlas.load, Fingerprint.load, read_header])
def test_a_file_that_the_system_fails_to_read_is_told(read, monkeypatch, tmp_path):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "file.safetensors"
    path.write_text("one two three")
    monkeypatch.setattr(Path, "read_bytes", fail)
    monkeypatch.setattr(artifacts, "open", fail, raising=False)
    with pytest.raises(RequestError, match="cannot be read"):
        read(path)


def test_the_largest_text_is_stated(tmp_path, monkeypatch):
    path = tmp_path / "long.txt"
    path.write_text("one two three. " * 200)
    monkeypatch.setattr(inputs, "LARGEST_TEXT", 3000)
    assert texts.from_file(path)
    path.write_text("one two three. " * 201)
    with pytest.raises(RequestError, match="at most 0 MB are read; give a part of it"):
        texts.from_file(path)
