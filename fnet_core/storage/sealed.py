"""A checksum inside a JSON object: one byte changed that changes what it says is found. Text may be laid out anew."""

import json
from hashlib import blake2b
from typing import Any

from fnet_core.errors import RequestError

KEY = "checksum"
"""The entry: 32 hex digits of the other entries."""


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """The object with its checksum, in place of an earlier one."""
    rest = {name: value for name, value in content.items() if name != KEY}
    return rest | {KEY: _checksum(rest)}


def unsealed(content: dict[str, Any], name: str) -> dict[str, Any]:
    """The object without its checksum; RequestError, naming it, where it was changed after it was saved.

    One without a checksum, written by hand or by an earlier version, is as it is.
    """
    rest = {entry: value for entry, value in content.items() if entry != KEY}
    whole = content[KEY] == _checksum(rest) if KEY in content else not any(map(_is_nearly, rest))
    if not whole:
        raise RequestError(
            f'{name} was changed after it was saved; copy it again, or take "{KEY}" out if you changed it yourself.'
        )
    return rest


def _is_nearly(entry: str) -> bool:
    """Whether an entry's name is that of the checksum but for one letter."""
    return len(entry) == len(KEY) and sum(a != b for a, b in zip(entry, KEY, strict=True)) == 1


def _checksum(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()
