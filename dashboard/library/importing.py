"""Files that a person brings: checked whole, and kept apart from what was computed here."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from dashboard import atlases, fingerprints
from fnet_core.errors import RequestError
from fnet_core.interventions.edits import KIND as EDITS
from fnet_core.interventions.edits import parse_edits
from fnet_core.lineage.fingerprint import KIND as FINGERPRINT
from fnet_core.networks.atlas import KIND as ATLAS
from fnet_core.networks.atlas import Atlas
from fnet_core.reporting.bundle import PLAN_KIND, parse_plan
from fnet_core.storage import artifacts, library

ENDINGS = ("safetensors", "json")


def keep(content: bytes, name: str) -> str:
    """Keep an atlas, a fingerprint, a plan or edits, and say so; RequestError for any other file and a full library."""
    return _text(content, name) if name.lower().endswith(".json") else _arrays(content, name)


def _arrays(content: bytes, name: str) -> str:
    folder = Path(tempfile.mkdtemp(prefix="fnet-"))
    try:
        path = folder / "upload.safetensors"
        path.write_bytes(content)
        try:
            kind = artifacts.read_header(path)["kind"]
            if kind == ATLAS:
                Atlas.load(path)
                library.check_room(len(content))
                target = artifacts.artifact_path(atlases.UPLOADS, artifacts.file_digest(path))
                target.parent.mkdir(parents=True, exist_ok=True)
                with artifacts.atomic_file(target) as temporary:
                    shutil.copyfile(path, temporary)
                return f"The atlas in {name} was imported."
        except RequestError as error:
            raise RequestError(str(error).replace(str(path), name)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if kind != FINGERPRINT:
        raise RequestError(f"{name} holds {kind!r}; import an atlas, a fingerprint, a plan or edits.")
    fingerprints.keep(content, name)
    return f"The fingerprint in {name} was imported."


def _text(content: bytes, name: str) -> str:
    wrong = RequestError(f"{name} is neither a plan nor edits that FNet saved; import one that it did.")
    try:
        text = content.decode("utf-8")
        found: Any = json.loads(text)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise wrong from error
    kind = found.get("kind") if isinstance(found, dict) else None
    if kind == EDITS:
        parse_edits(text)
        library.add_text("edits", text)
        return f"The edits in {name} were imported."
    if kind == PLAN_KIND:
        parse_plan(text, name)
        library.add_text("plan", text)
        return f"The plan in {name} was imported."
    raise wrong
