"""A network's time course in a passage as a curve on a canvas that tells at a point.

It is drawn anew for every network that is selected, and plotly takes a third of all that the browser does then.
"""

from pathlib import Path

import numpy as np
import streamlit as st

from fnet_core.networks.atlas import Atlas
from fnet_core.plotting.networks import colour_of
from fnet_core.plotting.style import channels

KEY = "time_course"
_HERE = Path(__file__).parent
_HTML = """
<div class="course">
  <div class="title"></div>
  <canvas role="img"></canvas>
  <div class="told" hidden><b></b><span></span></div>
</div>
"""
_course = st.components.v2.component(
    "fnet_course", html=_HTML, css=(_HERE / "course.css").read_text(), js=(_HERE / "course.js").read_text()
)


def draw(atlas: Atlas, network: int, passage: int) -> None:
    """Draw the network's activity at every token of a passage, in standard deviations over all passages."""
    course_T = np.round(atlas.courses[passage][:, network] / atlas.course_scale(network), 2)
    text = atlas.passages[passage].text
    title = f"Time course of network {network}"
    _course(
        key=KEY,
        data={
            "title": title,
            "described": f"{title}: activity at {len(course_T)} tokens, from {course_T.min():.1f} to "
            f"{course_T.max():.1f} standard deviations.",
            "values": course_T.tolist(),
            "tokens": [text[a:b].replace("\n", "↵") for a, b in atlas.offsets[passage].tolist()],
            "colour": ",".join(map(str, channels(colour_of(atlas, network)))),
        },
    )
    st.caption("The same activity as a curve, one value per token: the network's time course.")
