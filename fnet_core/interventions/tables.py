"""What edits do, as tables: passages, doses, the importance of networks, the next token.

Shape legend: S passages, C controls, K networks.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fnet_core.evaluation.generation import Continuation
from fnet_core.interventions.measuring import Intervention
from fnet_core.interventions.sweeps import Damage, Dose


def control_spread(measured: Intervention) -> tuple[float, float, float] | None:
    """Median, lowest and highest perplexity of the controls; None without any."""
    return _spread(measured.control_values)


def control_effect_spread(measured: Intervention) -> tuple[float, float, float] | None:
    """Median, lowest and highest ratio of a control to the untouched model; None without any."""
    return _spread(np.array([effect.value for effect in measured.control_effects]))


def _spread(values_C: np.ndarray) -> tuple[float, float, float] | None:
    if not len(values_C):
        return None
    return float(np.median(values_C)), float(values_C.min()), float(values_C.max())


def passage_table(measured: Intervention) -> pd.DataFrame:
    """One row per passage: passage, untouched, edited, control (the median), ratio; NaN where not measured."""
    untouched_S, edited_S = measured.baseline.document_values(), measured.edited.document_values()
    controls_CS = [control.document_values() for control in measured.controls]
    return pd.DataFrame(
        {
            "passage": measured.baseline.texts,
            "untouched": untouched_S,
            "edited": edited_S,
            "control": np.median(controls_CS, axis=0) if controls_CS else np.full(len(untouched_S), np.nan),
            "ratio": edited_S / untouched_S,
        }
    )


def worst_passage(measured: Intervention) -> int:
    """The passage whose perplexity the edits raise most."""
    ratio_S = passage_table(measured)["ratio"].to_numpy()
    return int(np.argmax(np.nan_to_num(ratio_S, nan=0.0, posinf=np.inf)))


def dose_table(doses: Sequence[Dose]) -> pd.DataFrame:
    """One row per gain: gain, edited, control, control_low, control_high, untouched perplexity."""
    rows = []
    for dose in doses:
        median, low, high = control_spread(dose.measured) or (np.nan,) * 3
        rows.append((dose.gain, dose.measured.edited.value, median, low, high, dose.measured.baseline.value))
    columns = ["gain", "edited", "control", "control_low", "control_high", "untouched"]
    return pd.DataFrame(rows, columns=columns)


def ranking_table(ranking: Sequence[Damage]) -> pd.DataFrame:
    """One row per network, most damaging first.

    Columns network, label, key_neurons, inhibited, control, ratio, control_ratio.
    """
    rows = []
    for row in ranking:
        spread, effects = control_spread(row.measured), control_effect_spread(row.measured)
        rows.append(
            (
                row.network,
                row.label,
                row.key_neurons,
                row.measured.edited.value,
                spread[0] if spread else np.nan,
                row.measured.effect.value,
                effects[0] if effects else np.nan,
            )
        )
    columns = ["network", "label", "key_neurons", "inhibited", "control", "ratio", "control_ratio"]
    return pd.DataFrame(rows, columns=columns)


def next_token_table(before: Continuation, after: Continuation, count: int = 10) -> pd.DataFrame:
    """The likeliest next tokens of either: token, before, after, difference in probability, largest first.

    A token that one of them does not list has at most its least listed probability and counts as that; of tokens
    with the same text the likeliest is shown.
    """
    listed = [{c.text: c.probability for c in reversed(each.next_tokens)} for each in (before, after)]
    shown = dict.fromkeys(c.text for each in (before, after) for c in each.next_tokens[:count])
    least = [min(each.values(), default=0.0) for each in listed]
    rows = [(text, *(each.get(text, low) for each, low in zip(listed, least, strict=True))) for text in shown]
    table = pd.DataFrame(rows, columns=["token", "before", "after"])
    table["difference"] = table["after"] - table["before"]
    order = table[["before", "after"]].max(axis=1).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def visible_token(text: str) -> str:
    """A token with its white space shown: a space at an end as ␣, a line break as ↵."""
    shown = text.replace("\n", "↵").replace("\t", "⇥")
    stripped = shown.strip(" ")
    left = len(shown) - len(shown.lstrip(" "))
    right = len(shown) - left - len(stripped)
    return "␣" * left + stripped + "␣" * right
