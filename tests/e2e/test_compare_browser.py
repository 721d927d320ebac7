"""A person compares two models in a real browser; verdict and score are the command line's."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.browser import MINUTES, MODEL, command_line, fill, metric, press

from fnet_core import texts

pytestmark = [pytest.mark.browser, pytest.mark.starter]

NETWORKS, THRESHOLD, PASSAGES = 12, 2.0, 5

TITLES = {"find": "Text to find networks on", "score": "Text to score on"}
"""Of the two uploads; the page names the first that is missing, so each has arrived before the next begins."""


def test_comparing_two_models_gives_the_score_of_the_command_line(server: str, page: Page, tmp_path: Path):
    files = {}
    for split in ("find", "score"):
        files[split] = tmp_path / f"{split}.txt"
        files[split].write_text("\n\n".join(p.text for p in texts.bundled(split)[:PASSAGES]), encoding="utf-8")

    page.goto(f"{server}/compare?a={MODEL}&b=tiny")
    expect(page.get_by_text("Press 'Compare'")).to_be_visible()
    page.get_by_role("button", name="More").click()
    fill(page, "compare_components", NETWORKS)
    fill(page, "compare_threshold", THRESHOLD)
    page.locator(".st-key-compare_source").get_by_role("combobox").click()
    page.get_by_role("option", name="Own texts").click()
    for split, file in files.items():
        page.locator(f".st-key-compare_text_{split} input[type=file]").set_input_files(file)
        expect(page.locator(f".st-key-compare_text_{split}").get_by_text(file.name)).to_be_visible()
        expect(page.get_by_text(f"There is no '{TITLES[split]}'")).to_have_count(0)  # an upload ends with its panel
    page.keyboard.press("Escape")
    expect(page.get_by_text(f"Fingerprints: {NETWORKS} networks, Residual stream, |z| > 2, own texts.")).to_be_visible()
    press(page, "compare_run")

    page.wait_for_url(re.compile("[?&](job|compared)="))
    second = page.context.new_page()
    second.goto(page.url)
    expect(second.get_by_role("tab", name="Matrix")).to_be_visible(timeout=10 * MINUTES)
    second.close()
    expect(page.get_by_role("tab", name="Matrix")).to_be_visible(timeout=10 * MINUTES)
    expect(page.get_by_text("tiny hardly reads the language of the passages")).to_be_visible()

    answer = command_line(
        *("compare", MODEL, "tiny", "--components", str(NETWORKS), "--threshold", str(THRESHOLD)),
        *("--find", str(files["find"]), "--score", str(files["score"])),
    )
    assert metric(page, "Score") == f"{answer['score']:.2f}"
    assert metric(page, "95 % interval") == "{:.2f} to {:.2f}".format(*answer["interval"])
    assert answer["verdict"] == "inconclusive"
    expect(page.locator(".st-key-compare_verdict")).to_contain_text("inconclusive")

    page.get_by_role("tab", name="Save").click()
    with page.expect_download() as download:
        press(page, "compare_fingerprint_a")
    fingerprint = tmp_path / "downloaded.safetensors"
    download.value.save_as(fingerprint)
    with page.expect_download() as download:
        press(page, "compare_report")
    report = tmp_path / "report.html"
    download.value.save_as(report)

    fresh = page.context.new_page()
    fresh.goto(f"{server}/compare?a=tiny")
    fresh.locator(".st-key-compare_side_b").get_by_text("Fingerprint file").click()
    fresh.locator(".st-key-compare_upload_b input[type=file]").set_input_files(fingerprint)
    expect(fresh.get_by_text(f"{MODEL}, weights ")).to_be_visible()
    fresh.locator(".st-key-compare_side_a").get_by_text("Saved fingerprint").click()
    fresh.locator(".st-key-compare_saved_a").get_by_role("combobox").click()
    fresh.get_by_role("option", name=re.compile(f"^tiny: {NETWORKS} networks")).first.click()
    expect(fresh.locator(".st-key-compare_side_a").get_by_text("tiny, weights ")).to_be_visible()
    press(fresh, "compare_run")
    expect(fresh.get_by_role("tab", name="Matrix")).to_be_visible()
    assert metric(fresh, "Score") == metric(page, "Score")

    asked: list[str] = []
    alone = page.context.new_page()
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto(report.as_uri())
    expect(alone.get_by_text("How to make it again")).to_be_visible()
    expect(alone.locator(".plotly-graph-div svg.main-svg").first).to_be_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_damaged_file_is_a_sentence_in_the_browser(server: str, page: Page, tmp_path: Path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no fingerprint")
    page.goto(f"{server}/compare?a={MODEL}")
    page.locator(".st-key-compare_side_b").get_by_text("Fingerprint file").click()
    page.locator(".st-key-compare_upload_b input[type=file]").set_input_files(broken)
    expect(page.get_by_role("alert").get_by_text("broken.safetensors is not a safetensors file")).to_be_visible()
