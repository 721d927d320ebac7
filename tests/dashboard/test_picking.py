"""A click on a point of a figure selects the network that it stands for."""

from types import SimpleNamespace

import pytest
import streamlit as st

from dashboard import selection
from dashboard.networks import picking


@pytest.mark.parametrize(
    ("customdata", "chosen"),
    [
        ([4, "label", 3], 4),
        ([2, 7, "+0.50"], 7),
        ([7, 2, "+0.50"], 7),  # the column is selected already, so the row
        ([2, "label", 9], 2),
    ],
)
def test_a_point_selects_its_network(monkeypatch, customdata, chosen):
    picked: list[int] = []
    monkeypatch.setattr(selection, "current", lambda: SimpleNamespace(network=2))
    monkeypatch.setattr(selection, "choose", lambda network: picked.append(network))
    points = SimpleNamespace(selection=SimpleNamespace(points=[{"customdata": customdata}]))
    monkeypatch.setattr(st, "session_state", {"figure": points})
    picking.network_at("figure")
    assert picked == [chosen]


def test_no_point_selects_nothing(monkeypatch):
    monkeypatch.setattr(selection, "choose", lambda **_: pytest.fail("nothing was clicked"))
    empty = SimpleNamespace(selection=SimpleNamespace(points=[]))
    monkeypatch.setattr(st, "session_state", {"figure": empty})
    picking.network_at("figure")
