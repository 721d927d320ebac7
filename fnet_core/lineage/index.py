"""What a folder of fingerprint files holds, kept between scans: only files that are new or changed are read again.

Shape legend: D dimensions of a fingerprint's vector (`nearest`), F files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fnet_core.errors import RequestError
from fnet_core.lineage.fingerprint import Fingerprint, ModelIdentity
from fnet_core.lineage.nearest import DIMENSIONS, SEED, vector_of
from fnet_core.lineage.subjects import Failure, Subject, Taken, distinct, fingerprint_files
from fnet_core.progress import Report, silent
from fnet_core.storage import artifacts, memo
from fnet_core.storage.memo import Kind

KIND, FORMAT = "fingerprint-index", 1


@dataclass(frozen=True)
class Line:
    """One file, as it was when it was last read whole."""

    name: str
    identity: str
    """The digest of the file's size and times, which change when the file does."""
    content: str
    protocol: str
    reads_probes: bool
    widths: tuple[int, ...]
    model: ModelIdentity

    def subject(self, folder: Path, vector_D: np.ndarray | None) -> Subject:
        """The subject of the file, which is read whole again, and checked, once it is compared."""
        path = folder / self.name
        return Subject(
            label=self.model.name,
            model=self.model,
            content=self.content,
            widths=self.widths,
            read=partial(Fingerprint.load, path),
            protocol=self.protocol,
            reads_probes=self.reads_probes,
            path=path,
            vector_D=vector_D,
        )


@dataclass(frozen=True, eq=False)
class Index:
    """The files of one folder that are fingerprints, and the vectors of those that were asked for by nearness."""

    recipe: dict[str, Any]
    lines: tuple[Line, ...]
    vectors_FD: np.ndarray
    """float32; zeros for a file whose vector was never asked for, or that has no signal."""
    known_F: np.ndarray
    """bool: whether the vector was worked out."""

    def save(self, path: Path) -> None:
        """Write it to one file, whole or not at all; RequestError if the disk refuses."""
        lines = [vars(line) | {"model": vars(line.model)} for line in self.lines]
        arrays = {"vectors": self.vectors_FD, "known": self.known_F}
        artifacts.save_artifact(path, KIND, arrays, {"recipe": self.recipe, "lines": lines}, FORMAT)

    @classmethod
    def load(cls, path: Path) -> Index:
        """Read what `save` wrote; RequestError for a file that is missing, damaged or of another kind."""
        arrays, header = artifacts.load_artifact(path, KIND, FORMAT)
        lines = tuple(
            Line(**line | {"widths": tuple(line["widths"]), "model": ModelIdentity(**line["model"])})
            for line in header["lines"]
        )
        return cls(header["recipe"], lines, arrays["vectors"], arrays["known"])


Rows = dict[str, tuple[Line, np.ndarray | None]]
"""Lines and vectors by the file's name."""

INDICES = Kind(KIND, Index.load, FORMAT, keyed_since=FORMAT)


def known_in(folder: str | Path, *, vectors: bool = False, report: Report = silent) -> Taken:
    """The fingerprint files of a folder as subjects, with their vectors where these are wanted.

    What stands in the index is not read; a file that cannot be read is a failure with its reason. `report` gets the
    stage "files". RequestError where there is no such folder.
    """
    folder = Path(folder).expanduser()
    files = fingerprint_files(folder)
    recipe = {"folder": str(folder.resolve()), "vectors": [SEED, DIMENSIONS]}
    held = _rows(memo.known(INDICES, recipe))
    before, read = set(held), 0
    failures: list[Failure] = []
    try:
        for number, path in enumerate(files):
            report("files", number / len(files))
            try:
                identity = artifacts.digest(artifacts.identity(path))
                line, vector_D = held.get(path.name, (None, None))
                if line is None or line.identity != identity:
                    found = Fingerprint.load(path)
                    line, vector_D = _line(path.name, identity, found), None
                elif vectors and vector_D is None:
                    found = Fingerprint.load(path)
                else:
                    continue
            except (RequestError, OSError) as error:
                failures.append(Failure(str(path), str(error)))
                held.pop(path.name, None)
                continue
            held[path.name] = line, _vector(found) if vectors else None
            read += 1
        there = {path.name for path in files}
        held = {name: held[name] for name in sorted(held) if name in there}
    finally:  # what was read is kept when the rest is cancelled
        if read or set(held) != before:
            memo.keep(INDICES, recipe, _index(recipe, held))
    report("files", 1.0)
    return Taken(distinct([line.subject(folder, vector_D) for line, vector_D in held.values()]), tuple(failures))


def _rows(index: Index | None) -> Rows:
    if index is None:
        return {}
    rows = zip(index.lines, index.vectors_FD, index.known_F, strict=True)
    return {line.name: (line, vector_D if known else None) for line, vector_D, known in rows}


def _line(name: str, identity: str, found: Fingerprint) -> Line:
    widths = found.neurons.widths if found.neurons else ()
    return Line(
        name, identity, found.content_digest(), found.protocol_digest, found.reads_probes, tuple(widths), found.model
    )


def _vector(found: Fingerprint) -> np.ndarray:
    """The vector; zeros, which are near to nothing, where no network gives a signal."""
    try:
        return vector_of(found)
    except RequestError:
        return np.zeros(DIMENSIONS, np.float32)


def _index(recipe: dict[str, Any], held: Rows) -> Index:
    vectors = [np.zeros(DIMENSIONS, np.float32) if row is None else row for _, row in held.values()]
    return Index(
        recipe,
        tuple(line for line, _ in held.values()),
        np.array(vectors, np.float32).reshape(len(held), DIMENSIONS),
        np.array([row is not None for _, row in held.values()], bool),
    )
