"""Signed files: any change of what was signed is refused, and who signed is said."""

import os
import shutil
import stat
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from support.fingerprints import hand_fingerprint, waves, with_neurons

from fnet_core.cli import main
from fnet_core.errors import RequestError
from fnet_core.lineage import fingerprint as fingerprint_module
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import KIND, TAKEN_BEFORE, Fingerprint
from fnet_core.lineage.signing import Signature, load_key, name_in, new_key, save_key
from fnet_core.storage import artifacts
from fnet_core.texts import bundled

KEY = new_key()
PLAIN = with_neurons(hand_fingerprint(waves(9), "honest"))
SIGNED = PLAIN.signed(KEY)


def kept(taken, tmp_path):
    path = tmp_path / "f.safetensors"
    taken.save(path)
    return path


def forge(path, change):
    """A file changed by somebody who makes digest and checksums fit again."""
    found = artifacts.read_header(path)["format"]
    arrays, header = artifacts.load_artifact(path, KIND, found)
    signature = header.pop("signature")
    header.pop("content")
    change(arrays, header, signature)
    header["content"] = fingerprint_module._content_digest(arrays, header)
    artifacts.save_artifact(path, KIND, arrays, header | {"signature": signature}, found)


def test_a_signed_file_is_read_and_says_who_signed(tmp_path):
    loaded = Fingerprint.load(kept(SIGNED, tmp_path))
    assert loaded.signature == SIGNED.signature and loaded.content_digest() == PLAIN.content_digest()
    assert loaded.signed_sentence.startswith("signed by the key SHA256:") and PLAIN.signed_sentence == "not signed"
    assert loaded.summary()["signature"]["key"] == SIGNED.signature.signer
    assert Fingerprint.load(kept(PLAIN, tmp_path)).signature is None
    old = replace(PLAIN, neurons=None, untested=TAKEN_BEFORE).signed(KEY)
    assert Fingerprint.load(kept(old, tmp_path)).is_old


def test_every_region_of_bytes_is_guarded(tmp_path):
    path = kept(SIGNED, tmp_path)
    content = path.read_bytes()
    for at in np.linspace(0, len(content) - 1, 90).astype(int).tolist():
        changed = bytearray(content)
        changed[at] ^= 0x21
        path.write_bytes(bytes(changed))
        with pytest.raises(RequestError):
            Fingerprint.load(path)


CHANGES = {
    **{
        f"array {name}": lambda arrays, header, signature, name=name: arrays.update({name: arrays[name] * 0})
        for name in ("signal.0", "grams", "curves", "variance", "stability", "key_counts", "neurons.gate", "neurons.up")
    },
    "model": lambda arrays, header, signature: header["model"].update(name="forged"),
    "digest": lambda arrays, header, signature: (
        header["model"].update(digest="f" * 64),
        header["recipe"].update(model_digest="f" * 64),
    ),
    "labels": lambda arrays, header, signature: header["labels"].reverse(),
    "reading": lambda arrays, header, signature: header.update(bits_per_byte=0.5),
    "time": lambda arrays, header, signature: signature.update(made="2020-01-01T00:00:00Z"),
    "value": lambda arrays, header, signature: signature.update(value="0" * 128),
    "another's key": lambda arrays, header, signature: signature.update(
        key=new_key().public_key().public_bytes_raw().hex()
    ),
    "no point of the curve": lambda arrays, header, signature: signature.update(key="f" * 64),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whoever_makes_the_digest_fit_cannot_make_the_signature(change, tmp_path):
    path = kept(SIGNED, tmp_path)
    forge(path, lambda arrays, header, signature: None)
    assert Fingerprint.load(path).signature == SIGNED.signature
    forge(path, change)
    with pytest.raises(RequestError, match=r"The signature of .*f.safetensors is broken: the key SHA256:"):
        Fingerprint.load(path)


@pytest.mark.parametrize("change", [{"key": "ab"}, {"made": "yesterday"}, {"value": 5}, {"more": "x"}])
def test_a_malformed_signature_is_no_whole_file(change, tmp_path):
    path = kept(SIGNED, tmp_path)
    forge(path, lambda arrays, header, signature: signature.update(change))
    with pytest.raises(RequestError, match="no whole fingerprint"):
        Fingerprint.load(path)


def test_what_a_signature_does_not_prove(tmp_path):
    """Anybody can sign anything with a key of their own; only the key tells the two apart."""
    forged = replace(PLAIN, bits_per_byte=0.5).signed(new_key())
    loaded = Fingerprint.load(kept(forged, tmp_path))
    assert loaded.signature.signer != SIGNED.signature.signer
    with pytest.raises(RequestError, match="is broken"):
        replace(PLAIN, bits_per_byte=0.5, signature=SIGNED.signature).save(tmp_path / "g.safetensors")
    assert SIGNED.called("other").signature is None


def test_a_comparison_says_who_signed():
    other = hand_fingerprint(waves(9, seed=3), "other", seed=3)
    found = compare(SIGNED, other)
    assert found.summary()["signatures"] == {"a": SIGNED.summary()["signature"], "b": None}


def test_keys_are_openssh_keys_for_their_owner_alone(tmp_path):
    path = tmp_path / "key"
    public = save_key(KEY, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and public == tmp_path / "key.pub"
    assert load_key(path).public_key().public_bytes_raw() == KEY.public_key().public_bytes_raw()
    assert name_in(path) == name_in(public) == SIGNED.signature.signer
    if shutil.which("ssh-keygen"):
        shown = subprocess.run(["ssh-keygen", "-lf", public], capture_output=True, text=True, check=True).stdout
        assert SIGNED.signature.signer in shown
    for taken in (path, tmp_path / "key"):
        with pytest.raises(RequestError, match="never replaced"):
            save_key(new_key(), taken)
    os.remove(path)
    with pytest.raises(RequestError, match="never replaced"):
        save_key(new_key(), path)


def test_a_key_that_was_stopped_before_its_public_half_gets_it(tmp_path):
    path = tmp_path / "key"
    public = save_key(KEY, path)
    before = public.read_bytes(), path.read_bytes()
    public.unlink()
    assert save_key(new_key(), path) == public
    assert (public.read_bytes(), path.read_bytes()) == before
    assert stat.S_IMODE(public.stat().st_mode) == 0o644


@pytest.mark.parametrize("content", [b"", b"no key", b"ssh-ed25519 AAAA", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_what_is_no_key_is_a_sentence(content, tmp_path):
    path = tmp_path / "key"
    path.write_bytes(content)
    for read in (load_key, name_in):
        with pytest.raises(RequestError, match="key"):
            read(path)
    with pytest.raises(RequestError, match="There is no key"):
        load_key(tmp_path / "none")


def test_a_signature_of_another_form_is_refused():
    with pytest.raises(ValueError, match="incomplete"):
        Signature.from_header({"key": "0" * 64})


def test_the_command_line_makes_keys_signs_and_shows(capsys, tmp_path):
    key, out = str(tmp_path / "key"), str(tmp_path / "f.safetensors")
    assert main.main(["keys", "new", key]) == 0
    assert "SHA256:" in capsys.readouterr().out
    assert main.main(["keys", "new", key]) == 2
    assert main.main(["keys", "show", f"{key}.pub"]) == 0
    name = capsys.readouterr().out.strip().splitlines()[-1]
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(passage.text[:300] for passage in bundled("find")[:4]))
    small = ["--components", "5", "--threshold", "1.5", "--find", str(text), "--score", str(text)]
    assert main.main(["fingerprint", "tiny", *small, "--sign", key]) == 2
    assert "give both" in capsys.readouterr().err
    assert main.main(["fingerprint", "tiny", *small, "--sign", key, "--out", out]) == 0
    assert f"signed by the key {name}" in capsys.readouterr().out
    for path, told in ((out, name), (out, "as the time")):
        assert main.main(["keys", "show", path]) == 0
        assert told in capsys.readouterr().out
    assert main.main(["compare", out, out]) == 0
    assert f"signed by the key {name}" in capsys.readouterr().out
