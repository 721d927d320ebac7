"""What changed: planted networks that were lost or gained are named, and layers that moved."""

from dataclasses import replace

import numpy as np
import pytest
from support.fingerprints import hand_fingerprint, waves

from fnet_core.lineage.changes import GONE, changes_of
from fnet_core.lineage.cka import packed_gram
from fnet_core.lineage.comparison import compare


def planted():
    """a with networks 0 to 8; b with 0 to 6 of them, two of its own, and a third layer that moved."""
    ours, theirs = waves(9, seed=1), waves(2, seed=2)
    rng = np.random.default_rng(3)
    kept = [np.concatenate([signals[:7], own]) for signals, own in zip(ours, theirs, strict=True)]
    blurred = np.array([[4.0 if k == 4 else 0.0] for k in range(9)])
    kept = [signals + blurred * rng.normal(size=signals.shape) for signals in kept]
    layers = [rng.normal(size=(9, 5)) for _ in range(4)]
    moved = [*layers[:2], rng.normal(size=(9, 5)), layers[3]]
    a, b = (
        hand_fingerprint(signals, name, grams_LU=np.stack([packed_gram(each) for each in grams]).astype(np.float16))
        for signals, name, grams in ((ours, "before", layers), (kept, "after", moved))
    )
    return a, b


def test_planted_changes_are_found():
    a, b = planted()
    found = changes_of(compare(a, b))
    assert set(found.lost) == {7, 8} and set(found.gained) == {7, 8}
    assert found.changed[0][:2] == (4, 4) and {pair[:2] for pair in found.changed} == {(k, k) for k in range(7)}
    assert found.partner_M.tolist() == [0, 1, 2, 3] and int(np.argmax(found.moved_M)) == 2
    assert found.moved_M[[0, 1, 3]] == pytest.approx(0, abs=1e-3)
    told = " ".join(found.sentences())
    assert "Of 9 networks of before, after has lost 2 and gained 2" in told and "A4 to B4" in told
    table = found.networks()
    assert table.what.value_counts().to_dict() == {"lost": 2, "gained": 2, "changed": 7}
    assert table.agreement[:4].max() < GONE and found.summary()["layers"][2]["moved"] > 0.1
    (bars,) = found.plot().data
    assert int(np.argmax(bars.y)) == 2


def test_turned_round_lost_is_gained():
    a, b = planted()
    there, back = changes_of(compare(a, b)), changes_of(compare(b, a))
    assert there.lost == back.gained and there.gained == back.lost


def test_layers_of_another_number_are_held_against_the_same_depth():
    a, b = planted()
    shorter = replace(
        b, grams_LU=a.grams_LU[[0, 3]], curves_4L=b.curves_4L[:, :2], key_counts_KL=b.key_counts_KL[:, :2]
    )
    found = changes_of(compare(a, shorter))
    assert found.partner_M.tolist() == [0, 3] and found.moved_M == pytest.approx(0, abs=1e-3)
