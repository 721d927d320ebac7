"""One ICA per layer, on its leading correlations over all tokens, layers spread over the devices there are.

Shape legend: T tokens, N signals of one layer (in a subject: of all layers side by side), L layers, K networks, P rows
of a root.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Queue

import numpy as np
import torch
from torch import Tensor

from fnet_core.decomposition.canica import separate
from fnet_core.decomposition.sketch import Correlations, CorrelationSketch, Probes
from fnet_core.errors import Cancelled
from fnet_core.progress import Report, silent

_AHEAD = 2
"""Subjects that wait for a device at most, so that memory does not grow with text."""

_PATIENCE = 0.5
"""Seconds between two questions whether to go on."""


@dataclass(frozen=True, eq=False)
class LayerNetworks:
    """The functional networks of one layer on the CPU, and what tells how active they are together."""

    maps_KN: Tensor
    """float32 z-values over signals, the larger tail positive, in no order."""
    correlations: Correlations
    """Of the layer's signals."""
    probes: Probes
    """What the correlations were seen with."""

    def together(self) -> tuple[Tensor, Tensor]:
        """The covariance of the networks' activity, (K, K) float64, and with the signals, (K, N) in units of these.

        A network's activity is that of the z-scored signals on the maps' pseudo-inverse.
        """
        root_PN = self.correlations.root_PN
        active_PK = root_PN @ torch.linalg.pinv(self.maps_KN.to(root_PN))
        shared_KN = active_PK.T @ root_PN * self.correlations.spread_N
        return (active_PK.T @ active_PK).cpu(), shared_KN.cpu()


def all_devices(main: torch.device) -> tuple[torch.device, ...]:
    """Every accelerator when the model runs on one, else the one device."""
    if main.type != "cuda":
        return (main,)
    return tuple(torch.device("cuda", index) for index in range(torch.cuda.device_count()))


def layer_networks(
    subjects: Iterable[Tensor],
    widths_L: Sequence[int],
    components: int,
    *,
    devices: Sequence[torch.device],
    seed: int = 0,
    probes: Sequence[Probes] | None = None,
    damped: bool = False,
    report: Report = silent,
) -> list[LayerNetworks]:
    """The networks of each layer on its own, first to last; layers are split over `devices`, batched on each.

    `subjects` yields (T, N) float32 activations, which are read once and must not be changed afterwards. A layer gives
    the same networks however many devices share the work, up to rounding. `probes` are those of each layer on other
    text, where there are any, see `CorrelationSketch`; `damped` as in `fastica`. Raises RequestError when the data hold
    too few directions. Source: the groups of Liu et al. 2025, arXiv 2508.05239, which concatenate the tokens of all
    texts.
    """
    parts = _shares(widths_L, len(devices))

    def decompose(stream: Iterable[Tensor], layers: Sequence[int], part_report: Report) -> list[LayerNetworks]:
        widths = [widths_L[layer] for layer in layers]
        sketches = [CorrelationSketch(components, seed, probes[layer] if probes else None) for layer in layers]
        for subject_TN in stream:
            for sketch, block_TN in zip(sketches, subject_TN.split(widths, dim=1), strict=True):
                sketch.add(block_TN)
        correlations = [sketch.result() for sketch in sketches]
        groups = [each.leading(components) for each in correlations]
        found = separate(groups, seed, restarts=1, contrast="cube", report=part_report, damped=damped)
        return [
            LayerNetworks(maps_KN.cpu(), each, sketch.probes)
            for (maps_KN, _, _), each, sketch in zip(found, correlations, sketches, strict=True)
            if sketch.probes is not None
        ]

    if len(parts) == 1:
        return decompose((subject.to(devices[0]) for subject in subjects), parts[0], report)
    edges = np.cumsum((0, *widths_L))
    queues: list[Queue] = [Queue(_AHEAD) for _ in parts]
    with ThreadPoolExecutor(len(parts)) as pool:
        stopped = threading.Event()

        def stoppable(stage: str, fraction: float) -> None:
            if stopped.is_set():
                raise Cancelled

        def work(queue: Queue, layers: Sequence[int]) -> list[LayerNetworks]:
            stream = _drain(queue)
            try:
                return decompose(stream, layers, stoppable)
            except BaseException:
                for _ in stream:  # whoever fills the queue must not wait for ever
                    pass
                raise

        running = [pool.submit(work, queue, part) for queue, part in zip(queues, parts, strict=True)]
        try:
            for subject_TN in subjects:
                for queue, part, device in zip(queues, parts, devices, strict=False):
                    block_TN = subject_TN[:, edges[part[0]] : edges[part[-1] + 1]]
                    queue.put(block_TN.to(device, copy=True))
        except BaseException:
            stopped.set()
            raise
        finally:
            for queue in queues:
                queue.put(None)
        return [networks for future in running for networks in _awaited(future, stopped, report)]


def _shares(widths_L: Sequence[int], devices: int) -> list[list[int]]:
    """Runs of layers, one for each device that gets any, about equally wide in all."""
    middles = np.cumsum(widths_L) - np.array(widths_L) / 2
    owner = np.minimum((middles * devices / sum(widths_L)).astype(int), devices - 1)
    return [np.flatnonzero(owner == device).tolist() for device in dict.fromkeys(owner.tolist())]


def _awaited(future: Future, stopped: threading.Event, report: Report) -> list[LayerNetworks]:
    """A part's networks; while it is computed, `report` may cancel all parts."""
    while True:
        try:
            return future.result(timeout=_PATIENCE)
        except TimeoutError:
            try:
                report("separating", 0.5)
            except BaseException:
                stopped.set()
                raise


def _drain(queue: Queue) -> Iterator[Tensor]:
    return iter(queue.get, None)
