"""The calibration that p rests on: what the asset holds, and what is said of it."""

from dataclasses import replace
from itertools import pairwise

import pytest

from fnet_core.lineage.calibration import CONTRADICTED, LEVELS, calibration_of
from fnet_core.lineage.independence import FLOOR
from fnet_core.lineage.signatures import FORMS


@pytest.mark.parametrize("form", FORMS)
def test_the_asset_is_a_calibration(form):
    known = calibration_of(form)
    assert len(known.below_layers) == len(known.below_pairs) == len(LEVELS)
    assert known.pairs == known.models * (known.models - 1) // 2 and known.floor == pytest.approx(1 / (known.pairs + 1))
    for curve in (known.below_layers, known.below_pairs):
        assert curve[0] == 1 and all(a >= b >= 0 for a, b in pairwise(curve))
    assert 0 <= known.missed <= known.derived
    for figure in (f"{known.pairs:,}", f"{known.models} small models", f"{known.floor:.2g}", f"missed {known.missed}"):
        assert figure in known.sentence


@pytest.mark.parametrize("form", FORMS)
def test_p_keeps_its_promise(form):
    known = calibration_of(form)
    for level, share in zip(LEVELS, known.below_pairs, strict=True):
        assert share <= level + 4 * (level / known.pairs) ** 0.5
    for level, share in zip(LEVELS, known.below_layers, strict=True):
        assert abs(share - level) <= 0.25 * level + 4 * (level / known.layer_pairs) ** 0.5


@pytest.mark.parametrize("form", FORMS)
def test_p_is_no_smaller_than_what_pairs_trained_apart_had(form):
    known = calibration_of(form)
    assert known.p_of(0) == known.p_of(CONTRADICTED) == known.floor and known.p_of(1) == 1
    made = replace(known, pairs=1000, smallest=0.0002, below_pairs=tuple(max(x, 0.003) for x in LEVELS))
    assert made.p_of(0.0009) == 4 / 1001 and made.p_of(0.05) == 51 / 1001 and made.p_of(0.0001) == 1 / 1001


def test_the_floor_of_gated_models_is_that_of_their_calibration():
    assert calibration_of("gated").floor == FLOOR
