"""How long tests of jobs wait for one another."""

import threading

DEADLINE = 10.0
"""Seconds after which a test that waits for something has failed."""


def until(event: threading.Event) -> None:
    """Wait for an event that must come."""
    assert event.wait(DEADLINE)
