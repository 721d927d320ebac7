"""A passage coloured by what the edits did: red where a token became harder to predict, blue where easier."""

import numpy as np

from dashboard import coloured_text

STRONGEST = 4.0
"""Nats from which on the colour is full."""


def coloured(text: str, offsets_T2: np.ndarray, before_T: np.ndarray, after_T: np.ndarray) -> str:
    """HTML of the text; both series are nats per token, NaN where a token was not scored and stays uncoloured."""

    def paint(number: int, piece: str) -> str:
        before, after = float(before_T[number]), float(after_T[number])
        if np.isnan(before):
            return piece
        if np.isfinite(after):
            change, said = after - before, f"{before:.2f} to {after:.2f} nats ({after - before:+.2f})"
        else:
            change, said = np.inf, f"{before:.2f} nats to not finite"
        return coloured_text.span(piece, said, coloured_text.shade(change, STRONGEST))

    return coloured_text.painted(text, offsets_T2, paint)


def legend() -> str:
    """HTML of the colour scale that `coloured` uses."""
    return coloured_text.scale("easier", f"harder by {STRONGEST:g} nats", STRONGEST)
