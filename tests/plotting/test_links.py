"""The graph of networks: nodes with their numbers, a curve for every link, grey beside the selected network."""

from dataclasses import replace

import numpy as np
from support.atlases import hand_atlas

from fnet_core.networks.annotations import Annotation
from fnet_core.networks.links import links
from fnet_core.plotting.links import graph
from fnet_core.plotting.networks import MOST_CLICKABLE, connectivity


def curves(figure) -> dict[str, int]:
    """How many curves the traces of each name have."""
    found: dict[str, int] = {}
    for trace in figure.data:
        if trace.mode == "lines":
            found[trace.name] = found.get(trace.name, 0) + int(np.isnan(np.array(trace.x, dtype=float)).sum())
    return found


def test_a_node_for_every_network_and_a_curve_for_every_link():
    atlas = hand_atlas()
    found = links(atlas, 0.2)
    figure = graph(atlas, found, 3.0)
    nodes = figure.data[-1]
    assert sorted(row[0] for row in nodes.customdata) == [0, 1, 2]
    assert sum(curves(figure).values()) == len(found.ends_E2) > 0
    together, turns = int((found.r_E > 0).sum()), int((found.r_E < 0).sum())
    assert curves(figure) == {name: n for name, n in (("together", together), ("in turns", turns)) if n}
    np.testing.assert_allclose(np.hypot(nodes.x, nodes.y), 1)
    by_network = {row[0]: size for row, size in zip(nodes.customdata, nodes.marker.size, strict=True)}
    assert by_network[0] == by_network[1] > by_network[2]  # 3, 3 and no key neurons
    assert figure.layout.title.text == "Links at |r| of 0.20 or more"


def test_with_a_selected_network_the_links_of_others_step_back():
    atlas = hand_atlas()
    found = links(atlas, 0.0)
    drawn = curves(graph(atlas, found, 3.0, 2))
    own = int((found.order_K[found.ends_E2] == 2).any(axis=1).sum())
    assert sum(n for name, n in drawn.items() if name.endswith("of other networks")) == len(found.ends_E2) - own
    assert sum(drawn.values()) == len(found.ends_E2)


def test_a_cell_of_the_matrix_tells_its_two_networks_for_clicks():
    figure = connectivity(hand_atlas(), 1)
    cells = figure.data[1]
    assert len(cells.customdata) == 6
    for x, y, (row, column, _) in zip(cells.x, cells.y, cells.customdata, strict=True):
        assert x.startswith(f"{column} ·") and y.startswith(f"{row} ·")
    assert MOST_CLICKABLE >= 64


def test_a_persons_label_stands_in_place_of_the_automatic_one():
    names = connectivity(replace(hand_atlas(), annotations={1: Annotation("rain")})).data[0].x
    assert sorted(names) == ["0 · abc · def", "1 · rain", "2 · ij"]


def test_labels_with_markup_are_text():
    atlas = hand_atlas()
    object.__setattr__(atlas, "labels", ("<b>x</b>", "b", "c"))
    assert all("<" not in row[1] for row in graph(atlas, links(atlas, 0.0), 3.0).data[-1].customdata)
    assert all("<" not in name for name in connectivity(atlas).data[0].x)
