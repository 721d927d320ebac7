"""Files that people give to read: plain ones, of a size that can be meant."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fnet_core.errors import RequestError

LARGEST_TEXT = 200_000_000
"""Bytes of the largest text or file of edits that is read, all of which is in memory at once."""

LONGEST_LINE = 10_000_000
"""Bytes of the longest line of a text, a few times those of a long book: what is longer is no text to read."""


def check_plain(path: Path) -> None:
    """RequestError where a device, a pipe or a socket stands, which reading might wait at for ever."""
    try:
        special = path.exists() and not (path.is_file() or path.is_dir())
    except OSError as error:
        raise RequestError(f"{str(path)[:60]} cannot name a file ({error.strerror}); check the path.") from error
    if special:
        raise RequestError(f"{path} is a device or a pipe, not a file; save what it gives to a file and name that.")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """RequestError for whatever the system says while a file that a person gave is read."""
    try:
        yield
    except OSError as error:
        said = error.strerror or " ".join(str(error).split())[:80]
        raise RequestError(f"{path} cannot be read ({said}); give permission to read it, or copy it again.") from error


def check_text(path: Path) -> None:
    """RequestError unless a plain file of at most `LARGEST_TEXT` bytes is at `path`."""
    check_plain(path)
    if not path.is_file():
        raise RequestError(f"There is no text file '{path}'; check the path.")
    if (size := path.stat().st_size) > LARGEST_TEXT:
        raise RequestError(
            f"{path} has {size / 1e6:,.0f} MB, and at most {LARGEST_TEXT / 1e6:,.0f} MB are read; give a part of it."
        )


def check_lines(content: bytes, name: str) -> None:
    """RequestError unless every line of a text has at most `LONGEST_LINE` bytes; `name` is what people call it."""
    begin = 0
    while len(content) - begin > LONGEST_LINE:
        end = content.rfind(b"\n", begin, begin + LONGEST_LINE + 1)
        if end < 0:
            end = content.find(b"\n", begin)
            length = (len(content) if end < 0 else end) - begin
            raise RequestError(
                f"'{name}' has a line of {length / 1e6:,.0f} MB, and a line of at most {LONGEST_LINE / 1e6:,.0f} MB is "
                "read; break it into lines, or give a part of it."
            )
        begin = end + 1
