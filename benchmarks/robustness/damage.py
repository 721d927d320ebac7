"""Every kind of file that FNet keeps or is given, damaged in every way: is it made again, or told, or neither?"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.robustness import children
from benchmarks.robustness.requests import QUESTIONS
from benchmarks.robustness.samples import Samples, ask
from fnet_core.storage import library

_PATIENCE = 40.0
_QUESTION_OF = {
    "asked": "atlas",
    "prune-scores": "scores",
    "layer-factors": "scores",
    "digests": "perplexity",
    "used": "atlas",
    "locks": "perplexity",
    "plan": "library",
    "edits": "library",
}
"""The question that reads a folder of the cache folder, where it is not the one of the same name."""
_MADE_AS = {"tiny": "made", "small": "converted", "quantised": "dequantised", "adapter": "merged"}
"""How the models in the cache folder came about, by the beginnings of their names."""
_TIMES_AND_PLACES = {
    "seconds",
    "made",
    "artifact",
    "bytes",
    "made_bytes",
    "computed",
    "peak_memory_bytes",
    "key",
    "removed",
    "path",
    "report",
}
_ANYBODYS = ("text", "strange", "gguf", "key", "quantised", "adapter")
"""What FNet did not save, and which says something else once a byte is another."""


@dataclass(frozen=True)
class Thing:
    """Files of one kind, and the request that reads them."""

    name: str
    paths: tuple[Path, ...]
    request: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A thing and what is done to all of its files; None leaves it as it is."""

    thing: Thing
    damage: str | None


def _flip(path: Path, place: Callable[[int], int]) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[place(len(content))] ^= 0x11
    path.write_bytes(content)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("else")


def _link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


UNREADABLE = "without read permission"
DAMAGES: dict[str, Callable[[Path], None]] = {
    "flipped in the middle": lambda path: _flip(path, lambda length: length // 2),
    "flipped at the start": lambda path: _flip(path, lambda length: min(20, length - 1)),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) and None,
    "empty": lambda path: path.write_bytes(b"") and None,
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)) and None,
    "a folder in its place": _replace_by_folder,
    UNREADABLE: lambda path: path.chmod(0),
    "another kind's file": lambda path: path.write_bytes(_another(path)) and None,
    "a link to itself": _link_to_itself,
    "gone": _remove,
}


def run(samples: Samples, count: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Ask with every kind of file damaged in every way, or `count` of these drawn by the seed, and count what came."""
    pristine = samples.folder / "pristine"
    shutil.copytree(samples.home, pristine, dirs_exist_ok=True)
    things = _things(samples)
    cases = [Case(thing, damage) for thing in things for damage in DAMAGES if _can_be(thing, damage)]
    if count is not None:
        cases = Random(seed).sample(cases, min(count, len(cases)))
    whole: dict[str, str] = {}
    outcomes: Counter[str] = Counter()
    bad: list[str] = []
    asked = [Case(thing, None) for thing in dict.fromkeys(case.thing for case in cases)]
    for case, found, why in children.each(partial(_asked, samples), [*asked, *cases], _PATIENCE, lambda: None):
        if case.damage is None:
            assert found is not None and found["status"] == 0, (case.thing.name, found, why)
            whole[case.thing.name] = found["answer"]
            continue
        outcome = _outcome(case, found, why, whole[case.thing.name])
        outcomes[outcome] += 1
        if outcome in ("failed", "unnoticed"):
            said = found["said"].strip()[-200:] if found else why
            bad.append(f"{case.thing.name}, {case.damage}: {outcome} {said!r}")
            print(bad[-1], file=sys.stderr, flush=True)
    for line in _odd_modes(pristine):
        print(f"{line} has other permissions than 0644", file=sys.stderr)
    return {
        "kinds": len({case.thing.name for case in cases}),
        "cases": len(cases),
        "outcomes": dict(sorted(outcomes.items())),
        "neither healed nor told": len(bad),
        "files with other permissions than 0644": len(_odd_modes(pristine)),
        "met": not bad and not _odd_modes(pristine),
    }


def _can_be(thing: Thing, damage: str) -> bool:
    """Whether a damage can be tried: a user without rights may be kept from the interpreter that converts a file."""
    if damage == "gone" and thing.request[0] in ("library", "models"):
        return False  # a list without what is not there is right
    return damage != UNREADABLE or "converted" not in thing.name


def _things(samples: Samples) -> list[Thing]:
    found = []
    for folder in sorted(path for path in samples.home.iterdir() if path.is_dir() and path.name != "models"):
        files = tuple(sorted(path for path in folder.iterdir() if path.is_file()))
        if files:
            question = QUESTIONS[_QUESTION_OF.get(folder.name, folder.name)]
            found.append(Thing(f"kept {folder.name}", files, tuple(samples.filled(question))))
    found.append(Thing("kept library.json", (samples.home / "library.json",), QUESTIONS["library"]))
    found.append(Thing("kept licences", (samples.home / "accepted-licences.json",), QUESTIONS["models"]))
    for folder in sorted((samples.home / "models").iterdir()):
        if (made := _MADE_AS.get(folder.name.split("-")[0])) is None:
            continue  # what wrong inputs, tried before in the quick form, were made into
        question = tuple(samples.filled(QUESTIONS["perplexity" if made == "made" else made]))
        found += [
            Thing(f"{made} {path.name}", (path,), question) for path in sorted(folder.iterdir()) if path.is_file()
        ]
    scratch = samples.folder / "scratch"
    for sample in (sample for sample in samples.given if not sample.kept):
        it = scratch / sample.path.name
        request = tuple(samples.filled(sample.requests[0], it=it, scratch=scratch / "out.safetensors", folder=scratch))
        found.append(Thing(f"given {sample.name}", (it / sample.inside if sample.inside else it,), request))
    return found


def _asked(samples: Samples, case: Case) -> dict[str, Any]:
    """Lay everything out anew, damage it, ask, and tell what came of it."""
    scratch = samples.folder / "scratch"
    for folder, content in ((samples.home, samples.folder / "pristine"), (scratch, samples.folder / "given")):
        for path in folder.iterdir():
            _remove(path)
        shutil.copytree(content, folder, dirs_exist_ok=True)
    damaged = case.thing.paths if case.damage else ()
    before = {path: path.read_bytes() for path in damaged}
    for path in damaged:
        DAMAGES[str(case.damage)](path)
    library._told.clear()  # what a process tells once, each of these tells
    with children.as_nobody(samples.folder) if case.damage == UNREADABLE else nullcontext():
        status, out, said = ask([*case.thing.request, "--json"])
    return {
        "status": status,
        "answer": answer(out),
        "said": said,
        "again": sum(_content(path) == content for path, content in before.items()),
    }


def _outcome(case: Case, found: dict[str, Any] | None, why: str, whole: str) -> str:
    if found is None:
        return "failed"
    told = "fnet: " in found["said"] or "cannot be read" in found["answer"]
    if found["status"] == 2:
        return "told" if told else "failed"
    if found["status"] != 0:
        return "failed"
    if found["answer"] == whole:
        return "healed" if found["again"] else "told" if told else "without effect"
    if told or case.thing.name.removeprefix("given ").split("/")[0] in _ANYBODYS:
        return "told" if told else "another input"
    return "unnoticed"


def answer(out: str) -> str:
    """What a command answered, without times and places."""
    return json.dumps(_without(json.loads(out)), sort_keys=True) if out.startswith("{") else out


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(each) for name, each in value.items() if name not in _TIMES_AND_PLACES}
    return [_without(each) for each in value] if isinstance(value, list) else value


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _another(path: Path) -> bytes:
    """The content of a file of another kind with the same ending, if there is one beside it or next door."""
    near = sorted(p for p in path.parent.parent.glob(f"*/*{path.suffix}") if p.parent != path.parent and p.is_file())
    return near[0].read_bytes() if near else b'{"kind": "another"}'


def _odd_modes(folder: Path) -> list[str]:
    """Files that others cannot read beside those that they can."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o777 != 0o644)
