"""How many flipped bytes are found when an answer of each kind is read, and what looking for them costs.

    python -m benchmarks.flipped_bytes [--places 50] [--seed 0]

Answers of every kind are made for the tiny model in a cache folder of their own. In each file one byte at a time is
changed, at seeded places, half of them in the header; a place is found if reading is refused. Each file is tried
besides without its checksums, as earlier versions saved it.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save

from fnet_core.cli.main import main as command_line
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PERPLEXITIES
from fnet_core.lineage.fingerprint import FINGERPRINTS
from fnet_core.networks.atlas import ATLASES
from fnet_core.networks.halves import RECURRENCES
from fnet_core.pruning.factors import FACTORS
from fnet_core.pruning.scores import SCORES
from fnet_core.storage import checksums
from fnet_core.storage.memo import Kind

KINDS: tuple[Kind[Any], ...] = (ATLASES, RECURRENCES, FINGERPRINTS, PERPLEXITIES, SCORES, FACTORS)
_PRUNED = ("--ratio", "0.2", "--protect", "0", "0", "--method", "networks", "--compensation", "networks")
REQUESTS = (
    ("recur", "tiny", "--components", "2", "--passages", "4"),
    ("fingerprint", "tiny", "--components", "2", "--threshold", "1", "--find", "{a}", "--score", "{b}"),
    ("prune", "tiny", "--components", "2", *_PRUNED, "--calibration", "{a}", "--texts", "{b}"),
)
"""What makes answers of every kind; {a} and {b} are two short texts."""
_TEXT = "The harbour at {0} was quiet.\n\nNobody at {0} looked up.\n\nThe rest of {0} slept under the hill.\n"


def main() -> None:
    """Print the share found for each kind, with and without checksums, and the seconds of a large file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["FNET_HOME"] = home
        make(Path(home))
        print(f"{'kind':15} {'bytes':>9}   found   found without checksums")
        for kind in KINDS:
            path = min((Path(home) / kind.name).glob("*.safetensors"))
            content, without = path.read_bytes(), Path(home) / "without.safetensors"
            without.write_bytes(plain(path))
            found, before = (flips(kind.load, file, options.places, options.seed) for file in (path, without))
            print(f"{kind.name:15} {len(content):9,} {found:4}/{options.places} {before:13}/{options.places}")
        cost()


def make(home: Path) -> None:
    """Answers of every kind for the tiny model, in the cache folder."""
    texts = {name: home / f"{name}.txt" for name in "ab"}
    for name, path in texts.items():
        path.write_text(_TEXT.format(name) * 4)
    for request in REQUESTS:
        with redirect_stdout(StringIO()):
            status = command_line([*(part.format(**texts) for part in request), "--quiet", "--json"])
        assert status == 0, f"{request} was refused"


def flips(load: Callable[[Path], Any], path: Path, places: int, seed: int) -> int:
    """At how many of the places one changed byte is refused; whatever else is raised is passed on."""
    random, content = np.random.default_rng(seed), path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    found = 0
    for number in range(places):
        place = int(random.integers(0, header) if number % 2 else random.integers(header, len(content)))
        damaged = bytearray(content)
        damaged[place] ^= int(random.integers(1, 256))
        copy = path.with_name("damaged.safetensors")
        copy.write_bytes(damaged)
        try:
            load(copy)
        except (RequestError, KeyError, TypeError, ValueError, IndexError):  # what the store takes for damage
            found += 1
    return found


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
