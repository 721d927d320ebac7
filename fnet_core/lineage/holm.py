"""Many p-values at once: Holm's correction, which bounds the chance of one wrong rejection among them all."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value adjusted for all of them, in the order given, at most 1.

    The smallest is multiplied by their number, the next by one less and so on, and none may fall below one before it.
    Right however the tests depend on each other (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).
    """
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted
