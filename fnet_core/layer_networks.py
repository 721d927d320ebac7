"""One ICA per layer, layers spread over the devices there are.

Shape legend: T tokens, N signals of all layers side by side, L layers.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue

import numpy as np
import torch
from torch import Tensor

from fnet_core.canica import Networks, Visit, canica
from fnet_core.errors import Cancelled
from fnet_core.progress import Report, silent

_AHEAD = 2
"""Subjects that wait for a device at most, so that memory does not grow with text."""

_PATIENCE = 0.5
"""Seconds between two questions whether to go on."""


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
    restarts: int = 1,
    report: Report = silent,
    visit: Visit | None = None,
) -> list[Networks]:
    """The networks of each layer on its own, first to last; layers are split over `devices`, batched on each.

    `subjects` yields (T, N) float32 activations and is read once. A layer gives the same networks however many devices
    share the work, up to rounding. `visit` is called as by `canica`, with layers as blocks. Raises RequestError when
    the data hold too few directions.
    """
    parts = _shares(widths_L, len(devices))

    def decompose(stream: Iterable[Tensor], layers: Sequence[int], part_report: Report) -> list[Networks]:
        widths = [widths_L[layer] for layer in layers]

        def visit_layer(subject: int, block: int, z_TN: Tensor, course_TK: Tensor) -> None:
            visit(subject, layers[block], z_TN, course_TK)

        return canica(
            stream,
            widths,
            components,
            seed=seed,
            restarts=restarts,
            report=part_report,
            visit=visit and visit_layer,
        )

    if len(parts) == 1:
        return decompose((subject.to(devices[0]) for subject in subjects), parts[0], report)
    edges = np.cumsum((0, *widths_L))
    queues: list[Queue] = [Queue(_AHEAD) for _ in parts]
    with ThreadPoolExecutor(len(parts)) as pool:
        stopped = threading.Event()

        def stoppable(stage: str, fraction: float) -> None:
            if stopped.is_set():
                raise Cancelled

        def work(queue: Queue, layers: Sequence[int]) -> list[Networks]:
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


def _awaited(future: Future, stopped: threading.Event, report: Report) -> list[Networks]:
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
