"""How many flipped bytes are found when a file of each kind is read, and what looking for them costs.

    python -m benchmarks.flipped_bytes [--places 50] [--seed 0]

Files of every kind are made for the tiny model in a cache folder of their own. In each file one byte at a time is
changed, at seeded places, half of them in the first tenth; a place is found if reading is refused. Arrays are tried
besides without their checksums, as earlier versions saved them. A place that leaves a file saying the same (white space
in a JSON text, the date of a file in a bundle) is drawn anew.
"""

import argparse
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save

from benchmarks.robustness.samples import Samples, samples
from fnet_core.capability.keeping import PRESERVATIONS
from fnet_core.capability.lesions import LESIONS
from fnet_core.capability.profiles import PROFILES
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PERPLEXITIES
from fnet_core.interventions.edits import parse_edits
from fnet_core.lineage.fingerprint import FINGERPRINTS
from fnet_core.lineage.index import INDICES
from fnet_core.lineage.pairs import PAIRS
from fnet_core.models.folder import fits_card, read_card
from fnet_core.models.made import CARD
from fnet_core.networks import annotations
from fnet_core.networks.atlas import ATLASES, Atlas
from fnet_core.networks.direct import DIRECT
from fnet_core.networks.known_halves import RECURRENCES
from fnet_core.networks.opening import opened
from fnet_core.networks.singles import KEPT as SINGLES
from fnet_core.pruning.factors import FACTORS
from fnet_core.pruning.scores import SCORES
from fnet_core.reporting.bundle import load_bundle, parse_plan
from fnet_core.storage import checksums
from fnet_core.storage.artifacts import file_digest
from fnet_core.storage.memo import Kind
from fnet_core.storage.notes import LED

ANSWERS: tuple[Kind[Any], ...] = (
    *(ATLASES, RECURRENCES, SINGLES, DIRECT, FINGERPRINTS, INDICES, PAIRS, PERPLEXITIES, SCORES, FACTORS),
    *(PROFILES, LESIONS, PRESERVATIONS, LED),
)


def main() -> None:
    """Print the share found for each kind, with and without checksums, and the seconds of a large file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with samples() as made:
        print(f"{'kind':26} {'bytes':>9}   found   found without checksums")
        for kind in ANSWERS:
            path = min((made.home / kind.name).glob("*.safetensors"))
            without = made.folder / "scratch" / "without.safetensors"
            without.write_bytes(plain(path))
            found, before = (flips(kind.load, file, options.places, options.seed) for file in (path, without))
            size = path.stat().st_size
            print(f"{kind.name:26} {size:9,} {found:4}/{options.places} {before:13}/{options.places}", flush=True)
        for name, path, load in others(made):
            found = flips(load, path, options.places, options.seed)
            print(f"{name:26} {path.stat().st_size:9,} {found:4}/{options.places}", flush=True)
    cost()


def others(made: Samples) -> list[tuple[str, Path, Callable[[Path], Any]]]:
    """What is no answer: texts with a checksum, and the files of a model that FNet made."""
    found: list[tuple[str, Path, Callable[[Path], Any]]] = [
        ("edits", Path(made.names["edits"]), lambda path: parse_edits(path.read_text("utf-8"))),
        ("plan", Path(made.names["plan"]), lambda path: parse_plan(path.read_text("utf-8"))),
        ("bundle", Path(made.names["bundle"]), load_bundle),
        ("signed fingerprint", Path(made.names["signed"]), FINGERPRINTS.load),
    ]
    (labels,) = (made.home / annotations.KIND).iterdir()
    found.append(("labels", labels, partial(_refused_unless_labels, opened(made.names["atlas"]))))
    folder = Path(made.names["pruned"])
    read = (CARD, "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    return found + [(f"pruned model: {name}", folder / name, _refused_unless_whole) for name in read]


def _refused_unless_labels(atlas: Atlas, copy: Path) -> None:
    """Raise unless the copy, in the place of the atlas's labels, is read as these."""
    place = copy.with_name(copy.name.removeprefix("damaged-"))
    kept = place.read_bytes()
    try:
        copy.replace(place)
        annotations.annotated(atlas)
    finally:
        place.write_bytes(kept)


def _refused_unless_whole(copy: Path) -> None:
    """Raise unless the model in this file's folder is as it was made, the copy standing for the file it is of."""
    folder = copy.parent
    kept = (folder / copy.name.removeprefix("damaged-")).read_bytes()
    try:
        (folder / copy.name.removeprefix("damaged-")).write_bytes(copy.read_bytes())
        copy.unlink()
        read_card(folder)
        if not fits_card(folder, file_digest=file_digest):
            raise RequestError("changed since it was made")
    finally:
        (folder / copy.name.removeprefix("damaged-")).write_bytes(kept)


def flips(load: Callable[[Path], Any], path: Path, places: int, seed: int) -> int:
    """At how many of the places one changed byte is refused; whatever else is raised is passed on."""
    random, content = np.random.default_rng(seed), path.read_bytes()
    start = max(len(content) // 10, 1)
    if path.suffix == ".safetensors":
        start = min(8 + int.from_bytes(content[:8], "little"), len(content) - 1)
    found = tried = 0
    while tried < places:
        place = int(random.integers(0, start) if tried % 2 else random.integers(start, len(content)))
        damaged = bytearray(content)
        damaged[place] ^= int(random.integers(1, 256))
        if _says_the_same(path.suffix, bytes(damaged), content):
            continue
        tried += 1
        copy = path.with_name(f"damaged-{path.name}")
        copy.write_bytes(damaged)
        try:
            load(copy)
        except (RequestError, KeyError, TypeError, ValueError, IndexError):  # what the store takes for damage
            found += 1
        copy.unlink(missing_ok=True)
    return found


def _says_the_same(suffix: str, one: bytes, other: bytes) -> bool:
    if suffix not in _SAID:
        return False
    try:
        return bool(_SAID[suffix](one) == _SAID[suffix](other))
    except Exception:  # what a zip file with a changed byte raises is anybody's guess
        return False


def _packed(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


_SAID: dict[str, Callable[[bytes], Any]] = {".json": json.loads, ".zip": _packed}
"""What a file says, by its ending."""


def plain(path: Path) -> bytes:
    """A file's bytes as they are without checksums."""
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    metadata.pop(checksums.KEY)
    return save(load_file(path), metadata)


def cost(megabytes: int = 200) -> None:
    """Print the seconds that the checksums of a large file take to read."""
    content = checksums.added(save({"x": np.zeros(megabytes * 250_000, dtype=np.float32)}, {"fnet": "{}"}))
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        seconds = []
        for _ in range(5):
            with open(file.name, "rb") as opened:
                start = time.perf_counter()
                assert checksums.holds(opened, arrays=True)
                seconds.append(time.perf_counter() - start)
    print(f"checksums of {megabytes} MB: {min(seconds):.2f} s (best of 5)")


if __name__ == "__main__":
    main()
