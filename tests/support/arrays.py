"""Arrays of every kind that artifacts hold."""

import numpy as np


def atlas_like() -> tuple[dict[str, np.ndarray], dict]:
    """Arrays of many types and shapes, and a header beside them."""
    rng = np.random.default_rng(3)
    arrays = {
        "maps": rng.normal(size=(3, 2, 5)).astype(np.float32),
        "turned": rng.normal(size=(4, 7)).T,
        "keep": np.array([True, False, True]),
        "half": np.array([1.5, np.nan, np.inf], dtype=np.float16),
        "ids": np.arange(6, dtype=np.int64),
        "value": np.array(2.5),
        "none": np.zeros((0, 4), dtype=np.float32),
    }
    return arrays, {"site": "mlp", "seed": 0, "labels": ["Straße", "\ud83d"], "nested": {"b": 1.5, "a": None}}
