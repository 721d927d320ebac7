"""An audit by this machine, by an engine's workers here, and with one of them killed: seconds, and the same table.

Every way starts from empty cache folders, so that nothing is answered from a store. A worker's first task pays for
loading torch and transformers, which the engine's start does not.

python -m benchmarks.engine MODEL... [--workers 2] [--components 16] [--passages 12]
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import psutil

from fnet_core import texts
from fnet_core.engine.client import Engine, engine_at
from fnet_core.lineage.audit import audit
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.subjects import spread, take


@contextmanager
def empty_home() -> Iterator[Path]:
    """An empty cache folder for the time of the block."""
    before = os.environ.get("FNET_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FNET_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ["FNET_HOME"]
            if before is not None:
                os.environ["FNET_HOME"] = before


@contextmanager
def engine_here(workers: int) -> Iterator[tuple[str, psutil.Process, float]]:
    """A scheduler and workers on loopback: the address, the process, and the seconds that it took to start."""
    start = perf_counter()
    with tempfile.TemporaryDirectory() as home:
        command = [
            sys.executable,
            "-m",
            "fnet_core",
            "worker",
            "tcp://127.0.0.1:0",
            "--scheduler",
            "--cpu",
            str(workers),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"FNET_HOME": home})
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[2].rstrip(":")
            yield address, psutil.Process(process.pid), perf_counter() - start
        finally:
            process.terminate()
            process.wait()


def processor_seconds(engine: psutil.Process | None) -> float:
    """Processor seconds of this process and of the engine's processes so far; those of a killed one are lost."""
    everyone = [psutil.Process(), *([engine, *engine.children(recursive=True)] if engine else [])]
    return sum(each.cpu_times().user + each.cpu_times().system for each in everyone)


def busy_worker(address: str) -> int | None:
    """The process of a worker that is at a task."""
    from distributed import Client

    with Client(address, set_as_default=False) as watching:
        pids = watching.run(os.getpid)
        return next((pids[worker] for worker, tasks in watching.processing().items() if tasks), None)


def measured(
    given: list[str], request: FingerprintRequest, engine: Engine | None, process: psutil.Process | None, kill: bool
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Seconds of an audit from an empty store, and its table."""
    killed: list[int] = []

    def told(number: int, stage: str, fraction: float) -> None:
        if kill and not killed and engine and 0 < fraction < 1 and (pid := busy_worker(str(engine.address))):
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    with empty_home():
        before, start = processor_seconds(process), perf_counter()
        taken = take(given, request, told=told, engine=engine)
        between = perf_counter()
        spent = processor_seconds(process) - before
        found = audit(taken, engine=engine)
        compared = perf_counter() - between
    row = {
        "models": len(taken.subjects),
        "failed": len(taken.failures),
        "fingerprints, s": round(between - start, 2),
        "of processors, s": round(spent, 2),
        "pairs, s": round(compared, 2),
        "killed": len(killed),
    }
    return row, found.table()


def main() -> None:
    """Measure the ways and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", metavar="MODEL", nargs="+")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--components", type=int, default=16)
    parser.add_argument("--passages", type=int, default=12)
    options = parser.parse_args()
    given = spread(options.models)
    find, score = (texts.bundled(split)[: options.passages] for split in ("find", "score"))
    request = FingerprintRequest("", find, score, components=options.components, threshold=2.0)
    with empty_home():
        take(given[:1], request)  # what this machine loads first is not counted
    rows: dict[str, dict[str, Any]] = {}
    rows["this machine"], expected = measured(given, request, None, None, False)
    for name, kill in (("engine", False), ("engine, one worker killed", True)):
        with engine_here(options.workers) as (address, process, started):
            with engine_at(address) as engine:
                row, table = measured(given, request, engine, process, kill)
                rows[name] = {"start, s": round(started, 2)} | row | {"same table": table.equals(expected)}
            if not kill:
                with engine_at(address) as engine:
                    again = FingerprintRequest("", find, score, components=options.components, threshold=2.0, seed=1)
                    row, _ = measured(given, again, engine, process, False)
                    rows["engine, warm (another seed)"] = row
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
