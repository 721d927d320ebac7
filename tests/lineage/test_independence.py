"""The independence test against matchings and models of which it is known where they come from."""

from copy import deepcopy
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm, spearmanr
from support.loading import loaded_tiny
from support.tiny_models import tiny_model
from torch import nn

from fnet_core.derivation.symmetries import permute_neurons, permute_residual, rescale_neurons, rotate_residual
from fnet_core.errors import RequestError
from fnet_core.lineage import trained_apart as testing
from fnet_core.lineage.independence import FLOOR, layer_z, matching_z
from fnet_core.lineage.signatures import LayerSignals
from fnet_core.lineage.trained_apart import independence
from fnet_core.texts import bundled

PASSAGES = tuple(p.__class__(p.name, p.text[:120], p.source) for p in bundled("score")[:6])
WIDE = {"intermediate_size": 96, "num_hidden_layers": 4}


def wide(seed: int = 0, **changes):
    return loaded_tiny(model=tiny_model("llama", seed, **WIDE | changes))


def changed(model, change):
    copy = deepcopy(model.model)
    change(copy)
    return loaded_tiny(model=copy)


def test_two_random_matchings_give_uniform_p():
    rng = np.random.default_rng(1)
    z = [matching_z(rng.permutation(400)[:256], rng.permutation(256)) for _ in range(10_000)]
    assert kstest(norm.sf(z), "uniform").pvalue > 0.05


def test_z_is_spearmans_rho():
    rng = np.random.default_rng(2)
    first, second = rng.permutation(90)[:50], rng.permutation(70)[:50]
    assert matching_z(first, second) == pytest.approx(spearmanr(first, second)[0] * 7)
    assert matching_z(first, first) == pytest.approx(7)


def test_signals_of_nothing_in_common_give_uniform_p():
    rng = np.random.default_rng(3)

    def noise(neurons):
        return LayerSignals(*rng.normal(size=(2, neurons, 40)).astype(np.float32))

    z = [layer_z(noise(32), noise(48), np.random.default_rng(k)) for k in range(1000)]
    assert kstest(norm.sf(z), "uniform").pvalue > 0.01


def test_a_common_order_of_neurons_is_no_evidence():
    """Gate and up of two layers sorted by the same thing match near places, though no neuron's partner twice."""
    rng = np.random.default_rng(4)
    along = np.linspace(0, 3, 120)[:, None] + np.linspace(0, 6, 50)

    def sorted_layer():
        return LayerSignals(*(np.sin(along + rng.normal(0, 0.25, (120, 1))).astype(np.float32) for _ in range(2)))

    z = [layer_z(sorted_layer(), sorted_layer(), np.random.default_rng(k)) for k in range(60)]
    assert np.max(z) < 4 and abs(np.mean(z)) < 0.6


def test_a_model_against_itself():
    found = independence(wide(), wide(), PASSAGES)
    assert found.matched_J.tolist() == [0, 1, 2, 3] and found.p == FLOOR
    assert np.diag(found.z_LJ) == pytest.approx(np.full(4, np.sqrt(95)))
    assert found.layers_in_words == ["Layers 0 to 3 of B match layers 0 to 3 of A."]
    assert f"p at most {FLOOR:.3f}" in found.sentence and "Bonferroni" in found.sentence


@pytest.mark.parametrize(
    "change",
    [
        lambda model: permute_neurons(model, torch.Generator().manual_seed(1)),
        lambda model: permute_residual(model, torch.Generator().manual_seed(1)),
        lambda model: rescale_neurons(model, 8.0, torch.Generator().manual_seed(1)),
        lambda model: rotate_residual(model, torch.Generator().manual_seed(1)),
    ],
    ids=["permute", "permute-residual", "rescale", "rotate"],
)
def test_changes_that_keep_the_function_leave_p_at_its_floor(change):
    model = wide()
    found = independence(model, changed(model, change), PASSAGES)
    assert found.p == FLOOR and found.matched_J.tolist() == [0, 1, 2, 3]
    assert np.diag(found.z_LJ).min() > 9


def test_turned_up_signals_are_still_known():
    """Up and down times -1 leave the function as it is too."""

    def turn(model):
        for layer in model.model.layers:
            layer.mlp.up_proj.weight[::2] *= -1
            layer.mlp.down_proj.weight[:, ::2] *= -1

    assert independence(wide(), changed(wide(), turn), PASSAGES).matched_J.tolist() == [0, 1, 2, 3]


def test_models_of_other_seeds_widths_and_depths_are_not_accused():
    models = [wide(seed, intermediate_size=width) for seed, width in enumerate((96, 80, 130, 96))]
    models.append(wide(9, num_hidden_layers=3))
    found = [independence(a, b, PASSAGES) for a, b in combinations(models, 2)]
    p = np.array([each.p for each in found])
    assert p.min() * len(p) > 0.05 and np.median(p) > 0.3
    assert all((each.matched_J == -1).all() for each in found) and found[3].z_LJ.shape == (4, 3)
    assert kstest(norm.sf(np.concatenate([each.z_LJ.ravel() for each in found])), "uniform").pvalue > 0.01
    assert found[0].layers_in_words == ["No layer of B matches a layer of A."]
    assert "Nothing here contradicts" in found[0].sentence


def without(model, layer):
    del model.model.layers[layer]


def doubled(model, layer):
    model.config.num_hidden_layers += 1
    kept = list(model.model.layers)
    model.model.layers = nn.ModuleList([*kept[: layer + 1], deepcopy(kept[layer]), *kept[layer + 1 :]])


def test_a_dropped_layer_is_named():
    found = independence(wide(), changed(wide(), lambda model: without(model, 2)), PASSAGES)
    assert found.matched_J.tolist() == [0, 1, 3]
    assert "Layer 2 of A matches no layer of B." in found.layers_in_words


def test_a_doubled_layer_is_named():
    found = independence(wide(), changed(wide(), lambda model: doubled(model, 1)), PASSAGES)
    assert found.matched_J.tolist() == [0, 1, 1, 2, 3]
    assert "Layer 1 of A stands 2 times in B, as layers 1 and 2." in found.layers_in_words


def test_a_splice_of_two_parents_is_named():
    """Two layers of the one in front of two of the other, whose neurons read another stream than at home."""
    a, b = wide(), wide(1)

    def splice(model):
        for layer in (2, 3):
            model.model.layers[layer] = deepcopy(b.model.model.layers[layer])

    found = independence(a, changed(a, splice), PASSAGES)
    assert found.matched_J.tolist() == [0, 1, -1, -1] and found.p == FLOOR
    assert found.layers_in_words == [
        "Layers 0 and 1 of B match layers 0 and 1 of A.",
        "Layers 2 and 3 of B match no layer of A.",
        "Layers 2 and 3 of A match no layer of B.",
    ]


def test_it_reads_in_blocks_and_either_way_round(monkeypatch):
    a, b = wide(), changed(wide(1, intermediate_size=128), lambda model: without(model, 0))
    whole = independence(a, b, PASSAGES)
    monkeypatch.setattr(testing, "BLOCK_BYTES", 1)
    assert testing._blocks(b, 100) == [[0], [1], [2]]
    np.testing.assert_array_equal(independence(a, b, PASSAGES).z_LJ, whole.z_LJ)
    np.testing.assert_array_equal(independence(b, a, PASSAGES).z_LJ, whole.z_LJ.T)


def test_few_neurons_suffice_where_the_other_model_lost_some():
    """Neurons of the narrower model are drawn, so that each has its partner in the other."""

    def prune(model):
        for layer in model.model.layers:
            layer.mlp.gate_proj.weight = nn.Parameter(layer.mlp.gate_proj.weight[::2])
            layer.mlp.up_proj.weight = nn.Parameter(layer.mlp.up_proj.weight[::2])
            layer.mlp.down_proj.weight = nn.Parameter(layer.mlp.down_proj.weight[:, ::2])

    small = changed(wide(), prune)
    found = independence(wide(), small, PASSAGES, neurons=32)
    assert found.neurons == 32 and found.matched_J.tolist()[0] == 0 and found.p == FLOOR


def test_layers_that_do_not_vary_are_refused():
    def silence(model):
        model.model.layers[1].mlp.gate_proj.weight[:80] = 0

    with pytest.raises(RequestError, match="16 neurons whose signals vary"):
        independence(changed(wide(), silence), wide(1), PASSAGES)


@pytest.mark.parametrize(("options", "sentence"), [({"neurons": 23}, "23 neurons"), ({"seed": -1}, "seed -1")])
def test_wrong_choices(options, sentence):
    with pytest.raises(RequestError, match=sentence):
        independence(wide(), wide(), PASSAGES, **options)


def test_the_result_in_a_table_and_in_json():
    found = independence(wide(), wide(1), PASSAGES)
    table = found.table()
    assert len(table) == 16 and not table.matched.any()
    assert table.z.to_numpy().reshape(4, 4) == pytest.approx(found.z_LJ)
    summary = found.summary()
    assert (
        summary["nominal_p"] == pytest.approx(min(1, norm.sf(found.z_LJ.max()) * 16)) and summary["layer_pairs"] == 16
    )
