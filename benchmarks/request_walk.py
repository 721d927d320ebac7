"""Which files one request visits on its way to the kept answer, and where a lower package calls a higher one.

    python -m benchmarks.request_walk [ARGUMENTS OF THE COMMAND LINE ...]

Without arguments: an atlas of two networks of the tiny model. Counts calls of named functions; which package stands
higher is read from the contract of imports in pyproject.toml. An answer that the cache folder has already makes the
walk shorter: name an empty one in FNET_HOME to count it whole.
"""

import sys
import tomllib
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

from fnet_core.cli.main import main as command_line

ROOT = Path(__file__).parents[1]
DEFAULT = ("atlas", "tiny", "--components", "2", "--passages", "2", "--json", "--quiet")
CONTRACT = "Packages of the core import one way"


def main() -> None:
    """Run the request once to load what it imports, then once more with another seed, and print its walk."""
    arguments = sys.argv[1:] or list(DEFAULT)
    with redirect_stdout(StringIO()):
        command_line([*arguments, "--seed", "1"])
        visited, calls = _walk(lambda: command_line([*arguments, "--seed", "2"]))
    ranks = _ranks()
    climbing = sorted({(a, b) for a, b in calls if ranks[_package(b)] < ranks[_package(a)]})
    print(f"{len(visited)} files, {len(calls)} pairs of caller and called, {len(climbing)} of them climbing")
    print("\n".join(visited))
    for caller, called in climbing:
        print(f"climbs: {caller} calls {called}")


def _walk(request: Callable[[], Any]) -> tuple[list[str], set[tuple[str, str]]]:
    """Files of the core in the order in which they are first called, and who called whom."""
    visited: dict[str, None] = {}
    calls: set[tuple[str, str]] = set()

    def look(frame: FrameType, event: str, _: object) -> None:
        called = _module(frame)
        if event != "call" or called is None or frame.f_code.co_name.startswith("<"):
            return
        visited[called] = None
        before = frame.f_back
        while before is not None and _module(before) is None:
            before = before.f_back
        caller = _module(before) if before else None
        if caller not in (None, called):
            calls.add((str(caller), called))

    sys.setprofile(look)
    try:
        request()
    finally:
        sys.setprofile(None)
    return list(visited), calls


def _module(frame: FrameType) -> str | None:
    """The core's file that a frame runs, as `package/file.py`."""
    file = Path(frame.f_code.co_filename)
    return str(file.relative_to(ROOT / "fnet_core")) if file.is_relative_to(ROOT / "fnet_core") else None


def _package(file: str) -> str:
    return file.split("/")[0].removesuffix(".py")


def _ranks() -> dict[str, int]:
    """Each package's floor, 0 the highest."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in settings if contract["name"] == CONTRACT)
    found = {name.strip(): floor for floor, layer in enumerate(layers) for name in layer.replace(":", "|").split("|")}
    return found | {"__main__": 0, "__init__": 0}


if __name__ == "__main__":
    main()
