"""What `fnet worker` runs: a scheduler if asked for, and one process with one thread per GPU, or on the processor."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from fnet_core.engine.client import check_answers
from fnet_core.engine.naming import GPU, VERSION, Address, check_installed
from fnet_core.engine.tls import make, security
from fnet_core.errors import RequestError

VISIBLE = "CUDA_VISIBLE_DEVICES"
_DEVICES = Path("/dev")
_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
_QUIET = {"DASK_LOGGING__DISTRIBUTED": "error", "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
FAILURES = {"distributed.scheduler.allowed-failures": 2}
"""A model that ends three workers is the model's fault."""


@dataclass(frozen=True)
class Plan:
    """What to run here."""

    address: Address
    scheduler: bool
    """Whether the scheduler is started here rather than joined."""
    devices: tuple[str, ...]
    """One worker each: a GPU as CUDA_VISIBLE_DEVICES names it, or empty for the processor."""


def gpus() -> tuple[str, ...]:
    """The NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    chosen = os.environ.get(VISIBLE)
    if chosen is not None:
        return tuple(name.strip() for name in chosen.split(",") if name.strip())
    numbers = (device.name.removeprefix("nvidia") for device in _DEVICES.glob("nvidia[0-9]*"))
    return tuple(sorted(numbers, key=lambda number: (len(number), number)))


def devices(gpu: int | None, cpu: int | None) -> tuple[str, ...]:
    """So many workers with a GPU and so many without; every GPU where neither is said, or one worker without.

    RequestError for more GPUs than there are.
    """
    found = gpus()
    if gpu is None and cpu is None:
        return found or ("",)
    if (gpu or 0) > len(found):
        raise RequestError(
            f"--gpu {gpu} is more than the {len(found)} GPUs of this machine; ask for fewer, or --cpu N."
        )
    return found[: gpu or 0] + ("",) * (cpu or 0)


def check_reach(address: Address, open_to_anyone: bool) -> None:
    """RequestError where others could reach scheduler or workers without a certificate, for these run what they get."""
    if not (address.local or address.tls or open_to_anyone):
        raise RequestError(
            f"Whoever reaches {address} could run any code as you; give a certificate with --tls FOLDER, listen on "
            "127.0.0.1 alone, or say --open-to-anyone on a network that you trust."
        )


def serve(plan: Plan, started: Callable[[Address], None]) -> None:
    """Run scheduler and workers until SIGTERM, the scheduler's end, or KeyboardInterrupt.

    `started` is called with the scheduler's address once all of them are there. RequestError where the address cannot
    be listened at, or no scheduler answers at it.
    """
    check_installed()
    if plan.scheduler and plan.address.tls:
        make(plan.address.tls)
    if not plan.scheduler:
        check_answers(plan.address)
    os.environ |= _QUIET
    import dask
    import distributed  # noqa: F401  its defaults, which the next line changes

    logging.getLogger("distributed").setLevel(logging.ERROR)
    with dask.config.set(FAILURES):
        asyncio.run(_serve(plan, started))


async def _serve(plan: Plan, started: Callable[[Address], None]) -> None:
    from distributed import Nanny, Scheduler

    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    keys = security(plan.address.tls)
    try:
        async with AsyncExitStack() as stack:
            address, ends = str(plan.address), []
            if plan.scheduler:
                scheduler = Scheduler(
                    host=plan.address.host,
                    port=plan.address.port,
                    protocol="tls" if keys else "tcp",
                    security=keys,
                    dashboard=False,
                    dashboard_address="127.0.0.1:0",
                )
                try:
                    await stack.enter_async_context(scheduler)
                except OSError as error:
                    raise RequestError(
                        f"{plan.address} cannot be listened at ({error.strerror or error}); choose another port."
                    ) from error
                address = scheduler.address
                ends.append(scheduler.finished())
            for device in plan.devices:
                nanny = Nanny(
                    address,
                    nthreads=1,
                    memory_limit=0,
                    resources={VERSION: 1.0} | ({GPU: 1.0} if device else {}),
                    env=_ONE_THREAD | _QUIET | {VISIBLE: device},
                    security=keys,
                    dashboard=False,
                    dashboard_address="127.0.0.1:0",
                )
                await stack.enter_async_context(nanny)
                ends.append(nanny.finished())
            started(replace(plan.address, port=int(address.rpartition(":")[2])) if plan.scheduler else plan.address)
            await asyncio.wait([asyncio.ensure_future(end) for end in ends], return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        return
