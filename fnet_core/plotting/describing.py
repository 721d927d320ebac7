"""What a figure shows, in words: for those who do not see it."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go

_TRACES = 8
"""The most traces that are told one by one."""
_LONGEST = 600


def described(figure: go.Figure) -> str:
    """A figure's title, its traces with their range, and its axes, in a few sentences of plain text."""
    title = _plain(figure.layout.title.text) or "Figure"
    told = [_trace(trace) for trace in figure.data[:_TRACES]]
    if more := len(figure.data) - _TRACES:
        told += [f"{more} more"] if more > 0 else []
    axes = [f"{name}: {text}" for name, text in _axes(figure)]
    sentences = [title, "; ".join(line for line in told if line), ", ".join(axes)]
    return ". ".join(sentence for sentence in sentences if sentence)[:_LONGEST] + "."


def _axes(figure: go.Figure) -> Iterator[tuple[str, str]]:
    for name, axis in (("across", figure.layout.xaxis), ("upwards", figure.layout.yaxis)):
        if text := _plain(axis.title.text):
            yield name, text


def _trace(trace: Any) -> str:
    name = _plain(trace.name)
    if getattr(trace, "z", None) is not None:
        values = _finite(np.concatenate([np.ravel(np.asarray(row, dtype=object)) for row in trace.z]))
        return f"{name or 'heat map'}: {len(trace.z)} rows{_range(values)}"
    kind = {"bar": "bars", "histogram": "histogram"}.get(trace.type, "points")
    across = getattr(trace, "orientation", None) == "h"
    numbers = _finite((trace.x if across else trace.y) if trace.type != "histogram" else trace.x)
    if not len(numbers):
        return ""
    return f"{name + ': ' if name else ''}{len(numbers)} {kind}{_range(numbers)}"


def _range(values: np.ndarray) -> str:
    if not len(values):
        return ""
    low, high = values.min(), values.max()
    return f" at {low:.4g}" if low == high else f" from {low:.4g} to {high:.4g}"


def _finite(values: Any) -> np.ndarray:
    """The finite numbers among values of any kind."""
    try:
        found = np.asarray([] if values is None else values, dtype=float).ravel()
    except (TypeError, ValueError):
        return np.empty(0)
    return found[np.isfinite(found)]


def _plain(text: str | None) -> str:
    """Without the tags that plotly draws."""
    return " ".join(re.sub(r"<[^>]*>", " ", text or "").split())
