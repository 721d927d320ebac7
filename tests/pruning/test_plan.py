"""Plans: what goes at a ratio, counted by hand and on the cut model; what is refused."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from support.loading import loaded_tiny
from support.pruning_cases import REQUEST, random_scores, request_for, uneven_plan
from support.tiny_models import HEADS_STAY, MIXTURES, TINY_FAMILIES

from fnet_core.errors import RequestError
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.cutting import cut
from fnet_core.pruning.masking import prepare
from fnet_core.pruning.plan import check_plan, make_plan
from fnet_core.pruning.request import PlanRequest


@pytest.fixture(scope="module")
def llama():
    return loaded_tiny("llama")


def plan_of(loaded, **options):
    options = {"protected": (1, 0)} | options
    return make_plan(anatomy(loaded), random_scores(loaded), PlanRequest("random", **options))


@pytest.mark.parametrize("share", ["neurons", "parameters"])
@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_removed_parameters_are_those_that_the_cut_model_lacks(family, share):
    loaded = loaded_tiny(family)
    plan = plan_of(loaded, ratio=0.15, share=share, heads=family not in HEADS_STAY)
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, prepare(loaded, plan, "none", request_for(family)))
    count = sum(p.numel() for p in smaller.parameters())
    assert count == plan.parameters == plan.summary()["parameters"]["after"]
    assert plan.anatomy.parameters == sum(p.numel() for p in loaded.model.parameters())
    if share == "parameters":
        assert 1 - count / plan.anatomy.parameters == pytest.approx(0.15, abs=0.04)


@pytest.mark.parametrize("family", sorted({*HEADS_STAY} - {*MIXTURES}))
def test_heads_that_depend_on_one_another_stay(family):
    loaded = loaded_tiny(family)
    with pytest.raises(RequestError, match=f"No attention head of tiny-{family} can go, for its .* prune MLP neurons"):
        plan_of(loaded, ratio=0.15, heads=True)


@pytest.mark.parametrize(
    ("alibi", "queries", "said"), [(True, False, "position biases"), (False, True, "share one key")]
)
def test_falcons_with_position_biases_or_one_key_keep_their_heads(alibi, queries, said):
    loaded = loaded_tiny("falcon", new_decoder_architecture=False, alibi=alibi, multi_query=queries)
    with pytest.raises(RequestError, match=said):
        plan_of(loaded, ratio=0.15, heads=True)
    assert plan_of(loaded, ratio=0.15).removed_neurons == 18


def test_the_ratio_counts_all_neurons_and_protected_layers_stay_whole(llama):
    plan = plan_of(llama, ratio=0.2)
    assert plan.removed_neurons == round(0.2 * 3 * 40) and plan.removed_heads == 0
    assert plan.keep_mlp[0].all()
    assert [int((~keep).sum()) for keep in plan.keep_mlp[1:]] == [12, 12]


def test_the_lowest_scores_go(llama):
    scores = random_scores(llama)
    plan = make_plan(anatomy(llama), scores, PlanRequest("random", ratio=0.2, protected=(0, 0)))
    for keep, values in zip(plan.keep_mlp, scores.mlp, strict=True):
        assert values[~keep].max() < values[keep].min()


def test_a_method_that_compares_layers_takes_from_where_scores_are_low(llama):
    scores = random_scores(llama)
    scores = replace(scores, allocation="model", mlp=(scores.mlp[0], scores.mlp[1] * 0.01, scores.mlp[2]))
    plan = make_plan(anatomy(llama), scores, PlanRequest("random", ratio=0.25, protected=(0, 0)))
    gone = [int((~keep).sum()) for keep in plan.keep_mlp]
    assert sum(gone) == 30 and gone[1] > 25
    even = make_plan(anatomy(llama), scores, PlanRequest("random", ratio=0.25, protected=(0, 0), even=True))
    assert [int((~keep).sum()) for keep in even.keep_mlp] == [10, 10, 10] and even.uniform


def test_heads_go_in_whole_groups(llama):
    plan = plan_of(llama, ratio=0.34, heads=True, protected=(0, 0))
    assert plan.removed_heads == 4
    for keep in plan.keep_heads:
        assert (keep.reshape(2, 2).all(axis=1) == keep.reshape(2, 2).any(axis=1)).all()


def test_a_threshold_takes_what_scores_at_most_so_much(llama):
    scores = random_scores(llama)
    plan = make_plan(anatomy(llama), scores, PlanRequest("random", threshold=0.4, protected=(0, 1)))
    assert plan.removed_neurons == sum(int((values <= 0.4).sum()) for values in scores.mlp[:2])
    assert plan.request.ratio is None and plan.keep_mlp[2].all()


def test_estimated_speed_follows_the_parameters_that_tokens_meet(llama):
    plan = plan_of(llama, ratio=0.5)
    looked_up = llama.model.get_input_embeddings().weight.numel()
    assert not llama.model.config.tie_word_embeddings
    before = plan.anatomy.parameters - looked_up
    assert plan.estimated_speed == pytest.approx(before / (plan.parameters - looked_up))
    assert plan_of(llama, ratio=0.0).estimated_speed == 1


def test_nothing_is_changed_by_a_plan(llama):
    scores = random_scores(llama)
    before = [values.copy() for values in scores.mlp]
    make_plan(anatomy(llama), scores, PlanRequest("random", ratio=0.3, protected=(0, 0)))
    assert all((a == b).all() for a, b in zip(before, scores.mlp, strict=True))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"ratio": 1.0}, "ratio of 1 is out of range"),
        ({"ratio": -0.1}, "ratio of -0.1 is out of range"),
        ({"ratio": float("nan")}, "out of range"),
        ({}, "either a ratio or a threshold"),
        ({"ratio": 0.1, "threshold": 1.0}, "either a ratio or a threshold"),
        ({"threshold": float("nan")}, "not a number"),
        ({"ratio": 0.1, "protected": (2, 1)}, "leaves nothing to prune"),
        ({"ratio": 0.1, "protected": (-1, 1)}, "out of range"),
        ({"ratio": 0.9}, "only 80 are in layers that may be pruned"),
        ({"ratio": 0.9, "share": "parameters"}, "more than the layers that may be pruned hold"),
        ({"ratio": 0.1, "share": "weights"}, "no share 'weights'"),
        ({"threshold": 2.0}, "all 40 neurons of layer 1"),
        ({"ratio": 0.66, "heads": True, "protected": (0, 0)}, "all 2 head groups of layer"),
        ({"ratio": 0.5, "heads": True, "protected": (1, 1)}, "neurons are to go"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(llama, options, sentence):
    with pytest.raises(RequestError, match=sentence):
        plan_of(llama, **options)


def test_a_ratio_that_empties_a_layer_is_refused(llama):
    scores = random_scores(llama)
    scores = replace(scores, allocation="model", mlp=(scores.mlp[0], scores.mlp[1] - 5, scores.mlp[2]))
    with pytest.raises(RequestError, match="all 40 neurons of layer 1"):
        make_plan(anatomy(llama), scores, PlanRequest("random", ratio=0.4, protected=(0, 0)))
    with pytest.raises(RequestError, match="all 2 head groups of layer"):
        make_plan(anatomy(llama), replace(random_scores(llama), heads=(np.array([5.0, 5]),) * 2 + (np.zeros(2),),
                  allocation="model"), PlanRequest("random", ratio=0.35, protected=(0, 0), heads=True))  # fmt: skip


def test_a_plan_for_another_model_is_refused(llama):
    plan = plan_of(llama, ratio=0.1)
    other = replace(llama, digest="1" * 64, name="other")
    for use in (check_plan, lambda loaded, plan: prepare(loaded, plan, "none", REQUEST)):
        with pytest.raises(RequestError, match=r"made for tiny-llama .* and the model is\s+other"):
            use(other, plan)
    with pytest.raises(RequestError, match="computed for tiny-llama and the model is other"):
        make_plan(anatomy(other), random_scores(llama), PlanRequest("random", ratio=0.1, protected=(0, 0)))


def test_scores_by_another_method_are_refused(llama):
    with pytest.raises(RequestError, match="scores are by 'random' and the plan is to be by 'flap'"):
        make_plan(anatomy(llama), random_scores(llama), PlanRequest("flap", 0.1, protected=(0, 0)))


def test_a_request_refuses_words_that_mean_nothing():
    for name, sentence in (("method", "no pruning method 'best'"), ("compensation", "no compensation 'best'")):
        with pytest.raises(RequestError, match=sentence):
            PlanRequest(**{"ratio": 0.1, name: "best"})


def test_scores_without_heads_cannot_plan_heads(llama):
    with pytest.raises(RequestError, match="score the heads too"):
        make_plan(
            anatomy(llama),
            replace(random_scores(llama), heads=()),
            PlanRequest("random", ratio=0.1, protected=(0, 0), heads=True),
        )


def test_two_ways_to_the_same_masks_have_one_digest(llama):
    plan = uneven_plan(llama)
    assert plan.masks() == replace(plan, request=replace(plan.request, method="wanda-sp")).masks()
    assert plan.masks() != plan_of(llama, ratio=0.2).masks()
