"""A model whose weights stay on disk against the same one in memory: atlas, edit, plan and fingerprint.

    python -m benchmarks.offload [MODEL] [--weights 150] [--passages 6]

Two processes: the model whole, and with at most `--weights` MB of its weights in memory and the rest on disk, from
where accelerate reads them layer by layer. Beside the answers stands how much memory a process took at most: all of it,
and what no file stands behind, looked at every 20 ms (Linux). Weights that are read whole are mapped from their file.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter

import numpy as np
from safetensors.numpy import load_file, save_file

from fnet_core import texts
from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.evaluation.perplexity import measure
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import edit_networks
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.taking import fingerprint
from fnet_core.models import loading as models
from fnet_core.models.running import main_device
from fnet_core.networks.finding import AtlasRequest, compute_atlas
from fnet_core.networks.matching import matched_correlation
from fnet_core.profiling import PeakMemory
from fnet_core.progress import silent
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.plan import make_plan
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest, _computed

COMPONENTS = 16


class Own:
    """The most memory of this process that no file stands behind, in bytes, looked at in the background."""

    def __init__(self) -> None:
        self.most = 0
        self._over = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            lines = Path("/proc/self/status").read_text().splitlines()
            self.most = max(self.most, *(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")))

    def end(self) -> int:
        """What was found."""
        self._over.set()
        return self.most


def answer(folder: Path, name: str, count: int, weights: int) -> None:
    """Everything that is compared, of one way to hold the model, into a folder."""
    own, peak = Own(), PeakMemory()
    loaded = models.load(name, max_memory={"cpu": weights * 1_000_000} if weights else None)
    find, score = texts.bundled("find")[:count], texts.bundled("score")[:count]
    seconds = {}

    def took(stage: str, began: float) -> None:
        seconds[stage] = round(perf_counter() - began, 1)

    began = perf_counter()
    recipe = {"model": name, "model_digest": loaded.digest, "site": "mlp", "scope": "model", "seed": 0}
    atlas = compute_atlas(loaded, AtlasRequest(name, find, components=COMPONENTS), recipe, halves=False)
    took("atlas", began)
    began = perf_counter()
    with editing(loaded, [edit_networks(atlas, [0], DEFAULT_THRESHOLD, gain=0.0)]):
        *_, edited = measure(loaded, score[:2])
    took("edit", began)
    began = perf_counter()
    request = ScoreRequest(find, components=COMPONENTS)
    scores = _computed(loaded, ["networks"], request, silent, [main_device(loaded.model)])["networks"]
    plan = make_plan(anatomy(loaded), scores, PlanRequest("networks", 0.2))
    took("plan", began)
    began = perf_counter()
    taken = fingerprint(loaded, components=COMPONENTS, find=find, score=score)
    took("fingerprint", began)
    arrays = {"maps": atlas.maps[0], "nll": np.concatenate(edited.token_nll), "keep": np.concatenate(plan.keep_mlp)}
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, folder / "arrays.safetensors")
    taken.save(folder / "fingerprint.safetensors")
    (folder / "told.json").write_text(
        json.dumps(
            {
                "where": loaded.device,
                "seconds": seconds,
                "all_MB": peak.bytes() // 1_000_000,
                "own_MB": own.end() // 1_000_000,
            }
        )
    )


def run(folder: Path, options: argparse.Namespace, weights: int) -> None:
    """The answers of a process of its own."""
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.offload", options.model, "--passages", str(options.passages)]
    subprocess.run([*command, "--into", str(folder), "--weights", str(weights)], check=True)
    print((folder / "told.json").read_text(), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--weights", type=int, default=150, help="MB of weights in memory")
    parser.add_argument("--passages", type=int, default=6)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.into:
        answer(options.into, options.model, options.passages, options.weights)
        return
    with tempfile.TemporaryDirectory() as parent:
        whole, disk = (Path(parent) / name for name in ("whole", "disk"))
        run(whole, options, 0)
        run(disk, options, options.weights)
        _compare(whole, disk)


def _compare(whole: Path, disk: Path) -> None:
    a, b = (load_file(folder / "arrays.safetensors") for folder in (whole, disk))
    r = matched_correlation(a["maps"], b["maps"])
    print(f"atlas: lowest matched abs(r) {r.min():.6f}, largest difference {np.abs(a['maps'] - b['maps']).max():.1e}")
    loss = np.nanmax(np.abs(a["nll"] - b["nll"]))
    print(f"edit: largest difference of a token's loss {loss:.1e} nats")
    print(f"plan: {int((a['keep'] != b['keep']).sum())} of {a['keep'].size} neurons kept otherwise")
    prints = [Fingerprint.load(folder / "fingerprint.safetensors") for folder in (whole, disk)]
    apart = max(float(np.abs(x.astype(float) - y).max()) for x, y in zip(*(p.signals for p in prints), strict=True))
    print(f"fingerprint: score {compare(*prints).score:.6f}, largest difference of a signal {apart:.1e}")


if __name__ == "__main__":
    main()
