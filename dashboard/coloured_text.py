"""A passage coloured token by token: by a network's time course, or by what edits did to each token."""

from collections.abc import Callable
from html import escape

import numpy as np

from fnet_core.plotting.style import NEGATIVE, POSITIVE, rgba

STRONGEST_SD = 3.0
"""Standard deviations from which on the colour of a time course is full."""
STRONGEST_NATS = 4.0
"""Nats from which on the colour of a change is full."""


def by_course(text: str, offsets_T2: np.ndarray, course_T: np.ndarray) -> str:
    """HTML of the text, red where the network is active, blue where it is below its mean.

    `course_T` is in standard deviations, one value per token.
    """
    course = course_T.tolist()

    def paint(number: int, piece: str) -> str:
        value = course[number]
        return span(piece, f"token {number}: {value:+.1f} SD", shade(value, STRONGEST_SD))

    return painted(text, offsets_T2, paint)


def course_legend() -> str:
    """HTML of the colour scale that `by_course` uses."""
    return scale(f"-{STRONGEST_SD:g} SD", f"+{STRONGEST_SD:g} SD", STRONGEST_SD)


def by_change(text: str, offsets_T2: np.ndarray, before_T: np.ndarray, after_T: np.ndarray) -> str:
    """HTML of the text, red where edits made a token harder to predict, blue where easier.

    Both series are nats per token, NaN where a token was not scored and stays uncoloured.
    """

    def paint(number: int, piece: str) -> str:
        before, after = float(before_T[number]), float(after_T[number])
        if np.isnan(before):
            return piece
        if np.isfinite(after):
            change, said = after - before, f"{before:.2f} to {after:.2f} nats ({after - before:+.2f})"
        else:
            change, said = np.inf, f"{before:.2f} nats to not finite"
        return span(piece, said, shade(change, STRONGEST_NATS))

    return painted(text, offsets_T2, paint)


def change_legend() -> str:
    """HTML of the colour scale that `by_change` uses."""
    return scale("easier", f"harder by {STRONGEST_NATS:g} nats", STRONGEST_NATS)


def painted(text: str, offsets_T2: np.ndarray, paint: Callable[[int, str], str]) -> str:
    """HTML of the text with each token as `paint` (its number, its escaped text) draws it.

    Everything from the text is escaped; what lies between tokens stays plain; line breaks are kept and get a sign,
    so that a colour has something to stand on.
    """
    parts: list[str] = []
    end = 0
    for number, (start, stop) in enumerate(offsets_T2.tolist()):
        start = max(start, end)
        if stop <= start:
            continue
        piece = escape(text[start:stop]).replace("\n", '<span style="opacity:.45">↵</span>\n')
        parts += [escape(text[end:start]), paint(number, piece)]
        end = stop
    parts.append(escape(text[end:]))
    style = "white-space:pre-wrap;line-height:1.75;max-height:24rem;overflow-y:auto"
    return f'<div style="{style}">{"".join(parts)}</div>'


def span(piece: str, title: str, colour: str) -> str:
    """HTML of an escaped piece on a colour, with a tooltip."""
    return f'<span title="{title}" style="background:{colour};border-radius:3px;padding:.12em 0">{piece}</span>'


def shade(value: float, strongest: float) -> str:
    """Red above zero, blue below, full from `strongest` on."""
    return rgba(POSITIVE if value > 0 else NEGATIVE, 0.8 * min(abs(value) / strongest, 1.0))


def scale(low: str, high: str, strongest: float) -> str:
    """HTML of the scale of `shade` between two labels."""
    stops = ", ".join(shade(value, strongest) for value in np.linspace(-strongest, strongest, 9))
    bar = f"background:linear-gradient(90deg,{stops});width:9rem;height:.7rem;border-radius:.35rem"
    return (
        '<div style="display:flex;align-items:center;gap:.6rem;font-size:.85rem;white-space:nowrap">'
        f"<span>{low}</span><span style='{bar}'></span><span>{high}</span></div>"
    )
