"""How long computations say where they are, and learn that they should stop."""

from collections.abc import Callable

POLL_SECONDS = 0.1
"""How long to wait for something before a `Report` is asked again whether to stop."""

Report = Callable[[str, float], None]
"""Called with (stage, fraction of that stage done, 0 to 1); raises `Cancelled` to stop the caller."""


def part_of(report: Report, number: int, count: int, stage: str | None = None) -> Report:
    """A report for the part `number`, from 0, of `count` equal ones, told as the whole; `stage` replaces its stages."""
    return lambda own, fraction: report(stage or own, (number + fraction) / count)


def silent(stage: str, fraction: float) -> None:
    """Report nothing, never cancel."""


def duration(seconds: float) -> str:
    """Seconds in words: "9 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
