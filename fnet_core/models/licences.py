"""Licences of models: which must be accepted before fetching, and the note that they were."""

import json
import logging
from dataclasses import dataclass
from html.parser import HTMLParser

from fnet_core.errors import RequestError
from fnet_core.storage.artifacts import atomic_file, home
from fnet_core.storage.sealed import sealed, unsealed

log = logging.getLogger(__name__)

_ACCEPTED = "accepted-licences.json"


@dataclass(frozen=True)
class Licence:
    """A licence's name (None: not known) and address; `must_accept`: before fetching, read and accept it."""

    name: str | None
    url: str | None = None
    must_accept: bool = False


def is_accepted(licence: Licence) -> bool:
    """Whether the licence needs no acceptance or was accepted in this cache folder."""
    return not licence.must_accept or licence.name in _accepted()


def check_accepted(licence: Licence, model: str, accept: bool) -> None:
    """Record the acceptance if `accept`; `RequestError` if it is needed and was never given."""
    if is_accepted(licence):
        return
    if not accept:
        raise RequestError(
            f"{model} is under the {licence.name} ({licence.url}); read them, then accept them with "
            "--accept-licence or the box on the Model page."
        )
    with atomic_file(home() / _ACCEPTED) as temporary:
        temporary.write_text(json.dumps(sealed({"accepted": sorted({*_accepted(), licence.name})}), indent=1))


def plain_text(page: str) -> str:
    """A web page's article from its title on: headings, paragraphs and list items, one block of text each."""
    parser = _Article()
    parser.feed(page)
    return "\n\n".join(text for block in parser.blocks if (text := " ".join("".join(block).split())))


class _Article(HTMLParser):
    _BLOCKS = frozenset({"h1", "h2", "h3", "p", "li"})

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[list[str]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs) -> None:
        if tag == "h1":
            self.blocks.clear()
        if tag == "article" or (self._open and tag in self._BLOCKS):
            self._open.append(tag)
            self.blocks.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                continue

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self._BLOCKS:
            self.blocks[-1].append(data)


def _accepted() -> list[str]:
    """The names in the record; none where it is damaged, so that they are asked for again."""
    path = home() / _ACCEPTED
    try:
        found = json.loads(path.read_text("utf-8"))
        names = unsealed(found, str(path)).get("accepted") if isinstance(found, dict) else found  # a list until 2026-11
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError):
        names = None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    log.warning(f"{path} is no list of accepted licences, or was changed after it was saved; they are asked for again.")
    return []
