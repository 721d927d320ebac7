"""Scores against re-derivations by hand and by other libraries; one pass for several methods."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from support.loading import loaded_tiny
from support.planted import matched_correlation, sparse_maps, subjects_from
from support.pruning_cases import PASSAGES, REQUEST
from support.tiny_models import HEADLESS, TINY_FAMILIES, UNGATED, mlp_width, starting_tokenizer

from fnet_core.activations.hooks import touching
from fnet_core.activations.reading import read_subjects, tokenize
from fnet_core.choices import DEFAULT_METHOD
from fnet_core.decomposition.layers import layer_networks
from fnet_core.decomposition.sketch import CorrelationSketch
from fnet_core.errors import RequestError
from fnet_core.models.modules import attention_projections, mlp_projections, weight_of
from fnet_core.pruning.calibration import Calibrator, Moments
from fnet_core.pruning.compensation import Factors
from fnet_core.pruning.criteria import beyond_networks, flap, largest_z, magnitude, standardized, wanda_sp
from fnet_core.pruning.factors import LayerFactors, find_factors
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.scores import KIND, ScoreRequest, Scores, find_scores
from fnet_core.storage import artifacts

WEIGHT = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]])
INPUTS = torch.tensor([[1.0, 2.0, 4.0], [-1.0, 0.0, 4.0], [3.0, 1.0, 4.0], [5.0, -3.0, 4.0]])
NO_START = torch.zeros(0, 3).double()
MOMENTS = Moments(INPUTS.double().mean(dim=0), INPUTS.double().var(dim=0, correction=0), NO_START)


def test_wanda_sp_by_hand():
    """Sums of abs weights 4, 2, 1.5; mean squares 9, 3.5, 16."""
    assert wanda_sp(WEIGHT, MOMENTS).tolist() == pytest.approx([4 * 3, 2 * 3.5**0.5, 1.5 * 4])


def test_flap_by_hand():
    """Squared weights 10, 4, 1.25; means 2, 0, 4; variances 5, 3.5, 0; then standardised within the layer."""
    raw = flap(WEIGHT, MOMENTS)
    assert raw.tolist() == pytest.approx([50, 14, 0])
    centre, spread = 64 / 3, np.std([50, 14, 0], ddof=1)
    assert standardized(raw).tolist() == pytest.approx([(v - centre) / spread for v in (50, 14, 0)])
    assert standardized(torch.ones(3)).tolist() == [0, 0, 0]


def test_magnitude_by_hand():
    """One unit of two channels: gate and up rows in one matrix, and its two output columns."""
    up = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    assert magnitude([up], torch.tensor([[5.0, 6.0]]), 1).tolist() == pytest.approx([35**0.5, 56**0.5])
    assert magnitude([up[:2]], torch.tensor([[5.0, 6.0]]), 2).tolist() == pytest.approx([66**0.5])


def test_what_networks_carry_counts_half_by_hand():
    """One network of variance 4: loadings 1, 0.5 and 0 carry 4, 1 and 0; own variance 2, 3, 5; means 1, 0, 2."""
    factors = Factors(
        torch.tensor([1.0, 0, 2]).double(),
        torch.tensor([[1.0, 0.5, 0]]).double(),
        torch.tensor([[4.0]]).double(),
        torch.tensor([2.0, 3, 5]).double(),
        NO_START,
    )
    expected = [4 * (2 + 2 + 1) ** 0.5, 2 * (3 + 0.5) ** 0.5, 1.5 * (5 + 4) ** 0.5]
    assert beyond_networks(WEIGHT, factors).tolist() == pytest.approx(expected)
    started = replace(factors, start_SN=torch.tensor([[2.0, 0, -3], [0, 1, 0]]).double())
    expected = [4 * (5 + 4) ** 0.5, 2 * (3.5 + 1) ** 0.5, 1.5 * (9 + 9) ** 0.5]
    assert beyond_networks(WEIGHT, started).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("method", ["wanda-sp", "flap", "networks", "fn"])
def test_heads_of_a_group_by_the_formula_on_their_channels(method):
    """Two groups of two heads of six channels in the second layer, from moments computed apart."""
    loaded = loaded_tiny("llama")
    reader = Calibrator(loaded, heads=True)
    for _ in reader.subjects(PASSAGES):
        pass
    moments = reader.result().attention_L[1]
    weight = attention_projections(loaded.model)[1].out.weight.double()
    factors = find_factors(loaded, PASSAGES, 5, heads=True).attention_L[1]
    found = find_scores(loaded, [method], REQUEST)[method].heads[1]
    if method == "wanda-sp":
        channels = weight.abs().sum(dim=0) * (moments.variance_N + moments.mean_N**2).sqrt()
        expected = channels.view(2, 12).sum(dim=1)
    elif method == "flap":
        channels = (weight.square().sum(dim=0) * moments.variance_N) ** 2
        expected = ((channels - channels.mean()) / channels.std()).view(2, 12).mean(dim=1)
    elif method == "networks":
        square = factors.own_N + factors.carried_N / 2 + factors.mean_N**2
        expected = (weight.abs().sum(dim=0) * square.sqrt()).view(2, 12).sum(dim=1)
    else:
        z_C, probes = torch.zeros(24), None
        for group in range(2):
            published = Calibrator(loaded, heads=True, signals="published")
            networks = layer_networks(
                published.subjects(PASSAGES[group::2]),
                published.signal_widths,
                5,
                devices=[torch.device("cpu")],
                seed=group,
                probes=probes,
                damped=True,
            )
            probes = [found.probes for found in networks]
            z_C = torch.maximum(z_C, networks[1].maps_KN[:, 80:].abs().amax(dim=0))
        expected = z_C.view(2, 12).amax(dim=1)
    assert found == pytest.approx(expected.numpy(), rel=1e-4)


def test_the_largest_z_is_over_networks_and_signals():
    maps = torch.tensor([[1.0, -5.0, 0.0, 2.0], [0.5, 1.0, -3.0, 4.0]])
    assert largest_z(maps, 2).tolist() == [3, 5]


def test_moments_hold_the_inputs_at_the_start_token_and_leave_it_out_of_the_mean():
    loaded, inputs = loaded_tiny(tokenizer=starting_tokenizer()), []
    with touching(loaded.model, "mlp", lambda layer, x: inputs.append(x[0].double())):
        loaded.model(tokenize(loaded, PASSAGES[0]).ids_T[None])
    reader = Calibrator(loaded)
    list(reader.subjects(PASSAGES))
    for moments, x_TN in zip(reader.result().mlp_L, inputs, strict=True):
        torch.testing.assert_close(moments.start_SN, x_TN[:1], atol=1e-5, rtol=1e-5)
    one = Calibrator(loaded)
    list(one.subjects(PASSAGES[:1]))
    torch.testing.assert_close(one.result().mlp_L[2].mean_N, inputs[2][1:].mean(dim=0), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_moments_are_those_of_the_captured_activations(family):
    loaded = loaded_tiny(family)
    subjects = torch.cat([s.activations_TN for s in read_subjects(loaded, PASSAGES, "mlp")]).double()
    with_heads = family not in HEADLESS
    reader = Calibrator(loaded, heads=with_heads)
    assert all(signals.shape[1] == 0 for signals in reader.subjects(PASSAGES))
    found = reader.result()
    width = subjects.shape[1] // 3
    for layer, moments in enumerate(found.mlp_L):
        block = subjects[:, layer * width : (layer + 1) * width]
        torch.testing.assert_close(moments.mean_N, block.mean(dim=0), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(moments.variance_N, block.var(dim=0, correction=0), atol=1e-6, rtol=1e-5)
    if not with_heads:
        with pytest.raises(RequestError, match="Site heads is not in every layer"):
            Calibrator(loaded, heads=True)
        return
    heads = torch.cat([s.activations_TN for s in read_subjects(loaded, PASSAGES, "heads")]).double()
    means = torch.stack([m.mean_N for m in found.attention_L]).unflatten(1, (4, -1)).mean(dim=2)
    torch.testing.assert_close(means.flatten(), heads.mean(dim=0), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_the_published_signals_make_up_the_neurons_input(family):
    """With a gate, up times activation is the input of the down-projection; without, the activation is."""
    loaded = loaded_tiny(family)
    gated = family not in UNGATED
    reader = Calibrator(loaded, signals="published")
    for subject, signals in zip(read_subjects(loaded, PASSAGES, "mlp"), reader.subjects(PASSAGES), strict=True):
        up, activation = signals.unflatten(1, (3, 2, mlp_width(family))).unbind(dim=2)
        expected = up * activation if gated else activation
        torch.testing.assert_close(expected.flatten(1), subject.activations_TN, atol=1e-6, rtol=1e-5)


def test_wanda_sp_of_a_model_is_the_formula_on_its_captured_inputs():
    loaded = loaded_tiny("qwen2")
    scores = find_scores(loaded, ["wanda-sp"], REQUEST)["wanda-sp"]
    x = torch.cat([s.activations_TN for s in read_subjects(loaded, PASSAGES, "mlp")])[:, 40:80]
    weight = mlp_projections(loaded.model)[1].down.weight
    expected = weight.abs().sum(dim=0) * x.square().mean(dim=0).sqrt()
    assert scores.mlp[1] == pytest.approx(expected.numpy(), rel=1e-4)
    assert [len(g) for g in scores.heads] == [2, 2, 2]


def test_layer_factors_are_least_squares_on_the_networks_activity():
    """Against scikit-learn's regression of the raw inputs on the activity; 42 probes hold all of 40 neurons."""
    loaded = loaded_tiny("llama")
    factors = find_factors(loaded, PASSAGES, components=14)
    reader = Calibrator(loaded, signals="inputs")
    networks = layer_networks(
        reader.subjects(PASSAGES), reader.signal_widths, 14, devices=[torch.device("cpu")], seed=0
    )
    layer = 2
    texts = [s.activations_TN[:, 80:].double().numpy() for s in read_subjects(loaded, PASSAGES, "mlp")]
    x = np.concatenate(texts)
    within = np.concatenate([text - text.mean(axis=0) for text in texts])
    activity = within / within.std(axis=0) @ np.linalg.pinv(networks[layer].maps_KN.double().numpy())
    covariance_KK = networks[layer].together()[0].numpy()
    np.testing.assert_allclose(covariance_KK, np.cov(activity.T, bias=True), rtol=1e-3, atol=1e-6)
    residual = x - LinearRegression().fit(activity, x).predict(activity)
    np.testing.assert_allclose(factors.mlp_L[layer].own_N.numpy(), residual.var(axis=0), rtol=5e-3, atol=1e-8)


def test_factors_survive_saving():
    loaded = loaded_tiny("llama")
    found = find_factors(loaded, PASSAGES, components=5, heads=True)
    again = find_factors(loaded, PASSAGES, components=5, heads=True)
    assert isinstance(again, LayerFactors) and len(again.attention_L) == 3
    torch.testing.assert_close(found.attention_L[1].loading_KN, again.attention_L[1].loading_KN, atol=0, rtol=0)


def test_layers_on_several_devices_give_what_one_gives():
    """Three planted layers of unequal width, on one device and on two: the same networks, and those planted."""
    maps_L = [sparse_maps(4, width, width // 12, width) for width in (240, 180, 300)]
    planted = [subjects_from(maps_KN, [90, 120, 100], 1.0, maps_KN.shape[1])[0] for maps_KN in maps_L]
    subjects = [torch.cat(layers, dim=1) for layers in zip(*planted, strict=True)]

    def maps(devices):
        return [n.maps_KN for n in layer_networks(subjects, (240, 180, 300), 4, devices=devices, seed=2)]

    one, two = maps([torch.device("cpu")]), maps([torch.device("cpu")] * 2)
    for a, b in zip(one, two, strict=True):
        assert matched_correlation(a, b)[0].min() > 0.999
    for found, maps_KN in zip(one, maps_L, strict=True):
        key_KN = maps_KN.sign() * (maps_KN.abs() > 2)  # z-scoring leaves of a map where it acts, and its sign
        assert matched_correlation(found, key_KN)[0].min() > 0.9


def test_a_failure_on_one_device_reaches_the_caller():
    def broken():
        yield torch.randn(12, 20, generator=torch.Generator().manual_seed(0))
        raise RequestError("the text ends here")

    with pytest.raises(RequestError, match="ends here"):
        layer_networks(broken(), (10, 10), 3, devices=[torch.device("cpu")] * 2)


def test_a_device_that_fails_does_not_hold_up_the_others(monkeypatch):
    def damaged(self, signals_TN):
        raise RequestError("no room left")

    subjects = [torch.randn(12, 20, generator=torch.Generator().manual_seed(i)) for i in range(9)]
    with monkeypatch.context() as patch, pytest.raises(RequestError, match="no room left"):
        patch.setattr(CorrelationSketch, "add", damaged)
        layer_networks(subjects, (10, 10), 3, devices=[torch.device("cpu")] * 2)
    with pytest.raises(RequestError, match="components"):
        layer_networks([torch.ones(12, 20)] * 9, (10, 10), 3, devices=[torch.device("cpu")] * 2)


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.of_layers])
def test_every_method_scores_every_neuron_and_group(method):
    loaded = loaded_tiny("gemma2")
    scores = find_scores(loaded, [method], REQUEST)[method]
    assert [len(s) for s in scores.mlp] == [40] * 3 and [len(s) for s in scores.heads] == [2] * 3
    assert all(np.isfinite(s).all() and len(np.unique(s)) > 1 for s in (*scores.mlp, *scores.heads))
    assert bool(scores.mean_mlp) == (METHODS[method].signals is not None)


def test_methods_share_passes_and_the_store_answers_again(monkeypatch):
    loaded = loaded_tiny("llama")
    read = []
    original = Calibrator.subjects

    def counted(self, passages, report=lambda *_: None):
        read.extend(p.name for p in passages)
        return original(self, passages, report)

    monkeypatch.setattr(Calibrator, "subjects", counted)
    first = find_scores(loaded, ["wanda-sp", "flap", "fn", "magnitude", "random"], REQUEST)
    assert sorted(read) == ["p0", "p1", "p2", "p3"]
    again = find_scores(loaded, list(first), REQUEST)
    assert len(read) == 4 and len(artifacts.list_artifacts(KIND)) == 5
    for method, scores in first.items():
        assert all((a == b).all() for a, b in zip(scores.mlp, again[method].mlp, strict=True))
        assert isinstance(again[method], Scores) and again[method].recipe == scores.recipe


def test_the_seed_decides_a_random_draw():
    loaded = loaded_tiny("llama")
    draws = [find_scores(loaded, ["random"], ScoreRequest(PASSAGES, seed=seed))["random"].mlp[0] for seed in (1, 1, 2)]
    assert (draws[0] == draws[1]).all() and (draws[0] != draws[2]).any()


def test_scoring_leaves_the_model_alone_and_nothing_half_saved():
    loaded = loaded_tiny("llama")
    before = {name: p.clone() for name, p in loaded.model.named_parameters()}

    def stop(stage, fraction):
        if stage == "separating":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_scores(loaded, ["fn"], REQUEST, stop)
    assert artifacts.list_artifacts(KIND) == []
    assert all(torch.equal(before[name], p) for name, p in loaded.model.named_parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.model.modules())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"passages": ()}, "no calibration text"),
        ({"components": 0}, "0 components are out of range"),
        ({"groups": 0}, "choose 1 or more"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_requests_are_sentences(change, sentence):
    with pytest.raises(RequestError, match=sentence):
        ScoreRequest(**({"passages": PASSAGES} | change))


def test_more_components_than_the_text_allows_and_unknown_methods():
    loaded = loaded_tiny("llama")
    with pytest.raises(RequestError, match="fewer components"):
        find_scores(loaded, ["networks"], ScoreRequest(PASSAGES, components=200))
    with pytest.raises(RequestError, match="no pruning method 'taylor'"):
        find_scores(loaded, ["taylor"], REQUEST)
    assert DEFAULT_METHOD in METHODS
    assert int(tokenize(loaded, PASSAGES[0]).text_T.sum()) > 50
    assert weight_of(mlp_projections(loaded.model)[0].down).shape == (24, 40)
