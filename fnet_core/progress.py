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


class Pace:
    """Turns the reports of one piece of work into a fraction of the whole and the seconds left; times are a clock's.

    `weights` gives the stages in order with their relative lengths. A stage that is not among them, such as a
    download, is not counted: the fraction stands still in it and its time says nothing about the rest. The fraction
    never falls. What is left is judged by the slower of the pace so far and the pace of the stage at hand, up to this
    very moment, so that a stage that takes longer than its weight shows it at once and "0 s" comes at the end alone.
    """

    LEAST_SECONDS, LEAST_FRACTION = 2.0, 0.02
    """Of counted work, before anything is said about what is left."""

    def __init__(self, weights: dict[str, float]) -> None:
        total = sum(weights.values())
        self._spans: dict[str, tuple[float, float]] = {}
        start = 0.0
        for stage, weight in weights.items():
            self._spans[stage] = (start, weight / total)
            start += weight / total
        self.fraction = 0.0
        self._skipped: float | None = None
        """Where the first counted stage began: what was answered from the store before it took no time."""
        self._worked = 0.0
        self._stage = ""
        self._stage_start = 0.0
        self._stage_worked = 0.0
        self._last: float | None = None

    def counts(self, stage: str) -> bool:
        """Whether the stage is one of the weighted ones."""
        return stage in self._spans

    def update(self, stage: str, fraction: float, now: float) -> None:
        """Take in a report: the work is in `stage`, of which `fraction` is done."""
        self._spend(now)
        if stage != self._stage:
            self._stage, self._stage_worked, self._stage_start = stage, 0.0, self.fraction
        if not self.counts(stage):
            return
        start, share = self._spans[stage]
        if self._skipped is None:
            self._skipped = start
        self.fraction = max(self.fraction, min(1.0, start + share * min(1.0, max(0.0, fraction))))
        self._stage_start = max(self._stage_start, min(start, self.fraction))

    def seconds_left(self, now: float) -> float | None:
        """Estimated seconds to the end; None while too little is known, and in stages that are not counted."""
        if self._skipped is None or not self.counts(self._stage):
            return None
        since = now - (now if self._last is None else self._last)
        done = self.fraction - self._skipped
        if self._worked + since < self.LEAST_SECONDS or done < self.LEAST_FRACTION:
            return None
        pace = (self._worked + since) / done
        if (here := self.fraction - self._stage_start) > 0:
            pace = max(pace, (self._stage_worked + since) / here)
        return pace * (1.0 - self.fraction)

    def _spend(self, now: float) -> None:
        """Count the time since the last report for the stage that it was spent in."""
        if self._last is not None and self.counts(self._stage):
            self._worked += now - self._last
            self._stage_worked += now - self._last
        self._last = now
