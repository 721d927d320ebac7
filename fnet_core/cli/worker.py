"""`worker`: lend this machine to an engine, and start the engine's scheduler if asked to."""

import argparse
import math
import os
from typing import Any

from fnet_core.checks import check_range
from fnet_core.cli.arguments import TLS_HELP
from fnet_core.engine.naming import HERE, VARIABLE, Address, address_of
from fnet_core.progress import Report

NAME = "worker"
HELP = "lend this machine to an engine that computes for others (audit, scan, atlas --engine)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which scheduler, which devices, and who may reach them."""
    parser.add_argument(
        "address",
        metavar="tcp://HOST:PORT",
        nargs="?",
        help=f"the engine's scheduler (default: {VARIABLE}, or else {HERE})",
    )
    parser.add_argument("--scheduler", action="store_true", help="start that scheduler here rather than join it")
    parser.add_argument(
        "--gpu", type=int, metavar="N", help="N workers with one GPU each (default: every GPU, or one without)"
    )
    parser.add_argument("--cpu", type=int, metavar="N", help="N workers without GPU; 0 with --scheduler: none at all")
    parser.add_argument("--tls", metavar="FOLDER", help=TLS_HELP)
    parser.add_argument(
        "--open-to-anyone", action="store_true", help="do without a certificate on a network that you trust"
    )


def stages(options: argparse.Namespace) -> dict[str, float]:
    """None: it runs until it is stopped."""
    return {}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Serve until stopped; RequestError where that cannot begin."""
    from fnet_core.engine.workers import Plan, check_reach, devices, serve

    for number, name in ((options.gpu, "--gpu"), (options.cpu, "--cpu")):
        if number is not None:
            check_range(number, 0, math.inf, f"{name} {number} is", "choose 0 or more")
    address = address_of(options.address or os.environ.get(VARIABLE, "").strip() or HERE, options.tls)
    check_reach(address, options.open_to_anyone)
    plan = Plan(address, options.scheduler, devices(options.gpu, options.cpu))

    def started(at: Address) -> None:
        if not options.json:
            with_gpu = sum(map(bool, plan.devices))
            told = f"{with_gpu} with a GPU and {len(plan.devices) - with_gpu} without"
            print(f"engine at {at}: {len(plan.devices)} workers from here, {told}", flush=True)

    serve(plan, started)
    return {"engine": str(address), "workers": len(plan.devices)}, ["The workers of this machine were stopped."]
