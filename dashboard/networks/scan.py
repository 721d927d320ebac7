"""The scan on the page: a canvas of territories that tells at a point and selects at a click or an arrow key.

Plotly gives no click on a heat map and takes seconds to paint one neuron by neuron; runs of neurons on a canvas are
painted in one frame. Every neuron's number and z-value, which only pointing needs, come as a file of their own: what is
sent with a run of the page is sent with every run, and the browser reads all of it again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from streamlit import runtime

from dashboard import atlases, selection
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.territories import Territories, territories
from fnet_core.plotting.networks import colour_of
from fnet_core.plotting.style import channels

KEY = "scan"
MOST_NEURONS = 400_000
"""Up to so many neurons the browser fetches each one's number and z-value once it is idle; of larger models, once a
person points."""

_HERE = Path(__file__).parent
_HTML = """
<div class="scan">
  <div class="head"><strong>Scan</strong><span class="name" aria-hidden="true"></span>
    <button type="button" class="all" title="Every network in its colour">All networks</button>
    <button type="button" class="one" title="The selected network alone; the others step back to grey"></button>
  </div>
  <canvas tabindex="0" role="slider" aria-label="Scan: select a network with the arrow keys"
    aria-valuemin="0" aria-valuenow="0"></canvas>
  <div class="tip" hidden><b></b><span></span><small></small></div>
</div>
"""
_scan = st.components.v2.component(
    "fnet_scan", html=_HTML, css=(_HERE / "scan.css").read_text(), js=(_HERE / "scan.js").read_text()
)


def draw(key: str, atlas: Atlas, network: int, threshold: float, choose: Callable[[int], None] | None = None) -> None:
    """Draw the scan of the atlas under this key with a network selected.

    `choose` is called with the network that a person picks; without it that network is selected on all pages.
    """
    choose = choose or _select

    def picked() -> None:
        picked = st.session_state[KEY].network
        if isinstance(picked, int) and 0 <= picked < len(atlas):
            choose(picked)

    _scan(
        key=KEY,
        data=_sent(key, threshold) | _selected(atlas, _ordered(key, threshold), network) | _layer(key, threshold),
        on_network_change=picked,
    )
    st.caption(
        "Each row is a layer. Its neurons stand with the network in which they are strongest: key neurons in full "
        "colour, those below the threshold pale. Networks that work at the same tokens are neighbours. Point for a "
        "neuron, click for its network."
    )


def _select(network: int) -> None:
    selection.choose(network=network)


@st.cache_resource(max_entries=16, show_spinner=False)
def _ordered(key: str, threshold: float) -> Territories:
    return territories(atlases.load(key), threshold)


@st.cache_data(max_entries=16, show_spinner=False)
def _sent(key: str, threshold: float) -> dict[str, Any]:
    """What the canvas needs that does not depend on the selected network."""
    atlas, ordered = atlases.load(key), _ordered(key, threshold)
    return {
        "widths": list(atlas.widths_L),
        "networks": len(atlas),
        "colours": [",".join(map(str, channels(colour_of(atlas, network)))) for network in range(len(atlas))],
        "runs": [[[run.network, run.core, run.rim] for run in runs] for runs in ordered.runs],
        "order": _order(ordered),
        "soon": sum(atlas.widths_L) <= MOST_NEURONS,
    }


def _layer(key: str, threshold: float) -> dict[str, str]:
    """Where the page finds every neuron's number and z-value; it is registered at every run."""
    files = runtime.get_instance().media_file_mgr
    address = files.add(_every_neuron(key, threshold), "application/octet-stream", f"{KEY}.{key}.{threshold}")
    base = st.get_option("server.baseUrlPath").strip("/")
    return {"layer": f"/{base}{address}" if base else address}


@st.cache_resource(max_entries=4, show_spinner=False)
def _every_neuron(key: str, threshold: float) -> bytes:
    """All layers' neurons in the order of the scan, int32, and behind them their z-values in hundredths, int16."""
    ordered = _ordered(key, threshold)
    z_N = np.clip(np.round(100 * np.concatenate(ordered.z)), -32_768, 32_767)
    return np.concatenate(ordered.neurons).astype(np.int32).tobytes() + z_N.astype(np.int16).tobytes()


def _selected(atlas: Atlas, ordered: Territories, network: int) -> dict[str, Any]:
    return {
        "selected": network,
        "labels": list(atlas.named),
        "elsewhere": [places.tolist() for places in ordered.elsewhere(atlas, network)],
    }


def _order(ordered: Territories) -> list[int]:
    """Networks as they stand from left to right, each once, then upward; those without a neuron last."""
    return list(dict.fromkeys(run.network for runs in ordered.runs for run in runs))
