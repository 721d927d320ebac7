"""Perplexity results made by hand."""

import numpy as np

from fnet_core.evaluation.perplexity import PerplexityResult


def result(*perplexities: float) -> PerplexityResult:
    """A passage of one window of ten tokens for each perplexity."""
    count = len(perplexities)
    return PerplexityResult(
        definition="token",
        window=16,
        stride=16,
        start="",
        texts=tuple(f"p{i}" for i in range(count)),
        document_W=np.arange(count),
        nll_W=10 * np.log(perplexities),
        units_W=np.full(count, 10.0),
        tokens=10 * count,
        total_windows=count,
        token_nll=tuple(np.full(10, np.log(p), dtype=np.float32) for p in perplexities),
        token_offsets=tuple(np.array([[i, i + 1] for i in range(10)]) for _ in perplexities),
        dtype="float32",
    )
