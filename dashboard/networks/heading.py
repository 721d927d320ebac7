"""A network's number and label beside its colour."""

from html import escape

from fnet_core.networks.atlas import Atlas
from fnet_core.plotting.networks import colour_of


def of(atlas: Atlas, network: int) -> str:
    """HTML that names a network in its fixed colour; its label is escaped."""
    return (
        f'<div style="border-left:.45rem solid {colour_of(atlas, network)};padding-left:.7rem">'
        f'<div style="font-size:.85rem;opacity:.7">Network {network}</div>'
        f'<div style="font-size:1.25rem;font-weight:600">{escape(atlas.named[network])}</div></div>'
    )
