"""Several people at one server, each in a browser of their own: errors, cross-talk, foreign cancels, health, memory."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psutil
from playwright.async_api import Browser, Error, Page, async_playwright

_ROOT = Path(__file__).parents[2]
_MINUTE = 60_000
_PATIENCE = 3 * _MINUTE
"""Milliseconds that a person waits for anything: the machine is shared by all of them."""
_START = 120.0
_CANCEL = '[class*="st-key-cancel_"] button'
_SHOWN = "mark => document.querySelector('.st-key-coloured_text')?.innerText.includes(mark)"
_TEXT = "Boat {0} lay at quay {0} with a cargo marked {1}."


@dataclass
class Tally:
    """What happened, over all people."""

    people: int
    done: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    crosstalk: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    """Cancelled computations that their owner had not cancelled."""
    jobs: dict[int, str] = field(default_factory=dict)
    """The job that each person watched last, for others to try and cancel."""
    health: list[float] = field(default_factory=list)
    """Seconds that the server took to say that it is well."""
    unwell: int = 0
    memory: list[int] = field(default_factory=list)
    """Bytes of the server and its children."""


def run(people: int, minutes: float) -> dict[str, Any]:
    """Start a server, let so many people use it for so long, and count."""
    folder = Path(tempfile.mkdtemp(prefix="fnet-sessions-"))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    env = os.environ | {"FNET_HOME": str(folder / "home"), "PYTHONPATH": str(_ROOT)}
    subprocess.run(
        [sys.executable, "-m", "fnet_core", "perplexity", "tiny", "--quiet"], env=env, cwd=folder, check=True
    )
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "fnet_core", "dashboard", "--port", str(port)], env=env, cwd=folder, stderr=log
        )
    tally = Tally(people)
    try:
        asyncio.run(_all(tally, f"http://localhost:{port}", server.pid, minutes * 60))
        logged = [line for line in (folder / "log").read_text().splitlines() if "Traceback" in line or "Error" in line]
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
    for line in (*tally.errors, *tally.crosstalk, *tally.foreign, *logged):
        print(line, file=sys.stderr)
    health = sorted(tally.health)
    gigabytes = [round(size / 1e9, 2) for size in (tally.memory[0], max(tally.memory), tally.memory[-1])]
    return {
        "people": people,
        "minutes": minutes,
        "done": dict(sorted(tally.done.items())),
        "errors": len(tally.errors) + len(logged),
        "cross-talk": len(tally.crosstalk),
        "foreign cancels": len(tally.foreign),
        "health: asked, not answered": [len(health) + tally.unwell, tally.unwell],
        "health: median, 95 %, longest, s": [
            round(health[int(share * (len(health) - 1))], 3) for share in (0.5, 0.95, 1.0)
        ],
        "server memory at start, peak, end, GB": gigabytes,
        "load of the machine": [round(load, 1) for load in os.getloadavg()],
        "met": not (tally.errors or tally.crosstalk or tally.foreign or logged),
    }


async def _all(tally: Tally, server: str, pid: int, seconds: float) -> None:
    until = time.monotonic() + _START
    while not await asyncio.to_thread(_is_well, server):
        assert time.monotonic() < until, "the server did not start"
        await asyncio.sleep(0.5)
    watching = asyncio.create_task(_watch(tally, server, pid))
    found = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        end = time.monotonic() + seconds
        await asyncio.gather(*(_person(tally, browser, server, number, end) for number in range(tally.people)))
        await browser.close()
    await asyncio.sleep(10)
    watching.cancel()


async def _watch(tally: Tally, server: str, pid: int) -> None:
    while True:
        start = time.monotonic()
        if await asyncio.to_thread(_is_well, server):
            tally.health.append(time.monotonic() - start)
        else:
            tally.unwell += 1
        tally.memory.append(await asyncio.to_thread(_memory, pid))
        await asyncio.sleep(0.5)


def _is_well(server: str) -> bool:
    try:
        with urllib.request.urlopen(f"{server}/_stcore/health", timeout=10) as answer:
            return answer.read() == b"ok"
    except OSError:
        return False


def _memory(pid: int) -> int:
    size = 0
    process = psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        try:
            size += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return size


async def _person(tally: Tally, browser: Browser, server: str, number: int, end: float) -> None:
    """Find networks, listen, look around, cancel one's own job and try to cancel others', until it is time."""
    random = Random(number)
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(_PATIENCE)
    person = _Person(tally, page, server, number)
    page.on("pageerror", lambda error: person.wrong(f"in the browser: {error}"))
    round_ = 0
    while time.monotonic() < end:
        round_ += 1
        try:
            await person.find(seed=100 * number + round_, cancel=random.random() < 0.25)
            if random.random() < 0.7:
                await person.listen(round_)
            if random.random() < 0.4:
                await person.meddle(random)
            await person.look(random.choice(("", "model?model=tiny", "library", "compare?a=tiny&b=tiny", "audit")))
        except Error as error:
            person.wrong(f"round {round_}: {str(error).splitlines()[0]}")
    await context.close()


class _Person:
    """One person's page, and what they do on it."""

    def __init__(self, tally: Tally, page: Page, server: str, number: int) -> None:
        self._tally, self._page, self._server, self._number = tally, page, server, number
        self._components = 2 + number
        self._atlas = ""

    def wrong(self, said: str) -> None:
        """Note something that should not have happened to this person."""
        self._tally.errors.append(f"person {self._number}: {said}")

    async def find(self, seed: int, cancel: bool) -> None:
        """Ask for an atlas with as many networks as nobody else asks for; sometimes cancel it."""
        page = self._page
        await page.goto(f"{self._server}/networks?model=tiny")
        await self._fill("components", self._components)
        await page.get_by_role("button", name="More", exact=True).click()
        await self._fill("seed", seed)
        await page.keyboard.press("Escape")
        await page.locator(".st-key-find_networks").get_by_role("button").click()
        await page.wait_for_url(re.compile("[?&](job|atlas)="))
        if job := re.search(r"[?&]job=(\w+)", page.url):
            self._tally.jobs[self._number] = job[1]
        if cancel and await page.locator(_CANCEL).count():
            await page.locator(_CANCEL).first.click(timeout=10_000)
        ended = page.get_by_text("was cancelled; nothing was saved.")
        await page.get_by_role("tab", name="By layer").or_(ended).first.wait_for()
        await self._check()
        if await ended.count():
            if not cancel:
                self._tally.foreign.append(f"person {self._number}: seed {seed} was cancelled by nobody here")
            self._tally.done["cancelled"] += 1
            return
        self._tally.done["atlases"] += 1
        caption = await page.get_by_text(re.compile(r"found in")).first.inner_text()
        if f"· {self._components} networks ·" not in caption:
            self._tally.crosstalk.append(f"person {self._number}: {caption!r} instead of {self._components} networks")
        self._atlas = page.url

    async def listen(self, round_: int) -> None:
        """Let the networks read a text that holds this person's own mark, which must be the only mark on the page."""
        if not self._atlas:
            return
        page, mark = self._page, _mark(self._number)
        await page.goto(self._atlas)
        await page.get_by_role("tab", name="In text").click()
        await page.get_by_text("Your own text", exact=True).first.click()
        box = page.locator(".st-key-own_text textarea")
        await box.fill(_TEXT.format(round_, mark))
        await box.press("Control+Enter")
        await page.locator(".st-key-listen").get_by_role("button").click()
        await page.wait_for_function(_SHOWN, arg=mark)
        await self._check()
        self._tally.done["texts"] += 1

    async def meddle(self, random: Random) -> None:
        """Open somebody else's job by its address and press Cancel there, if the button can be pressed."""
        others = [job for number, job in self._tally.jobs.items() if number != self._number]
        if not others:
            return
        page = self._page
        await page.goto(f"{self._server}/networks?model=tiny&job={random.choice(others)}")
        await page.get_by_role("heading", name="Networks").first.wait_for()
        await page.wait_for_timeout(700)
        button = page.locator(_CANCEL)
        if await button.count():
            self._tally.done["tries to cancel others'"] += 1
            if await button.first.is_enabled():
                await button.first.click(timeout=5_000)
        await self._check()

    async def look(self, address: str) -> None:
        """Open a page and wait until it is drawn."""
        await self._page.goto(f"{self._server}/{address}")
        await self._page.locator("h1").first.wait_for()
        await self._page.wait_for_timeout(1500)
        await self._check()
        self._tally.done["pages"] += 1

    async def _fill(self, key: str, value: int) -> None:
        box = self._page.locator(f".st-key-{key} input")
        await box.fill(str(value))
        await box.press("Enter")
        await self._page.wait_for_timeout(500)

    async def _check(self) -> None:
        """No error on the page, and nobody else's mark."""
        for box in await self._page.locator('[data-testid="stException"], [data-testid="stAlertContentError"]').all():
            self.wrong(f"{self._page.url}: {(await box.inner_text())[:200]!r}")
        text = await self._page.locator("body").inner_text()
        for other in range(self._tally.people):
            if other != self._number and _mark(other) in text:
                self._tally.crosstalk.append(f"person {self._number} sees the mark of {other} at {self._page.url}")


def _mark(number: int) -> str:
    """A word that only this person writes."""
    return f"qz{'abcdefghijklmnopqrstuvwxyz'[number % 26] * 4}{number}"
