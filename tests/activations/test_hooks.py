"""Hooks are called where they should be, change what they should, and are gone afterwards."""

import pytest
import torch
from accelerate import disk_offload
from support.tiny_models import tiny_model

from fnet_core.activations.hooks import touching

IDS = torch.arange(4, 20)[None]


def hook_count(model) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_hooks_are_gone_after_an_exception_in_the_block_and_in_the_hook():
    model = tiny_model("llama")
    with pytest.raises(RuntimeError, match="in the block"), touching(model, "mlp", lambda layer, x: None):
        assert hook_count(model) == 3
        raise RuntimeError("in the block")
    assert hook_count(model) == 0

    def fail(layer, x):
        raise RuntimeError("in the hook")

    with pytest.raises(RuntimeError, match="in the hook"), touching(model, "residual", fail):
        model(IDS)
    assert hook_count(model) == 0


def test_hooks_are_gone_when_attaching_fails_halfway(monkeypatch):
    model = tiny_model("llama")
    last = model.model.layers[2].mlp.down_proj

    def refuse(hook):
        raise RuntimeError("no more hooks")

    monkeypatch.setattr(last, "register_forward_pre_hook", refuse)
    with pytest.raises(RuntimeError, match="no more hooks"), touching(model, "mlp", lambda layer, x: None):
        pass
    assert hook_count(model) == 0


def test_a_nested_failure_leaves_the_outer_context_working():
    model = tiny_model("gpt2")
    outer = []
    with torch.no_grad(), touching(model, "mlp", lambda layer, x: outer.append(layer)):
        with pytest.raises(ZeroDivisionError), touching(model, "heads", lambda layer, x: 1 / 0):
            model(IDS)
        outer.clear()
        model(IDS)
        assert outer == [0, 1, 2]
    assert hook_count(model) == 0


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "gemma3_text"])
@pytest.mark.parametrize("site", ["mlp", "mlp_out", "residual", "heads"])
def test_changing_one_layer_changes_the_logits_and_leaving_restores_them_bit_by_bit(family, site):
    model = tiny_model(family)
    with torch.no_grad():
        before = model(IDS).logits
        with touching(model, site, lambda layer, x: -0.5 * x if layer == 1 else None):
            changed = model(IDS).logits
        with touching(model, site, lambda layer, x: x * 1.0):
            unchanged = model(IDS).logits
        after = model(IDS).logits
    assert not torch.allclose(before, changed, atol=1e-3)
    assert torch.equal(before, unchanged) and torch.equal(before, after)


def test_the_context_opened_first_is_called_first():
    model = tiny_model("llama")
    calls = []
    with (
        torch.no_grad(),
        touching(model, "mlp", lambda layer, x: calls.append("outer")),
        touching(model, "mlp", lambda layer, x: calls.append("inner")),
    ):
        model(IDS)
    assert calls == ["outer", "inner"] * 3


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "opt"])
def test_hooks_work_on_a_disk_offloaded_model(family, tmp_path):
    plain = tiny_model(family)
    offloaded = disk_offload(tiny_model(family), tmp_path, execution_device=torch.device("cpu"))
    seen = {}

    def halve(layer, x):
        seen[layer] = x.clone()
        return x * 0.5

    with torch.no_grad():
        with touching(plain, "mlp", lambda layer, x: x * 0.5):
            expected = plain(IDS).logits
        with touching(offloaded, "mlp", halve):
            got = offloaded(IDS).logits
    assert sorted(seen) == [0, 1, 2]
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)
