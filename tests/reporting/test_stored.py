"""What is kept beside an atlas is found by what it is of, and by nothing else."""

from dataclasses import replace

import pytest
from support.atlases import hand_atlas
from support.fingerprints import hand_fingerprint, waves
from support.lesions import hand_lesions

from fnet_core.capability.lesions import KIND as LESIONS
from fnet_core.lineage.fingerprint import KIND as FINGERPRINT
from fnet_core.networks.example import EXAMPLE_FINGERPRINT, EXAMPLE_LESIONS, example_atlas
from fnet_core.reporting import stored
from fnet_core.storage import artifacts

DIGEST = "d" * 64


@pytest.fixture
def atlas(monkeypatch, tmp_path):
    for name in ("EXAMPLE_LESIONS", "EXAMPLE_FINGERPRINT"):
        monkeypatch.setattr(stored, name, tmp_path / "none.safetensors")
    atlas = hand_atlas()
    return replace(atlas, recipe=atlas.recipe | {"model_digest": DIGEST})


def keep(kind: str, key: str, answer) -> None:
    path = artifacts.artifact_path(kind, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    answer.save(path)


def test_matrices_of_this_atlas_alone_one_for_each_gain(atlas):
    assert stored.lesions_of(atlas) == ()
    whole = hand_lesions(atlas)
    few = replace(
        whole, **{name: getattr(whole, name)[..., :2] for name in ("capability_I", "untouched_I", "changed_KI")}
    )
    keep(LESIONS, "whole", whole)
    keep(LESIONS, "few", replace(few, random_KMI=whole.random_KMI[..., :2]))
    keep(LESIONS, "amplified", hand_lesions(atlas, gain=1.5))
    other = replace(atlas, recipe=atlas.recipe | {"model_digest": "e" * 64})
    keep(LESIONS, "of-another-model", hand_lesions(other, gain=2.0))
    moved = replace(atlas, maps=(atlas.maps[0][:, ::-1].copy(),))
    keep(LESIONS, "of-other-networks", hand_lesions(moved, gain=3.0))
    artifacts.artifact_path(LESIONS, "damaged").write_bytes(b"nothing")
    assert [(found.gain, len(found.untouched_I)) for found in stored.lesions_of(atlas)] == [(0.0, 4), (1.5, 4)]


def test_a_matrix_may_name_its_atlas(atlas, tmp_path, monkeypatch):
    moved = replace(atlas, maps=(atlas.maps[0] * 1.3,))
    matrix = hand_lesions(moved)
    assert stored.bundled_lesions(atlas) is None
    monkeypatch.setattr(stored, "EXAMPLE_LESIONS", tmp_path / "bundled.safetensors")
    matrix.save(tmp_path / "bundled.safetensors")
    assert stored.bundled_lesions(atlas) is None
    replace(matrix, recipe=matrix.recipe | {stored.OF_ATLAS: atlas.key}).save(tmp_path / "bundled.safetensors")
    assert stored.bundled_lesions(atlas).networks == stored.lesions_of(atlas)[0].networks == matrix.networks


def test_the_fingerprint_of_the_same_weights(atlas):
    assert stored.fingerprint_of(atlas) is None
    keep(FINGERPRINT, "other", hand_fingerprint(waves(3)))
    assert stored.fingerprint_of(atlas) is None
    keep(FINGERPRINT, "same", hand_fingerprint(waves(3), digest=DIGEST))
    assert stored.fingerprint_of(atlas) is not None


def test_what_comes_with_the_project_is_of_the_example():
    atlas = example_atlas()
    fingerprint, lesions = stored.fingerprint_of(atlas), stored.bundled_lesions(atlas)
    assert fingerprint is not None and fingerprint.model.digest == atlas.recipe["model_digest"]
    assert EXAMPLE_FINGERPRINT.stat().st_size < 3_000_000 and not fingerprint.is_old
    assert lesions is not None and lesions.done and lesions.networks == tuple(range(len(atlas)))
    assert EXAMPLE_LESIONS.stat().st_size < 1_000_000 and lesions.random_KMI.shape[1] == lesions.recipe["draws"]
    of_own_KC = lesions.surviving_KC & (lesions.change_KC < 0)
    assert 0 < of_own_KC.sum() == lesions.surviving_KC.sum() < of_own_KC.size / 10
