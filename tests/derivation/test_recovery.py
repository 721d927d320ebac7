"""Training a pruned model: perplexity falls, the saved folder has it, and what is stopped leaves nothing."""

from dataclasses import replace

import pytest
import torch
from support.pruning_cases import PASSAGES, REQUEST
from support.schooled import save_schooled

from fnet_core.derivation.recovering import RecoveryRequest
from fnet_core.derivation.recovery import LOOKS, random_twin, recover, told
from fnet_core.derivation.training import Training
from fnet_core.errors import Cancelled, RequestError
from fnet_core.evaluation.perplexity import measure
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.models import loading as models
from fnet_core.pruning.export import export, read_recipe
from fnet_core.pruning.masking import prepare
from fnet_core.pruning.measuring import measure_pruning
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.texts import Passage

YARDSTICK = Yardstick(tuple(replace(p, text=p.text * 3) for p in PASSAGES[:2]), window=64)
TRAINING = Training(steps=20, learning_rate=3e-3, window=48, batch=4, rank=4)
SCORED = REQUEST.with_heads(False)


@pytest.fixture(scope="module")
def schooled(tmp_path_factory):
    return save_schooled(tmp_path_factory.mktemp("models") / "schooled")


@pytest.fixture(scope="module")
def pruning(schooled):
    asked = PlanRequest("wanda-sp", 0.5, protected=(0, 0), compensation="bias")
    return prepare(schooled, plan_for(schooled, asked, SCORED), "bias", SCORED)


def wanted(how="lora", **changes):
    return RecoveryRequest(PASSAGES, replace(TRAINING, **changes), how)


@pytest.mark.parametrize("how", ["lora", "finetune"])
def test_training_lowers_the_perplexity_and_the_saved_model_has_it(schooled, pruning, tmp_path, how):
    published = []
    found = recover(schooled, pruning, wanted(how), YARDSTICK, publish=published.append)
    measured = measure_pruning(schooled, pruning, YARDSTICK)
    assert found.before.value == pytest.approx(measured.pruned.value, rel=1e-5)
    assert found.after.value < 0.97 * found.before.value
    assert [step for step, _ in found.curve] == [0, 5, 10, 15, 20]
    assert len(published) == LOOKS + 1 and published[-1].model is None
    perplexities = {"before": measured.baseline, "after": measured.pruned}
    trained = (found.model, found.summary())
    folder = export(schooled, pruning, tmp_path / "recovered", perplexities, trained=trained)
    *_, again = measure(models.load(str(folder)), YARDSTICK.passages, window=64)
    assert again.value == pytest.approx(found.after.value, rel=1e-4)
    assert read_recipe(folder)["recovery"]["after"]["value"] == found.after.value
    assert f"20 steps by {how} on a text of {found.tokens:,} tokens" in (folder / "README.md").read_text()


def test_the_seed_decides_and_a_random_cut_is_trained_alike(schooled, pruning):
    first, again = (recover(schooled, pruning, wanted(), YARDSTICK) for _ in range(2))
    assert first.after.value == again.after.value
    twin = random_twin(schooled, pruning, SCORED)
    assert twin.plan.removed_neurons == pruning.plan.removed_neurons and twin.compensation == "none"
    assert twin.plan.request.method == "random"
    whole = prepare(
        schooled, plan_for(schooled, PlanRequest("block-influence", 0.5, protected=(0, 0)), SCORED), "none", SCORED
    )
    assert len(random_twin(schooled, whole, SCORED).plan.dropped) == len(whole.plan.dropped) > 0
    control = recover(schooled, twin, wanted(), YARDSTICK)
    assert control.after.value < control.before.value
    first_line, second = told(first, control)
    assert f"{first.after.value:.4g}" in first_line and f"{control.after.value:.4g}" in second


@pytest.mark.parametrize("how", ["lora", "finetune"])
def test_a_training_that_is_stopped_leaves_the_model_and_the_disk_as_they_were(schooled, pruning, tmp_path, how):
    before = [parameter.clone() for parameter in schooled.model.parameters()]

    def stop(stage, fraction):
        if stage == "training" and fraction > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        recover(schooled, pruning, wanted(how), YARDSTICK, stop)
    assert all(torch.equal(a, b) for a, b in zip(before, schooled.model.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in schooled.model.parameters())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (lambda: RecoveryRequest(()), "no text to recover on"),
        (lambda: RecoveryRequest(PASSAGES, Training(steps=0)), "number of steps, 0, is out of range"),
        (lambda: RecoveryRequest(PASSAGES, how="prayer"), "no way to recover 'prayer'; choose one of lora, finetune"),
    ],
)
def test_a_wrong_request_is_a_sentence(request_, sentence):
    with pytest.raises(RequestError, match=sentence):
        request_()


def test_a_text_of_a_few_words_is_refused_before_anything_is_copied(schooled, pruning, monkeypatch):
    monkeypatch.setattr("fnet_core.derivation.recovery.pruned_copy", None)
    few = RecoveryRequest((Passage("few", "three small words", "test"),), TRAINING)
    with pytest.raises(RequestError, match="The text 'few' has 17 tokens; give at least 32"):
        recover(schooled, pruning, few, YARDSTICK)
