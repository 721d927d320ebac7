"""How far a job is as a whole, and how long the rest will take, from the stages that it reports."""

_FRACTION_FOR_ESTIMATE = 0.02


class Progress:
    """Turns reports into a fraction of the whole job and the time left; all times are clock seconds."""

    def __init__(self, spans: dict[str, tuple[float, float]]) -> None:
        self.spans = spans
        self.fraction: float | None = None
        self._stage = ""
        self._began = 0.0
        self._skipped: float | None = None
        """What was done before `_began`, for instance loaded from disk: it says nothing about the speed."""
        self._estimate: tuple[float, float] | None = None
        """(seconds left, when that was known)."""

    def begin(self, now: float) -> None:
        self._began = now

    def update(self, stage: str, fraction: float, now: float) -> None:
        start, share = self.spans.get(stage, (self.fraction or 0.0, 0.0)) if self.spans else (0.0, 1.0)
        if not self.spans and self._stage and stage != self._stage:
            self._began, self._skipped, self.fraction = now, fraction, None
        if self._skipped is None:
            self._skipped = start
        self._stage = stage
        self.fraction = max(self.fraction or 0.0, min(1.0, start + share * fraction))
        worked = self.fraction - self._skipped
        if worked >= _FRACTION_FOR_ESTIMATE:
            self._estimate = ((now - self._began) * (1.0 - self.fraction) / worked, now)
        else:
            self._estimate = None

    def seconds_left(self, now: float) -> float | None:
        if self._estimate is None:
            return None
        left, known = self._estimate
        return max(0.0, left - (now - known))


def spans_of(weights: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Where each stage starts in the whole job and how much of it it is, both 0 to 1."""
    total = sum(weights.values())
    assert not weights or (total > 0 and min(weights.values()) >= 0), f"weights of stages: {weights}"
    spans, start = {}, 0.0
    for stage, weight in weights.items():
        spans[stage] = (start, weight / total)
        start += weight / total
    return spans
