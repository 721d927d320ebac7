"""What the project says beside its results: one logger, one handler on stderr, one level."""

import logging
import os
import sys

from fnet_core.errors import RequestError
from fnet_core.visible import visible

LEVELS = ("debug", "info", "warning", "error")
VARIABLE = "FNET_LOG"
"""The environment variable that names the level."""

DEFAULT_LEVEL = "warning"


def configure(level: str | None = None) -> None:
    """Print what `fnet_core` and its children log from `level` on, else from that of `FNET_LOG`, else from warnings on.

    May be called again. Raises RequestError for a level that is none of `LEVELS`.
    """
    level = level or os.environ.get(VARIABLE, "").strip().lower() or DEFAULT_LEVEL
    if level not in LEVELS:
        raise RequestError(f"{VARIABLE} names no level '{level}'; choose one of {', '.join(LEVELS)}.")
    parent = logging.getLogger("fnet_core")
    parent.setLevel(level.upper())
    if not any(isinstance(handler, _Handler) for handler in parent.handlers):
        handler = _Handler()
        handler.setFormatter(_Formatter("fnet: %(message)s"))
        parent.addHandler(handler)


class _Handler(logging.Handler):
    """Writes to what stderr is at the time, which a progress bar or a test may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


class _Formatter(logging.Formatter):
    """One line per message, whatever names it holds; a traceback follows in lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return visible(super().formatMessage(record))
