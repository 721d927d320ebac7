"""One ICA per layer, layers spread over the devices there are.

Shape legend: T tokens, N signals of all layers side by side, L layers.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import numpy as np
import torch
from torch import Tensor

from fnet_core.canica import Networks, Visit, canica
from fnet_core.progress import Report, silent

_AHEAD = 2
"""Subjects that wait for a device at most, so that memory does not grow with text."""


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

    `subjects` yields (T, N) float32 activations and is read once. The same layer gives the same networks however many
    devices share the work. `visit` is called as by `canica`, with layers as blocks. Raises RequestError when the data
    hold too few directions.
    """
    parts = [part.tolist() for part in np.array_split(np.arange(len(widths_L)), min(len(devices), len(widths_L)))]

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

        def work(queue: Queue, layers: Sequence[int]) -> list[Networks]:
            stream = _drain(queue)
            try:
                return decompose(stream, layers, silent)
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
        finally:
            for queue in queues:
                queue.put(None)
        report("separating", 0.0)
        return [networks for future in running for networks in future.result()]


def _drain(queue: Queue) -> Iterator[Tensor]:
    return iter(queue.get, None)
