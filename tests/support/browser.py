"""What a person does in a real browser, and what the command line says to the same."""

import json
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
MODEL = "smollm2-135m"
MINUTES = 60_000
"""A minute, in playwright's milliseconds."""


def command_line(*arguments: str) -> dict:
    """The JSON object that this command prints."""
    command = [sys.executable, "-m", "fnet_core", *arguments, "--json", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


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
