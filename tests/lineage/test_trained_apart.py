"""The independence test from files, beside models, and of MLPs without a gate."""

from copy import deepcopy
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm
from support.loading import loaded_tiny
from support.tiny_models import UNGATED, tiny_model

from fnet_core.derivation.symmetries import permute_neurons
from fnet_core.errors import RequestError
from fnet_core.lineage.independence import independence_of, order_test
from fnet_core.lineage.neuron_signals import read_signals, read_signatures
from fnet_core.lineage.signatures import Recorded
from fnet_core.lineage.trained_apart import independence
from fnet_core.texts import bundled

PASSAGES = tuple(p.__class__(p.name, p.text[:120], p.source) for p in bundled("score")[:4])


def wide(family: str = "llama", seed: int = 0, layers: int = 3):
    changes = {"intermediate_size": 96, "num_hidden_layers": layers}
    return loaded_tiny(family, model=tiny_model(family, seed, **changes))


def permuted(loaded):
    model = deepcopy(loaded.model)
    permute_neurons(model, torch.Generator().manual_seed(1))
    return loaded_tiny(model=model)


def recorded(loaded):
    return Recorded(loaded.name, read_signatures(loaded, PASSAGES))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_files_say_what_models_say(family):
    a, b, other = wide(family), permuted(wide(family)), wide(family, seed=1)
    for second, partners in ((a, [0, 1, 2]), (b, [0, 1, 2]), (other, [-1, -1, -1])):
        live, filed = independence(a, second, PASSAGES), independence_of(recorded(a), recorded(second))
        assert live.matched_J.tolist() == filed.matched_J.tolist() == partners
        assert filed.from_files and not live.from_files and live.neurons == filed.neurons == 96
        related = live.z_LJ > 5
        assert filed.z_LJ[related] == pytest.approx(live.z_LJ[related], abs=0.7)


@pytest.mark.parametrize("family", UNGATED)
def test_without_a_gate_the_two_signals_are_what_is_read_and_what_is_written(family):
    loaded = loaded_tiny(family)
    (found,) = read_signals(loaded, PASSAGES[:1], [1])
    assert found.gate_NG.any(axis=1).all() and found.up_NG.any(axis=1).all()
    np.testing.assert_allclose(np.linalg.norm(found.up_NG, axis=1), 1, rtol=1e-4)
    again = permuted(loaded)
    (moved,) = read_signals(again, PASSAGES[:1], [1])
    for before, after in ((found.gate_NG, moved.gate_NG), (found.up_NG, moved.up_NG)):
        best = (before @ after.T).argmax(axis=1)
        assert sorted(best.tolist()) == list(range(len(before))) and (before @ after.T).max(axis=1).min() > 0.999


def test_without_a_gate_models_of_other_seeds_are_not_accused():
    models = [wide(family, seed) for seed, family in enumerate(("gpt2", "gpt2", "opt", "gpt_neox", "phi"))]
    found = [independence_of(*pair) for pair in combinations([recorded(model) for model in models], 2)]
    assert kstest(norm.sf(np.concatenate([each.z_LJ.ravel() for each in found])), "uniform").pvalue > 0.01
    assert all((each.matched_J == -1).all() for each in found) and all(each.form == "ungated" for each in found)


def test_a_gate_and_none_cannot_be_matched():
    with pytest.raises(RequestError, match="have a gate and those of"):
        independence(wide(), wide("gpt2"), PASSAGES)
    with pytest.raises(RequestError, match="cannot be tested for independence, because one model's MLPs have a gate"):
        independence_of(recorded(wide()), recorded(wide("gpt2")))


def test_orders_of_models_trained_apart_give_uniform_p():
    rng = np.random.default_rng(5)
    p = [order_test([rng.normal(size=(12, 12)) for _ in range(2)], rng) for _ in range(300)]
    assert kstest(p, "uniform").pvalue > 0.01 and min(p) >= 1 / 2000


def test_orders_show_a_common_beginning_and_nothing_once_they_are_lost():
    a = wide()
    assert independence(a, a, PASSAGES).order_p == 1 / 2000
    assert independence(a, permuted(a), PASSAGES).order_p > 0.001
    assert independence(a, wide(seed=1), PASSAGES).order_p > 0.001
    assert independence(a, wide(layers=2), PASSAGES).order_p is None
