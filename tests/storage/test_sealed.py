"""JSON with a checksum inside: what a changed byte makes of it is refused, and another layout is the same."""

import json

import pytest

from fnet_core.errors import RequestError
from fnet_core.storage.sealed import KEY, sealed, unsealed

CONTENT = {"kind": "fnet-edits", "edits": [{"gain": 0.5, "name": "ü"}], "more": None}


@pytest.mark.parametrize("change", [0x01, 0x02, 0x20, 0x80])
def test_every_byte_that_changes_what_is_said_is_found(change):
    text = json.dumps(sealed(CONTENT), ensure_ascii=False).encode()
    for place in range(len(text)):
        damaged = bytearray(text)
        damaged[place] ^= change
        try:
            content = json.loads(damaged)
        except ValueError:
            continue
        if content == sealed(CONTENT):
            continue
        with pytest.raises((RequestError, AttributeError)):
            unsealed(content, "it")


def test_another_layout_and_an_order_of_ones_own_are_the_same():
    content = sealed(CONTENT)
    again = json.loads(json.dumps(dict(reversed(content.items())), indent=4))
    assert unsealed(again, "it") == CONTENT
    assert sealed(content) == content


def test_without_a_checksum_it_is_as_it_is():
    assert unsealed(CONTENT, "it") == CONTENT
    with pytest.raises(RequestError, match=f'it was changed after it was saved; .*take "{KEY}" out'):
        unsealed(sealed(CONTENT) | {"more": 1}, "it")
