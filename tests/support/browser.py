"""What a person does in a real browser, and what the command line says to the same."""

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout

from playwright.sync_api import Page

from fnet_core.cli.main import main

MODEL = "smollm2-135m"
MINUTES = 60_000
"""A minute, in playwright's milliseconds."""


def command_line(*arguments: str) -> dict:
    """The JSON object that this command prints; in this process, which has the libraries and keeps the model."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        status = main([*arguments, "--json", "--quiet"])
    assert status == 0, err.getvalue()
    return json.loads(out.getvalue())


def press(page: Page, key: str) -> None:
    """Press the button with this key; its hidden twin, by which Streamlit measures, has no role."""
    page.locator(f".st-key-{key}").get_by_role("button").click()


def metric(page: Page, label: str) -> str:
    """The value of the figure with this label."""
    shown = page.get_by_test_id("stMetric").filter(has_text=re.compile(f"^{label}"))
    return shown.get_by_test_id("stMetricValue").inner_text()


def fill(page: Page, key: str, value: int) -> None:
    """Type a number into the box with this key."""
    box = page.locator(f".st-key-{key} input")
    box.fill(str(value))
    box.press("Enter")
    page.wait_for_timeout(500)
