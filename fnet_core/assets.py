"""Where the files are that travel with the code, in a checkout or installed: passages, reference pairs, logo, app."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_IS_INSTALLED = (_HERE / "_assets").is_dir()

ASSETS = _HERE / "_assets" if _IS_INSTALLED else _HERE.parent / "assets"
"""The folder `assets` of a checkout, or its copy in the installed package."""

APP = _HERE.parent / "dashboard" / "_app" / "app.py" if _IS_INSTALLED else _HERE.parent / "app.py"
"""What `streamlit run` starts; the pages and Streamlit's settings lie beside it."""

HOME = APP.with_name("home.py")
"""The first page, which knows the way to the others."""
