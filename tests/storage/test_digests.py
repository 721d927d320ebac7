"""Digests: of values and of files, each file read once and again only when it has changed."""

import hashlib
import os

import numpy as np
import pytest
from support.folders import everything_below

from fnet_core.errors import Cancelled, RequestError
from fnet_core.storage import artifacts

MEGABYTE = 1024 * 1024


def test_digest_is_sha256_of_sorted_compact_json():
    expected = hashlib.sha256(b'{"a":[1,2.5,null],"b":{"c":"\\u00e9","d":true}}').hexdigest()
    assert artifacts.digest({"b": {"d": True, "c": "é"}, "a": (1, 2.5, None)}) == expected
    assert artifacts.digest({"b": {"d": True, "c": "é"}, "a": [1, 2.5, 0]}) != expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, {"x": float("-inf")}]])
def test_digest_refuses_numbers_that_are_not_json(value):
    with pytest.raises(ValueError):
        artifacts.digest(value)


def test_file_digest_reads_in_blocks_of_8_megabytes(tmp_path):
    content = np.random.default_rng(0).bytes(20 * MEGABYTE)
    (tmp_path / "weights").write_bytes(content)
    reports = []
    found = artifacts.file_digest(tmp_path / "weights", lambda stage, fraction: reports.append((stage, fraction)))
    assert found == hashlib.sha256(content).hexdigest()
    assert reports == [("checking", 0.4), ("checking", 0.8), ("checking", 1.0)]


def test_file_digest_can_be_cancelled_and_names_a_missing_file(tmp_path):
    (tmp_path / "weights").write_bytes(b"abc")

    def stop(stage, fraction):
        raise Cancelled

    with pytest.raises(Cancelled):
        artifacts.file_digest(tmp_path / "weights", stop)
    with pytest.raises(RequestError, match=f"no file {tmp_path}/absent"):
        artifacts.file_digest(tmp_path / "absent")


def test_cached_file_digest_reads_the_file_once(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    first = artifacts.cached_file_digest(path)
    assert first == hashlib.sha256(b"first").hexdigest()

    def forbidden(path, report):
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "file_digest", forbidden)
        assert artifacts.cached_file_digest(path) == first
        assert artifacts.cached_file_digest(tmp_path / "nowhere" / ".." / "weights") == first


def test_cached_file_digest_notices_a_change_of_equal_size_and_modification_time(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    before = path.stat()
    artifacts.cached_file_digest(path)
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_bytes(b"other")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert artifacts.cached_file_digest(path) == hashlib.sha256(b"other").hexdigest()


def test_cached_file_digest_refuses_a_file_that_changes_while_it_is_read(tmp_path, cache):
    path = tmp_path / "weights"
    path.write_bytes(b"first")

    def grow(stage, fraction):
        path.write_bytes(b"longer than first")

    with pytest.raises(RequestError, match="changed while it was being read"):
        artifacts.cached_file_digest(path, grow)
    assert everything_below(cache) == []


def test_cached_file_digest_survives_a_damaged_note(tmp_path, cache):
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    artifacts.cached_file_digest(path)
    (note,) = (cache / "digests").iterdir()
    whole = note.read_text()
    flipped = whole.replace('"sha256":"a', '"sha256":"b')
    assert flipped != whole
    for damage in ["", "[]", "{}", "{", flipped]:
        note.write_text(damage)
        assert artifacts.cached_file_digest(path) == hashlib.sha256(b"first").hexdigest()
