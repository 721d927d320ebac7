"""Streamlit's page with one more script, which tells it where its server is.

It would ask for the server below the address of each page first, and write an error to the browser's console for each
that is not there.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCRIPT = 'window.__streamlit = { BACKEND_BASE_URL: new URL(".", window.location.href).href }'
"""Every page is one step below the server's own address."""

_HEAD, _OWN = b"<head>", b"window.prerenderReady"
"""Where the script goes, and what tells Streamlit's page from what a person downloads."""


class Document:
    """Puts the script into every page that the application answers with."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI hands it on."""
        if scope["type"] != "http" or "text/html" not in Headers(scope=scope).get("accept", ""):
            await self._app(scope, receive, send)
            return
        plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        begun: Message | None = None
        body = b""

        async def changed(message: Message) -> None:
            nonlocal begun, body
            if message["type"] == "http.response.start":
                if not Headers(raw=message["headers"]).get("content-type", "").startswith("text/html"):
                    await send(message)
                    return
                begun = message
                return
            if begun is None or message["type"] != "http.response.body":
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            if _OWN in body:
                body = body.replace(_HEAD, _HEAD + f"<script>{SCRIPT}</script>".encode(), 1)
                MutableHeaders(scope=begun)["content-length"] = str(len(body))
            await send(begun)
            await send({**message, "body": body})

        await self._app({**scope, "headers": plain}, receive, changed)
