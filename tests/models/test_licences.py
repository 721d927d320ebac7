"""The record of accepted licences: kept, read as earlier versions wrote it, and asked for again once it is damaged."""

import json

import pytest

from fnet_core.models.licences import Licence, check_accepted, is_accepted
from fnet_core.storage.artifacts import home

TERMS = Licence("Some Terms", "https://example.org/terms", must_accept=True)


def record():
    return home() / "accepted-licences.json"


def test_what_was_accepted_is_known_again_beside_what_earlier_versions_wrote():
    record().write_text('["Other Terms"]')
    assert not is_accepted(TERMS)
    check_accepted(TERMS, "a model", accept=True)
    assert is_accepted(TERMS) and json.loads(record().read_text())["accepted"] == ["Other Terms", "Some Terms"]


@pytest.mark.parametrize(("old", "new"), [("Some Terms", "Sale Terms"), ("accepted", "acceptor"), ("{", "[")])
def test_a_record_that_was_changed_is_told_and_counts_for_nothing(old, new, caplog):
    check_accepted(TERMS, "a model", accept=True)
    record().write_text(record().read_text().replace(old, new))
    assert not is_accepted(TERMS)
    assert "asked for again" in caplog.text
