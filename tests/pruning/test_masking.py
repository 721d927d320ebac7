"""What stands in for removed inputs, masking that restores, measuring, curves, survival, speed."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.atlases import hand_atlas
from support.loading import loaded_tiny
from support.pruning_cases import PASSAGES, REQUEST, random_scores, request_for, uneven_plan
from support.tiny_models import TINY_FAMILIES, mlp_width, starting_tokenizer

from fnet_core.activations.hooks import touching
from fnet_core.activations.reading import read_subjects, tokenize
from fnet_core.errors import Cancelled, RequestError
from fnet_core.evaluation.speed import compare_speed
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.models.modules import mlp_projections
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.calibration import Moments
from fnet_core.pruning.compensation import Factors, Replacement, layer_factors, mean_replacement, network_replacement
from fnet_core.pruning.curves import curves
from fnet_core.pruning.cutting import cut
from fnet_core.pruning.masking import keep_masks, known_pruned_perplexity, masking, prepare, pruned_estimates
from fnet_core.pruning.measuring import measure_pruning
from fnet_core.pruning.plan import make_plan, plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import find_scores
from fnet_core.pruning.survival import network_survival

YARDSTICK = Yardstick(tuple(replace(p, text=p.text * 8) for p in PASSAGES[:3]), window=64)
IDS = torch.tensor([[5, 9, 22, 7, 31, 14, 40, 12, 6, 8, 19]])


@pytest.mark.parametrize("starts", [0, 1, 2])
def test_the_expectation_given_the_kept_inputs_is_the_conditional_gaussian_mean(starts):
    """Against the textbook formula on the whole covariance matrix of the factor model, start tokens as factors."""
    rng = np.random.default_rng(5)
    loading, spread = rng.normal(size=(3, 9)), rng.normal(size=(3, 3))
    prior, own, mean = spread @ spread.T + np.eye(3), rng.uniform(0.2, 2, 9), rng.normal(size=9)
    start = rng.normal(size=(starts, 9))
    spikes = start - mean
    whole = loading.T @ prior @ loading + spikes.T @ spikes + np.diag(own)
    keep = np.array([True, False, True, True, False, True, False, True, True])
    x = rng.normal(size=(4, 9))
    expected = mean[~keep] + (x[:, keep] - mean[keep]) @ np.linalg.solve(
        whole[np.ix_(keep, keep)], whole[np.ix_(keep, ~keep)]
    )
    factors = Factors(*(torch.from_numpy(part) for part in (mean, loading, prior, own, start)))
    found = network_replacement(factors, torch.from_numpy(keep)).apply(
        torch.from_numpy(x).float(), torch.from_numpy(keep)
    )
    np.testing.assert_allclose(found[:, ~keep].numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(found[:, keep].numpy(), x[:, keep], atol=1e-6)


def test_folding_computes_what_replacing_computes():
    generator = torch.Generator().manual_seed(1)
    weight, x = torch.randn(5, 7, generator=generator), torch.randn(6, 7, generator=generator)
    keep = torch.tensor([True, True, False, True, False, True, True])
    encode, decode = torch.randn(7, 2, generator=generator), torch.randn(2, 7, generator=generator)
    replacement = Replacement(
        torch.where(keep, 0.0, 0.7), torch.where(keep[:, None], encode, 0), torch.where(keep, 0, decode)
    )
    before = x.clone()
    folded, bias = replacement.fold(weight, keep)
    expected = replacement.apply(x, keep).double() @ weight.double().T
    torch.testing.assert_close(x[:, keep].double() @ folded.T + bias, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(x, before) and folded.shape == (5, 5)


def test_a_constant_input_has_no_say_in_the_networks():
    mean, variance, no_start = torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 0, 4]), torch.zeros(0, 3)
    moments = Moments(mean.double(), variance.double(), no_start.double())
    factors = layer_factors(moments, torch.eye(1).double(), torch.tensor([[0.5, 0.0, 1.0]]).double())
    assert factors.own_N.tolist() == pytest.approx([0.75, 0, 3])
    assert factors.carried_N.tolist() == pytest.approx([0.25, 0, 1])
    found = network_replacement(factors, torch.tensor([True, True, False]))
    assert torch.isfinite(found.encode_NK).all() and found.encode_NK[1, 0] == 0


@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_what_stands_in_for_the_start_token_is_nearly_right(family):
    """The start token's own inputs come back; with means alone they do not."""
    loaded = loaded_tiny(family, tokenizer=starting_tokenizer())
    plan, inputs = uneven_plan(loaded), []
    with touching(loaded.model, "mlp", lambda layer, x: inputs.append(x[0, 0].clone())):
        loaded.model(tokenize(loaded, PASSAGES[1]).ids_T[None])
    keep = torch.from_numpy(plan.keep_mlp[2])
    wrong = {}
    for compensation in ("bias", "networks"):
        stand_in = prepare(loaded, plan, compensation, REQUEST).mlp_L[2]
        wrong[compensation] = float((stand_in.apply(inputs[2][None], keep) - inputs[2])[0].norm())
    assert wrong["networks"] < 0.1 * wrong["bias"]


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_sequential_means_are_those_of_a_model_cut_so_far(family):
    """Against cutting the earlier layers for good, with their means, and reading the next layer's inputs."""
    loaded = loaded_tiny(family)
    plan = uneven_plan(loaded)
    pruning = prepare(loaded, plan, "bias-sequential", request_for(family))
    smaller = copy.deepcopy(loaded.model)
    first = replace(plan, keep_mlp=(*plan.keep_mlp[:2], np.ones(mlp_width(family), dtype=bool)))
    cut(smaller, replace(pruning, plan=first))
    subjects = [s.activations_TN for s in read_subjects(replace(loaded, model=smaller), PASSAGES, "mlp")]
    means = torch.cat(subjects)[:, -mlp_width(family) :].mean(dim=0)
    keep = torch.from_numpy(plan.keep_mlp[2])
    torch.testing.assert_close(pruning.mlp_L[2].offset_N[~keep], means[~keep], atol=1e-5, rtol=1e-4)
    unpruned = prepare(loaded, plan, "bias", request_for(family))
    assert (unpruned.mlp_L[2].offset_N - pruning.mlp_L[2].offset_N).abs().max() > 1e-5


def test_masking_restores_after_an_error_and_nests():
    loaded = loaded_tiny("llama")
    before = loaded.model(input_ids=IDS).logits
    pruning = prepare(loaded, uneven_plan(loaded), "bias", REQUEST)
    with pytest.raises(ZeroDivisionError), masking(loaded, pruning), masking(loaded, pruning):
        raise ZeroDivisionError
    assert torch.equal(loaded.model(input_ids=IDS).logits, before)


def test_the_estimate_grows_and_is_not_measured_again(monkeypatch):
    loaded = loaded_tiny("llama")
    plan = uneven_plan(loaded)
    pruning = prepare(loaded, plan, "none", REQUEST)
    published = []
    result = measure_pruning(loaded, pruning, YARDSTICK, publish=published.append)
    windows = [len(p.pruned.nll_W) for p in published]
    assert windows == sorted(windows) and windows[0] < windows[-1] == result.pruned.total_windows
    assert result.done and result.effect.value == pytest.approx(result.pruned.value / result.baseline.value)
    monkeypatch.setattr("fnet_core.evaluation.yardstick.measure", None)
    assert known_pruned_perplexity(loaded, YARDSTICK, plan, "none", REQUEST).value == result.pruned.value
    assert known_pruned_perplexity(loaded, YARDSTICK, plan, "bias", REQUEST) is None
    assert measure_pruning(loaded, pruning, YARDSTICK).pruned.value == result.pruned.value


def test_perplexity_under_masks_is_that_of_the_cut_model():
    loaded = loaded_tiny("qwen3")
    pruning = prepare(loaded, uneven_plan(loaded), "networks", REQUEST)
    *_, masked = pruned_estimates(loaded, YARDSTICK, pruning)
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, pruning)
    empty = replace(loaded, model=smaller, digest="2" * 64)
    plan = make_plan(anatomy(empty), random_scores(empty), PlanRequest("random", 0.0, protected=(0, 0)))
    *_, physical = pruned_estimates(empty, YARDSTICK, prepare(empty, plan, "none", REQUEST))
    assert physical.value == pytest.approx(masked.value, rel=1e-5)


def test_a_ratio_of_zero_is_the_untouched_model_whatever_the_compensation():
    loaded = loaded_tiny("llama")
    plan = make_plan(anatomy(loaded), random_scores(loaded), PlanRequest("random", 0.0, protected=(0, 0)))
    pruning = prepare(loaded, plan, "networks", REQUEST)
    with masking(loaded, pruning):
        inside = loaded.model(input_ids=IDS).logits
    assert torch.equal(inside, loaded.model(input_ids=IDS).logits) and plan.removes_nothing


def kept_perplexities(loaded, method, ratios, template):
    """What the store has of a method, by ratio."""
    found = {}
    for ratio in ratios:
        plan = plan_for(loaded, replace(template, method=method, ratio=ratio), REQUEST)
        if known := known_pruned_perplexity(loaded, YARDSTICK, plan, template.compensation, REQUEST):
            found[ratio] = known.value
    return found


def test_curves_keep_what_was_measured_and_say_what_cannot_be():
    loaded = loaded_tiny("llama")
    template, possible = PlanRequest(ratio=0.0, protected=(1, 0)), (0.1, 0.3)
    assert kept_perplexities(loaded, "random", possible, template) == {}
    published = []
    asked = loaded, ["random", "wanda-sp"], (*possible, 0.9), template, REQUEST, YARDSTICK
    points = curves(*asked, publish=published.append)
    assert [(p.method, p.ratio) for p in points[:2]] == [("random", 0.1), ("wanda-sp", 0.1)]
    assert all(p.perplexity for p in points[:4])
    assert all("may be pruned" in p.problem and p.perplexity is None for p in points[4:])
    for method in ("random", "wanda-sp"):
        measured = {p.ratio: p.perplexity.value for p in points[:4] if p.method == method}
        assert kept_perplexities(loaded, method, possible, template) == measured
    assert len(published[0]) == 1


def test_a_cancelled_curve_goes_on_where_it_was_stopped():
    loaded = loaded_tiny("llama")
    ratios, template = (0.1, 0.2), PlanRequest(ratio=0.0, protected=(0, 0))

    def stop(stage, fraction):
        if stage == "measuring" and fraction > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        curves(loaded, ["random"], ratios, template, REQUEST, YARDSTICK, stop)
    assert list(kept_perplexities(loaded, "random", ratios, template)) == [0.1]
    with pytest.raises(RequestError, match="no pruning method"):
        curves(loaded, ["best"], ratios, template, REQUEST, YARDSTICK)


def test_survival_by_hand():
    """Network 0 of the hand-made atlas against a plan that takes its strongest neuron."""
    loaded = loaded_tiny("llama", intermediate_size=6)
    atlas = replace(hand_atlas(), widths_L=(6, 6, 6), maps=(np.zeros((2, 18), dtype=np.float32),), labels=("a", "b"))
    atlas.maps[0][0, [0, 7, 8]] = 5, -4, 1
    atlas.maps[0][1, 3] = 2
    atlas = replace(atlas, recipe=atlas.recipe | {"model_digest": loaded.digest, "site": "mlp", "scope": "model"})
    plan = make_plan(anatomy(loaded), random_scores(loaded), PlanRequest("random", 0.0, protected=(0, 0)))
    keep = [k.copy() for k in plan.keep_mlp]
    keep[0][0] = keep[2][3] = False
    found = network_survival(atlas, replace(plan, keep_mlp=tuple(keep)), 3.0)
    assert found.key_neurons_K.tolist() == [2, 0]
    assert found.kept_K[0] == 0.5 and np.isnan(found.kept_K[1])
    assert found.kept_energy_K[0] == pytest.approx(17 / 42) and found.overall == pytest.approx(16 / 18)
    assert found.table()[0]["kept"] == 0.5
    other = replace(atlas, recipe=atlas.recipe | {"model_digest": "9" * 64})
    with pytest.raises(RequestError, match="another model"):
        network_survival(other, plan, 3.0)
    with pytest.raises(RequestError, match="at site mlp"):
        network_survival(replace(atlas, recipe=atlas.recipe | {"site": "heads"}), plan, 3.0)


def test_speed_is_measured_on_both_in_turns():
    loaded = loaded_tiny("llama")
    calls = []
    smaller = copy.deepcopy(loaded.model)
    for name, model in (("before", loaded.model), ("after", smaller)):
        model.register_forward_hook(lambda *_, name=name: calls.append(name))
    speed = compare_speed(loaded.model, smaller, tokens=9, written=2, rounds=2)
    assert calls == (["before"] * 3 + ["after"] * 3) * 3
    assert min(speed.reading_before, speed.reading_after, speed.writing_before, speed.writing_after) > 0


def test_means_stand_in_where_inputs_are_removed():
    mean = torch.tensor([1.0, -2.0, 3.0])
    keep = torch.tensor([True, False, True])
    x = torch.full((2, 3), 9.0)
    assert mean_replacement(mean, keep).apply(x, keep).tolist() == [[9, -2, 9], [9, -2, 9]]


def test_neither_scores_nor_masks_change_the_model():
    loaded = loaded_tiny("phi3")
    before = {name: p.clone() for name, p in loaded.model.named_parameters()}
    scores = find_scores(loaded, ["networks"], REQUEST)["networks"]
    plan = make_plan(anatomy(loaded), scores, PlanRequest("networks", 0.3, protected=(0, 0), heads=True))
    for compensation in ("bias-sequential", "networks"):
        with masking(loaded, prepare(loaded, plan, compensation, REQUEST)):
            loaded.model(input_ids=IDS)
    assert all(torch.equal(before[name], p) for name, p in loaded.model.named_parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.model.modules())
    assert [len(k) for k in keep_masks(plan)[1]] == [24] * 3 and len(mlp_projections(loaded.model)) == 3
