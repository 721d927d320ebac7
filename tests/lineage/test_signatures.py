"""Signs of random projections against the angles that they stand for, and against the file that carries them."""

import numpy as np
import pytest

from fnet_core.lineage.signatures import BYTES, LayerSignals, Signatures, bytes_each, differ, joined, signs


def units(neurons: int, points: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(neurons, points)).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def signatures(passages: int = 2, widths=(5, 7), points: int = 30, seed: int = 0, **changes) -> Signatures:
    def bits(more):
        return joined(
            [[signs(units(width, points, seed + more + p), p, passages) for p in range(passages)] for width in widths]
        )

    fields = {"form": "gated", "widths": widths, "points": (points,) * passages, "gate_MPB": bits(0), "up_MPB": bits(9)}
    return Signatures(**fields | changes)


def test_products_are_those_of_the_angles_between_signals():
    first = units(200, 270)
    second = 0.7 * first + np.sqrt(1 - 0.49) * units(200, 270, seed=1)
    both = np.concatenate([first, second, units(100, 270, seed=2)])
    bits = np.stack([signs(both, p, 4) for p in range(4)], axis=1)
    found = Signatures("gated", (500,), (270,) * 4, bits, bits).layer(0).gate_NG
    r = (both @ both.T) / np.outer(*[np.linalg.norm(both, axis=1)] * 2)
    expected = 1 - 2 * np.arccos(r.clip(-1, 1)) / np.pi
    off = (found @ found.T - expected)[~np.eye(500, dtype=bool)]
    assert abs(off.mean()) < 0.002 and off.std() < 1.05 / np.sqrt(8 * BYTES)
    assert np.diag(found @ found.T) == pytest.approx(1)


def test_the_projections_are_the_same_everywhere_and_always():
    line = np.linspace(-1, 1, 24, dtype=np.float32)[None]
    assert signs(line, 0, 4).tobytes().hex() == FIRST
    assert signs(line, 1, 4).tobytes().hex() == SECOND


FIRST = "a863b443fb95ae95eef0f8a3492b34e7"
SECOND = "312c6f1028100e9099e15c22c5e36078"


def test_a_signal_that_does_not_vary_stays_zero():
    values = units(3, 20)
    values[1] = 0
    bits = np.stack([signs(values, 0, 2), signs(units(3, 20, 5), 1, 2)], axis=1)
    found = Signatures("gated", (3,), (20, 20), bits, bits).layer(0).gate_NG
    half = found.shape[1] // 2
    assert not found[1, :half].any() and found[1, half:].all() and found[0].all()


def test_layers_and_neurons_are_found_again():
    whole = signatures()
    second = whole.layer(1)
    assert isinstance(second, LayerSignals) and second.gate_NG.shape == (7, 8 * 2 * bytes_each(2))
    np.testing.assert_array_equal(whole.layer(1, np.array([4, 0])).up_NG, second.up_NG[[4, 0]])


def test_parts_and_back():
    whole = signatures()
    again = Signatures.from_parts(*whole.parts())
    assert (again.form, again.widths, again.points) == (whole.form, whole.widths, whole.points)
    np.testing.assert_array_equal(again.gate_MPB, whole.gate_MPB)


@pytest.mark.parametrize(
    "change",
    [{"form": "half"}, {"widths": [5, 6]}, {"points": [30]}, {"seed": "another"}, {"widths": [0, 12]}],
)
def test_what_does_not_fit_is_refused(change):
    arrays, header = signatures().parts()
    with pytest.raises(ValueError, match="do not fit"):
        Signatures.from_parts(arrays, header | change)


def test_who_can_be_compared():
    assert differ(signatures(), signatures(seed=4)) == ""
    assert "gate" in differ(signatures(), signatures(form="ungated"))
    assert "other places" in differ(signatures(), signatures(points=31))
