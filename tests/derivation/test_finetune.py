"""Training on a text: the loss falls on it, only what may change changes, and the seed decides."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny
from support.tiny_models import tiny_model
from torch.nn import functional as F

from fnet_core.derivation.finetune import fine_tune, rate_factor, sample_windows, train
from fnet_core.derivation.lora import adapters
from fnet_core.derivation.training import Training
from fnet_core.derivation.weights import linear_maps
from fnet_core.errors import RequestError

SENTENCE = "the quick brown fox jumps over the lazy dog, again and again. "
SHORT = Training(steps=12, learning_rate=3e-3, window=24, batch=2, rank=3)


@pytest.fixture
def text(tmp_path):
    (tmp_path / "fox.txt").write_text(SENTENCE * 6)
    return str(tmp_path / "fox.txt")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def loss_on(loaded):
    """Mean negative log-likelihood of the sentence, written out."""
    ids = torch.tensor(loaded.tokenizer(SENTENCE)["input_ids"])
    with torch.no_grad():
        logits = loaded.model(ids[None]).logits[0]
    return float(F.nll_loss(F.log_softmax(logits[:-1], dim=-1), ids[1:]))


@pytest.mark.parametrize("how", ["finetune", "lora"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_training_lowers_the_loss_on_its_text_and_the_seed_decides(how, family, text):
    loaded, same, other = loaded_tiny(family), loaded_tiny(family), loaded_tiny(family)
    before = loss_on(loaded)
    facts = fine_tune(loaded, text, how, SHORT, 5)
    fine_tune(same, text, how, SHORT, 5)
    fine_tune(other, text, how, SHORT, 6)
    assert loss_on(loaded) < before - 0.1
    assert facts["loss"][1] < facts["loss"][0] and facts["text_tokens"] == len(SENTENCE * 6)
    weights = [parameter.clone() for parameter in loaded.model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(weights, same.model.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights, other.model.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_lora_changes_linear_maps_of_the_layers_alone_by_matrices_of_its_rank(family, text):
    loaded = loaded_tiny(family)
    fine_tune(loaded, text, "lora", SHORT, 0)
    before = dict(tiny_model(family).named_parameters())
    changed = {
        name: p - before[name] for name, p in loaded.model.named_parameters() if not torch.equal(p, before[name])
    }
    assert len(changed) == len(list(linear_maps(loaded.model))) > 0
    for difference in changed.values():
        singular = np.linalg.svd(difference.numpy(), compute_uv=False)
        assert singular[0] > 1e-4 and singular[3:].max() < 1e-3 * singular[0]


def test_merged_adapters_compute_what_the_hooks_did():
    model = tiny_model("llama")
    ids = torch.randint(4, 61, (1, 13), generator=seeded(1))
    plain = model(ids).logits
    with adapters(model, 2, seeded(2)) as added:
        assert torch.equal(model(ids).logits, plain)
        for adapter in added:
            torch.nn.init.normal_(adapter.up, std=0.1, generator=seeded(3))
        with torch.no_grad():
            hooked = model(ids).logits
    assert torch.equal(model(ids).logits, plain) and not torch.allclose(hooked, plain, atol=1e-2)
    for adapter in added:
        adapter.merge()
    torch.testing.assert_close(model(ids).logits, hooked, atol=1e-5, rtol=1e-5)


def test_adapters_come_off_when_the_work_fails():
    model = tiny_model("opt")
    ids = torch.randint(4, 61, (1, 13), generator=seeded(1))
    plain = model(ids).logits
    with pytest.raises(RuntimeError), adapters(model, 2, seeded(2)) as added:
        for adapter in added:
            torch.nn.init.ones_(adapter.up)
        raise RuntimeError
    assert torch.equal(model(ids).logits, plain)


def test_one_step_is_that_of_adamw_on_clipped_gradients():
    """The oracle: AdamW's first step moves each weight by the rate against its gradient's sign, after decay."""
    model, ids = tiny_model("llama").requires_grad_(True), torch.arange(4, 44)
    head = model.lm_head.weight
    start = head.detach().clone()
    model(input_ids=ids[None], labels=ids[None]).loss.backward()
    sign = head.grad.sign()
    model.zero_grad()
    clear = sign != 0
    assert clear.float().mean() > 0.5
    train(model, [head], ids, (), Training(steps=1, window=40, learning_rate=1e-3), seeded(0))
    moved = (head.detach() - start * (1 - 1e-3 * 0.01))[clear]
    assert torch.allclose(moved, -1e-3 * sign[clear], atol=2e-5)


def test_the_rate_warms_up_and_falls_to_a_tenth():
    factors = [rate_factor(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.55) and 0.1 < factors[99] < 0.101
    assert sorted(factors[10:], reverse=True) == factors[10:]
    assert all(math.isfinite(rate_factor(0, steps)) for steps in (1, 2, 3))


def test_windows_are_stretches_of_the_text_behind_the_start_tokens():
    windows = sample_windows(torch.arange(100, 150), (1, 2), Training(window=12, batch=7), seeded(0))
    assert windows.shape == (7, 12) and (windows[:, :2] == torch.tensor([1, 2])).all()
    assert (windows[:, 2:].diff(dim=1) == 1).all() and len(windows[:, 2].unique()) > 1
    whole = sample_windows(torch.arange(100, 105), (1,), Training(window=12, batch=1), seeded(0))
    assert whole.tolist() == [[1, 100, 101, 102, 103, 104]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 0}, "number of steps, 0, is out of range"),
        ({"batch": -1}, "number of windows per step, -1, is out of range"),
        ({"window": 1}, "window of 1 tokens"),
        ({"learning_rate": 0.0}, "learning rate 0 is out of range"),
        ({"learning_rate": math.nan}, "learning rate nan is out of range"),
    ],
)
def test_numbers_out_of_range(change, sentence):
    with pytest.raises(RequestError, match=sentence):
        replace(Training(), **change).check()


@pytest.mark.parametrize(
    ("change", "how", "sentence"),
    [
        ({"window": 200}, "finetune", "reads 128"),
        ({"rank": 0}, "lora", "rank 0 is out of range; choose 1 to 11"),
        ({"rank": 12}, "lora", "rank 12 is out of range"),
    ],
)
def test_what_does_not_fit_the_model(change, how, sentence, text):
    with pytest.raises(RequestError, match=sentence):
        fine_tune(loaded_tiny(), text, how, replace(SHORT, **change), 0)


def test_a_text_of_a_few_words_and_a_loss_that_explodes(tmp_path, text):
    (tmp_path / "few.txt").write_text("three small words")
    with pytest.raises(RequestError, match="has 17 tokens; give at least 32"):
        fine_tune(loaded_tiny(), str(tmp_path / "few.txt"), "finetune", SHORT, 0)
    loaded = loaded_tiny()
    loaded.model.lm_head.weight.fill_(math.inf)
    with pytest.raises(RequestError, match=r"infinite at step 1 with the learning rate 0\.003"):
        fine_tune(loaded, text, "finetune", SHORT, 0)
