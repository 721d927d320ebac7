"""A person audits fingerprint files in a real browser, one model that fails among them, and opens a pair."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.browser import MINUTES, metric, press
from support.kin import member

pytestmark = pytest.mark.browser


def test_families_a_failure_and_the_files_in_the_library(server: str, page: Page, tmp_path: Path):
    files = []
    for family, child in (("ant", 0), ("bee", 0), ("ant", 1)):
        files.append(tmp_path / f"{family}-{child}.safetensors")
        member(family, child).save(files[-1])
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no fingerprint")
    page.goto(f"{server}/audit")
    models = page.locator(".st-key-audit_models input")
    models.fill("lost-model")
    models.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator(".st-key-audit_models").get_by_text("lost-model", exact=True)).to_be_visible()
    page.locator(".st-key-audit_upload input[type=file]").set_input_files([*files, broken])
    expect(page.get_by_role("alert").get_by_text("broken.safetensors is not a safetensors file")).to_be_visible()
    expect(page.get_by_text("4 models, 6 pairs")).to_be_visible()
    press(page, "audit_run")
    page.wait_for_url(re.compile("[?&]audit="), timeout=2 * MINUTES)
    expect(page.get_by_role("alert").get_by_text("lost-model could not be read")).to_be_visible()
    assert [metric(page, name) for name in ("Models", "Pairs", "Related pairs")] == ["3", "3", "1"]
    page.get_by_role("tab", name="Models").click()
    expect(page.get_by_role("tab", name="Models", selected=True)).to_be_visible()
    shown = page.context.new_page()
    shown.goto(page.url)  # the address is the audit
    expect(shown.get_by_role("tab", name="Models")).to_be_visible()
    shown.goto(f"{server}/library")
    expect(shown.get_by_role("tab", name=re.compile(r"^Fingerprints \([1-9]"))).to_be_visible()
