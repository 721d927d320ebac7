"""What a fingerprint of a tiny model is taken from in tests."""

from fnet_core import texts
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.taking import fingerprint

FIND, SCORE = texts.bundled("find")[:6], texts.bundled("score")[:5]
ASK = {"find": FIND, "score": SCORE, "components": 8, "threshold": 1.8}
LONG = {"max_position_embeddings": 2048}


def take(loaded, **changes) -> Fingerprint:
    return fingerprint(loaded, **ASK | changes)
