"""Find the networks of a model and look at them."""

from pathlib import Path

import streamlit as st

from dashboard import atlases, frame, jobs, notices, selection, words
from dashboard.networks import form, provisional
from dashboard.networks.explorer import explorer
from fnet_core.choices import site_title
from fnet_core.errors import RequestError
from fnet_core.networks import enough
from fnet_core.networks.atlas import KIND
from fnet_core.progress import duration


def summary(key: str) -> None:
    """One line on the atlas that is shown."""
    atlas = atlases.load(key)
    st.caption(
        f"{words.plain(atlas.model_name)} · {words.count(len(atlas), 'network')} · "
        f"{site_title(atlas.site)} · "
        f"{words.scope(atlas.scope)} · "
        f"{words.count(len(atlas.passages), 'passage')}, {words.count(atlas.tokens, 'token')} · "
        f"found in {duration(sum(atlas.seconds.values()))}"
    )
    for sentence in (enough.sentence(atlas.recipe), atlas.recipe.get("cut")):
        if sentence:
            st.caption(words.plain(sentence))


def shown(key: str | None) -> bool:
    """Whether the atlas in the address is there to be shown."""
    try:
        return bool(key and atlases.load(key))
    except RequestError:
        return False


frame.draw(
    "Networks",
    "A functional network is a set of neurons that rise and fall together while the model reads.",
    KIND,
)

job = jobs.followed(KIND)
if jobs.under_way(job) and job.id != selection.current().job and not selection.current().atlas:
    jobs.watch(job)
if path := jobs.take_result(job):
    selection.choose(atlas=Path(path).stem, network=0)

form.draw(busy=jobs.under_way(job), folded=shown(selection.current().atlas))
if sentence := st.session_state.get(form.PROBLEM):
    notices.error(sentence)
early = provisional.show(job)

key = selection.current().atlas
if early:
    provisional.draw(early)
elif key:
    try:
        summary(key)
    except RequestError as error:
        notices.error(str(error))
    else:
        explorer(key)
elif job is None:
    notices.info(
        "No networks yet. Press 'Find networks': the model reads the text, which takes a few minutes on two cores "
        "(fewer passages, under More, are quicker), and its scan, table and coloured text appear here.",
        icon=":material/hub:",
    )
