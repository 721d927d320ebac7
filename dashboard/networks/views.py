"""The views of one network, a tab each; only the open one is drawn, and what it needs of a model is loaded with it."""

import json
from functools import partial

import streamlit as st

from dashboard import charts, coloured_text, commands, notices, selection, stepper, words
from dashboard.networks import beside, connections, contexts, course, halves, neurons, own_text, picking
from dashboard.networks.switch import switch
from fnet_core.networks.atlas import Atlas
from fnet_core.plotting import flow, networks

LISTED = 1000
"""The most key neurons that the table on the page lists."""
_VIEW, _SEEN = "view", "view_in_address"
_MAP, _FLOW, _LAYERS = "network_map", "layer_flow", "layers_by_network"
_HALVES, _OTHER = "Two halves of the text", "Another atlas"


def spatial_map(atlas: Atlas, network: int, threshold: float) -> None:
    """The network's z-values by the neurons' own numbers."""
    size = networks.bin_size(max(atlas.widths_L))
    bins = f" Each column stands for {words.count(size, 'neighbouring neuron')} and shows the strongest of them."
    charts.draw(
        networks.network_map(atlas, network, threshold),
        _MAP,
        "Neurons in the order of their numbers, which has no meaning of its own: red neurons are active when the "
        "network is, blue ones when it is not; grey ones stay below the threshold. Click a neuron for the network in "
        "which it is strongest." + (bins if size > 1 else ""),
        partial(picking.network_at, _MAP),
    )


def by_layer(atlas: Atlas, network: int, threshold: float) -> None:
    """Where in depth the network lies, how all of them share out the layers, and every network's layers."""
    own, everyone = st.container(key="pair_layers").columns([1, 2])
    with own:
        charts.draw(
            networks.layer_profile(atlas, network, threshold),
            "layer_profile",
            "Where in the depth of the model the network lies: its key neurons per layer. Layer 0 reads the "
            "input, the top layer decides on the next token.",
        )
    with everyone:
        if atlas.scope == "model":
            charts.draw(
                flow.flow(atlas, threshold, network),
                _FLOW,
                "How the networks share out the layers, from the input to the output: each key neuron of a layer "
                "counted for the network in which it is strongest. The selected network is lit, networks that work at "
                "the same tokens are neighbours. Click a band to select its network.",
                partial(picking.network_at, _FLOW),
            )
        else:
            st.caption("Each network of this atlas lives in one part of the depth, so none flows through the model.")
    charts.draw(
        networks.layers_by_network(atlas, threshold, network, connections.neighbours(atlas, network)),
        _LAYERS,
        "Every network at once: the stronger the colour, the larger the share of that layer's neurons "
        "that are its key neurons. The frame marks the selected network; a click on a cell selects its own.",
        partial(picking.network_at, _LAYERS),
    )


def in_text(atlas: Atlas, network: int, threshold: float) -> None:
    """A passage or a text of the person's own coloured by the network's time course, and the course as a curve."""
    if own_text.chosen():
        own_text.draw(atlas, network)
        return
    at = _passage_picker(atlas, network)
    course_T = atlas.courses[at][:, network] / atlas.course_scale(network)
    own_text.coloured(atlas, atlas.passages[at].text, atlas.offsets[at], course_T)
    course.draw(atlas, network, at)


def key_neurons(atlas: Atlas, network: int, threshold: float) -> None:
    """The network's key neurons as a table, and the files to download."""
    neurons = atlas.key_neurons(network, threshold)
    table, downloads = st.columns([3, 1])
    with table:
        st.dataframe(
            neurons.head(LISTED)[["layer", "neuron", "z"]],
            key="key_neuron_table",
            hide_index=True,
            height=420,
            column_config={
                "layer": st.column_config.NumberColumn("Layer"),
                "neuron": st.column_config.NumberColumn("Neuron", help="Its number in the layer, from 0."),
                "z": st.column_config.NumberColumn(
                    "z", format="%.2f", help="Its weight in the network, in standard deviations."
                ),
            },
            alt="Key neurons of the selected network, strongest first",
        )
        if len(neurons) > LISTED:
            st.caption(f"The strongest {LISTED:,} of {len(neurons):,}; the files hold all of them.")
        elif neurons.empty:
            st.caption("No neuron passes this threshold; move the threshold to the left.")
        else:
            st.caption(f"{words.count(len(neurons), 'key neuron')}, strongest first.")
    with downloads:
        charts.download_csv(
            f"Network {network} (CSV)",
            neurons,
            f"network-{network}-key-neurons.csv",
            width="stretch",
        )
        charts.download_csv(
            "All networks (CSV)",
            lambda: atlas.all_key_neurons(threshold),
            "all-networks-key-neurons.csv",
            width="stretch",
        )
        st.caption(f"Columns: network, label, layer, neuron, z, for |z| above {threshold:.1f}.")


def driven(atlas: Atlas, network: int, threshold: float) -> None:
    """What drives the network, and what it writes."""
    from dashboard.networks import promoted

    contexts.draw(atlas, network, threshold)
    promoted.draw(atlas, network, threshold)


def parcellation(atlas: Atlas, network: int, threshold: float) -> None:
    """Every neuron in the colour of its strongest network."""
    charts.draw(
        networks.parcellation(atlas, threshold, network),
        "parcellation",
        "Every neuron in the colour of the network in which its |z| is largest, if that is above the "
        f"threshold. The first {networks.MAX_PARCELS} networks and the selected one have colours, the others are "
        "grey; neurons without a colour belong to none.",
    )


def recurrence(atlas: Atlas, network: int, threshold: float) -> None:
    """Whether the network comes back in other text or in another atlas, and in which passages it works."""
    against = None
    if key := selection.current().atlas:
        against = switch("Held against", [_HALVES, _OTHER], "recurrence_against")
        if against == _OTHER:
            from dashboard.networks import elsewhere

            elsewhere.draw(key, atlas, network)
        else:
            halves.draw(key, atlas, network)
    charts.draw(
        networks.recurrence(atlas, network),
        "recurrence",
        "How much of each passage's activity the network accounts for. Bars of similar length: it works in "
        "every kind of text. One long bar: it belongs to that passage.",
    )
    if against == _HALVES:
        from fnet_core.reporting.recipes import recurrence_commands

        made_again = recurrence_commands(atlas)
        commands.draw(made_again.lines, made_again.beyond)


def lesions(atlas: Atlas, network: int, threshold: float) -> None:
    """What the model can no longer do without the network."""
    from dashboard.networks import capabilities

    capabilities.draw(atlas, network, threshold)


def recipe(atlas: Atlas, network: int, threshold: float) -> None:
    """How the atlas was made and what it cost."""
    made, settings = st.columns([1, 2])
    with made:
        st.metric("Peak memory", words.size(atlas.peak_memory_bytes), help="While the networks were found.")
        st.metric(
            "Restarts that converged",
            f"{100 * atlas.converged:.0f} %",
            help="Restarts of the separation that reached the tolerance before the limit of iterations.",
        )
        seconds = {stage: f"{value:.1f} s" for stage, value in atlas.seconds.items()}
        seconds["all"] = f"{sum(atlas.seconds.values()):.1f} s"
        st.table(seconds, border="horizontal")
    with settings:
        st.caption("Everything that decided this result. On the same kind of machine it gives the same atlas again.")
        text = json.dumps(atlas.recipe, indent=2, ensure_ascii=False)
        st.code(text, language="json", height=420, wrap_lines=True)
    from fnet_core.reporting.recipes import atlas_commands

    made_again = atlas_commands(atlas, threshold)
    commands.draw(made_again.lines, made_again.beyond)


TABS = {
    "In text": in_text,
    "Contexts": driven,
    "By layer": by_layer,
    "Map": spatial_map,
    "Neurons": neurons.draw,
    "Key neurons": key_neurons,
    "Parcellation": parcellation,
    "Connectivity": connections.draw,
    "Side by side": beside.draw,
    "Capabilities": lesions,
    "Recurrence": recurrence,
    "Recipe": recipe,
}


def tabs(atlas: Atlas, network: int, threshold: float) -> None:
    """The tabs, the one in the address open; each view explains itself in its caption."""
    first, asked = next(iter(TABS)), selection.current().view
    if asked is not None and asked not in TABS:
        notices.error(f"The address asks for the view '{asked[:40]}'; choose one of {', '.join(TABS)}.")
        selection.choose(view=None)
        asked = None
    if st.session_state.get(_SEEN) != asked:
        st.session_state[_VIEW] = asked or first
    views = st.tabs(list(TABS), key=_VIEW, on_change="rerun")
    opened = st.session_state[_VIEW]
    st.session_state[_SEEN] = None if opened == first else opened
    if st.session_state[_SEEN] != asked:
        selection.choose(view=st.session_state[_SEEN])
    for tab, view in zip(views, TABS.values(), strict=True):
        if tab.open:
            with tab:
                view(atlas, network, threshold)


def _passage_picker(atlas: Atlas, network: int) -> int:
    """Previous, list, next, strongest, legend; until one is picked, the passage where the network works most."""
    strongest = int(atlas.recurrence_SK[:, network].argmax())
    last = len(atlas.passages) - 1
    at = selection.current().passage
    at = strongest if at is None or at > last else at
    *steps, jump, legend = st.columns([0.6, 4, 0.6, 2, 3], gap="xsmall", vertical_alignment="center")
    stepper.step(steps, "passage", range(last + 1), at, _show_passage, line=lambda i: atlas.passages[i].name)
    jump.button(
        "Strongest",
        key="strongest_passage",
        icon=":material/trending_up:",
        help="The passage of which this network explains the largest share.",
        width="stretch",
        disabled=at == strongest,
        on_click=_show_passage,
        args=(None,),
    )
    with legend:
        st.html(coloured_text.course_legend())
    return at


def _show_passage(passage: int | None) -> None:
    selection.choose(passage=passage)
