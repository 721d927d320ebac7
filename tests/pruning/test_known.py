"""What is known at once of a pruning: nothing is run, and what was measured is what is shown."""

from dataclasses import replace

import pytest
from support.loading import loaded_tiny
from support.pruning_cases import PASSAGES, REQUEST

from fnet_core.evaluation.yardstick import Yardstick, baseline_perplexity
from fnet_core.pruning.curves import curves
from fnet_core.pruning.known import known_pruning
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import find_scores

METHODS, RATIOS = ("wanda-sp", "random"), (0.1, 0.3, 0.9)
ASKED = PlanRequest("random", 0.3, protected=(1, 0), compensation="none")
YARDSTICK = Yardstick(tuple(replace(p, text=p.text * 8) for p in PASSAGES[:2]), window=64)


@pytest.fixture
def never_run(monkeypatch):
    """From here on no model is run."""

    def refuse():
        for place in ("scores._computed", "masking.prepare"):
            monkeypatch.setattr(f"fnet_core.pruning.{place}", None)
        monkeypatch.setattr("fnet_core.evaluation.yardstick.measure", None)

    return refuse


def known(loaded, asked=ASKED):
    return known_pruning(loaded, asked, METHODS, RATIOS, REQUEST, YARDSTICK)


def test_before_anything_was_scored_nothing_is_known(never_run):
    never_run()
    found = known(loaded_tiny("llama"))
    assert (found.scores, found.plan, found.problem, found.baseline, found.pruned, found.points) == (
        *(None, None, "", None, None),
        (),
    )
    assert found.position == 0.3 and found.about is None


def test_what_was_measured_is_known_without_running_the_model(never_run):
    loaded = loaded_tiny("llama")
    measured = curves(loaded, METHODS, RATIOS, ASKED, REQUEST, YARDSTICK)
    untouched = baseline_perplexity(loaded, YARDSTICK)
    never_run()
    found = known(loaded)
    assert found.plan.masks() == plan_for(loaded, ASKED, REQUEST).masks() and found.problem == ""
    perplexities = {(p.method, p.ratio): p.perplexity.value if p.perplexity else p.problem for p in measured}
    assert {(p.method, p.ratio): p.perplexity.value if p.perplexity else p.problem for p in found.points} == (
        perplexities
    )
    assert len(perplexities) == 6 and "may be pruned" in perplexities["random", 0.9]
    assert found.baseline.value == untouched.value and found.pruned.value == perplexities["random", 0.3] == found.about


def test_scores_alone_give_a_plan_or_the_sentence_why_there_is_none(never_run):
    loaded = loaded_tiny("llama")
    scores = find_scores(loaded, ["random"], REQUEST.with_heads(False))["random"]
    never_run()
    cut = float(scores.mlp[1].mean())
    found = known(loaded, replace(ASKED, ratio=None, threshold=cut))
    gone = sum(int((layer <= cut).sum()) for layer in scores.mlp[1:])
    assert found.plan.removed_neurons == gone and found.position == gone / 120 and found.pruned is None
    too_much = known(loaded, replace(ASKED, ratio=None, threshold=2.0))
    assert too_much.plan is None and "all 40 neurons of layer 1" in too_much.problem and too_much.position == 0
