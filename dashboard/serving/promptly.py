"""Answers leave at once.

The system holds back what follows a small packet until that one is acknowledged, which takes the other side 40 ms.
asyncio asks it not to, but only for sockets that name their protocol; the one that Streamlit opens does not. So the
second part of every answer, and every message to a page, was late.
"""

import socket
from collections.abc import Sequence

import uvicorn


def answer() -> None:
    """Every server of this process sends without waiting, in what it accepts from now on."""
    uvicorn.Server.startup = _startup  # type: ignore[method-assign]


_wait_for_connections = uvicorn.Server.startup


async def _startup(self: uvicorn.Server, sockets: Sequence[socket.socket] | None = None) -> None:
    for listening in sockets or ():
        if listening.family in (socket.AF_INET, socket.AF_INET6):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await _wait_for_connections(self, list(sockets) if sockets else None)
