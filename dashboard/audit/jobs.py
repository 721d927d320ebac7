"""The job behind an audit: every fingerprint, then every pair, with a line of progress for each model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dashboard import fingerprints, jobs, model_access, owner, words
from dashboard.audit.kept import KIND, Members
from fnet_core.engine.client import engine_at
from fnet_core.engine.naming import named
from fnet_core.errors import RequestError
from fnet_core.jobs import Job, JobReport, manager
from fnet_core.lineage.audit import audit
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.subjects import Subject, check_enough, take
from fnet_core.storage import artifacts

SHOWN = 40
"""Models whose progress is drawn one by one."""


@dataclass(frozen=True)
class Chosen:
    """One model of what is asked for: by name, or as a fingerprint that is there."""

    name: str
    reference: str | None = None


@dataclass(frozen=True)
class Tracks:
    """Where each model is: its name, the stage, and how much of its fingerprint is done."""

    rows: tuple[tuple[str, str, float], ...]


def key_of(chosen: Sequence[Chosen]) -> str:
    """The digest of what is asked for."""
    return artifacts.digest([each.reference or each.name for each in chosen])


def submit(chosen: Sequence[Chosen], accept_licence: bool) -> None:
    """Queue the audit, or join the one under way for the same models, and follow it."""
    allowed = model_access.roots()
    count = len(chosen)

    def work(report: JobReport) -> str:
        rows = [(each.name, "waiting", 0.0) for each in chosen]

        def told(number: int, stage: str, fraction: float) -> None:
            rows[number] = (chosen[number].name, stage, fraction)
            report.publish(Tracks(tuple(rows)))

        given = [fingerprints.path_of(each.reference) if each.reference else each.name for each in chosen]
        request = FingerprintRequest("")
        with engine_at() as engine:
            taken = take(given, request, report, told=told, engine=engine, roots=allowed, accept_licence=accept_licence)
            check_enough(taken)
            audit(taken, engine=engine, report=report)
        names = {str(place): each.name for place, each in zip(given, chosen, strict=True)}
        return Members(
            tuple(_reference(subject) for subject in taken.subjects),
            tuple(subject.label for subject in taken.subjects),
            tuple((names[failure.label], failure.why) for failure in taken.failures),
        ).keep()

    job = manager().submit(
        KIND,
        key_of(chosen),
        work,
        label=f"Auditing {words.count(count, 'model')}",
        device=model_access.device(),
        stages={"fingerprints": 40.0 * count, "comparing": 2.0 * count * (count - 1)},
        owner=owner.current(),
    )
    jobs.watch(job)


def engine_line() -> str:
    """Which engine takes the fingerprints, in a sentence, as FNET_ENGINE names it; empty where this machine does."""
    try:
        address = named()
    except RequestError as error:
        return words.plain(str(error))
    return words.plain(f"Models are fingerprinted and compared by the engine at {address}.") if address else ""


def _reference(subject: Subject) -> str:
    """How the address names the fingerprint of a subject, which lies in the store."""
    assert subject.path is not None
    return fingerprints.reference_to(Path(subject.path))


def show(job: Job | None) -> None:
    """A line for each model while the job is under way; a sentence when it failed or was cancelled."""
    if jobs.under_way(job):
        jobs.live(job.id, _tracks)
    else:
        jobs.ended(job, "was cancelled; fingerprints and pairs that were finished are kept.")


def _tracks(job: Job) -> None:
    with st.container(border=True, key="job_panel"):
        jobs.progress(job)
        tracks: Tracks | None = job.partial
        if tracks is None or job.stage == "comparing":
            return
        with st.grid(2, min_column_width=280, gap="small"):
            for name, stage, fraction in tracks.rows[:SHOWN]:
                failed = stage.startswith("failed")
                done = ":material/error: " if failed else ":material/check: " if fraction >= 1 else ""
                share = f" · {fraction:.0%}" if 0 < fraction < 1 else ""
                said = "failed" if failed else stage
                st.progress(min(fraction, 1.0), text=f"{words.plain(name)} · {done}{said}{share}")
        if len(tracks.rows) > SHOWN:
            st.caption(f"And {len(tracks.rows) - SHOWN} more.")
