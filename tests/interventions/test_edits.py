"""Edits: exact, composable, restored; controls that match; files that come back."""

import math

import numpy as np
import pytest
import torch
from accelerate import disk_offload
from support.atlases import hand_atlas
from support.loading import loaded_tiny
from support.tiny_models import ALL_FAMILIES, MIXTURES, mixture_of, tiny_model

from fnet_core.activations.hooks import touching
from fnet_core.errors import RequestError
from fnet_core.interventions.controls import random_controls
from fnet_core.interventions.editing import affine, check_atlas, editing
from fnet_core.interventions.edits import Edit, edit_networks, parse_edits, save_edits
from fnet_core.models.families import FAMILIES
from fnet_core.models.modules import taps

IDS = torch.randint(4, 61, (2, 19), generator=torch.Generator().manual_seed(1))
SITES = ["mlp", "mlp_out", "residual", "heads"]


def logits(loaded, edits=()):
    with torch.no_grad(), editing(loaded, edits):
        return loaded.model(IDS).logits


@pytest.mark.parametrize(
    ("family", "site"), [(family, site) for family in ALL_FAMILIES for site in FAMILIES[family].sites]
)
def test_gain_one_and_leaving_are_bit_identical_and_gain_zero_is_not(family, site):
    loaded = loaded_tiny(family)
    untouched = loaded.model(IDS).logits
    neurons = tuple((layer, i) for layer in range(3) for i in (0, 2, 3))
    assert torch.equal(logits(loaded, [Edit(site, neurons, gain=1.0)]), untouched)
    assert not torch.equal(logits(loaded, [Edit(site, neurons, gain=0.0)]), untouched)
    assert torch.equal(loaded.model(IDS).logits, untouched)


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "phi3"])
def test_inhibiting_mlp_neurons_is_zeroing_their_column_of_the_down_projection(family):
    loaded = loaded_tiny(family)
    edited = logits(loaded, [Edit("mlp", ((0, 5), (2, 17), (2, 39)), gain=0.0)])
    cut = tiny_model(family)
    for layer, index in ((0, 5), (2, 17), (2, 39)):
        weight = taps(cut, "mlp")[layer].module.weight
        (weight if family == "gpt2" else weight.T)[index].zero_()
    torch.testing.assert_close(edited, cut(IDS).logits, atol=1e-5, rtol=1e-5)


def test_inhibiting_a_head_is_zeroing_its_block_of_the_output_projection():
    loaded = loaded_tiny("llama")
    cut = tiny_model("llama")
    cut.model.layers[1].self_attn.o_proj.weight[:, 12:18] = 0
    torch.testing.assert_close(
        logits(loaded, [Edit("heads", ((1, 2),), gain=0.0)]), cut(IDS).logits, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("family", MIXTURES)
def test_a_gain_on_an_expert_scales_its_probability_before_the_choice(family):
    """By hand: the router's probabilities scaled, the two largest kept and weighted as the configuration says."""
    loaded = loaded_tiny(family)
    block, router = mixture_of(loaded.model.model.layers[1])
    seen, made = {}, {}
    handles = [
        block.register_forward_pre_hook(lambda m, a: seen.__setitem__("hidden", a[0].reshape(-1, 24).clone())),
        block.register_forward_hook(lambda m, a, out: made.__setitem__("y", out[0] if isinstance(out, tuple) else out)),
    ]
    logits(loaded, [Edit("experts", ((1, 0), (1, 3)), gain=3.0), Edit("experts", ((1, 2),), gain=0.0)])
    for handle in handles:
        handle.remove()
    hidden = seen["hidden"]
    scores = hidden @ router.weight.T + (router.bias if family == "gpt_oss" else 0)
    scaled = scores.sigmoid() if family == "llama4_text" else scores.softmax(dim=1)
    scaled = scaled * torch.tensor([3.0, 1, 0, 3, 1])
    assert not torch.equal(scaled.topk(2).indices, scores.topk(2).indices)
    normalised = family in ("mixtral", "gpt_oss", "qwen3_moe", "qwen3_next")
    assert normalised == getattr(loaded.model.config, "norm_topk_prob", family != "llama4_text")
    expected = torch.zeros_like(hidden)
    for token in range(len(hidden)):
        weight, chosen = scaled[token].topk(2)
        weight = weight / weight.sum() if normalised else weight
        for share, expert in zip(weight, chosen, strict=True):
            if family == "llama4_text":  # an expert reads the token scaled, instead of being scaled itself
                gate, up = (share * hidden[token] @ block.experts.gate_up_proj[expert]).chunk(2)
                expected[token] += (up * torch.nn.functional.silu(gate)) @ block.experts.down_proj[expert]
                continue
            alone = block.experts(hidden[[token]], torch.tensor([[expert, expert]]), torch.tensor([[1.0, 0.0]]))[0]
            expected[token] += share * alone
    if hasattr(block, "shared_expert"):
        share = torch.sigmoid(block.shared_expert_gate(hidden)) if hasattr(block, "shared_expert_gate") else 1
        expected += share * block.shared_expert(hidden)
    torch.testing.assert_close(made["y"].reshape(-1, 24), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
def test_an_inhibited_expert_gives_the_logits_of_a_forward_whose_router_never_chooses_it(family, monkeypatch):
    """The routers of the layer rewritten: softmax, the expert's probability zeroed, two kept, their sum made 1."""
    loaded = loaded_tiny(family)
    untouched = logits(loaded)
    edited = logits(loaded, [Edit("experts", ((1, 3),), gain=0.0)])
    _, inhibited = mixture_of(loaded.model.model.layers[1])

    def forward(router, hidden):
        scores = hidden.reshape(-1, 24) @ router.weight.T
        shares = scores.softmax(dim=1)
        if router is inhibited:
            shares = shares * torch.tensor([1.0, 1, 1, 0, 1])
        weights, chosen = shares.sort(dim=1, descending=True)
        weights, chosen = weights[:, :2], chosen[:, :2]
        return scores, weights / weights.sum(dim=1, keepdim=True), chosen

    monkeypatch.setattr(type(inhibited), "forward", forward)
    torch.testing.assert_close(logits(loaded), edited, atol=1e-5, rtol=1e-5)
    assert (edited - untouched).abs().max() > 0.01
    inhibited = None
    torch.testing.assert_close(logits(loaded), untouched, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", MIXTURES)
def test_all_experts_inhibited_add_nothing(family):
    loaded = loaded_tiny(family)
    block, _ = mixture_of(loaded.model.model.layers[1])
    if hasattr(block, "shared_expert"):
        block.shared_expert.down_proj.weight.zero_()
    everything = Edit("experts", tuple((1, expert) for expert in range(5)), gain=0.0)
    assert torch.equal(
        logits(loaded, [everything]), logits(loaded, [Edit("mlp_out", tuple((1, i) for i in range(24)), gain=0.0)])
    )


def test_edits_compose_in_order():
    widths = (6, 6)
    first = Edit("mlp", ((0, 1), (0, 2)), gain=2.0, offset=1.0)
    second = Edit("mlp", ((0, 2), (1, 3)), gain=0.5, offset=-3.0)
    merged = affine([first, second], widths)
    assert merged[0][0].tolist() == [1, 2, 1, 1, 1, 1] and merged[0][1].tolist() == [0, 1, -2.5, 0, 0, 0]
    assert merged[1][0].tolist() == [1, 1, 1, 0.5, 1, 1] and merged[1][1].tolist() == [0, 0, 0, -3, 0, 0]
    loaded = loaded_tiny()
    together = logits(loaded, [first, second])
    with torch.no_grad(), editing(loaded, [first]), editing(loaded, [second]):
        nested = loaded.model(IDS).logits
    torch.testing.assert_close(together, nested, atol=1e-6, rtol=1e-6)


def test_edits_of_several_sites_together():
    loaded = loaded_tiny("gemma3_text")
    edits = [Edit("heads", ((0, 1),), 0.0), Edit("mlp", ((1, 4),), 3.0), Edit("residual", ((2, 7),), 1.0, 0.5)]
    with torch.no_grad(), editing(loaded, edits[:1]), editing(loaded, edits[1:2]), editing(loaded, edits[2:]):
        nested = loaded.model(IDS).logits
    assert torch.equal(logits(loaded, edits), nested)


@pytest.mark.parametrize("site", SITES)
def test_offloaded_models_are_edited_alike(site, tmp_path):
    edit = Edit(site, ((0, 1), (1, 3), (2, 2)), gain=0.25, offset=0.1)
    plain = logits(loaded_tiny("llama"), [edit])
    offloaded = loaded_tiny(model=disk_offload(tiny_model("llama"), tmp_path, execution_device=torch.device("cpu")))
    torch.testing.assert_close(logits(offloaded, [edit]), plain, atol=1e-6, rtol=1e-6)


def test_generation_with_a_cache_sees_the_edit_at_every_step():
    loaded = loaded_tiny()
    edit = Edit("mlp", tuple((1, i) for i in range(0, 40, 2)), gain=0.0)
    prompt = IDS[:1, :7]
    with torch.no_grad(), editing(loaded, [edit]):
        cached = loaded.model.generate(prompt, max_new_tokens=9, do_sample=False, use_cache=True)
        step_by_step = prompt
        for _ in range(9):
            choice = loaded.model(step_by_step, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)
            step_by_step = torch.cat([step_by_step, choice], dim=1)
    plain = loaded.model.generate(prompt, max_new_tokens=9, do_sample=False)
    assert torch.equal(cached, step_by_step[:, : cached.shape[1]])
    assert not torch.equal(cached, plain)


def test_controls_match_layer_by_layer_and_never_touch_what_is_edited():
    edits = [
        Edit("mlp", (*((0, i) for i in range(5)), (2, 9)), gain=0.0),
        Edit("mlp", ((0, 4), (0, 30), (1, 1)), gain=1.2),
    ]
    edited = {pair for edit in edits for pair in edit.neurons}
    sets = random_controls(edits, (40, 40, 40), 6, seed=3)
    assert len(sets) == 6 and sets == random_controls(edits, (40, 40, 40), 6, seed=3)
    assert sets != random_controls(edits, (40, 40, 40), 6, seed=4)
    assert len({control[0].neurons for control in sets}) == 6
    for controls in sets:
        drawn = {pair for control in controls for pair in control.neurons}
        assert not edited & drawn and len(drawn) == len(edited)
        assert len(set(controls[0].neurons) & set(controls[1].neurons)) == 1  # as the edits share neuron (0, 4)
        for edit, control in zip(edits, controls, strict=True):
            assert (control.gain, control.offset, control.site) == (edit.gain, edit.offset, edit.site)
            assert sorted(layer for layer, _ in control.neurons) == sorted(layer for layer, _ in edit.neurons)


def test_a_gain_in_half_precision_is_the_gain_that_was_asked_for():
    """1.003 is 1 in bfloat16; the product must be rounded, not the gain."""
    loaded = loaded_tiny()
    seen = {}
    edit = Edit("residual", tuple((1, i) for i in range(24)), gain=1.003)
    loaded.model.bfloat16()
    with torch.no_grad():
        with touching(loaded.model, "residual", lambda layer, x: seen.__setitem__(("before", layer), x.clone())):
            loaded.model(IDS)
        with (
            editing(loaded, [edit]),
            touching(loaded.model, "residual", lambda layer, x: seen.__setitem__(("after", layer), x.clone())),
        ):
            loaded.model(IDS)
    assert torch.equal(seen["after", 1], (seen["before", 1].double() * 1.003).bfloat16())
    assert not torch.equal(seen["after", 1], seen["before", 1])


def test_controls_that_cannot_be_drawn_are_refused():
    with pytest.raises(RequestError, match=r"Layer 1 has 4 neurons and 3 are edited"):
        random_controls([Edit("heads", ((1, 0), (1, 1), (1, 2)), 0.0)], (4, 4), 1, 0)
    with pytest.raises(RequestError, match="seed -1"):
        random_controls([Edit("heads", ((1, 0),))], (4, 4), 1, -1)
    with pytest.raises(RequestError, match="one site"):
        random_controls([Edit("heads", ((1, 0),)), Edit("mlp", ((1, 0),))], (4, 4), 1, 0)


def test_key_neurons_of_a_network_become_an_edit():
    atlas = hand_atlas()
    edit = edit_networks(atlas, [0], 2.9, gain=0.0)
    assert edit.neurons == ((0, 0), (0, 3), (1, 1), (2, 4)) and edit.site == "mlp"
    assert edit.name == "network 0 (abc · def)"
    assert edit_networks(atlas, [0, 1], 2.9).neurons == ((0, 0), (0, 3), (1, 0), (1, 1), (1, 5), (2, 4))
    with pytest.raises(RequestError, match="lower the threshold"):
        edit_networks(atlas, [2], 3.0)
    with pytest.raises(RequestError, match="no network 9"):
        edit_networks(atlas, [9], 3.0)


@pytest.mark.parametrize("gain", [-0.5, 101, math.nan, math.inf])
def test_impossible_gains(gain):
    with pytest.raises(RequestError, match=r"gain of .* is out of range"):
        Edit("mlp", ((0, 0),), gain)
    with pytest.raises(RequestError, match="offset"):
        Edit("mlp", ((0, 0),), 1.0, math.inf)


def test_neurons_that_the_model_does_not_have():
    loaded = loaded_tiny()
    for pair, sentence in (((3, 0), "no layer 3"), ((0, 40), "no neuron 40"), ((-1, 0), "no layer -1")):
        with pytest.raises(RequestError, match=sentence), editing(loaded, [Edit("mlp", (pair,), 0.0)]):
            pass


def test_an_atlas_of_another_model_is_named_with_its_digest():
    atlas = hand_atlas()
    atlas.recipe["model_digest"] = "abc123" * 8
    with pytest.raises(RequestError, match=r"found in hand-made \(abc123abc123\).*tiny-llama \(000000000000\)"):
        check_atlas(loaded_tiny(), atlas)


def test_saved_edits_come_back(tmp_path):
    edits = (Edit("mlp", ((1, 2), (0, 5)), 0.0, name="network 8"), Edit("heads", ((0, 1),), 1.5, -0.25))
    save_edits(tmp_path / "e.json", edits, {"model": "tiny"})
    back, recipe = parse_edits((tmp_path / "e.json").read_text("utf-8"))
    assert back == edits and recipe == {"model": "tiny"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '{"kind": "fnet-edits", "format": 1, "recipe": {}, "edits": 5}',
        '{"kind": "fnet-edits", "format": 1, "recipe": [], "edits": []}',
        '{"kind": "fnet-edits", "format": 1, "recipe": {}, "edits": [{"site": "mlp", "neurons": [[1e999, 0]]}]}',
        '{"kind": "fnet-edits", "format": 1, "recipe": {}, "edits": [{"site": "mlp"}]}',
    ],
)
def test_what_is_no_saved_edit(text):
    with pytest.raises(RequestError, match="not a"):
        parse_edits(text)


def test_edits_of_another_format_are_refused():
    with pytest.raises(RequestError, match="format 0"):
        parse_edits('{"kind": "fnet-edits", "format": 0, "recipe": {}, "edits": []}')


def test_indices_by_layer_are_sorted_and_unique():
    edit = Edit("mlp", ((1, 5), (0, 3), (1, 2), (1, 5)))
    assert {layer: i.tolist() for layer, i in edit.by_layer().items()} == {0: [3], 1: [2, 5]}
    assert isinstance(edit.by_layer()[0], np.ndarray)
