"""Every byte of what the library keeps, held against the checksums inside the files."""

import json
from collections.abc import Iterable

from fnet_core.errors import RequestError
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import check_whole, digest
from fnet_core.storage.library import BY_TEXT, Entry
from fnet_core.storage.sealed import unsealed


def damaged(entries: Iterable[Entry], report: Report = silent) -> list[tuple[Entry, str]]:
    """The entries that are not as they were saved, each with why; files of earlier versions have no checksums."""
    found = []
    listed = list(entries)
    for number, entry in enumerate(listed):
        report("checking", number / len(listed))
        try:
            if entry.path.suffix == ".json":
                text = entry.path.read_text("utf-8")
                unsealed(json.loads(text), str(entry.path))
                if entry.kind in BY_TEXT and digest([entry.kind, text]) != entry.key:
                    raise RequestError(f"{entry.path} was changed after it was saved.")
            else:
                check_whole(entry.path)
        except (RequestError, OSError, ValueError, RecursionError, AttributeError) as error:
            found.append((entry, " ".join(str(error).split())))
    return found
