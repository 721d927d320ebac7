"""Tasks of lm-evaluation-harness: its scores with their intervals, and a sentence where it is not installed."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from fnet_core.errors import RequestError
from fnet_core.evaluation import harness
from fnet_core.evaluation.harness import check_harness, check_items, scores_of, task_scores


def test_without_the_harness_a_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"is not installed.*pip install 'lm_eval\[hf\]'"):
        check_harness(["piqa"])


def test_no_task_and_no_item_are_refused(monkeypatch):
    monkeypatch.setattr(harness, "find_spec", lambda name: object())
    with pytest.raises(RequestError, match="No task was named"):
        check_harness([""])
    with pytest.raises(RequestError, match="0 items of each task are out of range"):
        check_items(0)


@pytest.mark.parametrize(
    ("raised", "told"),
    [(MemoryError(), MemoryError), (KeyError("nothing"), RequestError)],
)
def test_memory_that_runs_out_is_no_fault_of_the_connection(monkeypatch, raised, told):
    def fail(*given, **choices):
        raise raised

    anything = SimpleNamespace(model=None, tokenizer=None, max_tokens=8)
    for name, parts in {
        "lm_eval": {"simple_evaluate": fail},
        "lm_eval.models": {},
        "lm_eval.models.huggingface": {"HFLM": dict},
        "lm_eval.tasks": {"TaskManager": dict},
    }.items():
        module = ModuleType(name)
        vars(module).update(parts)
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(told):
        task_scores(anything, ["piqa"], 1)  # type: ignore[arg-type]


def test_every_metric_has_its_interval_where_there_is_an_error():
    results = {
        "piqa": {"alias": "piqa", "acc,none": 0.62, "acc_stderr,none": 0.05, "acc_norm,none": 0.6},
        "gsm8k": {"exact_match,strict-match": 0.1, "exact_match_stderr,strict-match": "N/A"},
    }
    first, second, third = scores_of(results, {"piqa": {"effective": 100, "original": 1838}})
    assert (first.task, first.metric, first.value, first.items) == ("piqa", "acc", 0.62, 100)
    assert first.interval == pytest.approx((0.522, 0.718))
    assert (second.metric, second.interval) == ("acc_norm", None)
    assert (third.metric, third.items, third.interval) == ("exact_match (strict-match)", 0, None)
