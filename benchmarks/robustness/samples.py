"""One of everything that FNet reads, made for the tiny model in a folder of its own, and the requests that read it."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from fnet_core.cli.main import main as command_line

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

_TEXT = "The harbour at {0} was quiet.\n\nNobody at {0} looked up.\n\nThe rest of {0} slept under the hill.\n\n"
_SMALL = ("--components", "2", "--threshold", "1", "--find", "{text}", "--score", "{other}")
_PRUNED = ("--ratio", "0.2", "--protect", "0", "0", "--method", "networks", "--compensation", "networks")
_FEW = ("--components", "2", "--calibration", "{text}", "--texts", "{other}")
QUESTIONS: dict[str, tuple[str, ...]] = {
    "atlas": ("atlas", "tiny", "--components", "2", "--texts", "{text}"),
    "singles": ("recur", "tiny", "--components", "2", "--texts", "{text}", "--single", "2"),
    "recurrence": ("recur", "{atlas}"),
    "fingerprint": ("fingerprint", "tiny", *_SMALL),
    "pair": ("audit", "{fingerprint}", "{signed}", "--resamples", "200"),
    "perplexity": ("perplexity", "tiny", "--texts", "{text}"),
    "scores": ("prune", "tiny", *_PRUNED, *_FEW),
    "capabilities": ("capabilities", "tiny", "--items", "2", "--only", "quotes", "brackets"),
    "lesions": (
        *("edit", "tiny", "--atlas", "{atlas}", "--threshold", "1", "--lesion", "--controls", "1"),
        *("--items", "2", "--only", "quotes", "--texts", "{text}"),
    ),
    "preservation": (
        *("edit", "tiny", "--atlas", "{atlas}", "--threshold", "1", "--keep-only", "1", "--controls", "1"),
        *("--items", "2", "--only", "quotes", "--texts", "{text}"),
    ),
    "converted": ("perplexity", "{gguf}", "--texts", "{text}"),
    "library": ("library", "--all"),
    "models": ("models",),
}
"""What leaves an answer of every kind in the cache folder; asked again, it is answered from there."""


@dataclass(frozen=True)
class Sample:
    """A file, or a folder with a file in it, that a person can give."""

    name: str
    path: Path
    """What the requests name: the file, or the folder."""
    inside: str = ""
    """The file of the folder."""
    requests: tuple[tuple[str, ...], ...] = ()
    """They name it as {it}."""


@dataclass(frozen=True)
class Samples:
    """All of it."""

    folder: Path
    home: Path
    names: dict[str, str]
    """What stands for {text}, {atlas} and so on."""
    given: tuple[Sample, ...]

    def filled(self, request: Sequence[str], **more: object) -> list[str]:
        """A request with its names filled in."""
        names = self.names | {name: str(value) for name, value in more.items()}
        return [names[part[1:-1]] if part[:1] == "{" and part[1:-1] in names else part for part in request]


@contextmanager
def samples() -> Iterator[Samples]:
    """Make them, and take all of it away in the end."""
    folder = Path(tempfile.mkdtemp(prefix="fnet-robust-")).resolve()
    folder.chmod(0o755)
    before, temporary = os.getcwd(), tempfile.tempdir
    os.environ["FNET_HOME"] = str(folder / "home")
    for name in ("given", "scratch", "tmp"):
        (folder / name).mkdir()
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder / "tmp")
    os.chdir(folder / "scratch")
    try:
        yield _made(folder)
    finally:
        os.chdir(before)
        tempfile.tempdir = temporary
        shutil.rmtree(folder, ignore_errors=True)


def ask(arguments: Sequence[str]) -> tuple[int, str, str]:
    """The exit status of a command, and what it wrote to stdout and stderr."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        try:
            status = command_line(list(arguments))
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
    return status, out.getvalue(), err.getvalue()


def _made(folder: Path) -> Samples:
    from support.tiny_gguf import write_tiny_gguf

    given = folder / "given"
    names = {name: str(given / file) for name, file in _FILES.items()}
    made = Samples(folder, folder / "home", names, ())
    for name, place in (("text", "Wick"), ("other", "Thurso")):
        Path(names[name]).write_text(_TEXT.format(place) * 40)
    write_tiny_gguf(Path(names["gguf"]))
    for request in (
        ("atlas", "tiny", "--components", "2", "--texts", "{text}", "--out", "{atlas}"),
        ("keys", "new", "{key}"),
        ("fingerprint", "tiny", *_SMALL, "--out", "{fingerprint}"),
        ("fingerprint", "tiny", *_SMALL, "--out", "{signed}", "--sign", "{key}"),
        (
            *("edit", "tiny", "--atlas", "{atlas}", "--gain", "0=0", "--threshold", "1", "--controls", "1"),
            *("--texts", "{text}", "--save", "{edits}"),
        ),
        ("prune", "tiny", *_PRUNED, *_FEW, "--out", "{pruned}"),
        ("derive", "tiny", "--how", "noise:0.1", "--out", "{model}"),
        *QUESTIONS.values(),
    ):
        status, _, said = ask([*made.filled(request), "--quiet", "--json"])
        assert status == 0, f"{request} was refused: {said}"
    (given / "strange").mkdir()
    for path in Path(names["model"]).iterdir():
        if not path.name.startswith("fnet"):
            shutil.copy(path, given / "strange" / path.name)
    _keep_made(names)
    return Samples(folder, folder / "home", names, _given(names))


_FILES = {
    "text": "a.txt",
    "other": "b.txt",
    "atlas": "atlas.safetensors",
    "fingerprint": "fingerprint.safetensors",
    "signed": "signed.safetensors",
    "edits": "edits.json",
    "key": "key",
    "gguf": "small.gguf",
    "pruned": "pruned",
    "model": "model",
    "strange": "strange",
    "plan": "plan.json",
}


def _keep_made(names: dict[str, str]) -> None:
    """A plan and edits on the library's shelves, and settings of its own."""
    from fnet_core.storage import library
    from fnet_core.storage.sealed import sealed

    plan = sealed({"kind": "fnet-prune-plan", "recipe": {"model": "tiny"}, "summary": {}, "keep": {}})
    Path(names["plan"]).write_text(json.dumps(plan), "utf-8")
    library.add_text("plan", Path(names["plan"]).read_text("utf-8"), "a plan")
    library.add_text("edits", Path(names["edits"]).read_text("utf-8"))


def _given(names: dict[str, str]) -> tuple[Sample, ...]:
    on_text = ("--texts", "{text}", "--controls", "1")
    of_fingerprint = (
        ("compare", "{it}", "{fingerprint}", "--resamples", "200"),
        ("independence", "{fingerprint}", "{it}"),
        ("audit", "{it}", "{fingerprint}", "{signed}", "--resamples", "200"),
        ("scan", "{it}", "--against", "{folder}", "--resamples", "200"),
        ("changes", "{it}", "{fingerprint}"),
        ("keys", "show", "{it}"),
    )
    of_model = (
        ("perplexity", "{it}", "--texts", "{text}"),
        ("models", "{it}"),
        ("atlas", "{it}", "--components", "2", "--texts", "{text}"),
    )
    files: list[Sample] = [
        Sample(
            "atlas",
            Path(names["atlas"]),
            requests=(
                ("listen", "tiny", "--atlas", "{it}", "--text", "one boat, two boats"),
                ("edit", "tiny", "--atlas", "{it}", "--gain", "0=0", "--threshold", "1", *on_text),
                ("recur", "{it}", "{atlas}"),
                ("recur", "{it}"),
            ),
        ),
        Sample("edits", Path(names["edits"]), requests=(("edit", "tiny", "--load", "{it}", *on_text),)),
        Sample("fingerprint", Path(names["fingerprint"]), requests=of_fingerprint),
        Sample("signed", Path(names["signed"]), requests=of_fingerprint),
        Sample(
            "text",
            Path(names["text"]),
            requests=(
                ("perplexity", "tiny", "--texts", "{it}"),
                ("atlas", "tiny", "--components", "2", "--texts", "{it}"),
                ("listen", "tiny", "--atlas", "{atlas}", "--file", "{it}"),
                ("prune", "tiny", *_PRUNED, "--components", "2", "--calibration", "{it}", "--texts", "{other}"),
                ("fingerprint", "tiny", "--components", "2", "--threshold", "1", "--text", "{it}", "--probes", "sea"),
            ),
        ),
        Sample(
            "key",
            Path(names["key"]),
            requests=(
                ("keys", "show", "{it}"),
                ("fingerprint", "tiny", *_SMALL, "--out", "{scratch}", "--sign", "{it}"),
            ),
        ),
        Sample("gguf", Path(names["gguf"]), requests=of_model[:2]),
    ]
    for name in ("strange", "model", "pruned"):
        files += [
            Sample(f"{name}/{path.name}", Path(names[name]), path.name, of_model)
            for path in sorted(Path(names[name]).iterdir())
            if path.suffix in (".json", ".safetensors")
        ]
    return tuple(files)
