"""Reports of parts are told as reports of the whole."""

from fnet_core.progress import part_of


def test_a_part_is_told_as_a_share_of_the_whole():
    told = []
    for number in range(4):
        part_of(lambda *said: told.append(said), number, 4)("reading", 0.5)
    assert told == [("reading", 0.125), ("reading", 0.375), ("reading", 0.625), ("reading", 0.875)]


def test_a_stage_of_its_own_replaces_those_of_the_part():
    told = []
    part_of(lambda *said: told.append(said), 1, 2, "ranking")("measuring", 1.0)
    assert told == [("ranking", 1.0)]
