"""What share of each functional network a plan keeps, beside what a random cut would keep."""

from functools import partial

import streamlit as st

from dashboard import atlases, charts, notices, selection, threshold, words
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.plotting import networks as figures
from fnet_core.plotting import pruning
from fnet_core.pruning.plan import PrunePlan
from fnet_core.pruning.survival import network_survival, random_kept, survival_table

_LISTED = 200
_PICKER, _THRESHOLD = "prune_atlas", "prune_threshold"


def draw(plan: PrunePlan) -> None:
    """The atlas and the threshold to count by, the figure and the table."""
    model = plan.anatomy.model
    if plan.anatomy.neurons_stay:
        st.caption("Networks are followed through neurons, and of a mixture of experts heads alone can go.")
        return
    found, broken = atlases.saved(_LISTED)
    for sentence in broken:
        notices.error(sentence)
    fitting = {saved.key: saved for saved in found if saved.model == model and saved.site == "mlp"}
    if not fitting:
        notices.info(
            f"To see which functional networks survive, find the networks of {model} first (site MLP neurons).",
            icon=":material/hub:",
        )
        notices.next_step("pages/networks.py", "Find networks")
        return
    chosen = selection.current().atlas
    selection.mirror(_PICKER, chosen if chosen in fitting else _richest(fitting))
    picker, right = st.columns([2, 1.4], gap="medium", vertical_alignment="bottom")
    picker.selectbox(
        "Atlas",
        list(fitting),
        key=_PICKER,
        format_func=lambda key: _line(fitting[key]),
        on_change=lambda: selection.choose(atlas=st.session_state[_PICKER], network=0),
        help="The saved networks of this model, at the site that is pruned.",
    )
    beyond = threshold.slider(
        _THRESHOLD,
        "Neurons whose weight in the network lies beyond this many standard deviations are its key neurons. "
        f"{threshold.SAME}",
        right,
    )
    try:
        atlas = atlases.load(st.session_state[_PICKER])
        _figure(atlas, plan, beyond)
    except RequestError as error:
        notices.error(str(error))


def _richest(fitting: dict[str, atlases.SavedAtlas]) -> str:
    """The atlas that was found on most passages, the newest of several."""
    return max(fitting, key=lambda key: fitting[key].passages)


def _line(saved: atlases.SavedAtlas) -> str:
    scope = "" if saved.scope == "model" else f", {words.scope(saved.scope)}"
    networks, passages = words.count(saved.networks, "network"), words.count(saved.passages, "passage")
    return f"{networks}{scope}, {passages} ({saved.key[:8]})"


def _figure(atlas: Atlas, plan: PrunePlan, threshold: float) -> None:
    found = network_survival(atlas, plan, threshold)
    random_K = random_kept(atlas, plan, threshold)
    rows = survival_table(found, random_K)
    _sentence(rows.dropna(subset="kept"))
    charts.draw(
        pruning.survival(found, random_K, partial(figures.colour_of, atlas)),
        "prune_survival",
        "A network whose dot stands above its circle keeps more of its key neurons than a random cut of as many "
        "neurons of each layer would leave it: it is spared. Below, it is hit."
        + (f" The first {pruning.MAX_NETWORKS} networks." if len(rows) > pruning.MAX_NETWORKS else ""),
    )
    shares = ("kept", "random", "beyond", "kept_energy")
    st.dataframe(
        rows.assign(**{name: 100 * rows[name] for name in shares}),
        key="prune_survival_table",
        hide_index=True,
        height=320,
        column_config=charts.network_columns()
        | {
            "kept": st.column_config.NumberColumn("Kept", format="%.1f %%", help="Of the key neurons."),
            "random": st.column_config.NumberColumn(
                "Random cut", format="%.1f %%", help="What removing as many neurons of each layer at random keeps."
            ),
            "beyond": st.column_config.NumberColumn("Difference", format="%+.1f", help="Kept less random, in points."),
            "kept_energy": st.column_config.NumberColumn(
                "Of the map", format="%.1f %%", help="Share of the whole map, as the sum of z squared, that stays."
            ),
        },
        alt="What stays of each network",
    )
    charts.download_csv(
        "Table (CSV)",
        rows,
        "network-survival.csv",
    )


def _sentence(rows) -> None:
    """How many networks are spared, and which one is hit hardest."""
    if rows.empty:
        st.markdown("No network has key neurons at this threshold; lower it.")
        return
    spared = int((rows["beyond"] > 0).sum())
    worst = rows.loc[rows["kept"].idxmin()]
    st.markdown(
        f"**{spared} of {words.count(len(rows), 'network')}** keep more of their key neurons than a random cut leaves. "
        f"Hit hardest: network {worst['network']} ({words.plain(worst['label'])}), {100 * worst['kept']:.0f} % stays, "
        f"against {100 * worst['random']:.0f} %."
    )
