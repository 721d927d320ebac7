"""The models of an audit or a scan: named, in a folder, or as fingerprint files, each fingerprinted once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.engine.task import WorkFailed, went_wrong
from fnet_core.errors import Cancelled, RequestError
from fnet_core.lineage.fingerprint import Fingerprint, ModelIdentity
from fnet_core.progress import Report, silent
from fnet_core.storage import artifacts
from fnet_core.time_left import Pace

if TYPE_CHECKING:
    import numpy as np

    from fnet_core.engine.client import Engine
    from fnet_core.lineage.request import FingerprintRequest
    from fnet_core.storage.memo import Found

FILE_ENDING = ".safetensors"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Subject:
    """One model that can be compared: what its fingerprint says of itself, and how that is read again."""

    label: str
    """What it is called here, unlike any other."""
    model: ModelIdentity
    content: str
    """The digest of the whole fingerprint."""
    widths: tuple[int, ...]
    """MLP neurons of each layer; empty where the fingerprint holds none."""
    read: Callable[[], Fingerprint]
    protocol: str
    """The digest of what it shares with fingerprints that it can be compared with."""
    reads_probes: bool = True
    path: Path | None = None
    """The file of the fingerprint, where it has one."""
    vector_D: np.ndarray | None = None
    """The fingerprint's vector, see `nearest.vector_of`, where it is known already."""


@dataclass(frozen=True)
class Failure:
    """One model that could not be read, and why, in a sentence."""

    label: str
    why: str


@dataclass(frozen=True, eq=False)
class Taken:
    """What came of each of the things given, in their order."""

    subjects: tuple[Subject, ...]
    failures: tuple[Failure, ...]


Given = "str | Path | Fingerprint | LoadedModel"
Told = Callable[[int, str, float], None]
"""Called with the number of the thing given, the stage it is in, and how much of its fingerprint is done, 0 to 1."""


def subject_of(found: Fingerprint, path: Path | None = None, label: str = "") -> Subject:
    """The subject of a fingerprint; with the file that holds it, that is read again whenever it is asked for."""
    return Subject(
        label=label or found.model.name,
        model=found.model,
        content=artifacts.read_header(path)["content"] if path else found.content_digest(),
        widths=found.neurons.widths if found.neurons else (),
        read=partial(Fingerprint.load, path) if path else lambda: found,
        protocol=found.protocol_digest,
        reads_probes=found.reads_probes,
        path=path,
    )


def is_file(given: str | Path) -> bool:
    """Whether a name means a fingerprint file."""
    return str(given).endswith(FILE_ENDING)


def spread(given: Iterable[Any]) -> list[Any]:
    """What is given with every folder that is no model replaced by the fingerprint files and model folders in it.

    Raises RequestError for a folder that holds neither.
    """
    found: list[Any] = []
    for each in given:
        folder = Path(each).expanduser() if isinstance(each, str | Path) else None
        if folder is None or is_file(folder) or not folder.is_dir() or _is_model(folder):
            found.append(each)
            continue
        inside = fingerprint_files(folder) + sorted(path for path in folder.iterdir() if _is_model(path))
        if not inside:
            raise RequestError(f"{each} holds no model and no fingerprint file; name a folder that does.")
        found += map(str, inside)
    return found


def fingerprint_files(folder: str | Path) -> list[Path]:
    """The fingerprint files of a folder, by name; RequestError where there is no such folder."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder}; name one with fingerprint files.")
    return sorted(path for path in folder.glob(f"*{FILE_ENDING}") if path.is_file())


def _is_model(folder: Path) -> bool:
    return folder.is_dir() and any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))


def take(
    given: Sequence[Any],
    request: FingerprintRequest,
    report: Report = silent,
    *,
    test: bool = True,
    told: Told = lambda number, stage, fraction: None,
    engine: Engine | None = None,
    **loading: Any,
) -> Taken:
    """The fingerprint of each of the things given, from its file, from the store, or measured as `request` says.

    With an `engine`, models by name that the store does not answer are measured by its workers, a task for each, and
    their files kept here. What cannot be read is a failure with its reason and stops nothing. `report` gets the stage
    "fingerprints".
    """
    outcomes: dict[int, Subject | Failure] = {}
    shares = [0.0] * len(given)

    def tell(number: int, stage: str, fraction: float) -> None:
        told(number, stage, fraction)
        shares[number] = fraction
        report("fingerprints", sum(shares) / len(given))

    def end(number: int, take_one: Callable[[], Subject]) -> None:
        outcomes[number] = found = _outcome(_label(given[number]), take_one)
        shares[number] = 1.0
        told(number, f"failed: {found.why}" if isinstance(found, Failure) else "done", 1.0)

    away = dict(_unanswered(given, request, test, loading)) if engine else {}
    for number, each in enumerate(given):
        if number not in away:
            end(number, partial(_take, each, request, partial(tell, number), test, loading))
    if engine and away:
        from fnet_core.lineage.elsewhere import taken_by

        numbers = list(away)
        arriving = taken_by(
            engine,
            [replace(request, model=name) for name in away.values()],
            told=lambda place, stage, fraction: tell(numbers[place], stage, fraction),
            go_on=lambda: report("fingerprints", sum(shares) / len(given)),
            test=test,
            **loading,
        )
        with closing(arriving):
            for place, keep in arriving:
                end(numbers[place], partial(_arrived, keep))
    report("fingerprints", 1.0)
    in_order = [outcomes[number] for number in range(len(given))]
    subjects = [each for each in in_order if isinstance(each, Subject)]
    return Taken(distinct(subjects), tuple(each for each in in_order if isinstance(each, Failure)))


def _unanswered(
    given: Sequence[Any], request: FingerprintRequest, test: bool, loading: dict[str, Any]
) -> Iterator[tuple[int, str]]:
    """The models by name that the store does not answer for, each under the name that other machines know it by."""
    from fnet_core.lineage.taking import kept_fingerprint
    from fnet_core.models.naming import place_of

    for number, each in enumerate(given):
        if isinstance(each, str | Path) and not is_file(each):
            asked = replace(request, model=str(each))
            if kept_fingerprint(asked, test=test, **loading) is None:
                yield number, place_of(asked.model)


def _outcome(label: str, take_one: Callable[[], Subject]) -> Subject | Failure:
    try:
        return take_one()
    except Cancelled:
        raise
    except (RequestError, WorkFailed) as error:
        return Failure(label, str(error))
    except Exception as error:
        _log.exception("The fingerprint of %s failed", label)
        return Failure(label, went_wrong(error))


def distinct(subjects: Sequence[Subject]) -> tuple[Subject, ...]:
    """The subjects with labels that differ: two of one name get the beginning of their weights' digest, or a number."""
    counts = Counter(each.label for each in subjects)
    named = [
        each if counts[each.label] == 1 else replace(each, label=f"{each.label} ({each.model.digest[:8]})")
        for each in subjects
    ]
    seen: Counter[str] = Counter()
    again = Counter(each.label for each in named)
    result = []
    for each in named:
        seen[each.label] += 1
        number = seen[each.label]
        result.append(each if again[each.label] == 1 else replace(each, label=f"{each.label} no. {number}"))
    return tuple(result)


def check_enough(taken: Taken, least: int = 2) -> None:
    """RequestError with all reasons where fewer than `least` fingerprints are left."""
    if len(taken.subjects) >= least:
        return
    reasons = " ".join(f"{each.label}: {each.why}" for each in taken.failures)
    lacking = f"{len(taken.subjects)} of {len(taken.subjects) + len(taken.failures)} models could be read"
    raise RequestError(f"{lacking}, and {least} are needed. {reasons}".strip())


def _label(each: Any) -> str:
    if isinstance(each, str | Path):
        return str(each)
    return each.model.name if isinstance(each, Fingerprint) else each.name


def _take(each: Any, request: FingerprintRequest, tell: Report, test: bool, loading: dict[str, Any]) -> Subject:
    if isinstance(each, Fingerprint):
        return subject_of(each)
    if isinstance(each, str | Path) and is_file(each):
        tell("fingerprint file", 0.0)
        return subject_of(Fingerprint.load(Path(each)), Path(each))
    from fnet_core.lineage.taking import find_fingerprint, fingerprint_of

    if isinstance(each, str | Path):
        found = find_fingerprint(replace(request, model=str(each)), as_fraction(tell), test=test, **loading)
    else:
        found = fingerprint_of(each, replace(request, model=str(each.path)), as_fraction(tell), test=test)
    return _kept(found)


def _arrived(keep: Callable[[], Found[Fingerprint]]) -> Subject:
    return _kept(keep())


def _kept(found: Found[Fingerprint]) -> Subject:
    return subject_of(found.answer, found.path)


def as_fraction(tell: Report) -> Report:
    """A report of the stages of a fingerprint, told as how much of the whole is done."""
    from fnet_core.lineage.request import STAGES

    pace = Pace(STAGES)

    def report(stage: str, fraction: float) -> None:
        pace.update(stage, fraction, 0.0)
        tell(stage, pace.fraction)

    return report
