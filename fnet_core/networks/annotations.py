"""What a person says of an atlas's networks: a label of their own, whether the label fits, a note.

It is kept apart from the atlas, in one small file for each atlas's key: nothing evicts it, and an atlas that is found
again has it. Saved atlases carry it, so that it travels with them.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from fnet_core.errors import RequestError
from fnet_core.progress import silent
from fnet_core.storage import artifacts
from fnet_core.storage.locks import exclusive
from fnet_core.storage.sealed import sealed, unsealed

if TYPE_CHECKING:
    from fnet_core.networks.atlas import Atlas

KIND = "labels"
FORMAT = 1
LONGEST_LABEL = 80
LONGEST_NOTE = 2000
Verdict = Literal["", "accepted", "rejected"]
VERDICTS = get_args(Verdict)
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Annotation:
    """What a person says of one network; nothing where all is empty. RequestError for what is too long or no verdict.

    White space in a label counts as one space; a note keeps its lines.
    """

    label: str = ""
    """In place of the automatic one."""
    verdict: Verdict = ""
    """Whether the label that is shown fits the network."""
    note: str = ""

    def __post_init__(self) -> None:
        if not all(isinstance(value, str) for value in (self.label, self.verdict, self.note)):
            raise RequestError("A label, its verdict and its note are texts; give text.")
        for name, value, longest in (
            ("label", " ".join(self.label.split()), LONGEST_LABEL),
            ("note", self.note.strip(), LONGEST_NOTE),
        ):
            if len(value) > longest:
                raise RequestError(f"A {name} of {len(value):,} characters is too long; write {longest:,} at most.")
            object.__setattr__(self, name, value.encode("utf-8", "replace").decode())
        if self.verdict not in VERDICTS:
            raise RequestError(f"'{self.verdict[:40]}' is no verdict; choose accepted, rejected or none.")

    def __bool__(self) -> bool:
        return bool(self.label or self.verdict or self.note)


Annotations = Mapping[int, Annotation]
"""By the networks' numbers."""


def changed(
    atlas: "Atlas",
    network: int,
    *,
    label: str | None = None,
    verdict: str | None = None,
    note: str | None = None,
    key: str | None = None,
) -> "Atlas":
    """The atlas with what a person says of a network kept: the parts that are given, the others as they were.

    Two who change the same atlas at once lose nothing of each other's but the same part of the same network, where the
    later one holds. `key` is the atlas's own unless given. RequestError for an unknown network, as `Annotation`, and
    for a kept file that cannot be read, which is left as it is.

    >>> import fnet_core as fn
    >>> from fnet_core.networks import annotations
    >>> atlas = annotations.changed(fn.find_atlas("tiny", components=4), 2, label="rain", verdict="accepted")
    >>> atlas.named[2], atlas.annotations[2].verdict
    ('rain', 'accepted')
    """
    atlas.layers_of(network)
    key = key or atlas.key
    given: dict[str, Any] = {"label": label, "verdict": verdict, "note": note}
    parts = {name: part for name, part in given.items() if part is not None}
    with exclusive(f"{KIND}-{key}", silent):
        kept = _kept(key)
        before = kept[network] if network in kept else atlas.annotations.get(network, Annotation())
        kept[network] = replace(before, **parts)
        _file(key).parent.mkdir(exist_ok=True)
        with artifacts.atomic_file(_file(key)) as temporary:
            temporary.write_text(_text(kept, atlas.model_name), "utf-8")
    return _with(atlas, kept)


def annotated(atlas: "Atlas", key: str | None = None) -> "Atlas":
    """The atlas with what is kept of its networks, over what its file says of them; RequestError as `changed`."""
    return _with(atlas, _kept(key or atlas.key))


def as_json(annotations: Annotations) -> dict[str, dict[str, str]]:
    """What is said, JSON-able, without networks of which nothing is."""
    return {str(network): asdict(said) for network, said in sorted(annotations.items()) if said}


def from_json(said: Any) -> dict[int, Annotation]:
    """What `as_json` gave; RequestError for anything else."""
    try:
        return {int(network): Annotation(**parts) for network, parts in said.items()}
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError("These are no labels that FNet saved; they are damaged or of another program.") from None


def sought(atlas: "Atlas", text: str) -> list[int]:
    """The networks whose number is `text`, or that have it in a label or a note, upper and lower case alike."""
    text = text.strip().casefold()
    return [network for network in range(len(atlas)) if text == str(network) or text in _said(atlas, network)]


def _said(atlas: "Atlas", network: int) -> str:
    said = atlas.annotations.get(network, Annotation())
    return "\n".join((atlas.labels[network], said.label, said.note)).casefold()


def _with(atlas: "Atlas", kept: dict[int, Annotation]) -> "Atlas":
    both = {**atlas.annotations, **kept}
    said = {network: each for network, each in sorted(both.items()) if each and network < len(atlas)}
    return atlas if said == atlas.annotations else replace(atlas, annotations=said)


def _file(key: str) -> Path:
    return artifacts.artifact_path(KIND, key).with_suffix(".json")


def _text(kept: dict[int, Annotation], model: str) -> str:
    """Networks of which nothing is said any more stand in it too: an atlas's file may say something of them."""
    networks = {str(network): asdict(said) for network, said in sorted(kept.items())}
    content = {"kind": "fnet-labels", "format": FORMAT, "model": model, "networks": networks}
    return json.dumps(sealed(content), indent=1, ensure_ascii=False)


def _kept(key: str) -> dict[int, Annotation]:
    path = _file(key)
    with suppress(FileNotFoundError):
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ValueError("it is too large")
            content = json.loads(path.read_text("utf-8"))
            found, networks = content["format"], content["networks"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise RequestError(
                f"The labels in {path} cannot be read and were left as they are; mend the file or move it away."
            ) from error
        if found != FORMAT:
            raise RequestError(f"The labels in {path} are of format {found} and this FNet reads {FORMAT}; update FNet.")
        unsealed(content, f"What is kept of networks in {path}")
        return from_json(networks)
    return {}
