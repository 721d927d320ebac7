"""A tiny model of any family with hand-made plans, scores and calibration text for the tests of pruning."""

from dataclasses import replace

import numpy as np

from fnet_core.models.families import FAMILIES
from fnet_core.models.loading import LoadedModel
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.plan import PrunePlan, make_plan
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest, Scores
from fnet_core.texts import Passage

SENTENCES = (
    "the cat sat on the mat and looked at the moon. it was not a dog, it was a cat! ",
    "in 1984 the price of 3 apples was $5 & the price of 12 pears was 7% more than that; why? ",
    'rain fell (all day) on the old town -- nobody minded: "it always rains here", they said. ',
    "one two three four five six seven eight nine ten. ten nine eight seven six five four. ",
)
PASSAGES = tuple(Passage(f"p{i}", text, "test") for i, text in enumerate(SENTENCES))
REQUEST = ScoreRequest(PASSAGES, heads=True, components=5, groups=2)


def request_for(family: str) -> ScoreRequest:
    """The request, with heads where every layer of the family has some."""
    return REQUEST.with_heads("heads" in FAMILIES[family].sites)


def random_scores(loaded: LoadedModel, seed: int = 3) -> Scores:
    """Scores drawn at random, whatever the method says of itself."""
    sizes = anatomy(loaded)
    rng = np.random.default_rng(seed)
    return Scores(
        method="random",
        allocation="layer",
        mlp=tuple(rng.random(width) for width in sizes.widths_L),
        heads=tuple(rng.random(heads // sizes.heads_per_group) for heads in sizes.heads_L),
        mean_mlp=(),
        mean_attention=(),
        recipe={"model": loaded.name, "model_digest": loaded.digest},
    )


def uneven_plan(loaded: LoadedModel) -> PrunePlan:
    """The first layer whole, the second without 11 neurons and a head group if one can go, the third without 7."""
    sizes = anatomy(loaded)
    asked = PlanRequest("random", ratio=0.2, protected=(1, 0), heads=not sizes.heads_stay)
    plan = make_plan(sizes, random_scores(loaded), asked)
    keep_mlp = [keep.copy() for keep in plan.keep_mlp]
    keep_heads = [keep.copy() for keep in plan.keep_heads]
    rng = np.random.default_rng(11)
    for layer, count in ((1, 11), (2, 7)):
        keep_mlp[layer][:] = True
        keep_mlp[layer][rng.choice(len(keep_mlp[layer]), count, replace=False)] = False
    shared = plan.anatomy.heads_per_group
    keep_heads[1][:] = True
    keep_heads[1][shared : 2 * shared] = bool(sizes.heads_stay)
    keep_heads[2][:] = True
    return replace(plan, keep_mlp=tuple(keep_mlp), keep_heads=tuple(keep_heads))


def even_plan(loaded: LoadedModel, heads: bool) -> PrunePlan:
    """As many neurons and head groups from every layer."""
    asked = PlanRequest("random", 0.5, protected=(0, 0), even=True, heads=heads)
    return make_plan(anatomy(loaded), random_scores(loaded), asked)
