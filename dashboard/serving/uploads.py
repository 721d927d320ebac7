"""How much one person, and all together, may have uploaded at a time: Streamlit keeps uploads in memory."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from streamlit.runtime import Runtime

from dashboard import owner

OF_ONE = 250_000_000
"""Bytes of one person's uploads; those of a closed page count no more."""
OF_ALL = 2_000_000_000
"""Bytes of everybody's."""
_coming: Counter[str] = Counter()
"""Bytes on their way, by owner; changed by the server's one thread alone."""


def problem(session: str, length: str) -> str | None:
    """Why a session may not upload so many bytes, as the header tells them; None where it may."""
    person = owner.of_session(session)
    if person is None:
        return "Open the page first; only its visitors can upload."
    if not (length.isascii() and length.isdigit()):
        return "An upload has to say how long it is."
    held = _held()
    if held[person] + _coming[person] + int(length) > OF_ONE:
        return f"At most {OF_ONE // 10**6} MB can be uploaded at a time; take a file out, or reload the page."
    if held.total() + _coming.total() + int(length) > OF_ALL:
        return "Too much is uploaded by everybody at the moment; try again later."
    return None


@contextmanager
def under_way(session: str, length: int) -> Iterator[None]:
    """Count an upload while it comes in."""
    person = owner.of_session(session) or ""
    _coming[person] += length
    try:
        yield
    finally:
        _coming[person] -= length


def _held() -> Counter[str]:
    """Bytes of all uploads that are kept, by owner."""
    held: Counter[str] = Counter()
    kept = getattr(Runtime.instance().uploaded_file_mgr, "file_storage", {})
    for session, files in list(kept.items()):
        held[owner.of_session(session) or ""] += sum(len(file.data) for file in list(files.values()))
    return held
