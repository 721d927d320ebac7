"""Captured activations against hidden states, a hand-written forward, and offloaded models."""

import pytest
import torch
from accelerate import cpu_offload, disk_offload
from support.loading import loaded_tiny
from support.tiny_models import ALL_FAMILIES, NO_MLP, starting_tokenizer, tiny_model
from torch.nn import functional as F

from fnet_core.activations.reading import Tokens, read_subjects, tokenize
from fnet_core.decomposition.canica import standardize
from fnet_core.errors import Cancelled, RequestError
from fnet_core.texts import Passage

PASSAGES = (
    Passage("one", "the tide came in at dawn.", "test"),
    Passage("two", "two boats, both old; neither sailed again (so they say).", "test"),
)


def ids_of(loaded, passage):
    return tokenize(loaded, passage).ids_T[None]


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_residual_subjects_are_the_hidden_states(family):
    loaded = loaded_tiny(family)
    for subject in read_subjects(loaded, PASSAGES, "residual"):
        with torch.no_grad():
            states = loaded.model(ids_of(loaded, subject.passage), output_hidden_states=True).hidden_states
        states = states[:-1] if family in NO_MLP else states[1:-1]  # Mamba leaves the embedding out
        expected = torch.cat([state[0] for state in states], dim=1)
        torch.testing.assert_close(subject.activations_TN[:, : expected.shape[1]], expected)
        assert subject.widths_L == (24, 24, 24)


def test_mlp_and_heads_of_the_first_layer_by_hand():
    loaded = loaded_tiny("llama")
    model = loaded.model
    layer, config = model.model.layers[0], model.config
    passage = PASSAGES[0]
    ids = ids_of(loaded, passage)
    x = model.model.embed_tokens(ids)
    normed = layer.input_layernorm(x)
    T = ids.shape[1]
    angles = torch.arange(T)[:, None] * (1.0 / 10000 ** (torch.arange(0, 6, 2) / 6))[None]
    cos, sin = torch.cat([angles.cos()] * 2, 1), torch.cat([angles.sin()] * 2, 1)

    def rotate(h):
        return h * cos + torch.cat([-h[..., 3:], h[..., :3]], -1) * sin

    q = rotate(layer.self_attn.q_proj(normed).view(T, 4, 6).transpose(0, 1))
    k = rotate(layer.self_attn.k_proj(normed).view(T, 2, 6).transpose(0, 1)).repeat_interleave(2, dim=0)
    v = layer.self_attn.v_proj(normed).view(T, 2, 6).transpose(0, 1).repeat_interleave(2, dim=0)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    weights = (q @ k.mT / 6**0.5).masked_fill(future, -torch.inf).softmax(-1)
    mixed = (weights @ v).transpose(0, 1)
    x = x + layer.self_attn.o_proj(mixed.reshape(1, T, 24))
    normed = layer.post_attention_layernorm(x)
    neurons = F.silu(layer.mlp.gate_proj(normed)) * layer.mlp.up_proj(normed)
    assert config.hidden_act == "silu"

    (heads,) = read_subjects(loaded, [passage], "heads")
    torch.testing.assert_close(heads.activations_TN[:, :4], mixed.mean(-1), atol=1e-5, rtol=1e-4)
    (mlp,) = read_subjects(loaded, [passage], "mlp")
    torch.testing.assert_close(mlp.activations_TN[:, :40], neurons[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("family", "site"),
    [
        *((family, site) for family in ("llama", "gpt2", "opt") for site in ("mlp", "mlp_out", "residual", "heads")),
        ("mixtral", "experts"),
        ("gpt_oss", "experts"),
    ],
)
def test_offloaded_models_give_the_same_activations(family, site, tmp_path):
    plain = list(read_subjects(loaded_tiny(family), PASSAGES, site))
    cpu = torch.device("cpu")
    on_disk = loaded_tiny(family, model=disk_offload(tiny_model(family), tmp_path, execution_device=cpu))
    in_memory = loaded_tiny(family, model=cpu_offload(tiny_model(family), execution_device=cpu))
    for loaded in (on_disk, in_memory):
        for expected, got in zip(plain, read_subjects(loaded, PASSAGES, site), strict=True):
            torch.testing.assert_close(got.activations_TN, expected.activations_TN, atol=1e-6, rtol=1e-6)


def test_the_language_model_head_is_not_computed():
    loaded = loaded_tiny("llama")

    def forbidden(*_):
        raise AssertionError("the head ran")

    loaded.model.lm_head.register_forward_pre_hook(forbidden)
    assert len(list(read_subjects(loaded, PASSAGES, "mlp"))) == 2


def test_start_tokens_are_read_by_the_model_but_are_no_part_of_the_subject():
    tokenizer = starting_tokenizer()
    with_start, without = loaded_tiny(tokenizer=tokenizer), loaded_tiny()
    tokens = tokenize(with_start, PASSAGES[0])
    assert tokens.ids_T[0] == tokenizer.bos_token_id and not tokens.text_T[0]
    assert (tokens.before_text, tokenize(without, PASSAGES[0]).before_text) == (1, 0)
    (a,) = read_subjects(with_start, PASSAGES[:1], "residual")
    (b,) = read_subjects(without, PASSAGES[:1], "residual")
    assert a.activations_TN.shape == b.activations_TN.shape
    assert a.offsets_T2.tolist() == b.offsets_T2.tolist()
    assert not torch.allclose(a.activations_TN, b.activations_TN, atol=1e-3)


def test_rows_of_the_text_wherever_special_tokens_stand():
    rows = torch.arange(10.0).view(5, 2)
    for text in ([0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 0, 1, 1]):
        kept = torch.tensor(text, dtype=torch.bool)
        assert torch.equal(Tokens(torch.arange(5), kept, torch.zeros(5, 2)).of_text(rows), rows[kept])


def test_subjects_stream_one_at_a_time():
    running = []
    loaded = loaded_tiny()
    loaded.model.model.register_forward_pre_hook(lambda m, a: running.append(1))
    subjects = read_subjects(loaded, PASSAGES, "mlp")
    next(subjects)
    assert len(running) == 1


def test_a_report_that_raises_stops_within_a_layer_and_leaves_no_hook():
    loaded = loaded_tiny()
    seen = []

    def report(stage, fraction):
        seen.append((stage, fraction))
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(read_subjects(loaded, PASSAGES, "mlp", report))
    assert seen == [("capturing", 0.0), ("capturing", pytest.approx(1 / 6))]
    assert not any(m._forward_pre_hooks for m in loaded.model.modules())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("", "has 0 token"), ("a", "has 1 token"), ("ab " * 60, r"has 180 tokens and tiny-llama reads at most 128")],
)
def test_texts_that_cannot_be_read(text, sentence):
    loaded = loaded_tiny()
    ran = []
    loaded.model.model.register_forward_pre_hook(lambda m, a: ran.append(1))
    with pytest.raises(RequestError, match=sentence):
        list(read_subjects(loaded, (*PASSAGES, Passage("bad", text, "test")), "mlp"))
    assert not ran


def test_activations_that_are_not_finite_are_refused_by_name():
    loaded = loaded_tiny()
    loaded.model.model.layers[1].mlp.up_proj.weight.data[3] = float("inf")
    with pytest.raises(RequestError, match="tiny-llama gives infinite activations at site mlp on the passage 'one'"):
        list(read_subjects(loaded, PASSAGES, "mlp"))


def test_subjects_that_share_memory_hold_the_same_numbers_until_the_next_is_asked_for():
    loaded = loaded_tiny("llama")
    apart = list(read_subjects(loaded, PASSAGES, "mlp"))
    places = set()
    for expected, got in zip(apart, read_subjects(loaded, PASSAGES, "mlp", reuse=True), strict=True):
        assert torch.equal(got.activations_TN, expected.activations_TN)
        places.add(got.activations_TN.data_ptr())
    assert len(places) == 1


def test_what_a_layer_shows_can_be_worked_on_as_it_passes():
    loaded = loaded_tiny("llama")
    apart = read_subjects(loaded, PASSAGES, "mlp")
    for expected, got in zip(apart, read_subjects(loaded, PASSAGES, "mlp", write=standardize, reuse=True), strict=True):
        torch.testing.assert_close(got.activations_TN, standardize(expected.activations_TN))
