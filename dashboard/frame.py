"""The frame around every page: configuration, logo, navigation, the model in use, running jobs."""

from pathlib import Path

import streamlit as st

from dashboard import jobs, notices, owner, selection, warming
from dashboard.serving import login
from fnet_core import logs
from fnet_core.assets import ASSETS
from fnet_core.jobs import Job, manager

_CSS = Path(__file__).with_suffix(".css")
PAGES = {
    "Home": ("home.py", ":material/home:"),
    "Model": ("pages/model.py", ":material/deployed_code:"),
    "Networks": ("pages/networks.py", ":material/hub:"),
    "Intervene": ("pages/intervene.py", ":material/tune:"),
    "Prune": ("pages/prune.py", ":material/content_cut:"),
    "Compare": ("pages/compare.py", ":material/compare_arrows:"),
    "Audit": ("pages/audit.py", ":material/account_tree:"),
    "Library": ("pages/library.py", ":material/inventory_2:"),
}


def draw(title: str, subtitle: str, own_jobs: str | None = None, own_kinds: tuple[str, ...] = ()) -> None:
    """Configure the page and draw what surrounds it; the first call of every page.

    A page that shows jobs of kind `own_jobs` itself does not get the one it follows a second time, and none of
    `own_kinds`.
    """
    logs.configure()
    warming.page_drawn()
    st.set_page_config(
        page_title=f"{title} · FNet",
        page_icon=str(ASSETS / "icon.svg"),
        layout="wide",
        initial_sidebar_state=220,
        menu_items={"About": "FNet finds the functional networks of language models."},
    )
    st.html(_CSS)
    login.ask()
    selection.start(title)
    st.logo(str(ASSETS / "logo.svg"), size="large", icon_image=str(ASSETS / "icon.svg"))
    with st.sidebar:
        for name, (script, icon) in PAGES.items():
            st.page_link(script, label=name, icon=icon, width="stretch", query_params=selection.parameters() or None)
        _current()
        shown = jobs.followed(own_jobs) if own_jobs else None
        hidden = shown.id if shown else None
        if _other_jobs(hidden, own_kinds):
            st.caption("Running")
            _running_jobs(hidden, own_kinds)
        login.leave()
    st.title(title, icon=PAGES[title][1], anchor=False)
    st.caption(subtitle)
    if sentence := selection.problem():
        notices.error(sentence)


def _current() -> None:
    chosen = selection.current()
    st.space("small")
    st.caption("Model")
    if chosen.model:
        st.text(chosen.model)
    else:
        st.caption("none yet")


def _other_jobs(hidden: str | None, own_kinds: tuple[str, ...]) -> list[Job]:
    """This person's jobs that the page does not show itself."""
    mine = manager().active(owner=owner.current())
    return [job for job in mine if job.id != hidden and job.kind not in own_kinds]


@st.fragment(run_every=1.0)
def _running_jobs(hidden: str | None, own_kinds: tuple[str, ...]) -> None:
    running = _other_jobs(hidden, own_kinds)
    if not running:
        st.rerun()
    for job in running:
        job = manager().look(job.id)
        st.progress(job.fraction or 0.0, text=jobs.line(job))
        with st.container(horizontal=True, gap="small"):
            script = jobs.page_of(job.kind)
            if script:
                parameters = selection.parameters() | {"job": job.id}
                st.page_link(script, label="Open", icon=":material/open_in_new:", query_params=parameters)
            jobs.cancel_button(job, key="sidebar_cancel", type="tertiary")
