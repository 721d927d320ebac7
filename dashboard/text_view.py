"""A passage coloured by a network's time course: red where it is active, blue where it is below its mean."""

from html import escape

import numpy as np

from fnet_core.figure_style import NEGATIVE, POSITIVE, rgba

STRONGEST = 3.0
"""Standard deviations from which on the colour is full."""


def coloured(text: str, offsets_T2: np.ndarray, course_T: np.ndarray) -> str:
    """HTML of the text, each token on a colour of its value; `course_T` in standard deviations.

    Everything from the text is escaped; what lies between tokens stays uncoloured; line breaks are kept.
    """
    parts: list[str] = []
    end = 0
    for number, ((start, stop), value) in enumerate(zip(offsets_T2.tolist(), course_T.tolist(), strict=True)):
        start = max(start, end)
        if stop <= start:
            continue
        parts += [escape(text[end:start]), _token(text[start:stop], number, value)]
        end = stop
    parts.append(escape(text[end:]))
    style = "white-space:pre-wrap;line-height:1.75;max-height:24rem;overflow-y:auto"
    return f'<div style="{style}">{"".join(parts)}</div>'


def legend() -> str:
    """HTML of the colour scale that `coloured` uses."""
    stops = ", ".join(_colour(value) for value in np.linspace(-STRONGEST, STRONGEST, 9))
    bar = f"background:linear-gradient(90deg,{stops});width:10rem;height:.7rem;border-radius:.35rem"
    return (
        '<div style="display:flex;align-items:center;gap:.6rem;font-size:.85rem">'
        f"<span>-{STRONGEST:g} SD</span><span style='{bar}'></span><span>+{STRONGEST:g} SD</span></div>"
    )


def _token(piece: str, number: int, value: float) -> str:
    style = f"background:{_colour(value)};border-radius:3px;padding:.12em 0"
    return f'<span title="token {number}: {value:+.1f} SD" style="{style}">{_visible(piece)}</span>'


def _visible(piece: str) -> str:
    """The token as HTML; a line break gets a sign, so that its colour has something to stand on."""
    return escape(piece).replace("\n", '<span style="opacity:.45">↵</span>\n')


def _colour(value: float) -> str:
    strength = min(abs(value) / STRONGEST, 1.0)
    return rgba(POSITIVE if value > 0 else NEGATIVE, 0.8 * strength)
