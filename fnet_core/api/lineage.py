"""Fingerprints, and whether models descend from one another."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fnet_core import texts
from fnet_core.choices import (
    SAMPLED_NEURONS,
    TEST_PASSAGES,
)
from fnet_core.derivation import derive as derivations
from fnet_core.engine.client import Engine, engine_at
from fnet_core.given import Model, Texts, loaded_of, name_of, passages
from fnet_core.lineage import audit as auditing
from fnet_core.lineage import changes as changing
from fnet_core.lineage import comparison, probes, subjects, trained_apart
from fnet_core.lineage import independence as testing
from fnet_core.lineage import scan as scanning
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.index import known_in
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.taking import find_fingerprint, fingerprint_of, taken_alike
from fnet_core.models.loading import LoadedModel
from fnet_core.progress import Report, silent


def fingerprint(
    model: Model, *, find: Texts = "find", score: Texts = "score", report: Report = silent, **choices: Any
) -> Fingerprint:
    """A model's fingerprint, which compares without the model; `choices` are those of `FingerprintRequest`.

    Raises RequestError as `find_atlas`.

    >>> import fnet_core as fn
    >>> len(fn.fingerprint("tiny", components=4, threshold=2.0))
    4
    """
    request = FingerprintRequest(name_of(model), passages(find), passages(score), **choices)
    if isinstance(model, str):
        return find_fingerprint(request, report).answer
    return fingerprint_of(model, request, report).answer


def secret_probes(text: str | Path, seed: str) -> dict[str, Any]:
    """Secret probes for `fingerprint` and `compare`: passages drawn by a seed from a text file that you keep.

    Fingerprints taken on them hold none of their words. RequestError for an empty seed and too short a text.

    >>> from pathlib import Path
    >>> import fnet_core as fn
    >>> Path("mine.txt").write_text("Snow fell on the harbour. " * 400)
    10400
    >>> taken = fn.fingerprint("tiny", **fn.secret_probes("mine.txt", "seven grey geese"), components=4, threshold=2.0)
    >>> taken.is_secret, taken.passages[0].text[:12]
    (True, '····· ····· ')
    """
    drawn = probes.draw_from_file(text, seed)
    return {"find": drawn.find, "score": drawn.score, "secret": drawn.secret}


def compare(
    a: Model | Fingerprint | Path,
    b: Model | Fingerprint | Path,
    *,
    seed: int = 0,
    test: bool = True,
    report: Report = silent,
    **choices: Any,
) -> comparison.Comparison:
    """Whether one model derives from the other: of two models, fingerprints, or paths to fingerprint files.

    Without `test` it is not tested whether the two were trained apart, which takes most of the time between files.
    `choices` go to `fingerprint` for what is not one yet. Raises RequestError for fingerprints of other probes.

    >>> import fnet_core as fn
    >>> found = fn.compare("tiny", fn.load("tiny"), components=4, threshold=2.0)
    >>> found.outcome
    'same model'
    """
    sides = taken_alike([_taking(side, report, choices) for side in (a, b)])
    return comparison.compare(*sides, seed=seed, test=test, report=report)


def changes(
    a: Model | Fingerprint | Path, b: Model | Fingerprint | Path, *, report: Report = silent, **choices: Any
) -> changing.Changes:
    """What changed between two related models: networks lost, gained and changed, and how far each layer moved.

    Sides and `choices` are those of `compare`, and so are its refusals.

    >>> import fnet_core as fn
    >>> fn.changes("tiny", "tiny", components=4, threshold=2.0).lost
    ()
    """
    return changing.changes_of(compare(a, b, report=report, **choices))


def audit(
    *models: Model | Fingerprint | Path,
    seed: int = 0,
    test: bool = True,
    engine: str | None = None,
    report: Report = silent,
    **choices: Any,
) -> auditing.Audit:
    """Many models against each other: every pair's verdict, p-values corrected for all pairs, families in words.

    Models, fingerprints, paths to fingerprint files, and folders that hold models or files, in any mixture; each is
    fingerprinted once, with `choices` as in `fingerprint`. The workers of `engine`, tcp://HOST:PORT, or of FNET_ENGINE,
    take the fingerprints of models by name and compare the pairs. A model that cannot be read is a failure in the
    result. Raises RequestError where fewer than two can, and for an engine that does not answer.

    >>> import fnet_core as fn
    >>> found = fn.audit("tiny", fn.load("tiny"), components=4, threshold=2.0)
    >>> found.pair(0, 1).outcome, len(found.families)
    ('same model', 1)
    """
    with engine_at(engine) as workers:
        taken = _taken(subjects.spread(models), seed, test, report, choices, workers)
        return auditing.audit(taken, seed=seed, test=test, engine=workers, report=report)


def scan(
    model: Model | Fingerprint | Path,
    against: str | Path | Sequence[Fingerprint | Path],
    *,
    seed: int = 0,
    test: bool = True,
    nearest: int | None = None,
    engine: str | None = None,
    report: Report = silent,
    **choices: Any,
) -> scanning.Scan:
    """Which of many known fingerprints could be a model's parent: a set with stated coverage, "none" included.

    `against` is a folder with fingerprint files, or several fingerprints or files; `choices` are those of
    `fingerprint`, and `engine` is that of `audit`. With `nearest` only so many are compared, which a short vector puts
    first. Raises RequestError where there is none.

    >>> import fnet_core as fn
    >>> known = fn.fingerprint("tiny", components=4, threshold=2.0)
    >>> fn.scan("tiny", [known], components=4, threshold=2.0).possible
    ('tiny',)
    """
    with engine_at(engine) as workers:
        taken = _taken([model], seed, test, report, choices, workers)
        subjects.check_enough(taken, 1)
        if isinstance(against, str | Path):
            known = known_in(against, vectors=nearest is not None, report=report)
        else:
            known = _taken(list(against), seed, test, silent, choices)
        return scanning.scan(
            taken.subjects[0], known, seed=seed, test=test, nearest=nearest, engine=workers, report=report
        )


def independence(
    a: Model | Fingerprint | Path,
    b: Model | Fingerprint | Path,
    source: Texts | None = None,
    *,
    neurons: int = SAMPLED_NEURONS,
    seed: int = 0,
    report: Report = silent,
) -> testing.Independence:
    """Whether two models were trained apart, with a p-value, and which layer of the one matches which of the other.

    Fingerprints, or paths to their files, do in place of models. It reads the first bundled passages of "score" unless
    `source` says otherwise; a fingerprint brings its own. Raises RequestError for mixtures of experts, for a model with
    gated MLPs and one without, for fewer than 24 neurons, and for fingerprints from before they held neurons.

    >>> import fnet_core as fn
    >>> found = fn.independence("tiny", "tiny")
    >>> found.matched_J.tolist(), found.layers_in_words
    ([0, 1], ['Layers 0 and 1 of B match layers 0 and 1 of A.'])
    """
    first, second = (
        loaded_of(side, report) if isinstance(side, str | LoadedModel) else side for side in (_given(a), _given(b))
    )
    read = texts.bundled("score")[:TEST_PASSAGES] if source is None else passages(source)
    return trained_apart.independence_of_any(first, second, read, neurons=neurons, seed=seed, report=report)


def derive(
    model: Model, how: str, folder: str | Path, *, seed: int = 0, report: Report = silent
) -> derivations.Derived:
    """Save a model that comes from another, to test `compare` with; `how` is a way such as "noise:0.1" or "finetune".

    Raises RequestError for an unknown way, which lists those there are, and a folder that exists.

    >>> import fnet_core as fn
    >>> fn.derive("tiny", "noise:0.1", "noisy").how
    'noise:0.1'
    """
    return derivations.derive(name_of(model), how, Path(folder), seed=seed, report=report)


def _taken(
    given: Sequence[Any], seed: int, test: bool, report: Report, choices: dict[str, Any], engine: Engine | None = None
) -> subjects.Taken:
    """The fingerprints of models, fingerprints and files, those that cannot be read apart."""
    texts_of = {name: passages(choices.get(name, name)) for name in ("find", "score")}
    request = FingerprintRequest("", **{"seed": seed} | choices | texts_of)
    return subjects.take(given, request, report, test=test, engine=engine)


def _given(side: Model | Fingerprint | Path) -> Model | Fingerprint:
    """A side with the file read that it names, if it names one."""
    if isinstance(side, Path) or (isinstance(side, str) and side.endswith(".safetensors")):
        return Fingerprint.load(Path(side))
    return side


def _taking(
    side: Model | Fingerprint | Path, report: Report, choices: dict[str, Any]
) -> Fingerprint | Callable[[int], Fingerprint]:
    """A fingerprint, or what takes one, given the longest stretch of text to read at once."""
    given = _given(side)
    if isinstance(given, Fingerprint):
        return given
    return lambda span: fingerprint(given, report=report, **(choices | {"span": span}))
