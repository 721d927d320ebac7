"""An atlas alone and beside busy processes, with threads that spin while they wait and with threads that do not.

    python -m benchmarks.busy_machine [MODEL] [--passages 6] [--busy 4]

Each cell is a process of its own that finds the atlas once in an empty cache; seconds are those of the atlas's stages.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

from fnet_core.threads import SETTINGS


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--passages", type=int, default=6)
    parser.add_argument("--busy", type=int, default=4)
    options = parser.parse_args()
    print(f"{options.model}, {options.passages} passages, {os.cpu_count()} processors, {options.busy} busy processes\n")
    print("| threads that wait | beside | capturing s | separating s | all s |")
    print("|---|---|---|---|---|")
    for busy in (0, options.busy):
        for name, settings in (("default of OpenMP", None), ("sleep (FNet's setting)", dict(SETTINGS))):
            others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
            try:
                seconds = _atlas(options.model, options.passages, settings)
            finally:
                for other in others:
                    other.kill()
                    other.wait()
            print(
                f"| {name} | {busy} busy | {seconds['capturing']:.1f} | {seconds['separating']:.1f} "
                f"| {sum(seconds.values()):.1f} |",
                flush=True,
            )


def _atlas(model: str, passages: int, settings: dict[str, str] | None) -> dict[str, float]:
    """Seconds per stage of an atlas that is not in the store; None leaves OpenMP its own way of waiting."""
    names = (*SETTINGS, "OMP_WAIT_POLICY", "OMP_NUM_THREADS")
    env = {name: value for name, value in os.environ.items() if name not in names} | (settings or {})
    program = (
        "import sys, json\n"
        "from fnet_core import texts\n"
        "from fnet_core.models.loading import get_loaded\n"
        "from fnet_core.networks.finding import AtlasRequest, compute_atlas\n"
        "model, passages = sys.argv[1], int(sys.argv[2])\n"
        "request = AtlasRequest(model, texts.bundled('find')[:passages])\n"
        "print(json.dumps(compute_atlas(get_loaded(model), request, {}, halves=False).seconds))\n"
    )
    with tempfile.TemporaryFile() as noise:
        command = [sys.executable, "-c", program, model, str(passages)]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=noise, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
