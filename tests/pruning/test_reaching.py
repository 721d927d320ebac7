"""The ratio that reaches a target: counted sizes on the saved model, measured values on curves that are known."""

import math
from dataclasses import replace

import pytest
from support.pruning_cases import PASSAGES, REQUEST
from support.schooled import save_schooled

from fnet_core.errors import RequestError
from fnet_core.evaluation.speed import Speed
from fnet_core.evaluation.yardstick import Yardstick, baseline_perplexity
from fnet_core.models.stored import stored_weights
from fnet_core.pruning import reaching
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.export import export
from fnet_core.pruning.masking import known_pruned_perplexity, prepare
from fnet_core.pruning.reaching import GRID, MOST_TRIED, approach, reach
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.target import Target, read_target

YARDSTICK = Yardstick(tuple(replace(p, text=p.text * 4) for p in PASSAGES[:3]), window=64)
TEMPLATE = PlanRequest("wanda-sp", 0.0, protected=(0, 0), compensation="none")


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save_schooled(tmp_path_factory.mktemp("models") / "schooled", intermediate_size=80)


@pytest.mark.parametrize("compensation", ["none", "bias"])
@pytest.mark.parametrize("quantity", ["parameters", "bytes"])
def test_a_size_is_that_of_the_saved_model_and_met_within_a_hundredth(llama, tmp_path, quantity, compensation):
    template = replace(TEMPLATE, compensation=compensation)
    whole = {"parameters": anatomy(llama).parameters, "bytes": llama.stored.bytes}[quantity]
    target = Target(quantity, 0.7 * whole, "70 %")
    reached = reach(llama, target, template, REQUEST, YARDSTICK)
    pruning = prepare(llama, reached.plan, compensation, REQUEST)
    folder = export(llama, pruning, tmp_path / "smaller")
    saved = {"parameters": pruning.parameters, "bytes": stored_weights(folder).bytes}[quantity]
    assert saved == pytest.approx(target.value, rel=0.01)
    assert target.near(reached.value) and reached.value == pytest.approx(saved, rel=5e-3)
    assert reached.value == saved or quantity == "bytes"
    less = replace(reached.plan.request, ratio=reached.ratio - 1 / GRID)
    assert not target.met(reaching._size(llama, target, template, reaching.plan_for(llama, less, REQUEST)))
    assert f"at a ratio of {100 * reached.ratio:.4g} %" in reached.sentence and reached.tried == ()


def test_a_perplexity_is_measured_along_the_curve_and_every_point_is_kept(llama):
    untouched = baseline_perplexity(llama, YARDSTICK).value
    target = Target("perplexity", 2 * untouched, f"ppl<={2 * untouched}")
    reached = reach(llama, target, TEMPLATE, REQUEST, YARDSTICK)
    found = known_pruned_perplexity(llama, YARDSTICK, reached.plan, "none", REQUEST)
    assert found.value == reached.value <= target.value and reached.tried[0] == (0.0, untouched)
    worse = [ratio for ratio, value in reached.tried if value > target.value]
    assert worse and reached.ratio < min(worse)
    assert target.near(reached.value) or min(worse) - reached.ratio < 1 / 80
    for ratio, value in reached.tried[1:]:
        plan = reaching.plan_for(llama, replace(TEMPLATE, ratio=ratio), REQUEST)
        assert known_pruned_perplexity(llama, YARDSTICK, plan, "none", REQUEST).value == value


def test_a_speed_is_measured_on_models_of_the_plans_sizes(llama, monkeypatch):
    """A clock by which a token takes as long as there are parameters."""

    def clock(before, after, **_):
        speeds = [1e7 / model.num_parameters() for model in (before, after)]
        return Speed(*speeds, *speeds, 256, 3, "cpu")

    monkeypatch.setattr(reaching, "compare_speed", clock)
    whole = 1e7 / llama.model.num_parameters()
    for quantity in ("reading", "writing"):
        target = Target(quantity, 1.2 * whole, "a fifth faster")
        reached = reach(llama, target, TEMPLATE, REQUEST, YARDSTICK)
        assert target.near(reached.value) and 1e7 / reached.plan.parameters == reached.value
        assert len(reached.tried) <= 6


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("1Kparams", r"cannot be met: 8,\d{3} parameters is the least that .* comes to by Wanda-sp, at a ratio of 98"),
        ("1KB", r"is the least that .*; let attention heads go too, or choose another model"),
        ("900Mparams", r"meets '900Mparams' untouched, with 25,\d{3} parameters; ask for less"),
        ("ppl<=1.0001", r"cannot be met: .* has a perplexity of .* untouched, which is the least; ask for more"),
    ],
)
def test_what_cannot_be_met_says_how_near_one_comes(llama, written, sentence):
    with pytest.raises(RequestError, match=sentence):
        reach(llama, read_target(written), TEMPLATE, REQUEST, YARDSTICK)


def test_protected_layers_stand_in_the_sentence(llama):
    with pytest.raises(RequestError, match=r"with the first 1 and last 1 layers whole, .*; protect fewer layers, or"):
        reach(llama, read_target("1Kparams"), replace(TEMPLATE, protected=(1, 1)), REQUEST, YARDSTICK)


@pytest.mark.parametrize(
    ("value", "written", "good", "bad", "bend"),
    [
        (lambda ratio: 30 * math.exp(3 * ratio), "ppl<=52", 0.1, 0.2, math.log),
        (lambda ratio: 30 * math.exp(40 * ratio**3), "ppl<=60", 0.2, 0.3, math.log),
        (lambda ratio: 30.0 if ratio < 0.24 else math.inf, "ppl<=31", 0.2, 0.3, math.log),
        (lambda ratio: 100 / (1 - 0.8 * ratio), "150tok/s", 0.9, 0.0, lambda speed: 1 / speed),
        (lambda ratio: 100 / (1 - 0.8 * ratio**2), "150tok/s", 0.9, 0.0, lambda speed: 1 / speed),
    ],
)
def test_the_two_sides_of_a_target_close_in_on_it(value, written, good, bad, bend):
    target, asked = read_target(written), []

    def measure(ratio):
        asked.append(ratio)
        return value(ratio)

    found = approach(measure, target, good, bad, bend)
    assert target.met(value(found)) and len(set(asked)) <= MOST_TRIED + 2
    steep = not math.isfinite(value(bad))
    assert found == pytest.approx(0.24, abs=2e-3) if steep else target.near(value(found))
