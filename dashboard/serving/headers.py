"""The headers of every answer: no frame around the pages, no content from elsewhere."""

import base64
import hashlib
import re
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from dashboard.serving.document import SCRIPT

_FIXED = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def of(host: str) -> dict[str, str]:
    """The headers of an answer to a request for this host, port included; "" where the host was refused."""
    return _FIXED | {"content-security-policy": policy(host)}


@lru_cache(64)
def policy(host: str) -> str:
    """What a page may load and who may frame it.

    Streamlit imports the scripts of its components from blobs, and styles elements inline; websockets are named with
    their host, which some browsers do not count as the page's own.
    """
    sockets = f" ws://{host} wss://{host}" if host else ""
    scripts = " ".join(["script-src 'self' 'wasm-unsafe-eval' blob:", *_inline_scripts()])
    return "; ".join(
        (
            "default-src 'self'",
            scripts,
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self'{sockets}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


@cache
def _inline_scripts() -> tuple[str, ...]:
    """The digests of the scripts inside the page, Streamlit's and the one that is added, as a policy names them."""
    library = find_spec("streamlit")
    assert library is not None and library.origin is not None
    page = (Path(library.origin).parent / "static" / "index.html").read_text("utf-8")
    inside = [*re.findall(r"<script>(.*?)</script>", page, re.DOTALL), SCRIPT]
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in inside)
    return tuple(f"'sha256-{digest}'" for digest in digests)
