"""What a fingerprint costs beside a bare forward pass over the same probes, and what comparing two costs.

python -m benchmarks.fingerprint_cost [MODEL]
"""

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.prune_cost import bare_forward
from fnet_core import texts
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.taking import fingerprint
from fnet_core.models import loading as models


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    options = parser.parse_args()
    loaded = models.get_loaded(options.model, accept_licence=True)
    bare = bare_forward(loaded, (*texts.bundled("find"), *texts.bundled("score")))
    began = perf_counter()
    taken = fingerprint(loaded)
    seconds = perf_counter() - began
    print(taken.seconds, flush=True)
    print(f"{loaded.name}: bare forward pass over all probes {bare:.2f} s")
    print(
        f"fingerprint {seconds:.2f} s, {seconds / bare:.2f} times as long, peak memory "
        f"{taken.peak_memory_bytes / 1e9:.2f} GB"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "print.safetensors"
        taken.save(path)
        began = perf_counter()
        compare(Fingerprint.load(path), Fingerprint.load(path))
        shape = f"{len(taken)} x {len(taken)} networks, {len(taken.passages)} passages"
        size = path.stat().st_size / 1e6
        print(f"loading and comparing two files of {size:.1f} MB ({shape}): {perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
