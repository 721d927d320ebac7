"""Make what comes with the project, or hold what is there against a new computation.

`python -m benchmarks.example --write` finds the networks of the smaller starter with every choice at its default and
writes them, maps in half precision, to `assets/example/`, and its fingerprint without the signatures of neurons. The
lesion matrix is written if the store has one of these networks (`fnet edit smollm2-135m --atlas F --lesion`), else with
`--lesions` measured: an hour. `--write lesions` writes one of the three and leaves the others as they are.
Without `--write` it prints how what is kept agrees with what is computed, and the sizes of the files.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import fnet_core as fn
from fnet_core.capability.lesions import LesionMatrix
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.taking import find_fingerprint
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.example import (
    EXAMPLE_FILE,
    EXAMPLE_FINGERPRINT,
    EXAMPLE_LESIONS,
    EXAMPLE_MODEL,
    example_atlas,
)
from fnet_core.reporting.stored import OF_ATLAS, lesions_of

PARTS = ("atlas", "fingerprint", "lesions")


def main() -> None:
    """Write the example, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", nargs="*", choices=PARTS, metavar="PART", help=f"write anew: {', '.join(PARTS)}")
    parser.add_argument(
        "--lesions", action="store_true", help="with --write: measure the lesion matrix if none is kept"
    )
    options = parser.parse_args()
    found, fingerprint = replace(fn.find_atlas(EXAMPLE_MODEL), annotations={}), small_fingerprint()
    written = () if options.write is None else options.write or PARTS
    EXAMPLE_FILE.parent.mkdir(exist_ok=True)
    if "atlas" in written:
        replace(found, maps=tuple(maps.astype(np.float16) for maps in found.maps)).save(EXAMPLE_FILE)
    if "fingerprint" in written:
        fingerprint.save(EXAMPLE_FINGERPRINT)
    if "lesions" in written and (matrix := _lesions(found, options.lesions)) is not None:
        of = matrix.recipe | {OF_ATLAS: example_atlas().key}
        replace(matrix, recipe=of).save(EXAMPLE_LESIONS)
    kept = example_atlas()
    apart = max(float(np.abs(a - b).max()) for a, b in zip(kept.maps, found.maps, strict=True))
    alike = sum(a == b for a, b in zip(kept.labels, found.labels, strict=True))
    print(f"{_size(EXAMPLE_FILE)}, {len(kept)} networks of {kept.model_name}")
    print(f"largest difference of z {apart:.4f}; {alike} of {len(kept)} labels alike")
    signals = zip(Fingerprint.load(EXAMPLE_FINGERPRINT).signals, fingerprint.signals, strict=True)
    apart = max(float(np.abs(a.astype(np.float32) - b.astype(np.float32)).max()) for a, b in signals)
    print(f"{_size(EXAMPLE_FINGERPRINT)}, largest difference of signals {apart:.4f}")
    if EXAMPLE_LESIONS.is_file():
        matrix = LesionMatrix.load(EXAMPLE_LESIONS)
        asked, cells = matrix.recipe["asked"], matrix.surviving_KC
        print(
            f"{_size(EXAMPLE_LESIONS)}, {len(matrix.networks)} networks, {asked['items']} items, "
            f"{matrix.recipe['draws']} random lesions: {cells.sum()} of {cells.size} cells survive control"
        )


def small_fingerprint() -> Fingerprint:
    """The fingerprint at its defaults, without the signatures of neurons, which are most of its bytes."""
    whole = find_fingerprint(FingerprintRequest(EXAMPLE_MODEL), test=False).answer
    return replace(whole, neurons=None, untested="what comes with FNet leaves them out, to be small; take one whole")


def _lesions(atlas: Atlas, measure: bool) -> LesionMatrix | None:
    """The matrix of inhibited networks in the store with the most items, or a new one."""
    kept = [matrix for matrix in lesions_of(atlas) if matrix.gain == 0 and OF_ATLAS not in matrix.recipe]
    if kept or not measure:
        return max(kept, key=lambda matrix: len(matrix.untouched_I), default=None)
    return fn.lesions(EXAMPLE_MODEL, atlas)


def _size(file: Path) -> str:
    return f"{file.name}: {file.stat().st_size / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
