"""How far a piece of work is as a whole and how long the rest will take, for background jobs and the command line.

The tables give the relative lengths of stages, in the order in which they come.
"""

Stages = dict[str, float]

LISTENING: Stages = {"loading": 3.0, "capturing": 1.0}
LOGITS: Stages = {"loading": 3.0, "capturing": 4.0, "reading out": 3.0}
MEASURING: Stages = {"loading": 1.0, "measuring": 12.0}
RANKING: Stages = {"loading": 1.0, "ranking": 12.0}
WRITING: Stages = {"loading": 1.0, "writing": 4.0}
BAKING: Stages = {"loading": 1.0, "reading": 1.0, "saving": 2.0}
ASKING: Stages = {"loading": 1.0, "scoring": 12.0}
LESIONS: Stages = {"loading": 1.0, "untouched": 2.0, "lesions": 100.0}
KEEPING: Stages = {"loading": 1.0, "untouched": 2.0, "keeping": 100.0}
PREPARING: Stages = {
    "loading": 1.0,
    "capturing": 6.0,
    "separating": 3.0,
    "projecting": 1.0,
    "scoring": 1.0,
    "compensating": 1.0,
}
"""What comes before a pruned model can be measured, cut or saved."""


class Pace:
    """Turns the reports of one piece of work into a fraction of the whole and the seconds left; times are a clock's.

    `weights` gives the stages in order with their relative lengths. A stage that is not among them, such as a
    download, is not counted: the fraction stands still in it and its time says nothing about the rest. The fraction
    never falls. What is left is judged by the slower of the pace so far and the pace of the stage at hand. Between two
    reports the work is taken to go on at that pace for as long as the longest pause of this stage so far, to half of
    what remains at most; after that it is late, and the time left grows with the waiting. So a stage that takes
    longer than its weight shows it at once, and "0 s" comes at the end alone.
    """

    LEAST_SECONDS, LEAST_FRACTION = 2.0, 0.02
    """Of counted work, before anything is said about what is left."""

    def __init__(self, weights: Stages) -> None:
        total = sum(weights.values())
        assert not weights or (total > 0 and min(weights.values()) >= 0), f"weights of stages: {weights}"
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
        self._longest_pause = 0.0
        """Seconds between two reports of the stage at hand."""
        self._last: float | None = None
        self._counting = False

    def begin(self, now: float) -> None:
        """Say that the work begins, so that the time until its first report counts."""
        self._last, self._counting = now, True

    def counts(self, stage: str) -> bool:
        """Whether the stage is one of the weighted ones."""
        return stage in self._spans

    def update(self, stage: str, fraction: float, now: float) -> None:
        """Take in a report: the work is in `stage`, of which `fraction` is done."""
        self._spend(now)
        if stage != self._stage:
            if self._stage:
                self._stage_worked = self._longest_pause = 0.0
            self._stage, self._stage_start = stage, self.fraction
        self._counting = self.counts(stage)
        if not self._counting:
            return
        start, share = self._spans[stage]
        if self._skipped is None:
            self._skipped = start
        self.fraction = max(self.fraction, min(1.0, start + share * min(1.0, max(0.0, fraction))))
        self._stage_start = max(self._stage_start, min(start, self.fraction))

    def seconds_left(self, now: float) -> float | None:
        """Estimated seconds to the end; None while too little is known, and in stages that are not counted."""
        if self._skipped is None or not self._counting:
            return None
        since = now - (now if self._last is None else self._last)
        if self._worked + since < self.LEAST_SECONDS or self.fraction - self._skipped < self.LEAST_FRACTION:
            return None
        start, share = self._spans[self._stage]
        rest = 1.0 - self.fraction
        ahead = 0.0
        if on_time := min(since, self._longest_pause):
            ahead = max(0.0, min(on_time / self._seconds_for_all(0.0, 0.0), start + share - self.fraction, rest / 2))
        return self._seconds_for_all(since, ahead) * (rest - ahead)

    def _seconds_for_all(self, since: float, ahead: float) -> float:
        """What the whole takes at the pace so far, `since` seconds after the last report and `ahead` of it."""
        assert self._skipped is not None
        seconds = (self._worked + since) / (self.fraction - self._skipped + ahead)
        here = self.fraction - self._stage_start
        return max(seconds, (self._stage_worked + since) / (here + ahead)) if here > 0 else seconds

    def _spend(self, now: float) -> None:
        """Count the time since the last report for the stage that it was spent in."""
        if self._last is not None and self._counting:
            pause = now - self._last
            self._worked += pause
            self._stage_worked += pause
            self._longest_pause = max(self._longest_pause, pause)
        self._last = now
