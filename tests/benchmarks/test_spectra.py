"""The peer that reads weights: no change of basis moves it, and other models are further away."""

import pytest
import torch
from support.tiny_models import tiny_model

from benchmarks.spectra import alike, spectra
from fnet_core.derivation.symmetries import permute_residual, rotate_residual


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
def test_what_is_invariant_stays_and_other_models_are_apart(family):
    model, other = tiny_model(family), tiny_model(family, seed=1)
    before, apart = spectra(model), alike(spectra(model), spectra(other))
    assert before.shape == (3, 2, 64) and alike(before, before) == 0 and apart < -1e-3
    permute_residual(model, torch.Generator().manual_seed(1))
    assert alike(before, spectra(model)) == pytest.approx(0, abs=1e-5)
    if family == "llama":
        model = tiny_model(family)
        rotate_residual(model, torch.Generator().manual_seed(1))
        assert alike(before, spectra(model)) == pytest.approx(0, abs=1e-5)


def test_a_layer_that_is_missing_costs_nothing():
    values = spectra(tiny_model("llama"))
    assert alike(values, values[[0, 2]]) == alike(values[[0, 2]], values) == 0
    assert alike(values, values[:0]) is None
