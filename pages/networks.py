"""Find the networks of a model and look at them."""

from pathlib import Path

import streamlit as st

from dashboard import atlases, frame, job_panel, notices, request_form, selection, words
from dashboard.explorer import explorer
from fnet_core.atlas import KIND
from fnet_core.errors import RequestError
from fnet_core.families import SITES


def summary(key: str) -> None:
    """One line on the atlas that is shown."""
    atlas = atlases.load(key)
    st.caption(
        f"{words.plain(atlas.model_name)} · {words.count(len(atlas), 'network')} · "
        f"{SITES[atlas.site].split(':')[0]} · "
        f"{'whole model' if atlas.scope == 'model' else 'layer by layer'} · "
        f"{words.count(len(atlas.passages), 'passage')}, {words.count(atlas.tokens, 'token')} · "
        f"found in {words.duration(sum(atlas.seconds.values()))}"
    )


frame.draw(
    "Networks",
    "A functional network is a set of neurons that rise and fall together while the model reads.",
    KIND,
)

job = job_panel.followed(KIND)
if job and job.state in job_panel.ACTIVE and job.id != selection.current().job and not selection.current().atlas:
    job_panel.watch(job)
if path := job_panel.take_result(job):
    selection.choose(atlas=Path(path).stem, network=0)

request_form.draw(busy=job is not None and job.state in job_panel.ACTIVE)
if sentence := st.session_state.get(request_form.PROBLEM):
    notices.error(sentence)
job_panel.show(job)

key = selection.current().atlas
if key:
    try:
        summary(key)
    except RequestError as error:
        notices.error(str(error))
    else:
        explorer(key)
elif job is None:
    notices.info(
        "No networks yet. Press 'Find networks': the model reads the text, which takes a minute or two, and "
        "its map, table and coloured text appear here.",
        icon=":material/hub:",
    )
