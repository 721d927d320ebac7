"""The Compare page with fingerprints made by hand."""

from streamlit.testing.v1 import AppTest
from support.fingerprints import hand_fingerprint, mixed, waves
from support.pages import page

from dashboard import fingerprints as compare_fingerprints
from fnet_core.lineage.fingerprint import KIND, Fingerprint
from fnet_core.storage import artifacts

SIGNALS = waves(10)
A = hand_fingerprint(SIGNALS, "base")
NEAR = hand_fingerprint(mixed(SIGNALS, 0.3, 2), "copy", seed=3)
FAR = hand_fingerprint(waves(10, seed=9), "other", layers=6, seed=5)


def keep(*fingerprints: Fingerprint) -> list[str]:
    """References to these fingerprints, saved as if they had been measured here."""
    for one in fingerprints:
        one.save(artifacts.artifact_path(KIND, one.key))
    return [compare_fingerprints.saved(one.key) for one in fingerprints]


def shown(a: Fingerprint, b: Fingerprint, **query: str) -> AppTest:
    """The page with the comparison of two saved fingerprints."""
    return page("compare", compared=compare_fingerprints.pair(*keep(a, b)), **query)


def opened(at: AppTest, view: str) -> AppTest:
    at.session_state["compare_view"] = view
    at.run()
    assert not at.exception
    return at


def upload(at: AppTest, side: str, name: str, content: bytes) -> AppTest:
    at.segmented_control(key=f"compare_kind_{side}").set_value("file").run()
    at.file_uploader(key=f"compare_upload_{side}").upload(name, content)
    at.run()
    assert not at.exception
    return at
