"""Text from files and from people, made safe to print on a terminal in one line."""

import re

_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CONTROL = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_DIRECTIONS}]")
"""What moves the cursor, ends a line, turns the direction of writing, or cannot be encoded."""


def visible(text: str) -> str:
    """The text with control characters written out, such as a line feed as backslash and n; the rest is unchanged."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def visible_json(text: str) -> str:
    """The JSON text with the control characters that JSON leaves as they are written as its own escapes."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
