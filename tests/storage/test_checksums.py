"""Checksums: an artifact with a changed byte is refused, and one of an earlier version is read."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from support.arrays import atlas_like

from fnet_core.errors import RequestError
from fnet_core.storage import artifacts, checksums


@pytest.fixture
def kept(tmp_path) -> Path:
    artifacts.save_artifact(tmp_path / "a", "atlas", {"maps": np.arange(6, dtype=np.float32)}, {"seed": 7})
    return tmp_path / "a"


@pytest.mark.parametrize("change", [1, 0x20, 0xFF])
def test_no_byte_can_change(kept, change):
    content = kept.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= change
        kept.write_bytes(damaged)
        with pytest.raises(RequestError):
            artifacts.load_artifact(kept, "atlas")


def test_a_header_is_checked_without_the_arrays(kept):
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    assert artifacts.read_header(kept)["seed"] == 7
    kept.write_bytes(bytes(content).replace(b'seed\\":7', b'seed\\":8'))
    with pytest.raises(
        RequestError, match=r"changed after it was made: .* is cut short or damaged; copy it or make it again"
    ):
        artifacts.read_header(kept)


def test_a_file_without_checksums_is_read_as_it_is(kept):
    kept.write_bytes(save({"maps": np.ones(3)}, {"fnet": '{"kind":"atlas","format":1,"seed":7}'}))
    arrays, header = artifacts.load_artifact(kept, "atlas")
    assert header == {"seed": 7} and arrays["maps"].tolist() == [1, 1, 1]


def test_only_the_checksums_are_added(tmp_path):
    arrays, _ = atlas_like()
    before = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"fnet": "{}"})
    after = checksums.added(before)

    def parts(content: bytes) -> tuple[dict, bytes]:
        (length,) = struct.unpack_from("<Q", content)
        assert length % 8 == 0
        return json.loads(content[8 : 8 + length]), content[8 + length :]

    header, data = parts(after)
    assert len(header["__metadata__"].pop(checksums.KEY)) == 64
    assert (header, data) == parts(before)
    (tmp_path / "after").write_bytes(after)
    with open(tmp_path / "after", "rb") as file:
        assert checksums.holds(file, arrays=True)
