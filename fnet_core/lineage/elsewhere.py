"""What an engine's workers do for an audit: a task takes a fingerprint or compares a pair; its file is kept here."""

import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from fnet_core.engine.client import Engine, Told
from fnet_core.engine.task import Answer
from fnet_core.lineage.audit import HELD
from fnet_core.lineage.fingerprint import FINGERPRINTS, Fingerprint
from fnet_core.lineage.pairs import PAIRS, pair_of, recipe_of
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.subjects import Subject, as_fraction, subject_of
from fnet_core.progress import Report
from fnet_core.storage import memo
from fnet_core.storage.memo import Found


def taken_by(
    engine: Engine,
    requests: Sequence[FingerprintRequest],
    *,
    told: Told,
    go_on: Callable[[], None],
    test: bool,
    **loading: Any,
) -> Generator[tuple[int, Callable[[], Found[Fingerprint]]], None, None]:
    """For each request, as they end, its number and what keeps and gives the fingerprint, or raises why there is none.

    `told` gets how much of a fingerprint is done; it and `go_on` may raise to stop.
    """
    calls = [(request, test, loading) for request in requests]
    for number, answer in engine.ready(take_there, calls, told=told, go_on=go_on):
        yield number, partial(_keep, answer)


def _keep(answer: Answer) -> Found[Fingerprint]:
    name, content = answer.result()
    found = memo.adopt(FINGERPRINTS, content, lambda fingerprint: fingerprint.recipe)
    return replace(found, answer=found.answer.called(name))


def take_there(request: FingerprintRequest, test: bool, loading: dict[str, Any], report: Report) -> tuple[str, bytes]:
    """On a worker: the name that the model is published under, and the file of its fingerprint."""
    from fnet_core.lineage.taking import find_fingerprint

    found = find_fingerprint(request, as_fraction(report), test=test, **loading)
    return found.answer.model.name, found.path.read_bytes()


def compare_by(
    engine: Engine,
    subjects: Sequence[Subject],
    places: Sequence[tuple[int, int]],
    report: Report,
    **choices: Any,
) -> None:
    """Let workers compare the pairs that the store lacks, and keep what they give, from where `pair_of` answers.

    A pair for which a worker gave nothing is left to whoever asks next. `report` gets the stage "comparing" and may
    raise to stop. `choices` are seed, resamples and test, as `pair_of`.
    """
    missing = [(a, b) for a, b in places if memo.known(PAIRS, recipe_of(subjects[a], subjects[b], **choices)) is None]
    files = {at: engine.held(_file_of(subjects[at])) for at in sorted({at for place in missing for at in place})}
    done = 0
    answers = engine.ready(
        compare_there,
        ((files[a], files[b], choices) for a, b in missing),
        go_on=lambda: report("comparing", done / len(missing)),
        ahead=4 * engine.workers,
    )
    with closing(answers):
        for _, answer in answers:
            done += 1
            if not answer.why:
                memo.adopt(PAIRS, answer.value, lambda evidence: evidence.recipe)


def _file_of(subject: Subject) -> bytes:
    if subject.path is not None:
        return subject.path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="fnet-") as folder:
        path = Path(folder) / "fingerprint.safetensors"
        subject.read().save(path)
        return path.read_bytes()


def compare_there(a: bytes, b: bytes, choices: dict[str, Any], report: Report) -> bytes:
    """On a worker: the file of what two fingerprint files give."""
    return pair_of(_subject(a), _subject(b), lambda subject: subject.read(), report=report, **choices).path.read_bytes()


@lru_cache(maxsize=HELD)
def _subject(content: bytes) -> Subject:
    with tempfile.TemporaryDirectory(prefix="fnet-") as folder:
        path = Path(folder) / "fingerprint.safetensors"
        path.write_bytes(content)
        return subject_of(Fingerprint.load(path))
