"""How results draw themselves in a notebook, although figures are made above them.

A result may not import `plotting`, which imports all results. So a figure is looked up by name at the moment that
somebody asks for it, and a description is plain HTML.
"""

from collections.abc import Mapping
from html import escape
from importlib import import_module
from typing import Any


def drawn(figure: str, *arguments: Any) -> Any:
    """The plotly figure that `fnet_core.plotting` makes of these; `figure` is "module.function" there."""
    module, function = figure.split(".")
    return getattr(import_module(f"fnet_core.plotting.{module}"), function)(*arguments)


def described(title: str, facts: Mapping[str, object]) -> str:
    """HTML that says what a result is: a title and a row for each fact; everything is escaped."""
    rows = "".join(
        f'<tr><td style="text-align:left;opacity:.7">{escape(name)}</td>'
        f'<td style="text-align:left">{escape(str(value))}</td></tr>'
        for name, value in facts.items()
    )
    return f"<div><b>{escape(title)}</b><table>{rows}</table></div>"


class Described:
    """A result that says what it is: in a line on a console, as a small table in a notebook."""

    def _description(self) -> tuple[str, Mapping[str, object]]:
        """A title, and facts by name."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return described(*self._description())

    def __repr__(self) -> str:
        title, _ = self._description()
        return f"<{type(self).__name__}: {title}>"
