"""How long computations say where they are, and learn that they should stop."""

from collections.abc import Callable

POLL_SECONDS = 0.1
"""How long to wait for something before a `Report` is asked again whether to stop."""

Report = Callable[[str, float], None]
"""Called with (stage, fraction of that stage done, 0 to 1); raises `Cancelled` to stop the caller."""


def silent(stage: str, fraction: float) -> None:
    """Report nothing, never cancel."""
