"""One of several things at a time: a button back, a list to choose from, a button on."""

from collections.abc import Callable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import selection


def step(
    columns: Sequence[DeltaGenerator],
    name: str,
    options: Sequence[int],
    chosen: int,
    choose: Callable[[int], None],
    *,
    line: Callable[[int], str],
    helps: tuple[str, str] | None = None,
    label: bool = False,
    shortcuts: tuple[str, str] | None = None,
) -> None:
    """Draw the three into three columns: `chosen` is one of `options`, `choose` is called with another.

    The widgets' keys are `previous_NAME`, `NAME_picker` and `next_NAME`; `line` names an option in the list.
    The arrows hide their labels (`frame.css`). `shortcuts` are the keys that press back and on.
    """
    previous, picker, following = columns
    title = name.replace("_", " ").rpartition(" ")[2].capitalize()
    back, on = helps or (f"Previous {title.lower()}", f"Next {title.lower()}")
    at, key = options.index(chosen), f"{name}_picker"
    before, after = shortcuts or (None, None)
    _button(previous, f"previous_{name}", ":material/chevron_left:", back, at - 1, options, choose, before)
    selection.mirror(key, chosen)
    picker.selectbox(
        title,
        options,
        key=key,
        format_func=line,
        label_visibility="visible" if label else "collapsed",
        on_change=lambda: choose(st.session_state[key]),
    )
    _button(following, f"next_{name}", ":material/chevron_right:", on, at + 1, options, choose, after)


def _button(
    column: DeltaGenerator,
    key: str,
    icon: str,
    what: str,
    to: int,
    options: Sequence[int],
    choose: Callable[[int], None],
    shortcut: str | None,
) -> None:
    inside = 0 <= to < len(options)
    column.button(
        what,
        key=key,
        icon=icon,
        help=f"{what} ({shortcut.upper()})" if shortcut else what,
        shortcut=shortcut,
        width="stretch",
        disabled=not inside,
        on_click=choose,
        args=(options[to],) if inside else (),
    )
