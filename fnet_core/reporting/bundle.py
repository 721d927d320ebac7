"""A bundle: one zip file with an atlas, its labels, edits, plans, what was measured, and how all of it was made.

A bundle comes from anybody, so it is read with bounds: plain names that FNet writes, sizes that are checked before and
while they are read, and a digest for every file.
"""

import errno
import json
import platform
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fnet_core._version import __version__
from fnet_core.capability.lesions import LesionMatrix
from fnet_core.errors import RequestError
from fnet_core.inputs import check_plain, check_text
from fnet_core.interventions.edits import Edit, parse_edits
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.networks import annotations
from fnet_core.networks.atlas import Atlas
from fnet_core.reporting.figures import digests
from fnet_core.storage import artifacts
from fnet_core.storage.atomic import atomic_file, disk_errors
from fnet_core.storage.sealed import unsealed

KIND = "fnet-bundle"
FORMAT = 1
PLAN_KIND, PLAN_PARTS = "fnet-prune-plan", ("recipe", "summary", "keep")
MANIFEST, ATLAS, LABELS, FINGERPRINT = "manifest.json", "atlas.safetensors", "labels.json", "fingerprint.safetensors"
MOST_FILES = 100
MOST_BYTES = 8 * 10**9
"""Of all files together, unpacked."""
MOST_TEXT_BYTES = 256 * 10**6
"""Of a JSON file."""
_NAMES = re.compile(
    rf"{MANIFEST}|{ATLAS}|{LABELS}|{FINGERPRINT}|(edits|plan)-\d{{1,3}}\.json|lesions-\d{{1,3}}\.safetensors"
)
_BLOCK_BYTES = 8 * 1024 * 1024
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError),
    *(RuntimeError, KeyError, TypeError, ValueError, AttributeError),
)
"""What reading a damaged, encrypted or foreign zip file raises."""
_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file in a bundle, so that equal content gives equal bytes."""


@dataclass(frozen=True, eq=False)
class SavedEdits:
    """Edits as they were saved, with the perplexities that were measured under them."""

    text: str
    edits: tuple[Edit, ...]
    measured: dict[str, Any]
    """Texts' digest, `untouched` and `edited`; empty where nothing was measured."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a bundle holds."""

    atlas: Atlas
    """With what a person said of its networks."""
    edits: tuple[SavedEdits, ...] = ()
    plans: tuple[dict[str, Any], ...] = ()
    """Pruning plans as they were saved: kind, recipe, summary, keep."""
    lesions: tuple[LesionMatrix, ...] = ()
    fingerprint: Fingerprint | None = None
    made_by: str = __version__
    platform: str = ""

    def summary(self) -> dict[str, Any]:
        """As JSON: what is in it and how it was made."""
        return {
            "model": self.atlas.model_name,
            "networks": len(self.atlas),
            "labels": len(annotations.as_json(self.atlas.annotations)),
            "edits": len(self.edits),
            "plans": len(self.plans),
            "lesions": len(self.lesions),
            "fingerprint": self.fingerprint is not None,
            "made_by": self.made_by,
            "platform": self.platform,
            "recipe": self.atlas.recipe,
            "figures": digests(self.atlas),
        }


def parse_plan(text: str, name: str = "This text") -> dict[str, Any]:
    """A saved pruning plan; RequestError for any other text, and for one that was changed after it was saved."""
    try:
        found = json.loads(text)
        whole = found["kind"] == PLAN_KIND and all(isinstance(found[part], dict) for part in PLAN_PARTS)
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise RequestError(
            f"{name} is no pruning plan that FNet saved; give a file of 'Plan (JSON)' on the Prune page."
        )
    unsealed(found, name)
    return found


def save_bundle(bundle: Bundle, path: Path) -> None:
    """Write a bundle, whole or not at all; equal content gives equal bytes.

    RequestError for more files than a bundle has, and if the disk refuses.
    """
    folder = Path(tempfile.mkdtemp(prefix="fnet-"))
    try:
        files = _written(bundle, folder)
        if len(files) >= MOST_FILES:
            raise RequestError(
                f"This bundle would have {len(files) + 1} files, and {MOST_FILES} are the most; leave out some edits, "
                "plans or lesion matrices."
            )
        manifest: dict[str, Any] = {
            "kind": KIND,
            "format": FORMAT,
            "files": {name: {"sha256": artifacts.file_digest(folder / name)} for name in files},
            "measured": [each.measured for each in bundle.edits],
            **bundle.summary(),
            "platform": bundle.platform or f"Python {platform.python_version()}, {platform.machine()}",
        }
        manifest["digest"] = artifacts.digest(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True), "utf-8")
        with atomic_file(Path(path)) as temporary, zipfile.ZipFile(temporary, "w") as packed:
            for name in (MANIFEST, *files):
                entry = zipfile.ZipInfo(name, _DATE)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                with open(folder / name, "rb") as source, packed.open(entry, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, _BLOCK_BYTES)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _written(bundle: Bundle, folder: Path) -> list[str]:
    """Write the parts of a bundle into a folder; their names."""
    bundle.atlas.save(folder / ATLAS)
    texts = {LABELS: json.dumps(annotations.as_json(bundle.atlas.annotations), indent=1, ensure_ascii=False)}
    texts |= {f"edits-{number}.json": each.text for number, each in enumerate(bundle.edits, start=1)}
    for number, plan in enumerate(bundle.plans, start=1):
        texts[f"plan-{number}.json"] = json.dumps(plan, indent=1, ensure_ascii=False)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    for number, matrix in enumerate(bundle.lesions, start=1):
        matrix.save(folder / f"lesions-{number}.safetensors")
    if bundle.fingerprint is not None:
        bundle.fingerprint.save(folder / FINGERPRINT)
    return sorted(file.name for file in folder.iterdir())


def load_bundle(path: Path) -> Bundle:
    """Read a bundle.

    RequestError when the file is missing, no bundle, damaged, of another format (with both formats), or holds names
    or sizes that FNet does not write.
    """
    with _unpacked(Path(path)) as (folder, manifest):
        try:
            return _read(folder, manifest)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError) as error:
            if isinstance(error, RequestError):
                raise RequestError(f"{path}: {str(error).replace(f'{folder}/', '')}") from error
            raise _damaged(path) from error


def _read(folder: Path, manifest: dict[str, Any]) -> Bundle:
    edits = []
    for number, measured in enumerate(manifest["measured"], start=1):
        text = (folder / f"edits-{number}.json").read_text("utf-8")
        edits.append(SavedEdits(text, parse_edits(text)[0], dict(measured)))
    return Bundle(
        atlas=Atlas.load(folder / ATLAS),
        edits=tuple(edits),
        plans=tuple(parse_plan(file.read_text("utf-8")) for file in _numbered(folder, "plan")),
        lesions=tuple(LesionMatrix.load(file) for file in _numbered(folder, "lesions")),
        fingerprint=Fingerprint.load(folder / FINGERPRINT) if (folder / FINGERPRINT).is_file() else None,
        made_by=str(manifest["made_by"]),
        platform=str(manifest["platform"]),
    )


def _numbered(folder: Path, part: str) -> list[Path]:
    """The files of a part in the order in which they were bundled."""
    return sorted(folder.glob(f"{part}-*"), key=lambda file: int(file.stem.partition("-")[2]))


@contextmanager
def _unpacked(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The files of a bundle in a folder of their own, held against their digests, and its manifest."""
    try:
        check_plain(path)
        size = path.stat().st_size
    except FileNotFoundError:
        raise RequestError(f"There is no file {path}; check the path.") from None
    folder = Path(tempfile.mkdtemp(prefix="fnet-"))
    try:
        try:
            with zipfile.ZipFile(path) as packed:
                entries = _checked(packed, path, size)
                manifest = _manifest(packed, entries, path)
                for name, told in manifest["files"].items():
                    if _unpack(packed, entries[name], folder / name) != told["sha256"]:
                        raise _damaged(path)
        except RequestError:
            raise
        except _BROKEN as error:
            raise _damaged(path) from error
        except OSError as error:
            if error.errno == errno.EINVAL:  # a place in the file that cannot be
                raise _damaged(path) from error
            with disk_errors(folder):
                raise
        yield folder, manifest
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _checked(packed: zipfile.ZipFile, path: Path, size: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by name; RequestError for names and sizes that FNet does not write."""
    entries = packed.infolist()
    odd = next((entry.filename for entry in entries if not _NAMES.fullmatch(entry.filename)), None)
    if odd is not None or len(entries) > MOST_FILES or len({entry.filename for entry in entries}) < len(entries):
        many = f"{len(entries)} files" if len(entries) > MOST_FILES else "some files of one name"
        what = many if odd is None else f"a file '{odd[:60]}'"
        raise RequestError(f"{path} holds {what} that no bundle has; ask for one that FNet made.")
    large = sum(entry.file_size for entry in entries)
    texts = [entry.file_size for entry in entries if entry.filename.endswith(".json")]
    if large > MOST_BYTES or max(texts, default=0) > MOST_TEXT_BYTES or large > 1100 * size:
        raise RequestError(
            f"{path} would unpack to {large / 1e9:,.1f} GB, more than a bundle may; it was not unpacked."
        )
    return {entry.filename: entry for entry in entries}


def _manifest(packed: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], path: Path) -> dict[str, Any]:
    if MANIFEST not in entries:
        raise RequestError(f"{path} is no bundle that FNet made: it has no {MANIFEST}.")
    try:
        manifest = json.loads(packed.read(entries[MANIFEST]))
        ours = manifest["kind"] == KIND
        found = manifest["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path) from error
    if not ours:
        raise RequestError(f"{path} is no bundle that FNet made: its {MANIFEST} says otherwise.")
    if found != FORMAT:
        made_by = str(manifest.get("made_by", "another version"))[:40]
        raise RequestError(
            f"{path} is a bundle of format {str(found)[:20]}, made by FNet {made_by}, and this is FNet {__version__}, "
            f"which reads format {FORMAT}; use the version that made it, or make the bundle again."
        )
    told = manifest.pop("digest", None)
    if told != artifacts.digest(manifest) or set(manifest["files"]) != entries.keys() - {MANIFEST}:
        raise _damaged(path)
    return manifest


def _unpack(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> str:
    """Write one file, no more of it than its entry says; its SHA-256."""
    running, left = sha256(), entry.file_size
    with packed.open(entry) as source, open(target, "wb") as file:
        while block := source.read(min(_BLOCK_BYTES, left + 1)):
            left -= len(block)
            if left < 0:
                raise zipfile.BadZipFile("larger than its entry says")
            running.update(block)
            file.write(block)
    return running.hexdigest()


def _damaged(path: Path) -> RequestError:
    return RequestError(f"{path} is cut short or damaged, or was changed after it was made; ask for it again.")


def read_texts(files: Sequence[str | Path]) -> list[str]:
    """The content of text files; RequestError for one that is missing, no plain file, too large or no text."""
    found = []
    for file in files:
        path = Path(file).expanduser()
        check_text(path)
        try:
            found.append(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            raise RequestError(f"'{file}' cannot be read; give a file of edits or a plan that FNet saved.") from None
    return found


def read_plans(files: Sequence[str | Path]) -> list[dict[str, Any]]:
    """The plans in files; RequestError as `read_texts` and `parse_plan`."""
    return [parse_plan(text, str(file)) for file, text in zip(files, read_texts(files), strict=True)]
