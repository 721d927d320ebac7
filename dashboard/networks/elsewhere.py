"""Do the networks come back in another atlas: of other texts, another site or scope, a copy of the model?"""

import streamlit as st

from dashboard import atlases, charts, commands, notices, words
from fnet_core.choices import site_title
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.comparing import compare_atlases
from fnet_core.networks.recurrence import AGREEMENT, Recurrence
from fnet_core.plotting import recurrence as figures
from fnet_core.reporting.recipes import recurrence_commands

LISTED = 100
"""The most saved atlases that are offered."""


@st.cache_data(max_entries=16, show_spinner="Matching the networks")
def _compared(key: str, other: str) -> Recurrence:
    return compare_atlases(atlases.load(key), atlases.load(other))


def draw(key: str, atlas: Atlas, network: int) -> None:
    """The atlas to hold this one against, and the figure with its sentence."""
    lines = [line for line in atlases.saved(LISTED)[0] if line.key != key]
    others = {line.key: line for line in sorted(lines, key=lambda line: line.model != atlas.model_name)}
    if not others:
        st.caption("There is no other atlas yet. Find one on other text, at another site or of a copy of this model.")
        return
    own = st.selectbox(
        "The other atlas",
        list(others),
        format_func=lambda each: _named(others[each]),
        key="recurrence_other",
        persist_state="session",
        help="The newest atlases on this machine, those of the same model first. Both must have the same neurons in "
        "the same layers; of a pruned copy those that it kept are compared.",
    )
    try:
        found = _compared(key, own)
    except RequestError as error:
        notices.error(str(error))
        return
    trusted_K = atlas.trusted_by(found)
    partner = int(found.partner_K[network])
    like = "has no partner there" if partner < 0 else f"is most like network {partner} there ({_label(own, partner)})"
    st.markdown(
        f"**Network {network}** {like}, abs r **{found.correlation_K[network]:.2f}**. {found.recurring()} of "
        f"{words.count(len(found), 'network')} come back (IoU above {found.bar():.2g}); by chance "
        f"{found.recurring_by_chance():.1f} would. {int(trusted_K.sum())} reach the levels of trust: {AGREEMENT}."
    )
    if found.recipe["title"].endswith("that both have"):
        st.caption(words.plain(found.recipe["title"]) + ".")
    charts.draw(
        figures.coming_back(found, network, trusted_K),
        "elsewhere_figure",
        "Circles: how alike a network's map and its partner's in the other atlas are (abs r). Diamonds: how far their "
        "key neurons are the same ones (IoU). Hollow: below the levels of trust. Dotted lines: what 95 of 100 shuffles "
        "of the neurons stay below.",
    )
    charts.download_csv("Table (CSV)", found.table(), f"{atlases.file_stem(atlas)}-in-another.csv")
    made = recurrence_commands(atlas, atlases.load(own))
    commands.draw(made.lines, made.beyond)


def _label(key: str, network: int) -> str:
    return words.plain(atlases.annotated(key)[0].named[network])


def _named(line: atlases.SavedAtlas) -> str:
    """What tells a saved atlas from others; the beginning of its key parts those that are told alike."""
    return (
        f"{line.model} · {site_title(line.site)} · {words.scope(line.scope)} · "
        f"{words.count(line.networks, 'network')} · {words.count(line.passages, 'passage')} · {line.key[:6]}"
    )
