"""What a fingerprint costs beside a bare forward pass over the same probes, and what comparing two costs.

python -m benchmarks.fingerprint_cost [MODEL] [--rounds 5]

Bare pass and fingerprint alternate after one bare pass to warm up; medians with the lowest and highest.
"""

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.prune_cost import bare_forward
from benchmarks.timing import timed, told
from fnet_core import texts
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.taking import fingerprint
from fnet_core.models import loading as models


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    loaded = models.get_loaded(options.model, accept_licence=True)
    probes = (*texts.bundled("find"), *texts.bundled("score"))
    bare_forward(loaded, probes)
    rounds = []
    for _ in range(options.rounds):
        _, bare, bare_cpu = timed(lambda: bare_forward(loaded, probes))
        taken, seconds, cpu = timed(lambda: fingerprint(loaded))
        rounds.append((bare, seconds, seconds / bare, cpu / bare_cpu))
    bare_all, seconds_all, times, times_cpu = map(told, zip(*rounds, strict=True))
    print(taken.seconds, flush=True)
    print(f"{loaded.name}: bare forward pass over all probes {bare_all} s")
    print(
        f"fingerprint {seconds_all} s, {times} times as long, {times_cpu} times the processor seconds, peak memory "
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
