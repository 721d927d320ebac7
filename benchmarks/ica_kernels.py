"""FastICA from several starts, against scikit-learn's FastICA and python-picard at equal tolerance.

    pip install python-picard
    python -m benchmarks.ica_kernels [MODEL] [--site residual] [--components 64] [--starts 10] [--rounds 5]

All get the same white group directions of the find passages in float64 and the same orthonormal starts, one after the
other where a library takes one at a time. The tolerance is that of scikit-learn's stopping rule: no component turns by
more than 1e-4 in one more update, 1 - abs(cosine). picard stops by the size of a gradient; its tolerance is the
loosest of 1e-1, 1e-2 ... at which one more update of FastICA turns no component by more than that. The cubic contrast.
"""

import argparse
import warnings

import numpy as np
import torch
from picard import picard
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from benchmarks.timing import timed, told
from fnet_core import texts
from fnet_core.activations.reading import read_subjects
from fnet_core.decomposition.canica import GroupBasis, _skewed_upward, standardize
from fnet_core.decomposition.ica import _step, decorrelate, fastica, random_starts, whiten
from fnet_core.models import loading as models

TOLERANCE, MOST = 1e-4, 200


def white_directions(name: str, site: str, components: int) -> Tensor:
    """The white group directions of a model, (K, N) float64."""
    loaded = models.get_loaded(name, accept_licence=True)
    basis = None
    for subject in read_subjects(loaded, texts.bundled("find"), site, write=standardize, reuse=True):
        z_TN = subject.activations_TN
        basis = basis or GroupBasis(components, z_TN.shape[1], z_TN.device)
        basis.add(z_TN)
    return whiten(_skewed_upward(basis.result().double())[None])[0]


def turned(white_KN: Tensor, unmixing_RKK: Tensor) -> Tensor:
    """How far one more update turns any component of each start, (R,)."""
    updated = decorrelate(_step(white_KN[None], unmixing_RKK[None], "cube"))[0]
    return (1 - (updated * unmixing_RKK).sum(dim=-1).abs()).amax(dim=-1)


def by_sklearn(white_KN: Tensor, starts_RKK: Tensor) -> Tensor:
    """The unmixing of each start by scikit-learn, (R, K, K)."""
    x_NK = white_KN.numpy().T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = [
            FastICA(whiten=False, fun="cube", w_init=w.numpy(), tol=TOLERANCE, max_iter=MOST).fit(x_NK).components_
            for w in starts_RKK
        ]
    return torch.from_numpy(np.stack(found))


def by_picard(white_KN: Tensor, starts_RKK: Tensor, tolerance: float) -> Tensor:
    """The unmixing of each start by picard, (R, K, K)."""
    x_KN = white_KN.numpy()
    options = {"fun": "cube", "ortho": True, "extended": True, "whiten": False, "centering": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [
            picard(x_KN, w_init=w.numpy(), tol=tolerance, max_iter=MOST, check_fun=False, **options)[1]
            for w in starts_RKK
        ]
    return torch.from_numpy(np.stack(found))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--site", default="residual")
    parser.add_argument("--components", type=int, default=64)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    white_KN = white_directions(options.model, options.site, options.components)
    starts = random_starts(1, options.starts, options.components, seed=0)
    print(f"{options.model}, site {options.site}, {tuple(white_KN.shape)}, {options.starts} starts\n", flush=True)
    for exponent in range(1, 8):
        tolerance = 10.0**-exponent
        still = turned(white_KN, by_picard(white_KN, starts[0, :1], tolerance))
        if still[0] <= TOLERANCE:
            break
    ways = {
        "this project": lambda: fastica(white_KN[None], starts, tolerance=TOLERANCE).unmixing_BRKK[0],
        "scikit-learn": lambda: by_sklearn(white_KN, starts[0]),
        f"picard, tolerance {tolerance:.0e}": lambda: by_picard(white_KN, starts[0], tolerance),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    unmixings = {}
    for _ in range(options.rounds):
        for name, way in ways.items():
            unmixings[name], wall, processors = timed(way)
            seconds[name].append((wall, processors))
    print("| | s | processor s | times ours | starts within the tolerance | largest turn |\n|---|---|---|---|---|---|")
    ours = seconds["this project"]
    for name, rounds in seconds.items():
        wall, processors = zip(*rounds, strict=True)
        times = [each[0] / own[0] for each, own in zip(rounds, ours, strict=True)]
        still_R = turned(white_KN, unmixings[name])
        print(
            f"| {name} | {told(wall)} | {told(processors)} | {told(times)} | {int((still_R <= TOLERANCE).sum())} "
            f"| {still_R.max():.1e} |"
        )
    for name, unmixing_RKK in unmixings.items():
        cosine = (unmixing_RKK @ unmixings["this project"].mT).abs().amax(dim=-1).mean(dim=-1)
        print(f"{name}: components found from the same start, mean abs(cosine) {told(cosine.tolist(), 3)}")


if __name__ == "__main__":
    main()
