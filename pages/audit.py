"""Compare many models, all pairs: which descend from a common one, with p-values corrected for their number."""

import streamlit as st

from dashboard import frame, jobs, notices, selection, words
from dashboard.audit import chooser, kept, results
from dashboard.audit import jobs as audit_jobs
from fnet_core.errors import RequestError

frame.draw(
    "Audit",
    "Which of many models descend from a common one? Every pair is compared from its fingerprints.",
    kept.KIND,
)
job = jobs.followed(kept.KIND)
if key := jobs.take_result(job):
    selection.choose(audit=key)
    job = None
shown = selection.current().audit
busy = jobs.under_way(job)
with st.expander("Models to compare", expanded=not shown, icon=":material/deployed_code:"):
    chosen, accepted, missing = chooser.draw()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Audit",
            key="audit_run",
            type="primary",
            icon=":material/account_tree:",
            width=130,
            disabled=busy or bool(missing),
            on_click=audit_jobs.submit,
            args=(chosen, accepted),
        )
        pairs = words.count(len(chosen) * (len(chosen) - 1) // 2, "pair")
        planned = f"{words.count(len(chosen), 'model')}, {pairs}; what was compared before is there at once."
        st.caption(missing or planned)
    if engine := audit_jobs.engine_line():
        st.caption(engine)
audit_jobs.show(job)

if shown:
    try:
        results.draw(kept.shown(shown), kept.members(shown))
    except RequestError as error:
        notices.error(str(error))
elif not busy:
    notices.info(
        "Choose models or fingerprint files and press 'Audit'. Families in words, a matrix of all pairs and their "
        "corrected p-values appear here; a click on a cell opens the pair on the Compare page.",
        icon=":material/account_tree:",
    )
