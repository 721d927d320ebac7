"""The index of a folder of fingerprint files: it says what the files say, and reads only what is new."""

import os

import numpy as np
import pytest
from support.fingerprints import hand_reference
from support.kin import PLAN, member, members

from fnet_core.errors import Cancelled, RequestError
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.index import INDICES, known_in
from fnet_core.lineage.nearest import vector_of
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.scan import scan
from fnet_core.lineage.subjects import subject_of, take
from fnet_core.storage import artifacts, library

ALL = members()
REFERENCE = hand_reference(ALL[0].protocol_digest)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "known"
    path.mkdir()
    for each in ALL:
        each.save(path / f"{each.model.name}.safetensors")
    return path


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that were read whole."""
    found, load = [], Fingerprint.load
    monkeypatch.setattr(Fingerprint, "load", lambda path: found.append(path.name) or load(path))
    return found


def told(subject):
    return (subject.label, subject.model, subject.content, subject.widths, subject.protocol, subject.reads_probes)


def test_it_says_what_the_files_say_and_reads_each_once(folder, reads):
    taken = take(sorted(folder.iterdir()), FingerprintRequest(""))
    reads.clear()
    first = known_in(folder, vectors=True)
    assert list(map(told, first.subjects)) == list(map(told, taken.subjects)) and len(reads) == 12
    for subject in first.subjects:
        np.testing.assert_array_equal(subject.vector_D, vector_of(subject.read()))
    reads.clear()
    again = known_in(folder, vectors=True)
    assert reads == [] and list(map(told, again.subjects)) == list(map(told, first.subjects))
    np.testing.assert_array_equal(again.subjects[3].vector_D, first.subjects[3].vector_D)
    assert [entry.kind for entry in library.library().entries] == [INDICES.name]


def test_only_what_is_new_or_changed_is_read(folder, reads):
    assert all(subject.vector_D is None for subject in known_in(folder).subjects)
    reads.clear()
    known_in(folder, vectors=True)
    assert len(reads) == 12  # the vectors were not asked for before
    (folder / "cod-1.safetensors").unlink()
    member("elk", 0).save(folder / "elk-0.safetensors")
    member("ant", 9).save(folder / "ant-0.safetensors")
    os.utime(folder / "ant-0.safetensors", (1, 1))
    (folder / "zoo.safetensors").write_bytes(b"nothing at all")
    reads.clear()
    found = known_in(folder, vectors=True)
    assert sorted(reads) == ["ant-0.safetensors", "elk-0.safetensors", "zoo.safetensors"]
    names = [subject.label for subject in found.subjects]
    assert len(names) == 12 and {"elk-0", "ant-9"} <= set(names) and not {"cod-1", "ant-0"} & set(names)
    assert [failure.label for failure in found.failures] == [str(folder / "zoo.safetensors")]
    assert "is not a safetensors file" in found.failures[0].why


def test_what_was_read_before_it_was_cancelled_is_kept(folder, reads):
    def report(stage, fraction):
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        known_in(folder, report=report)
    before = len(reads)
    assert 0 < before < 12
    known_in(folder)
    assert len(reads) == 12


def test_a_shortlist_finds_what_the_exact_scan_finds(folder, reads):
    """Every family and a stranger: the possible parents of all twelve are those of as many as the family has."""
    exact, near = known_in(folder), known_in(folder, vectors=True)
    for family, count in (*PLAN.items(), ("elk", 2)):
        child = subject_of(member(family, 8))
        whole = scan(child, exact, test=False, reference=REFERENCE)
        reads.clear()
        short = scan(child, near, test=False, nearest=max(count, 2), reference=REFERENCE)
        assert set(short.possible) == set(whole.possible), family
        assert len(reads) <= max(count, 2)  # the others are never opened


def test_a_damaged_index_is_made_again_and_no_folder_is_a_sentence(folder, reads):
    known_in(folder)
    (path,) = artifacts.list_artifacts(INDICES.name)
    path.write_bytes(path.read_bytes()[:-40])
    reads.clear()
    assert len(known_in(folder).subjects) == 12 and len(reads) == 12
    with pytest.raises(RequestError, match="There is no folder"):
        known_in(folder / "nowhere")
