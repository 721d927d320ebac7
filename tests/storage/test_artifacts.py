"""Artifacts: what is read back is what was saved, and what cannot be read or written is said."""

import errno
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save
from support.arrays import atlas_like
from support.folders import everything_below

from fnet_core.errors import RequestError
from fnet_core.storage import artifacts

ROOT = Path(__file__).parents[2]


def test_home_is_the_folder_named_by_the_environment_or_the_systems(tmp_path, monkeypatch):
    assert artifacts.home() == tmp_path / "cache"
    monkeypatch.setenv("FNET_HOME", "")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "system" / name))
    assert artifacts.home() == tmp_path / "system" / "fnet"
    assert (tmp_path / "system" / "fnet").is_dir()


def test_home_that_cannot_be_written_is_a_request_error(tmp_path, monkeypatch):
    sentence = f"The cache folder {tmp_path}/taken is not writable; set FNET_HOME to a folder that is."
    (tmp_path / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("FNET_HOME", str(tmp_path / "taken"))
    with pytest.raises(RequestError) as error:
        artifacts.home()
    assert str(error.value) == sentence

    monkeypatch.setenv("FNET_HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RequestError, match="not writable"):
        artifacts.home()


def test_artifact_comes_back_as_it_was_saved():
    arrays, header = atlas_like()
    copies = {name: array.copy() for name, array in arrays.items()}
    path = artifacts.artifact_path("atlas", "k1")
    artifacts.save_artifact(path, "atlas", arrays, header)
    loaded, loaded_header = artifacts.load_artifact(path, "atlas")
    assert loaded_header == header
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], copies[name])
        np.testing.assert_array_equal(array, copies[name])
    assert artifacts.read_header(path) == {"kind": "atlas", "format": 1, **header}


def test_artifact_is_a_plain_safetensors_file(tmp_path):
    turned = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32).T
    artifacts.save_artifact(tmp_path / "a", "atlas", {"turned": turned}, {"seed": 7})
    content = (tmp_path / "a").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    described = json.loads(content[8 : 8 + length])
    assert described["turned"]["shape"] == [3, 2]
    assert struct.unpack("<6f", content[8 + length :]) == (1, 4, 2, 5, 3, 6)
    assert json.loads(described["__metadata__"]["fnet"]) == {"kind": "atlas", "format": 1, "seed": 7}


def test_same_input_gives_the_same_bytes_in_any_order_and_process(tmp_path):
    arrays, header = atlas_like()
    artifacts.save_artifact(tmp_path / "a", "atlas", arrays, header)
    artifacts.save_artifact(tmp_path / "b", "atlas", dict(reversed(arrays.items())), dict(reversed(header.items())))
    script = (
        "import sys; sys.path.append('tests'); from pathlib import Path\n"
        "from support.arrays import atlas_like; from fnet_core.storage import artifacts\n"
        "artifacts.save_artifact(Path(sys.argv[1]), 'atlas', *atlas_like())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "c")]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "99"}, check=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_unreadable_artifacts_are_request_errors_that_say_what_to_do(tmp_path):
    good = tmp_path / "good"
    artifacts.save_artifact(good, "atlas", {"maps": np.ones((3, 4))}, {"seed": 1}, version=2)
    content = good.read_bytes()

    def refused(name: str, content: bytes, version: int = 2) -> str:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RequestError) as error:
            artifacts.load_artifact(tmp_path / name, "atlas", version)
        assert str(error.value).startswith(f"{tmp_path / name} ")
        return str(error.value)

    for length in (0, 5, 40, len(content) - 8, len(content) - 1):
        assert "cut short or damaged; copy it or make it again" in refused("cut", content[:length])
    assert "not a safetensors file" in refused("text", b"a page of text, not an atlas")
    arrays = {"maps": np.ones(2)}
    for name, metadata in {
        "plain": None,
        "other": {"format": "pt"},
        "list": {"fnet": "[]"},
        "broken": {"fnet": "{"},
        "deep": {"fnet": "[" * 100_000},
        "unnamed": {"fnet": '{"format": 2}'},
    }.items():
        assert "was not saved by FNet" in refused(name, save(arrays, metadata))
    assert "format 2 of 'atlas' and this FNet reads 1; update FNet" in refused("new", content, version=1)
    assert "old format 2 of 'atlas', not 3; make it again" in refused("old", content, version=3)

    bfloat = {
        "__metadata__": {"fnet": '{"kind":"atlas","format":2}'},
        "maps": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
    }
    described = json.dumps(bfloat).encode()
    assert "number type" in refused("bfloat", struct.pack("<Q", len(described)) + described + bytes(4))

    with pytest.raises(RequestError, match="holds 'atlas', not 'fingerprint'; choose a file of kind"):
        artifacts.load_artifact(good, "fingerprint", 2)
    for path in (tmp_path / "absent", tmp_path, good / "below"):
        for read in (artifacts.read_header, lambda path: artifacts.load_artifact(path, "atlas")):
            with pytest.raises(RequestError, match=f"There is no file {path}; check the path"):
                read(path)


def test_artifacts_are_listed_newest_first(cache):
    assert artifacts.list_artifacts("atlas") == []
    for key, seconds in [("b", 200), ("c", 300), ("a", 100)]:
        artifacts.save_artifact(artifacts.artifact_path("atlas", key), "atlas", {}, {})
        os.utime(artifacts.artifact_path("atlas", key), (seconds, seconds))
    with artifacts.atomic_file(artifacts.artifact_path("atlas", "d")) as temporary:
        temporary.write_text("half")
        assert [path.stem for path in artifacts.list_artifacts("atlas")] == ["c", "b", "a"]
    assert artifacts.list_artifacts("fingerprint") == []


@pytest.mark.parametrize("key", ["../atlas", "a/b", "", ".", "a.b", "x" * 201, "a\n"])
def test_artifact_names_cannot_leave_the_cache_folder(key):
    with pytest.raises(RequestError, match="cannot name an artifact"):
        artifacts.artifact_path("atlas", key)
    with pytest.raises(RequestError, match="cannot name an artifact"):
        artifacts.artifact_path(key, "atlas")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.ENOSPC, "The disk with {} is full; free some space or choose another folder (FNET_HOME "),
        (errno.EDQUOT, "The disk with {} is full; free some space or choose another folder (FNET_HOME "),
        (errno.EFBIG, "A file in {} would be larger than this system lets one be; raise the limit (ulimit -f) or "),
        (errno.EROFS, "The disk with {} is read-only; choose another folder (FNET_HOME "),
        (errno.EACCES, "FNet has no permission to use the folder {}; grant it or choose another folder "),
        (errno.EPERM, "FNet has no permission to use the folder {}; grant it or choose another folder "),
    ],
)
def test_disk_trouble_is_a_request_error_and_leaves_nothing(code, sentence, cache, monkeypatch):
    def fail(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    path = artifacts.artifact_path("atlas", "k1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(RequestError) as error:
            artifacts.save_artifact(path, "atlas", {"maps": np.ones(3)}, {})
        assert str(error.value).startswith(sentence.format(path.parent))
        with pytest.raises(RequestError), artifacts.atomic_folder(path) as temporary:
            (temporary / "weights").write_text("x")
    assert everything_below(cache) == ["atlas"]


def test_disk_errors_name_the_folder_at_fault_and_pass_other_errors_on(tmp_path):
    with pytest.raises(RequestError, match="use the folder /data/models;"), artifacts.disk_errors(tmp_path):
        raise PermissionError(errno.EACCES, "denied", "/data/models/weights")
    with pytest.raises(FileNotFoundError), artifacts.disk_errors(tmp_path):
        (tmp_path / "absent").read_text()


def test_a_full_disk_under_a_saved_model_is_said_in_the_same_words(tmp_path):
    message = "Error while serializing: I/O error: No space left on device (os error 28)"
    with pytest.raises(RequestError, match=r"disk with .* is full"), artifacts.disk_errors(tmp_path):
        raise SafetensorError(message)
    with pytest.raises(SafetensorError, match="header"), artifacts.disk_errors(tmp_path):
        raise SafetensorError("invalid header")


def test_a_series_comes_back_in_the_order_of_its_numbers(tmp_path):
    arrays = {f"map.{i}": np.array([i]) for i in range(12)} | {"maps.0": np.array([99])}
    artifacts.save_artifact(tmp_path / "file", "kind", arrays, {})
    read, _ = artifacts.load_artifact(tmp_path / "file", "kind")
    assert [int(each[0]) for each in artifacts.series(read, "map")] == list(range(12))
    assert artifacts.series(read, "none") == ()
