"""The Prune page on the tiny starter, and what the core answers to the same."""

from streamlit.testing.v1 import AppTest
from support.pages import ROOT
from support.pressing import press_for_job
from support.pruning_cases import PASSAGES

from dashboard.prune import state as prune_state
from fnet_core import texts
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.jobs import Job, manager
from fnet_core.models.loading import get_loaded
from fnet_core.pruning.masking import prepare
from fnet_core.pruning.measuring import measure_pruning
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest

METHODS = ["wanda-sp", "random"]
PASTED = "\n\n".join(passage.text for passage in PASSAGES)
BARE = "method:wanda-sp,first:0,last:0"
FREE = BARE + ",compensation:none"
"""Nothing is protected: the tiny model has two layers."""


def prune_page(prune: str = FREE, model: str | None = "tiny", plan: str | None = None, **state: object) -> AppTest:
    """The page on the tiny starter with a small calibration text and yardstick; curves are not filled."""
    if model == "tiny":
        get_loaded("tiny")
    at = AppTest.from_file(str(ROOT / "home.py"), default_timeout=60)
    small = {
        "prune_source": prune_state.PASTE,
        "prune_pasted": PASTED,
        "prune_passages": 2,
        "prune_components": 4,
        "prune_methods": METHODS,
        "prune_fill": False,
    }
    for name, value in (small | state).items():
        at.session_state[name] = value
    if model:
        at.query_params["model"] = model
    if prune:
        at.query_params["prune"] = prune
    if plan:
        at.query_params["plan"] = plan
    at.switch_page("pages/prune.py")
    return run(at)


def run(at: AppTest) -> AppTest:
    at.run()
    assert not at.exception, at.exception
    return at


def settled(at: AppTest) -> AppTest:
    """The page once no job is under way any more and drawing it starts none."""
    for _ in range(20):
        before = ended_jobs()
        run(at)
        if ended_jobs() == before:
            return at
    raise AssertionError(f"jobs go on and on: {manager().active()}")


def ended_jobs() -> set[str]:
    """The ids of all jobs of the page, which are waited for."""
    for job in manager().active():
        if job.kind.startswith("prune"):
            manager().wait(job.id, 60)
    return {job.id for job in manager().recent() if job.kind.startswith("prune")}


def scored(at: AppTest) -> AppTest:
    """The page once the neurons are scored and the perplexity is measured."""
    at.button(key="score_neurons").click().run()
    return settled(at)


def press(at: AppTest, key: str) -> Job:
    job = press_for_job(at, key)
    settled(at)
    return job


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def request(heads: bool = False) -> ScoreRequest:
    return ScoreRequest(texts.from_text(PASTED), heads=heads, components=4, groups=1)


def expected(method: str = "wanda-sp", ratio: float = 0.2, compensation: str = "none", heads: bool = False):
    """The core's own answer, and the plan."""
    loaded = get_loaded("tiny")
    asked = PlanRequest(method, ratio, protected=(0, 0), compensation=compensation, heads=heads)
    plan = plan_for(loaded, asked, request())
    yardstick = Yardstick(texts.bundled("score")[:2])
    return plan, measure_pruning(loaded, prepare(loaded, plan, compensation, request()), yardstick)
