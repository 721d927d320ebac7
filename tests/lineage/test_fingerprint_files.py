"""Fingerprint files: one that was cut, changed or made up is refused in a sentence."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from support.fingerprints import hand_fingerprint, waves

from fnet_core.errors import RequestError
from fnet_core.lineage import fingerprint as fingerprint_module
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.storage import artifacts


def test_a_file_cut_short(tmp_path):
    path = tmp_path / "f.safetensors"
    hand_fingerprint(waves(9)).save(path)
    content = path.read_bytes()
    for size in (0, 5, 400, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(RequestError):
            Fingerprint.load(path)


def tampered(path, change):
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    arrays = load_file(path)
    change(arrays, metadata)
    save_file(arrays, path, metadata)


def _other_name(arrays, metadata):
    metadata["fnet"] = metadata["fnet"].replace("honest", "forged")


def _other_value(arrays, metadata):
    arrays["signal.1"][2, 3] += 0.25


def _lost_array(arrays, metadata):
    del arrays["grid.2"]


def _lost_digest(arrays, metadata):
    metadata["fnet"] = metadata["fnet"].replace('"content":', '"contents":')


@pytest.mark.parametrize("change", [_other_name, _other_value, _lost_array, _lost_digest])
def test_a_file_tampered_with(tmp_path, change):
    path = tmp_path / "f.safetensors"
    hand_fingerprint(waves(9), "honest").save(path)
    tampered(path, lambda arrays, metadata: None)
    assert Fingerprint.load(path).model.name == "honest"
    tampered(path, change)
    with pytest.raises(RequestError, match="changed after it was made"):
        Fingerprint.load(path)


def _part(*place, value):
    """A change of the fingerprint's parts at one place in the header, or of one array."""

    def change(arrays, header):
        inside = header
        for step in place[:-1]:
            inside = inside[step]
        inside[place[-1]] = value

    return change


def _array(name, of):
    def change(arrays, header):
        arrays[name] = of(arrays[name])

    return change


CARD = {
    "name": 5,
    "digest": None,
    "family": ["llama"],
    "layers": "4",
    "width": "<b>24</b>",
    "parameters": 1.5,
    "dtype": 1,
}


WRONG = {
    **{f"card {name}": _part("model", name, value=value) for name, value in CARD.items()},
    "card true layers": _part("model", "layers", value=True),
    "another digest": _part("model", "digest", value="other"),
    "layers": _part("model", "layers", value=5),
    "step 0": _part("recipe", "protocol", "step", value=0),
    "step text": _part("recipe", "protocol", "step", value="4"),
    "threshold": _part("recipe", "protocol", "threshold", value="3.6"),
    "huge threshold": _part("recipe", "protocol", "threshold", value=10**400),
    "site": _part("recipe", "protocol", "site", value=["residual"]),
    "few components": _part("recipe", "protocol", "components", value=8),
    "passage count": _part("recipe", "protocol", "passages", value=[24, 4]),
    "passage digest": _part("recipe", "protocol", "score", value="0" * 64),
    "other passage": _part("passages", 2, 1, value="other text & <more>. " * 8),
    "passage number": _part("passages", 0, 0, value=3),
    "passage missing": _part("passages", 0, value=["p0"]),
    "seed": _part("recipe", "seed", value="0; rm"),
    "texts": _part("recipe", "texts", value="both"),
    "versions": _part("recipe", "versions", value={"torch": 2}),
    "label": _part("labels", 1, value=7),
    "lone surrogate": _part("labels", 1, value="\ud800"),
    "surrogate deep inside": _part("recipe", "protocol", "contrast", value="\udcff"),
    "bits text": _part("bits_per_byte", value="x"),
    "bits true": _part("bits_per_byte", value=True),
    "compressor": _part("compressor_bits_per_byte", value=None),
    "seconds": _part("seconds", value={"scoring": "1"}),
    "seconds list": _part("seconds", value=[1.5]),
    "memory": _part("peak_memory_bytes", value=-1),
    "no recipe": _part("recipe", value=None),
    "float grid": _array("grid.0", lambda grid: grid.astype(np.float32)),
    "grid past the end": _array("grid.1", lambda grid: grid + 1000),
    "float counts": _array("key_counts", lambda counts: np.full(counts.shape, np.nan)),
    "negative counts": _array("key_counts", lambda counts: counts - 100),
    "whole signal": _array("signal.0", lambda signal: signal.astype(np.int32)),
    "infinite signal": _array("signal.3", lambda signal: signal * np.float16(np.inf)),
    "short signal": _array("signal.0", lambda signal: signal[:-1]),
    "boolean variance": _array("variance", lambda values: values > 0),
    "flat curves": _array("curves", lambda curves: curves[:3]),
    "flat grams": _array("grams", lambda grams: grams[0]),
}


def self_consistent(path, change) -> None:
    """Save a fingerprint with changed parts whose digest fits them."""
    arrays, header = hand_fingerprint(waves(9), "honest")._parts()
    arrays, header = dict(arrays), json.loads(json.dumps(header))
    change(arrays, header)
    header["content"] = fingerprint_module._content_digest(arrays, header)
    artifacts.save_artifact(path, "fingerprint", arrays, header)


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_fits_its_digest_and_nothing_else(tmp_path, name):
    path = tmp_path / "f.safetensors"
    self_consistent(path, lambda arrays, header: None)
    assert Fingerprint.load(path).content_digest() == hand_fingerprint(waves(9), "honest").content_digest()
    self_consistent(path, WRONG[name])
    with pytest.raises(RequestError, match="is no whole fingerprint"):
        Fingerprint.load(path)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "[" * 3000 + "]" * 3000])
def test_a_header_that_is_no_strict_json(tmp_path, value):
    path = tmp_path / "f.safetensors"
    hand_fingerprint(waves(9), "honest").save(path)

    def change(arrays, metadata):
        metadata["fnet"] = metadata["fnet"].replace('"bits_per_byte":1.2', f'"bits_per_byte":{value}')

    tampered(path, change)
    with pytest.raises(RequestError):
        Fingerprint.load(path)


def test_another_kind_of_file_and_none(tmp_path):
    with pytest.raises(RequestError, match="no file"):
        Fingerprint.load(tmp_path / "none.safetensors")
    artifacts.save_artifact(tmp_path / "a.safetensors", "atlas", {}, {})
    with pytest.raises(RequestError, match="holds 'atlas'"):
        Fingerprint.load(tmp_path / "a.safetensors")
