"""What a change of a model does to its capabilities: two profiles of the same items, side by side."""

from typing import Any

import pandas as pd

from fnet_core.capability.battery import Battery
from fnet_core.capability.profiles import PROFILES, UNCHANGED, Profile, profile_recipe
from fnet_core.capability.statistics import LEVEL, controlled, harm, paired_interval
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import running
from fnet_core.storage import memo


def side_by_side(before: Profile, after: Profile) -> pd.DataFrame:
    """One row per capability: capability, title, before, after, change, low and high (95 %, paired), p, q, items.

    p is one-sided, for a loss; q is adjusted over the capabilities.
    """
    count = len(before.capabilities)
    answers = after.answers_I, before.answers_I
    low, high = paired_interval(*answers, before.capability_I, count)
    p = harm(*answers, before.capability_I, count)
    table = before.table()[["capability", "title", "accuracy", "items"]].rename(columns={"accuracy": "before"})
    table.insert(3, "after", after.accuracy_C)
    return table.assign(change=table["after"] - table["before"], low=low, high=high, p=p, q=controlled(p))


def changed(table: pd.DataFrame) -> dict[str, Any]:
    """The rows of `side_by_side` with items as JSON, and how many are a loss at a false-discovery rate of 5 %."""
    table = table[table["items"] > 0]
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return {"rows": rows, "lost": int((table["q"] < LEVEL).sum())}


def known_rows(loaded: LoadedModel, battery: Battery, changes: Any) -> list[dict[str, Any]]:
    """The rows of `changed` if the store has both profiles; none otherwise."""
    model = running(loaded)
    before, after = (memo.known(PROFILES, profile_recipe(model, battery, what)) for what in (UNCHANGED, changes))
    return changed(side_by_side(before, after))["rows"] if before and after else []
