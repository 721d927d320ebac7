"""The start of the dashboard: what FNet is, what to do first, and the atlases to come back to."""

import streamlit as st

from dashboard import atlases, frame, notices, selection
from fnet_core.families import SITES

RECENT = 8

frame.draw("Home", "Open a language model like a brain scan.")

st.markdown(
    "A language model's neurons work in groups, as regions of a brain do. FNet lets a model read text, "
    "records every neuron, and separates the recording into **functional networks**: sets of neurons that "
    "rise and fall together. You see where each network lies in the layers, which words drive it, and how "
    "sure one can be of it."
)

first, second, third = st.columns(3)
with first, st.container(border=True, height="stretch"):
    st.subheader("1. Load a model", anchor=False, icon=":material/deployed_code:")
    st.write("One button fetches a real 30-layer model that runs on any computer.")
    st.page_link("pages/model.py", label="Choose a model", icon=":material/arrow_forward:")
with second, st.container(border=True, height="stretch"):
    st.subheader("2. Find its networks", anchor=False, icon=":material/hub:")
    st.write("Another button reads the bundled texts and draws the map, the table and the coloured text.")
    st.page_link(
        "pages/networks.py",
        label="Find networks",
        icon=":material/arrow_forward:",
        query_params=selection.parameters() or None,
    )
with third, st.container(border=True, height="stretch"):
    st.subheader("3. Switch them down or up", anchor=False, icon=":material/tune:")
    st.write("Inhibit or amplify a network and watch perplexity and text change, beside random neurons.")
    st.page_link(
        "pages/intervene.py",
        label="Intervene",
        icon=":material/arrow_forward:",
        query_params=selection.parameters() or None,
    )

st.header("Recent atlases", anchor=False)
found, broken = atlases.saved(RECENT)
for sentence in broken:
    notices.error(sentence)
if not found:
    st.caption("None yet. An atlas holds all networks of one model; the first one you find is listed here.")
for saved in found:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.text(f"{saved.model}: {saved.networks} networks", width=280)
        st.caption(
            f"{SITES[saved.site].split(':')[0]} · {saved.passages} passages · "
            + ("whole model" if saved.scope == "model" else "layer by layer")
        )
        if st.button("Open", key=f"open_{saved.key}", icon=":material/open_in_new:"):
            selection.choose(model=saved.model, atlas=saved.key, network=0)
            st.switch_page("pages/networks.py")
