"""A passage coloured by what the edits did: red where a token became harder to predict, blue where easier."""

from html import escape

import numpy as np

from fnet_core.figure_style import NEGATIVE, POSITIVE, rgba

STRONGEST = 4.0
"""Nats from which on the colour is full."""


def coloured(text: str, offsets_T2: np.ndarray, before_T: np.ndarray, after_T: np.ndarray) -> str:
    """HTML of the text; both series are nats per token, NaN where a token was not scored and stays uncoloured."""
    parts: list[str] = []
    end = 0
    for (start, stop), before, after in zip(offsets_T2.tolist(), before_T.tolist(), after_T.tolist(), strict=True):
        start = max(start, end)
        if stop <= start:
            continue
        piece = escape(text[start:stop]).replace("\n", '<span style="opacity:.45">↵</span>\n')
        parts.append(escape(text[end:start]))
        parts.append(piece if np.isnan(before) else _token(piece, before, after))
        end = stop
    parts.append(escape(text[end:]))
    style = "white-space:pre-wrap;line-height:1.75;max-height:26rem;overflow-y:auto"
    return f'<div style="{style}">{"".join(parts)}</div>'


def legend() -> str:
    """HTML of the colour scale that `coloured` uses."""
    stops = ", ".join(_colour(value) for value in np.linspace(-STRONGEST, STRONGEST, 9))
    bar = f"background:linear-gradient(90deg,{stops});width:9rem;height:.7rem;border-radius:.35rem"
    return (
        '<div style="display:flex;align-items:center;gap:.6rem;font-size:.85rem;white-space:nowrap">'
        f"<span>easier</span><span style='{bar}'></span><span>harder by {STRONGEST:g} nats</span></div>"
    )


def _token(piece: str, before: float, after: float) -> str:
    if np.isfinite(after):
        change, said = after - before, f"{before:.2f} to {after:.2f} nats ({after - before:+.2f})"
    else:
        change, said = np.inf, f"{before:.2f} nats to not finite"
    style = f"background:{_colour(change)};border-radius:3px;padding:.12em 0"
    return f'<span title="{said}" style="{style}">{piece}</span>'


def _colour(change: float) -> str:
    return rgba(POSITIVE if change > 0 else NEGATIVE, 0.8 * min(abs(change) / STRONGEST, 1.0))
