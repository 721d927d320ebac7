"""The pages as a browser's server runs them, without one."""

from pathlib import Path

from streamlit.testing.v1 import AppTest
from support.atlases import hand_atlas

from fnet_core.networks.atlas import KIND
from fnet_core.storage import artifacts

ROOT = Path(__file__).resolve().parents[2]


def page(name: str, **query: str) -> AppTest:
    """A page as the first request of a session, with these URL parameters."""
    at = AppTest.from_file(str(ROOT / "home.py"), default_timeout=60)
    for key, value in query.items():
        at.query_params[key] = value
    if name != "app":
        at.switch_page(f"pages/{name}.py")
    at.run()
    assert not at.exception, at.exception
    return at


def save_atlas(scope: str = "model") -> str:
    """The key of a hand-made atlas that the cache folder now has."""
    atlas = hand_atlas(scope)
    atlas.save(artifacts.artifact_path(KIND, atlas.key))
    return atlas.key


def said(at: AppTest) -> str:
    """All plain sentences on the page."""
    elements = [*at.markdown, *at.caption, *at.info, *at.error, *at.text, *at.html]
    return "\n".join(element.value for element in elements)
