"""The start of the dashboard: what FNet is, what to do first, and the atlases to come back to."""

import streamlit as st

from dashboard import atlases, frame, notices, selection, words
from dashboard.networks import lead, picture
from fnet_core.choices import SITES

RECENT = 8
# title, icon, sentence, page and label of the link of each card; a string on its own would be drawn on the page
STEPS = (
    (
        "Load a model",
        ":material/deployed_code:",
        "One button fetches a real 30-layer model that runs on any computer.",
        "pages/model.py",
        "Choose a model",
    ),
    (
        "Find its networks",
        ":material/hub:",
        "Another button reads the bundled texts and draws the map, the table and the coloured text.",
        "pages/networks.py",
        "Find networks",
    ),
    (
        "Switch them down or up",
        ":material/tune:",
        "Inhibit or amplify a network and watch perplexity and text change, beside random neurons.",
        "pages/intervene.py",
        "Intervene",
    ),
    (
        "Prune around them",
        ":material/content_cut:",
        "Slide how many neurons go and see perplexity, size and speed, then save the smaller model.",
        "pages/prune.py",
        "Prune",
    ),
    (
        "Compare two models",
        ":material/compare_arrows:",
        "Match the networks of two models, or of two fingerprint files, and see whether one derives from the other.",
        "pages/compare.py",
        "Compare",
    ),
    (
        "Audit many models",
        ":material/account_tree:",
        "All pairs of many models: which descend from a common one, with p-values corrected for their number.",
        "pages/audit.py",
        "Audit",
    ),
)

frame.draw("Home", "Open a language model like a brain scan.")

st.markdown(
    "A language model's neurons work in groups, as regions of a brain do. FNet lets a model read text, "
    "records every neuron, and separates the recording into **functional networks**: sets of neurons that "
    "rise and fall together. You see where each network lies in the layers, which words drive it, and how "
    "sure one can be of it."
)

found, broken = atlases.saved(RECENT)
lead.draw(found[0] if found else None)

st.header("What to do here", anchor=False)
with st.grid(3, min_column_width=250):
    for number, (title, icon, sentence, script, label) in enumerate(STEPS, start=1):
        with st.container(border=True, height="stretch"):
            st.subheader(f"{number}. {title}", anchor=False, icon=icon)
            st.write(sentence)
            notices.next_step(script, label)

st.header("Recent atlases", anchor=False)
for sentence in broken:
    notices.error(sentence)
if not found:
    st.caption("None yet. An atlas holds all networks of one model; the first one you find is listed here.")
for saved in found:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        if (seen := picture.of(saved)) is not None:
            st.image(seen, width=picture.WIDTH, alt=f"Scan of {saved.networks} networks")
        st.text(f"{saved.model}: {saved.networks} networks", width=280)
        st.caption(f"{SITES[saved.site].split(':')[0]} · {saved.passages} passages · " + words.scope(saved.scope))
        if st.button("Open", key=f"open_{saved.key}", icon=":material/open_in_new:"):
            selection.choose(model=saved.model, atlas=saved.key, network=0)
            st.switch_page("pages/networks.py")
