"""A form that needs no code: biases folded into kept weights, loaded by plain transformers, chosen where no worse."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny
from support.pruning_cases import PASSAGES, REQUEST
from support.schooled import save_schooled
from support.tiny_models import HEADS_NOT_IN_CONFIG, HEADS_STAY, TINY_FAMILIES, WIDTH_NOT_IN_CONFIG, tiny_tokenizer
from transformers import AutoModelForCausalLM

from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import Ratio, ratio
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.pruning import plain
from fnet_core.pruning.compensation import Factors, Replacement
from fnet_core.pruning.cutting import brings_code, cut
from fnet_core.pruning.export import export
from fnet_core.pruning.folding import constant_reader, fold_offset
from fnet_core.pruning.masking import masking, prepare
from fnet_core.pruning.plain import check_plain, leaving, plain_request
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.target import read_target

IDS = torch.tensor([[5, 9, 22, 7, 31, 14, 40, 12, 6, 8, 19]])
YARDSTICK = Yardstick(tuple(replace(p, text=p.text * 4) for p in PASSAGES[:3]), window=64)


@pytest.mark.parametrize("starts", [0, 1, 2])
def test_the_constant_is_read_off_by_least_squares(starts):
    """Against the dense normal equations in float64, with the start tokens as inputs of weight 1."""
    rng = np.random.default_rng(7)
    loading, spread = rng.normal(size=(3, 9)), rng.normal(size=(3, 3))
    prior, own, mean = spread @ spread.T + np.eye(3), rng.uniform(0.2, 2, 9), rng.normal(size=9)
    start = rng.normal(size=(starts, 9))
    keep = np.array([True, False, True, True, False, True, False, True, True])
    second = np.outer(mean, mean) + start.T @ start + loading.T @ prior @ loading + np.diag(own)
    wanted = mean + start.sum(axis=0)
    expected = np.zeros(9)
    expected[keep] = np.linalg.solve(second[np.ix_(keep, keep)], wanted[keep])
    factors = Factors(*(torch.from_numpy(part) for part in (mean, loading, prior, own, start)))
    np.testing.assert_allclose(constant_reader(factors, torch.from_numpy(keep)).numpy(), expected, atol=1e-10)


def test_a_folded_bias_is_the_bias_times_the_constant_read():
    rng = np.random.default_rng(8)
    parts = (rng.normal(size=6), rng.normal(size=(2, 6)), np.eye(2), rng.uniform(0.5, 1, 6), rng.normal(size=(1, 6)))
    factors, keep = Factors(*map(torch.from_numpy, parts)), torch.tensor([True, True, False, True, False, True])
    bias = Replacement(torch.where(keep, 0.0, 1.5))
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    folded = fold_offset(bias, factors, keep)
    constant_T = x.double() @ constant_reader(factors, keep)
    torch.testing.assert_close(folded.apply(x, keep)[:, ~keep], 1.5 * constant_T[:, None].float().expand(-1, 2))
    assert not folded.offset_N.any()


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_the_plain_form_is_loaded_without_code_and_computes_what_masking_does(family, tmp_path):
    loaded = loaded_tiny(family)
    heads = family not in (*HEADS_NOT_IN_CONFIG, *HEADS_STAY)
    asked = PlanRequest("random", 0.3, heads=heads)
    if family in WIDTH_NOT_IN_CONFIG:
        with pytest.raises(RequestError, match="has no field for the width of its MLPs; let it bring code"):
            check_plain(loaded, asked)
        return
    check_plain(loaded, asked)
    plan = plan_for(loaded, plain_request(asked), REQUEST.with_heads(heads))
    pruning = prepare(loaded, plan, "networks", REQUEST.with_heads(heads))
    assert pruning.bias_parameters == 0 and not brings_code(loaded.model, pruning)
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, pruning)
    smaller.save_pretrained(tmp_path / "plain")
    with masking(loaded, pruning), torch.no_grad():
        masked = loaded.model(input_ids=IDS).logits
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "plain").eval()
    assert not hasattr(again.config, "fnet_resized")
    with torch.no_grad():
        torch.testing.assert_close(again(input_ids=IDS).logits, masked, atol=1e-4, rtol=0)
    if family in ("llama", "gemma3_text", "gpt2"):
        half = AutoModelForCausalLM.from_pretrained(tmp_path / "plain", dtype=torch.bfloat16).eval()
        with torch.no_grad():
            rounded = half(input_ids=IDS).logits.float()
        assert (rounded - masked).norm() < 0.1 * masked.norm()
        for name, parameter in half.named_parameters():
            assert torch.equal(parameter, smaller.get_parameter(name).to(torch.bfloat16))
    cached, anew = (
        again.generate(IDS, max_new_tokens=4, do_sample=False, pad_token_id=0, use_cache=use) for use in (True, False)
    )
    assert torch.equal(cached, anew) and cached.shape[1] > IDS.shape[1]


@pytest.mark.parametrize("compensation", ["bias", "bias-sequential", "networks", "ridge"])
def test_every_compensation_is_folded(compensation):
    loaded = loaded_tiny("llama")
    plan = plan_for(loaded, plain_request(PlanRequest("random", 0.3)), REQUEST)
    own = prepare(loaded, replace(plan, request=replace(plan.request, folded=False)), compensation, REQUEST)
    pruning = prepare(loaded, plan, compensation, REQUEST)
    assert own.bias_parameters > 0 == pruning.bias_parameters and own.changes != pruning.changes
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, pruning)
    assert smaller.model.layers[1].mlp.down_proj.bias is None
    with masking(loaded, pruning), torch.no_grad():
        torch.testing.assert_close(smaller(input_ids=IDS).logits, loaded.model(input_ids=IDS).logits, atol=1e-4, rtol=0)


def test_a_bias_that_was_there_takes_what_compensation_adds():
    loaded = loaded_tiny("gpt2")
    plan = plan_for(loaded, plain_request(PlanRequest("random", 0.3)), REQUEST.with_heads(False))
    pruning = prepare(loaded, plan, "bias", REQUEST.with_heads(False))
    assert pruning.mlp_L[1].encode_NK is None and pruning.mlp_L[1].offset_N.any()
    assert not brings_code(loaded.model, pruning)


@pytest.fixture(scope="module")
def schooled(tmp_path_factory):
    return save_schooled(tmp_path_factory.mktemp("models") / "schooled", num_hidden_layers=6)


def both(loaded, **options):
    """The pruning asked for, with the usual layers whole, and what `leaving` makes of it."""
    asked = PlanRequest("wanda-sp", 0.1, compensation="bias")
    request = REQUEST.with_heads(False)
    pruning = prepare(loaded, plan_for(loaded, asked, request), "bias", request)
    return pruning, leaving(loaded, pruning, request, YARDSTICK, **({"form": "auto"} | options))


def test_the_plain_form_leaves_where_it_is_no_worse_and_its_cost_is_said_where_it_is(schooled, monkeypatch, tmp_path):
    asked, left = both(schooled)
    request = REQUEST.with_heads(False)
    own = plain.measure_pruning(schooled, asked, YARDSTICK)
    twin = prepare(schooled, plan_for(schooled, plain_request(asked.plan.request), request), "bias", request)
    expected = ratio(plain.measure_pruning(schooled, twin, YARDSTICK).pruned, own.pruned)
    assert left.cost.value == expected.value and left.cost.interval == expected.interval
    assert left.code is (expected.interval[0] > 1)
    for interval, code in (((0.9, 1.1), False), ((1.01, 1.1), True)):
        monkeypatch.setattr(plain, "ratio", lambda *_, interval=interval: Ratio(1.05, interval))
        _, found = both(schooled)
        assert found.code is code and brings_code(schooled.model, found.pruning) is code
        assert ("is no worse beyond the error" in found.sentence) is not code
        assert (1.05, found.summary()["needs_code"]) == (found.cost.value, code)
    _, kept = both(schooled, form="asked")
    assert kept.code and kept.cost is None and kept.sentence == ""
    monkeypatch.setattr(plain, "ratio", lambda *_: Ratio(1.0, (0.9, 1.1)))
    low = f"ppl<={own.pruned.value * (1 if expected.value > 1 else 0.5)}"
    _, missing = both(schooled, target=read_target(low))
    assert missing.code
    for left, code in ((twin.parameters, False), (twin.parameters - 1, True)):
        assert both(schooled, target=read_target(f"{left}params"))[1].code is code
    folder = export(schooled, both(schooled)[1].pruning, tmp_path / "plain")
    assert not (folder / "modeling_fnet.py").exists()
    assert "folded into the kept weights" in (folder / "README.md").read_text()


def test_layers_that_are_to_stay_whole_forbid_the_plain_form(schooled):
    request = REQUEST.with_heads(False)
    plan = plan_for(schooled, PlanRequest("wanda-sp", 0.1, protected=(1, 0), compensation="none"), request)
    left = leaving(schooled, prepare(schooled, plan, "none", request), request, YARDSTICK, "auto")
    assert left.code and left.cost is None


def test_whole_layers_have_a_plain_form_by_a_threshold_too():
    check_plain(loaded_tiny("gpt2", tokenizer=tiny_tokenizer()), PlanRequest("layer-random", threshold=0.3))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (PlanRequest("random", threshold=0.3), "A threshold leaves layers of unlike widths"),
        (PlanRequest("random", 0.3, heads=True), "cannot say that heads are missing"),
    ],
)
def test_what_has_no_plain_form_says_why(asked, sentence):
    with pytest.raises(RequestError, match=sentence):
        check_plain(loaded_tiny("gpt2", tokenizer=tiny_tokenizer()), asked)
