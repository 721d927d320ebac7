"""The job behind a comparison: both fingerprints, one after the other, each with its own line of progress."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import fingerprints, jobs, model_access, owner, words
from fnet_core.jobs import Job, JobReport, manager
from fnet_core.lineage.comparable import check_protocols
from fnet_core.lineage.comparison import Comparison
from fnet_core.lineage.request import STAGES, FingerprintRequest
from fnet_core.lineage.taking import find_fingerprint
from fnet_core.storage import artifacts

KIND = "comparison"
LETTERS = ("A", "B")
_FETCHING = {stage: weight for stage, weight in model_access.STAGES.items() if stage not in (*STAGES, "checking")}


@dataclass(frozen=True)
class Side:
    """One side of what is asked for: a fingerprint that is there, or a model with how to take its fingerprint."""

    name: str
    reference: str | None
    request: FingerprintRequest | None
    accept_licence: bool = False
    fetch: bool = False
    """Whether the model has to be fetched first."""

    @property
    def measurement(self) -> FingerprintRequest:
        """How to take the fingerprint of a side that has none yet."""
        assert self.request is not None
        return self.request

    def stages(self) -> dict[str, float]:
        """The relative lengths of the stages of this side."""
        return {} if self.reference else (_FETCHING if self.fetch else {}) | STAGES


@dataclass(frozen=True)
class Track:
    """Where one side is."""

    name: str
    stage: str = "waiting"
    fraction: float = 0.0


@dataclass(frozen=True)
class Tracks:
    """Both sides of a job, and the protocol that models are measured by in it."""

    a: Track
    b: Track
    protocol: dict[str, Any]


def key_of(sides: tuple[Side, Side]) -> str:
    """The digest of what is asked for."""
    return artifacts.digest([side.reference or asdict(side.measurement) for side in sides])


def plan(sides: tuple[Side, Side], settings: str) -> str:
    """What pressing 'Compare' does, in a line; `settings` is how a model is fingerprinted."""
    if all(side.reference for side in sides):
        return "Two fingerprints compare at once, without their models."
    return f"Fingerprints: {settings}."


def check(sides: tuple[Side, Side]) -> None:
    """`RequestError` when the two cannot be compared whatever is measured, before anything is measured."""
    protocols = [
        fingerprints.header(side.reference).protocol if side.reference else side.measurement.protocol()
        for side in sides
    ]
    check_protocols(sides[0].name, protocols[0], sides[1].name, protocols[1])


def submit(sides: tuple[Side, Side]) -> None:
    """Queue both fingerprints as one job, or join the one under way for the same pair, and follow it."""
    allowed = model_access.roots()
    stages = {f"{letter} {s}": w for letter, side in zip(LETTERS, sides, strict=True) for s, w in side.stages().items()}

    protocol = next(side.request.protocol() for side in sides if side.request)

    def work(report: JobReport) -> str:
        tracks = [Track(side.name) for side in sides]

        def move(number: int, **changes: Any) -> None:
            tracks[number] = replace(tracks[number], **changes)
            a, b = tracks
            report.publish(Tracks(a, b, protocol))

        found = []
        for number, side in enumerate(sides):
            if side.reference:
                move(number, stage="fingerprint file", fraction=1.0)
                found.append(side.reference)
            else:
                found.append(_measured(side, allowed, LETTERS[number], report, partial(move, number)))
        spans = [fingerprints.header(reference).span for reference in found]
        shared = min(filter(None, spans), default=0)
        for number, (side, span) in enumerate(zip(sides, spans, strict=True)):
            if span != shared and side.request:
                again = replace(side, request=replace(side.request, span=shared))
                found[number] = _measured(again, allowed, LETTERS[number], report, partial(move, number))
        return fingerprints.pair(*found)

    label = f"Comparing {sides[0].name} and {sides[1].name}"
    jobs.watch(jobs.queue(KIND, key_of(sides), work, label, stages=stages))


def _measured(side: Side, allowed: tuple[Path, ...], letter: str, report: JobReport, move: Callable[..., None]) -> str:
    """The reference to a model's fingerprint, from the store or measured now."""
    weights = side.stages()
    total, before = sum(weights.values()), 0.0
    starts = {}
    for stage, weight in weights.items():
        starts[stage], before = before, before + weight

    def told(stage: str, fraction: float) -> None:
        if stage in weights:
            move(stage=stage, fraction=(starts[stage] + fraction * weights[stage]) / total)
            report(f"{letter} {stage}", fraction)
        else:
            move(stage=stage)

    move(stage="looking in the store")
    found = find_fingerprint(side.measurement, told, roots=allowed, accept_licence=side.accept_licence)
    move(stage="measured" if found.computed else "from the store", fraction=1.0)
    return fingerprints.saved(found.path.stem)


def current(sides: tuple[Side, Side] | None) -> Job | None:
    """The job that this session follows, or one of this person's own that answers what the page asks for."""
    named = jobs.in_address()
    if named and named.kind == KIND:
        return named
    job = manager().find(KIND, key_of(sides)) if sides else None
    return job if job and owner.current() in job.owners else None


def answered(found: Comparison, compared: str, sides: tuple[Side, Side]) -> bool:
    """Whether the comparison that is shown is the one that is asked for."""
    references = fingerprints.split(compared)
    return all(
        reference == side.reference
        if side.reference
        else shown.model.name in (side.name, Path(side.name).name) and shown.protocol == side.measurement.protocol()
        for shown, reference, side in zip((found.a, found.b), references, sides, strict=True)
    )


def show(job: Job | None) -> None:
    """Both tracks while the job is under way; a sentence when it failed or was cancelled."""
    if jobs.under_way(job):
        jobs.live(job.id, _tracks)
    else:
        jobs.ended(job, "was cancelled; a fingerprint that was finished is kept.")


def _tracks(job: Job) -> None:
    with st.container(border=True, key="job_panel"):
        jobs.progress(job)
        tracks: Tracks | None = job.partial
        for letter, column, track in zip(
            LETTERS, st.columns(2, gap="medium"), (tracks.a, tracks.b) if tracks else (None, None), strict=True
        ):
            with column:
                _track(letter, track)


def _track(letter: str, track: Track | None) -> None:
    if track is None:
        st.progress(0.0, text=f"**{letter}** · waiting")
        return
    done = ":material/check: " if track.fraction >= 1 else ""
    share = f" · {track.fraction:.0%}" if 0 < track.fraction < 1 else ""
    st.progress(min(track.fraction, 1.0), text=f"**{letter}** · {words.plain(track.name)} · {done}{track.stage}{share}")
