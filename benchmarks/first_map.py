"""Seconds from the start of a process to its first networks, and to an atlas that the store has.

    python -m benchmarks.first_map [MODEL] [--rounds 5] [--looks 2]

The model is on this machine and its files are in the system's cache. A process that finds an atlas of the bundled
passages with a seed of its own is stopped after so many provisional atlases; `fnet atlas` then asks for one that is
kept (found first if the store lacks it).
"""

import argparse
import subprocess
import sys
import time

from benchmarks.timing import told

COLD = """
import sys, time
from fnet_core import starting
starting.begin()
from fnet_core import texts
from fnet_core.errors import Cancelled
from fnet_core.networks.finding import AtlasRequest, find_atlas
model, seed, looks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print(time.time(), "imported", flush=True)
seen = []
def publish(atlas):
    seen.append(atlas)
    print(time.time(), f"networks of {atlas.provisional[0]} of {atlas.provisional[1]} passages", flush=True)
    if len(seen) == looks:
        raise Cancelled
try:
    find_atlas(AtlasRequest(model, texts.for_networks(), seed=seed), publish=publish)
except Cancelled:
    pass
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--looks", type=int, default=2)
    options = parser.parse_args()
    times: dict[str, list[float]] = {}
    for number in range(options.rounds):
        began = time.time()
        arguments = [options.model, str(1_000_000 + number), str(options.looks)]
        done = subprocess.run([sys.executable, "-c", COLD, *arguments], check=True, capture_output=True, text=True)
        for line in done.stdout.splitlines():
            at, _, what = line.partition(" ")
            times.setdefault(what, []).append(float(at) - began)
    command = [sys.executable, "-m", "fnet_core", "atlas", options.model, "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    for _ in range(options.rounds):
        began = time.time()
        subprocess.run(command, check=True, capture_output=True)
        times.setdefault("`fnet atlas` from the store", []).append(time.time() - began)
    for what, values in times.items():
        print(f"{what}: {told(values)} s")


if __name__ == "__main__":
    main()
