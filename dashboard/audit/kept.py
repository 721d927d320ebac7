"""What an audit was of, kept under a short key for the address: fingerprints, their labels, and what failed."""

from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from dashboard import fingerprints
from fnet_core.errors import RequestError
from fnet_core.lineage.audit import Audit, audit
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.subjects import Failure, Taken, subject_of
from fnet_core.lineage.verdict import REFERENCE_FILE
from fnet_core.storage import artifacts

KIND = "audit"


@dataclass(frozen=True)
class Members:
    """What an audit is of."""

    references: tuple[str, ...]
    """To fingerprints, as `fingerprints.parse` reads them."""
    labels: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]
    """What could not be read, and why."""

    def keep(self) -> str:
        """Keep it, and return its key."""
        key = artifacts.digest(vars(self))[:16]
        artifacts.save_artifact(artifacts.artifact_path(KIND, key), KIND, {}, {"members": vars(self)})
        return key


def members(key: str) -> Members:
    """What the audit of this key is of; RequestError if the key means nothing or the file cannot be read."""
    path = artifacts.artifact_path(KIND, key)
    if not path.is_file():
        raise RequestError(f"There is no audit '{key[:16]}' here; it may have been removed. Press 'Audit' to make it.")
    _, header = artifacts.load_artifact(path, KIND)
    try:
        found = header["members"]
        failures = tuple((label, why) for label, why in found["failures"])
        return Members(tuple(found["references"]), tuple(found["labels"]), failures)
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{path} is no whole audit; remove it.") from error


def shown(key: str) -> Audit:
    """The audit of this key, its pairs from the store; RequestError when a fingerprint is missing by now."""
    found = members(key)
    paths = [fingerprints.path_of(reference) for reference in found.references]
    changed = REFERENCE_FILE.stat().st_mtime_ns if REFERENCE_FILE.exists() else 0
    return _audit(found, tuple(map(str, paths)), (changed, *(path.stat().st_mtime_ns for path in paths)))


@st.cache_resource(max_entries=4, show_spinner="Reading the audit")
def _audit(found: Members, paths: tuple[str, ...], changed: tuple[int, ...]) -> Audit:
    subjects = [
        replace(subject_of(Fingerprint.load(Path(path)), Path(path)), label=label)
        for path, label in zip(paths, found.labels, strict=True)
    ]
    return audit(Taken(tuple(subjects), tuple(Failure(*failure) for failure in found.failures)))
