"""Make the atlas that comes with the project, or hold the one that is there against a new computation.

`python -m benchmarks.example --write` finds the networks of the smaller starter with every choice at its default and
writes them, maps in half precision, to `assets/example/`. Without `--write` it prints how the kept maps and labels
agree with the computed ones, and the size of the file.
"""

import argparse
from dataclasses import replace

import numpy as np

import fnet_core as fn
from fnet_core.networks.example import EXAMPLE_FILE, EXAMPLE_MODEL, example_atlas


def main() -> None:
    """Write the example, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the file anew")
    found = fn.find_atlas(EXAMPLE_MODEL)
    if parser.parse_args().write:
        EXAMPLE_FILE.parent.mkdir(exist_ok=True)
        halves = replace(found, maps=tuple(maps.astype(np.float16) for maps in found.maps))
        halves.save(EXAMPLE_FILE)
    kept = example_atlas()
    apart = max(float(np.abs(a - b).max()) for a, b in zip(kept.maps, found.maps, strict=True))
    alike = sum(a == b for a, b in zip(kept.labels, found.labels, strict=True))
    print(f"{EXAMPLE_FILE.name}: {EXAMPLE_FILE.stat().st_size / 1e6:.1f} MB, {len(kept)} networks of {kept.model_name}")
    print(f"largest difference of z {apart:.4f}; {alike} of {len(kept)} labels alike")


if __name__ == "__main__":
    main()
