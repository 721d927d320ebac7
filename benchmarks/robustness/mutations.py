"""Wrong inputs through the command line: statuses other than 0 and 2, waits, growth, and what they print."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.robustness import changes, children
from benchmarks.robustness.requests import QUESTIONS, Sample
from benchmarks.robustness.samples import Samples, ask
from fnet_core.cli.main import parser

LONGEST_SECONDS = 5.0
LARGEST_GROWTH = 2.5e9
_PATIENCE = 60.0
_FRESH = 40
"""One case in so many is run in a process of its own too."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")


@dataclass(frozen=True)
class Case:
    """One wrong input: which sample is changed (or none: the words are), by which seed."""

    number: int
    sample: Sample | None
    request: tuple[str, ...]
    seed: int


def run(samples: Samples, count: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Try `count` wrong inputs, a fifth of them wrong words, and count what came of them."""
    random = Random(seed)
    cases = [_case(random, samples, number) for number in range(count or 1000)]
    statuses: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    problems = wrong = waits = processor = growths = control = fresh = 0
    for case, found, why in children.each(
        lambda case: _tried(samples, case), cases, _PATIENCE, lambda: children.limit_memory()
    ):
        kinds[case.sample.name.split("/")[0] if case.sample else "words"] += 1
        if found is None:
            found = {"status": why, "change": "", "words": list(case.request), "said": "", "seconds": 0.0}
            found |= {"processor": 0.0, "growth": 0, "control": False}
            found["seconds"] = _PATIENCE if why == "took too long" else 0.0
        statuses[str(found["status"])] += 1
        bad = found["status"] not in (0, 2) and not _is_partial(found)
        wrong += bad
        late, used = found["seconds"] > LONGEST_SECONDS, found["processor"] > LONGEST_SECONDS
        grown = found["growth"] > LARGEST_GROWTH
        waits, processor, growths = waits + late, processor + used, growths + grown
        control += found["control"]
        if bad or used or grown or found["control"] or found["status"] == "took too long":
            problems += 1
            _tell({"case": case.number, "sample": case.sample.name if case.sample else "words", **found})
        if case.number % _FRESH == _FRESH - 1 and found["status"] in (0, 2):
            fresh += 1
            if (status := _fresh(samples, case)) != found["status"]:
                wrong += 1
                problems += 1
                _tell({"case": case.number, "fresh": status, **found})
    return {
        "inputs": len(cases),
        "kinds": dict(sorted(kinds.items())),
        "statuses": dict(sorted(statuses.items())),
        "statuses other than 0 and 2": wrong,
        "over 5 s": waits,
        "over 5 processor seconds": processor,
        "grown by more than 2.5 GB": growths,
        "control characters printed": control,
        "asked again in a process of their own": fresh,
        "met": not problems,
    }


def _case(random: Random, samples: Samples, number: int) -> Case:
    if random.random() < 0.2:
        return Case(number, None, random.choice(_commands(samples)), random.randrange(2**32))
    name = random.choice(sorted({each.name.split("/")[0] for each in samples.given}))
    sample = random.choice([each for each in samples.given if each.name.split("/")[0] == name])
    return Case(number, sample, random.choice(sample.requests), random.randrange(2**32))


def _commands(samples: Samples) -> list[tuple[str, ...]]:
    return [*QUESTIONS.values(), *(request for sample in samples.given for request in sample.requests)]


def _tried(samples: Samples, case: Case) -> dict[str, Any]:
    words, said = _prepared(samples, case, samples.folder / "scratch")
    before = children.begin_peak()
    start, used = time.monotonic(), time.process_time()
    status, out, err = ask(words)
    return {
        "status": status,
        "change": said,
        "words": words,
        "said": err[-300:],
        "seconds": time.monotonic() - start,
        "processor": time.process_time() - used,
        "growth": max(children.peak() - before, int(3e9) if "not enough memory" in err else 0),
        "control": bool(_CONTROL.search(out + err.replace("\r", ""))),
    }


def _prepared(samples: Samples, case: Case, scratch: Path) -> tuple[list[str], str]:
    """Lay the changed input out in a folder of its own; the words of the request, and what was changed."""
    random = Random(case.seed)
    for path in scratch.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for kept in (sample for sample in samples.given if sample.kept):
        shutil.copy(kept.path, kept.kept)
    options = ["--quiet", "--json"] if random.random() < 0.5 else ["--quiet"]
    out = scratch / "out.safetensors"
    if case.sample is None:
        request = samples.filled(case.request, it=samples.names["fingerprint"], scratch=out, folder=scratch)
        return changes.change_words(random, [*request, *options], _options(request[0])), "words"
    copy = scratch / ("it" if case.sample.inside else f"it{case.sample.path.suffix}")
    if case.sample.inside:
        shutil.copytree(case.sample.path, copy)
    else:
        shutil.copy(case.sample.path, copy)
    others = [sample.path for sample in samples.given if not sample.inside]
    said = changes.change(random, copy / case.sample.inside if case.sample.inside else copy, others)
    if case.sample.kept:
        shutil.copy(copy, case.sample.kept)
    return [*samples.filled(case.request, it=copy, scratch=out, folder=scratch), *options], said


def _options(command: str) -> list[str]:
    """The options that a command has, and a few that it has not."""
    found = next(action for action in parser()._actions if action.choices and command in action.choices)
    return sorted({*found.choices[command]._option_string_actions, "--no-such", "-x"})  # type: ignore[index, call-overload]


def _is_partial(found: dict[str, Any]) -> bool:
    """Whether a command did a part of what it was asked for and says so by its status: what audit and scan do."""
    return found["status"] == 1 and found["words"][:1] in (["audit"], ["scan"]) and "it failed" not in found["said"]


def _fresh(samples: Samples, case: Case) -> int:
    """The status of the same in a process of its own."""
    scratch = samples.folder / "fresh"
    scratch.mkdir(exist_ok=True)
    words, _ = _prepared(samples, case, scratch)
    if any("\0" in word for word in words):
        return 2
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "fnet_core", *map(os.fsencode, map(_writable, words))],
        cwd=scratch,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    return done.returncode


def _writable(word: str) -> str:
    return word.encode("utf-8", "replace").decode("utf-8")


def _tell(problem: dict[str, Any]) -> None:
    """Print one case that went wrong."""
    words = " ".join(word[:60] for word in problem["words"])
    print(
        f"[{problem['case']}] {problem.get('sample', '')}: {problem['change']}\n    {words}\n    status "
        f"{problem['status']}{' fresh ' + str(problem['fresh']) if 'fresh' in problem else ''}, "
        f"{problem['seconds']:.1f} s, {problem['processor']:.1f} processor seconds, {problem['growth'] / 1e9:.1f} GB"
        f"{', control characters' if problem['control'] else ''}\n    {problem['said'].strip()!r}",
        file=sys.stderr,
        flush=True,
    )
