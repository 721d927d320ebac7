"""The computations of the Intervene page as background jobs, and which of them this session shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboard import jobs, owner, words
from dashboard.intervene.address import Gains
from dashboard.jobs import Compute
from fnet_core import time_left
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.editing import check_recipe
from fnet_core.interventions.edits import Edit
from fnet_core.jobs import Job, JobReport, manager
from fnet_core.models.loading import LoadedModel
from fnet_core.storage import artifacts

INTERVENTION, WRITING, DOSES, RANKING, BAKING = "intervention", "writing", "doses", "ranking", "baking"
KEEPING = "keeping"
_STAGES = {
    INTERVENTION: time_left.MEASURING,
    WRITING: time_left.WRITING,
    DOSES: time_left.MEASURING,
    RANKING: time_left.RANKING,
    BAKING: time_left.BAKING,
    KEEPING: time_left.KEEPING,
}


@dataclass(frozen=True)
class EditRequest:
    """What was asked for: the edits of a model and what to measure them by."""

    model: str
    atlas: str
    """The key of the atlas on the page."""
    gains: Gains
    """What the sliders say; empty when the edits come from a file."""
    edits: tuple[Edit, ...]
    recipe: dict[str, Any]
    threshold: float
    yardstick: Yardstick
    controls: int
    seed: int

    def key(self, *more: object) -> str:
        """The digest of all that decides the result, behind the atlas's key."""
        edits = [edit.to_dict() for edit in self.edits]
        content = [self.model, edits, self.yardstick.to_dict(), self.controls, self.seed, *more]
        return f"{self.atlas}:{artifacts.digest(content)}"


def submit(kind: str, request: EditRequest, compute: Compute, label: str, *more: object) -> None:
    """Queue the computation, or join the one under way for the same request, and follow it."""

    def compute_checked(loaded: LoadedModel, report: JobReport, publish: Callable[[Any], None]) -> Any:
        check_recipe(loaded, request.recipe)
        return compute(loaded, report, publish)

    jobs.watch(jobs.submit(kind, request.key(*more), request, compute_checked, label, stages=_STAGES[kind]))


def current(kind: str, atlas: str) -> Job | None:
    """The job of this kind that the session shows, or one of this person's own under way, on this atlas."""
    job = jobs.remembered(kind)
    if job and job.key.startswith(f"{atlas}:"):
        return job
    active = (job for job in manager().active(kind, owner.current()) if job.key.startswith(f"{atlas}:"))
    return next(active, None)


def ended(job: Job | None) -> None:
    """A sentence about a job that failed or was cancelled."""
    jobs.ended(job, "was cancelled; what was measured is kept.")


def label(doing: str, request: EditRequest) -> str:
    """What a job is called in progress lines: "Measuring 2 edits of smollm2-135m"."""
    return f"{doing} {words.count(len(request.edits), 'edit')} of {request.model}"
