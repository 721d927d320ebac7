"""Fingerprints of tiny models: what they hold, and that they survive changes that leave the function alone."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from support.fingerprints import hand_fingerprint, waves
from support.loading import loaded_tiny
from support.taking import ASK, LONG, SCORE, take
from support.tiny_models import HEADLESS, MIXTURES, tiny_model

from fnet_core.activations.reading import read_subjects
from fnet_core.derivation import symmetries
from fnet_core.evaluation.perplexity import measure
from fnet_core.lineage import taking
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.taking import (
    FingerprintRequest,
    bits_per_byte,
    compressor_bits_per_byte,
    key_weights,
    network_signals,
)
from fnet_core.texts import Passage


@pytest.fixture(scope="module")
def llama():
    return loaded_tiny(**LONG)


@pytest.fixture(scope="module")
def taken(llama, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FNET_HOME", str(tmp_path_factory.mktemp("home")))
        torch.set_num_threads(1)
        return take(llama)


def permuted(model, seed: int):
    """The same function with the residual stream's dimensions in another order."""
    changed = copy.deepcopy(model)
    order = torch.randperm(model.config.hidden_size, generator=torch.Generator().manual_seed(seed))
    body = changed.model
    for module in (body.embed_tokens, changed.lm_head):
        module.weight.data = module.weight.data[:, order]
    body.norm.weight.data = body.norm.weight.data[order]
    for layer in body.layers:
        readers = (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj)
        for module in (*readers, layer.mlp.gate_proj, layer.mlp.up_proj):
            module.weight.data = module.weight.data[:, order]
        for module in (layer.self_attn.o_proj, layer.mlp.down_proj):
            module.weight.data = module.weight.data[order]
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            norm.weight.data = norm.weight.data[order]
    return changed


def test_a_permuted_residual_stream_changes_nothing(llama):
    changed = permuted(llama.model, 3)
    ids = torch.arange(4, 50)[None]
    torch.testing.assert_close(changed(ids).logits, llama.model(ids).logits, atol=1e-4, rtol=0)
    assert not torch.equal(changed.lm_head.weight, llama.model.lm_head.weight)
    # as many networks as 72 random neurons determine
    before = take(llama, components=4)
    after = take(replace(llama, model=changed, name="permuted", digest="1" * 64), components=4)
    found = compare(before, after)
    assert found.score > 0.95
    assert found.layers.middle == pytest.approx(1, abs=1e-3) and found.curves.mean == pytest.approx(1)
    assert compare(before, take(replace(llama, model=tiny_model("llama", 9, **LONG)), components=4)).score < 0.8


@pytest.mark.parametrize("name", ["permute_neurons", "rescale_neurons"])
def test_neurons_in_another_order_or_scale_change_nothing(llama, name):
    changed = copy.deepcopy(llama.model)
    generator = torch.Generator().manual_seed(5)
    symmetries.permute_neurons(changed, generator) if name == "permute_neurons" else symmetries.rescale_neurons(
        changed, 3.0, generator
    )
    assert not torch.equal(changed.model.layers[1].mlp.up_proj.weight, llama.model.model.layers[1].mlp.up_proj.weight)
    before = take(llama, components=4)
    after = take(replace(llama, model=changed, name="changed", digest="1" * 64), components=4)
    assert compare(before, after).score > 0.95


def test_a_turned_residual_stream_leaves_the_networks_of_mlp_neurons(llama):
    """Networks are sets of the stream's dimensions, which a rotation mixes; neurons are what they were."""
    changed = copy.deepcopy(llama.model)
    symmetries.rotate_residual(changed, torch.Generator().manual_seed(5))
    score = {}
    for site in ("residual", "mlp"):
        before = take(llama, components=4, site=site)
        after = take(replace(llama, model=changed, name="turned", digest="1" * 64), components=4, site=site)
        score[site] = (found := compare(before, after)).score
        assert found.layers.middle == pytest.approx(1, abs=1e-3)
        assert found.independence is None or found.independence.p == found.independence.floor
    assert score["mlp"] > 0.95 and score["residual"] < 0.8


def test_against_itself_and_against_other_weights(llama, taken):
    assert compare(taken, taken).score == pytest.approx(1)
    other = take(replace(llama, model=tiny_model("llama", 9, **LONG)))
    assert compare(taken, other).score < 0.8


def test_another_architecture_and_tokenizer_share_the_grid(taken):
    other = take(loaded_tiny("gpt2", num_hidden_layers=5, **LONG))
    assert [len(g) for g in other.grids] == [len(g) for g in taken.grids] == [-(-len(p.text) // 4) for p in SCORE]
    found = compare(taken, other)
    assert found.layers.heatmap_LJ.shape == (3, 5) and 0 < found.score < 0.8


@pytest.mark.parametrize(("family", "site"), [(family, "residual") for family in MIXTURES] + [("olmoe", "experts")])
def test_mixtures_of_experts(family, site):
    loaded = loaded_tiny(family, **LONG)
    found = take(loaded, site=site)
    assert found.key_counts_KL.shape == (8, 3) and len(found.signals) == 5
    if family in HEADLESS:
        assert not found.curves_4L.any()
    else:
        layer = loaded.model.model.layers[2].self_attn
        spreads = [float(getattr(layer, f"{name}_proj").weight.double().std(correction=0)) for name in "qkvo"]
        np.testing.assert_allclose(found.curves_4L[:, 2], spreads, rtol=1e-5)
    assert compare(found, take(loaded, site=site)).score > 0.999


@pytest.mark.parametrize(
    ("family", "site"),
    [("qwen3_5_text", "mlp"), ("qwen3_5_text", "residual"), ("bamba", "mlp_out"), ("mamba", "residual")],
)
def test_models_without_attention_in_every_layer_have_no_weight_curves(family, site, tmp_path):
    loaded = loaded_tiny(family, **LONG | ({"seq_length": 4096} if family == "mamba" else {}))
    found = take(loaded, site=site)
    assert found.key_counts_KL.shape == (8, 3) and found.curves_4L.shape == (4, 3) and not found.curves_4L.any()
    found.save(tmp_path / "kept.fnf")
    compared = compare(found, Fingerprint.load(tmp_path / "kept.fnf"))
    assert compared.score > 0.999 and compared.curves.mean is None


def test_signals_by_hand(llama, taken):
    """Once more from the atlas's maps, one neuron at a time."""
    atlas = taking.compute_atlas(
        llama, FingerprintRequest("x", **ASK).atlas_request(), {"site": "residual", "scope": "model"}, halves=False
    )
    subject = next(iter(read_subjects(llama, SCORE[2:3], "residual")))
    activity = subject.activations_TN.double().numpy()
    z = (activity - activity.mean(axis=0)) / activity.std(axis=0)
    for k in (0, 5):
        weights = atlas.maps[0][k].astype(float)
        key = np.flatnonzero(np.abs(weights) > 1.8)
        assert len(key) == taken.key_counts_KL[k].sum() > 0
        series = sum(weights[n] * z[:, n] for n in key)
        np.testing.assert_allclose(taken.signals[2][k], (series - series.mean()) / series.std(), atol=4e-3)


def test_the_published_signal_is_the_mean_of_the_mask():
    maps = np.array([[5.0, -4.0, 0.5, 2.0], [0.1, 0.2, 0.3, -0.4]], dtype=np.float32)
    mean, weighted = (key_weights(maps, 1.5, signal) for signal in ("mean", "weighted"))
    torch.testing.assert_close(mean, torch.tensor([[1 / 3, 1 / 3, 0, 1 / 3], [0, 0, 0, 0]]))
    torch.testing.assert_close(weighted, torch.tensor([[5 / 11, -4 / 11, 0, 2 / 11], [0, 0, 0, 0]]))
    activations = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)) + 3
    expected = activations[:, [0, 1, 3]].mean(dim=1).double().numpy()
    signals = network_signals(activations, mean)
    np.testing.assert_allclose(signals[0], (expected - expected.mean()) / expected.std(), atol=2e-3)
    assert signals.dtype == np.float16 and not signals[1].any()


def test_signals_that_do_not_vary_become_zeros():
    activations = torch.full((9, 4), 1e4)
    activations[:, 3] += 1e-3 * torch.randn(9, generator=torch.Generator().manual_seed(1))
    assert not network_signals(activations, torch.full((1, 4), 0.25)).any()


def test_twice_the_same_bits(llama, taken):
    again = take(llama)
    unclocked = {"seconds": {}, "peak_memory_bytes": 0}
    assert replace(again, **unclocked).content_digest() == replace(taken, **unclocked).content_digest()


def test_sites_and_published_signal(llama):
    for changes in ({"site": "mlp"}, {"signal": "mean"}, {"site": "heads", "components": 5}):
        found = take(llama, **changes)
        assert found.grams_LU.shape[0] == 3 and found.signals[0].shape[0] == found.protocol["components"]


def test_how_well_it_reads(llama):
    expected = measure(llama, [replace(p, text=p.text[:400]) for p in SCORE[:4]], definition="byte")
    *_, result = expected
    assert bits_per_byte(llama, SCORE) == pytest.approx(np.log2(result.value))
    assert not take(llama).reads_probes
    # 0.85 of what bzip2 needs, 3.2 in a fingerprint made by hand
    reads = [hand_fingerprint(waves(9), bits_per_byte=bits).reads_probes for bits in (3.03, 3.05, 3.1, None)]
    assert reads == [True, False, False, True]
    # a repeated sentence compresses well, random letters badly
    dull = compressor_bits_per_byte([Passage("", "The same again. " * 200, "")])
    letters = "".join(np.random.default_rng(0).choice(list("abcdefghijklmnop"), 4000))
    assert dull < 0.3 and 4 < compressor_bits_per_byte([Passage("", letters, "")]) < 4.5


def test_a_file_holds_it_all_and_is_small(taken, tmp_path):
    path = tmp_path / "f.safetensors"
    taken.save(path)
    read = Fingerprint.load(path)
    assert read.content_digest() == taken.content_digest() and read.summary() == taken.summary()
    assert path.stat().st_size < 1_000_000
    assert compare(taken, read).score == pytest.approx(compare(taken, taken).score, abs=1e-6)


def test_the_recipe_names_the_device_that_the_model_is_on(llama, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(taking, "compute_atlas", lambda *_, **__: None)
    monkeypatch.setattr(taking, "compute_fingerprint", lambda *arguments: arguments[3])
    assert take(llama)["device"] == "cpu"


def test_float16_costs_no_accuracy():
    """Rank correlations of stored signals against those of the float64 originals."""
    rng = np.random.default_rng(3)
    activations = rng.normal(size=(230, 40)) * 10 ** rng.uniform(-2, 3, 40)
    weights = rng.normal(size=(12, 40))
    stored = network_signals(torch.from_numpy(activations).float(), torch.from_numpy(weights).float())
    exact = spearmanr(activations @ weights.T).statistic
    np.testing.assert_allclose(spearmanr(stored.T.astype(float)).statistic, exact, atol=1e-3)
