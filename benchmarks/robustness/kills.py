"""Processes killed inside saves and elsewhere: is the same request answered right afterwards, and is all tidy?"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psutil

from benchmarks.robustness import children
from benchmarks.robustness.damage import answer
from benchmarks.robustness.requests import QUESTIONS
from benchmarks.robustness.samples import Samples, ask

LONGEST_ORPHAN = 1.0
_WATCHED = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.chmod", "shutil.rmtree")
_SMALL = ("--components", "2", "--threshold", "1", "--find", "{text}", "--score", "{other}")
_OWN_NAMES = ("digests", "asked", "used", "locks")
"""Folders of the cache folder whose files are named after times and places."""
REQUESTS: dict[str, tuple[str, ...]] = {
    "atlas": (
        *("atlas", "tiny", "--components", "2", "--texts", "{other}"),
        *("--out", "{out}/a.safetensors", "--csv", "{out}/a.csv"),
    ),
    "fingerprint": ("fingerprint", "tiny", *_SMALL, "--out", "{out}/f.safetensors", "--sign", "{key}"),
    "prune": (*QUESTIONS["scores"], "--out", "{out}/small"),
    "edit": (
        *("edit", "tiny", "--atlas", "{atlas}", "--gain", "0=0", "--threshold", "1", "--controls", "1"),
        *("--texts", "{other}", "--save", "{out}/e.json"),
    ),
    "derive": ("derive", "tiny", "--how", "noise:0.2", "--out", "{out}/derived"),
    "audit": (*QUESTIONS["pair"], "--csv", "{out}/p.csv", "--html", "{out}/p.html"),
    "perplexity": ("perplexity", "tiny", "--texts", "{other}"),
    "converted": QUESTIONS["converted"],
    "keys": ("keys", "new", "{out}/key"),
    "library": ("library", "--limit", "2GB"),
    "capabilities": ("capabilities", "tiny", "--items", "1", "--only", "quotes", "--csv", "{out}/c.csv"),
}
_PARENT = """
import sys
from fnet_core.models.sources.child import run_child
below = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
below += "print('up', flush=True); time.sleep(60)"
run_child([sys.executable, "-c", below], lambda output: output and print(output, flush=True))
"""


def run(samples: Samples, count: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Kill `count` times, three in five at a step of a save and the rest at any time, and ask again after each."""
    random = Random(seed)
    stands: dict[str, _Stand] = {}
    kills = inside = bad = left = finished = 0
    of_kind: Counter[str] = Counter()
    wrong: list[str] = []
    names = list(REQUESTS)
    while kills < (count or 100):
        name = names[(kills + finished) % len(names)]
        stand = stands.setdefault(name, stands.get(name) or _Stand(samples, name))
        step = random.randrange(stand.steps) if random.random() < 0.6 else None
        if not stand.killed(step, random.uniform(0.0, stand.seconds)):
            finished += 1
            continue
        kills, inside = kills + 1, inside + (step is not None)
        of_kind[name] += 1
        where = f"{name}, killed at {f'step {step} of {stand.steps}' if step is not None else 'some time'}"
        if problem := stand.asked_again():
            bad += 1
            wrong.append(f"{where}: {problem}")
        if more := stand.leftovers():
            left += 1
            wrong.append(f"{where}: {len(more)} left, {more[:3]}")
    for line in wrong:
        print(line, file=sys.stderr)
    longest = max(_orphan() for _ in range(3 if count else 10))
    return {
        "kills": kills,
        "inside saves": inside,
        "requests": dict(of_kind),
        "bad reruns": bad,
        "with leftovers after the next command": left,
        "longest life of a child after its parent, s": round(longest, 3),
        "met": not wrong and longest < LONGEST_ORPHAN,
    }


class _Stand:
    """One request, what it answers and leaves when nothing happens, and the folders in which it is killed."""

    def __init__(self, samples: Samples, name: str) -> None:
        self._folder = samples.folder / "kills" / name
        self._home, self._out, self._tmp = (self._folder / each for each in ("home", "out", "tmp"))
        self._base = samples.folder / "bases" / name
        self._request = [part.replace("{out}", str(self._out)) for part in samples.filled(REQUESTS[name])]
        self._lay_base(samples, name)
        self._lay_out()
        start = time.monotonic()
        status, found = children.once(partial(self._ask, None))
        self.seconds = time.monotonic() - start
        self._sizes = self._saved()
        assert status == 0 and found["status"] == 0, (name, status, found)
        self._answer, self.steps = found["answer"], max(found["steps"], 1)
        children.once(partial(self._ask, None))
        self._tree = self._names()

    def killed(self, step: int | None, after: float) -> bool:
        """Lay everything out and begin, until killed at a step of a save, or else after so many seconds."""
        self._lay_out()
        status, _ = children.once(partial(self._ask, step), kill_after=None if step is not None else after)
        return status == -signal.SIGKILL

    def asked_again(self) -> str:
        """What is wrong with the answer to the same request, once it is asked again; empty if nothing is."""
        status, found = children.once(partial(self._ask, None))
        if status != 0:
            return f"ended with {status}"
        if found["status"] == 2 and "exists already" in found["said"]:
            return "" if self._saved() == self._sizes else "what was saved is not whole"
        if found["status"] != 0:
            return f"status {found['status']}: {found['said'].strip()[-200:]}"
        if found["answer"] != self._answer:
            return f"another answer: {_difference(json.loads(self._answer), json.loads(found['answer']))}"
        return "" if self._saved().keys() == self._sizes.keys() else "other files were saved"

    def leftovers(self) -> list[str]:
        """What is there now and would not be had nothing happened."""
        return sorted(self._names() - self._tree)

    def _lay_base(self, samples: Samples, name: str) -> None:
        """The cache folder as it is before: empty for what is made from nothing, else with the model in it."""
        self._base.mkdir(parents=True)
        if name not in ("perplexity", "converted"):
            shutil.copytree(samples.home / "models" / "tiny", self._base / "models" / "tiny")

    def _lay_out(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        shutil.copytree(self._base, self._home)
        self._out.mkdir()
        self._tmp.mkdir()

    def _ask(self, step: int | None) -> dict[str, Any]:
        os.environ |= {"FNET_HOME": str(self._home), "TMPDIR": str(self._tmp)}
        import tempfile

        tempfile.tempdir = str(self._tmp)
        count = _watch(self._folder, step)
        status, out, said = ask([*self._request, "--json"])
        return {"status": status, "answer": answer(out), "said": said, "steps": count()}

    def _names(self) -> set[str]:
        found = set()
        for path in self._folder.rglob("*"):
            name = path.relative_to(self._folder)
            if len(name.parts) > 2 and name.parts[1] in _OWN_NAMES and not path.name.endswith((".part", ".note")):
                continue
            found.add(str(name))
        return found

    def _saved(self) -> dict[str, int]:
        """The files that were asked for, with their sizes."""
        files = (path for path in self._out.rglob("*") if path.is_file())
        return {str(path.relative_to(self._out)): path.stat().st_size for path in files}


def _difference(one: Any, other: Any, at: str = "") -> str:
    """Where two answers begin to differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return next(
            (_difference(one[name], other[name], f"{at}.{name}") for name in one if one[name] != other[name]), ""
        )
    return f"{at}: {str(one)[:80]} and {str(other)[:80]}"


def _watch(folder: Path, step: int | None) -> Callable[[], int]:
    """Count the steps that change the folder from now on, and kill this process at one of them if named."""
    steps = 0
    inside = str(folder)

    def passed() -> None:
        nonlocal steps
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _WATCHED or not arguments:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        if any(str(part).startswith(inside) for part in arguments if isinstance(part, str | os.PathLike)):
            passed()

    flushed = os.fsync

    def flush(handle: int) -> None:
        passed()
        flushed(handle)

    os.fsync = flush
    sys.addaudithook(heard)
    return lambda: steps


def _orphan() -> float:
    """Seconds that the last program lived which a killed process had started."""
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": root}
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        below = psutil.Process(parent.pid).children(recursive=True)
        assert len(below) == 3
        start = time.monotonic()
        parent.kill()
        while any(map(_runs, below)):
            time.sleep(0.002)
        return time.monotonic() - start


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
