"""Libraries of models take seconds to load: that is done before somebody asks for a model, while no page is drawn."""

import threading
from importlib import import_module

QUIET_SECONDS = 4.0
"""So long no page was drawn when loading begins."""

_lock = threading.Lock()
_allowed = False
_timer: threading.Timer | None = None


def allow() -> None:
    """This process serves people: what they will ask for next is worth loading."""
    global _allowed
    _allowed = True


def page_drawn() -> None:
    """A page is drawn now: wait for the quiet after it."""
    global _timer
    with _lock:
        if not _allowed:
            return
        if _timer is not None:
            _timer.cancel()
        _timer = threading.Timer(QUIET_SECONDS, _load)
        _timer.daemon = True
        _timer.start()


def _load() -> None:
    global _allowed
    _allowed = False
    import_module("fnet_core.networks.finding")
