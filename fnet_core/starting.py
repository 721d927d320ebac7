"""What a program does before it loads libraries, the same for the command line, the dashboard and the benchmarks."""

import gc

from fnet_core.threads import wait_politely

OBJECTS_OF_LIBRARIES = 1_000_000
"""More than torch and transformers make, 700,000, which live as long as the process."""

_as_usual: tuple[int, int, int] | None = None


def begin() -> None:
    """Make waiting threads polite, and load libraries without searching their objects for what could be freed."""
    wait_politely()
    spare_libraries()


def spare_libraries() -> None:
    """Search no objects for unreachable cycles before there are `OBJECTS_OF_LIBRARIES` more than now.

    Searching a library's objects again and again while they come takes a fifth of the time of loading it. From the
    first search on Python searches as it always does. A second call changes nothing.
    """
    global _as_usual
    if _as_usual is None:
        _as_usual = gc.get_threshold()
        gc.set_threshold(OBJECTS_OF_LIBRARIES, *_as_usual[1:])
        gc.callbacks.append(_first_search)


def _first_search(phase: str, _: dict[str, int]) -> None:
    if phase == "stop" and _as_usual is not None:
        gc.callbacks.remove(_first_search)
        gc.set_threshold(*_as_usual)
