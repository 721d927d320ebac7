"""What is kept beside an atlas: the lesion matrices of its networks and the fingerprint of its model, in the store or
in what comes with the project. Nothing is computed, and no model is loaded.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fnet_core.capability import lesions as lesioning
from fnet_core.capability.lesions import LesionMatrix, LesionRequest, edits_digest
from fnet_core.errors import RequestError
from fnet_core.lineage import fingerprint as fingerprints
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.example import EXAMPLE_FINGERPRINT, EXAMPLE_LESIONS
from fnet_core.storage import artifacts

OF_ATLAS = "of_atlas"
"""The entry of a lesion matrix's recipe that names the atlas, where its own key neurons do not: maps that are kept in
half precision move a few neurons across the threshold."""


def lesions_of(atlas: Atlas) -> tuple[LesionMatrix, ...]:
    """The lesion matrices of an atlas, of each gain and threshold the one with the most items; the inhibited first."""
    found: dict[tuple[float, float], LesionMatrix] = {}
    for path, recipe in _recipes(lesioning.KIND, EXAMPLE_LESIONS):
        if not _is_of(recipe, atlas):
            continue
        try:
            matrix = LesionMatrix.load(path)
        except (RequestError, KeyError, TypeError):
            continue
        kind = (matrix.gain, recipe["threshold"])
        if kind not in found or len(found[kind].untouched_I) < len(matrix.untouched_I):
            found[kind] = matrix
    return tuple(found[kind] for kind in sorted(found))


def bundled_lesions(atlas: Atlas) -> LesionMatrix | None:
    """The lesion matrix that comes with the project, if it is of this atlas."""
    for path, recipe in _recipes("", EXAMPLE_LESIONS):
        if _is_of(recipe, atlas):
            return LesionMatrix.load(path)
    return None


def fingerprint_of(atlas: Atlas) -> Fingerprint | None:
    """The newest fingerprint of an atlas's model, with public probes where there is one."""
    kept: list[tuple[bool, int, Path]] = []
    for path, recipe in _recipes(fingerprints.KIND, EXAMPLE_FINGERPRINT):
        if recipe.get("model_digest") == atlas.recipe.get("model_digest") is not None:
            protocol = recipe.get("protocol")
            kept.append((not isinstance(protocol, dict) or "secret" in protocol, len(kept), path))
    for *_, path in sorted(kept):
        try:
            return Fingerprint.load(path)
        except RequestError:
            continue
    return None


def _is_of(recipe: dict[str, Any], atlas: Atlas) -> bool:
    """Whether a lesion matrix's recipe is of this atlas's networks."""
    if recipe.get("model_digest") != atlas.recipe.get("model_digest"):
        return False
    if recipe.get(OF_ATLAS) == atlas.key:
        return True
    try:
        return recipe["edits"] == edits_digest(LesionRequest(recipe["threshold"], recipe["gain"]).edits(atlas))
    except (RequestError, KeyError, TypeError):
        return False


def _recipes(kind: str, more: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Files with their recipes, the newest of the store first and then what comes with the project."""
    for path in [*(artifacts.list_artifacts(kind) if kind else ()), more]:
        try:
            recipe = artifacts.read_header(path)["recipe"]
        except (RequestError, KeyError):
            continue
        if isinstance(recipe, dict):
            yield path, recipe
