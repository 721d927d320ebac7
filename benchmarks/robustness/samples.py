"""One of everything that FNet reads, made for the tiny model in a folder of its own."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from benchmarks.robustness.requests import FEW, PRUNED, QUESTIONS, SMALL, Sample, given
from fnet_core.cli.main import main as command_line

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

_TEXT = "The harbour at {0} was quiet.\n\nNobody at {0} looked up.\n\nThe rest of {0} slept under the hill.\n\n"


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
    from support.quantised import gptq, quantised_folder
    from support.tiny_gguf import write_tiny_gguf

    names = {name: str(folder / "given" / file) for name, file in _FILES.items()}
    made = Samples(folder, folder / "home", names, ())
    for name, place in (("text", "Wick"), ("other", "Thurso")):
        Path(names[name]).write_text(_TEXT.format(place) * 40)
    write_tiny_gguf(Path(names["gguf"]))
    quantised_folder(Path(names["quantised"]), gptq, _QUANTISED)
    _write_adapter(Path(names["adapter"]))
    Path(names["known"]).mkdir()
    _ask_all(made, _MADE)
    shutil.copy(names["signed"], names["known"])
    _keep_made(names)
    _ask_all(made, QUESTIONS.values())
    Path(names["strange"]).mkdir()
    for path in Path(names["model"]).iterdir():
        if not path.name.startswith("fnet"):
            shutil.copy(path, Path(names["strange"]) / path.name)
    _write_bundle(names, made.home)
    for name, kept in (("settings", "library.json"), ("accepted", "accepted-licences.json")):
        shutil.copy(made.home / kept, names[name])
    shutil.copy(next((made.home / "labels").iterdir()), names["labels"])
    return Samples(folder, folder / "home", names, given(names, made.home))


_FILES = {
    "text": "a.txt",
    "other": "b.txt",
    "first": "first.safetensors",
    "atlas": "atlas.safetensors",
    "fingerprint": "fingerprint.safetensors",
    "signed": "signed.safetensors",
    "known": "known",
    "edits": "edits.json",
    "plan": "plan.json",
    "bundle": "bundle.zip",
    "key": "key",
    "gguf": "small.gguf",
    "quantised": "quantised",
    "adapter": "adapter",
    "pruned": "pruned",
    "model": "model",
    "strange": "strange",
    "labels": "labels.json",
    "settings": "settings.json",
    "accepted": "accepted.json",
}
_QUANTISED = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True, "sym": False}
_FOUND = ("atlas", "tiny", "--components", "2", "--texts", "{text}")
_MADE: tuple[tuple[str, ...], ...] = (
    (*_FOUND, "--out", "{first}"),
    ("labels", "{first}", "--label", "0=boats", "--accept", "0", "--note", "1=perhaps"),
    (*_FOUND, "--out", "{atlas}"),
    ("keys", "new", "{key}"),
    ("fingerprint", "tiny", *SMALL, "--out", "{fingerprint}"),
    ("fingerprint", "tiny", *SMALL, "--out", "{signed}", "--sign", "{key}"),
    (
        *("edit", "tiny", "--atlas", "{atlas}", "--gain", "0=0", "--threshold", "1", "--controls", "1"),
        *("--texts", "{text}", "--save", "{edits}"),
    ),
    ("prune", "tiny", *PRUNED, *FEW, "--out", "{pruned}"),
    ("derive", "tiny", "--how", "noise:0.1", "--out", "{model}"),
)


def _ask_all(made: Samples, requests: Iterable[Sequence[str]]) -> None:
    for request in requests:
        status, _, said = ask([*made.filled(request), "--quiet", "--json"])
        assert status == 0, f"{request} was refused: {said}"


def _write_adapter(folder: Path) -> None:
    """A LoRA adapter on the tiny starter, as peft saves one."""
    from copy import deepcopy

    import torch
    from peft import LoraConfig, get_peft_model

    from fnet_core.models.loading import get_loaded

    settings = LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj"], init_lora_weights=False)
    torch.manual_seed(0)
    get_peft_model(deepcopy(get_loaded("tiny").model), settings).save_pretrained(folder)


def _keep_made(names: dict[str, str]) -> None:
    """A plan and edits, saved and on the library's shelves, settings of its own, and a licence that was accepted."""
    from fnet_core.models.licences import check_accepted
    from fnet_core.models.loading import get_loaded
    from fnet_core.models.sources.starter_table import STARTERS
    from fnet_core.pruning.plan import plan_for
    from fnet_core.pruning.request import PlanRequest
    from fnet_core.pruning.scores import ScoreRequest
    from fnet_core.reporting.bundle import PLAN_KIND
    from fnet_core.storage import library
    from fnet_core.storage.sealed import sealed
    from fnet_core.texts import from_file

    asked = PlanRequest(ratio=0.2, method="networks", protected=(0, 0))
    plan = plan_for(get_loaded("tiny"), asked, ScoreRequest(from_file(names["text"]), components=2))
    content = {"kind": PLAN_KIND, "recipe": plan.recipe(), "summary": plan.summary(), "keep": plan.masks()}
    Path(names["plan"]).write_text(json.dumps(sealed(content)), "utf-8")
    library.add_text("plan", Path(names["plan"]).read_text("utf-8"), "a plan")
    library.add_text("edits", Path(names["edits"]).read_text("utf-8"))
    check_accepted(STARTERS["gemma3-270m"].licence, "gemma3-270m", accept=True)


def _write_bundle(names: dict[str, str], home: Path) -> None:
    """The atlas with edits, a plan and lesions, of which no perplexity was measured: that takes long to replay."""
    from fnet_core.capability.lesions import LESIONS
    from fnet_core.networks.opening import opened
    from fnet_core.reporting.bundle import read_plans, read_texts, save_bundle
    from fnet_core.reporting.replay import bundle_of

    lesions = [LESIONS.load(path) for path in (home / LESIONS.name).iterdir()]
    made = bundle_of(
        opened(names["atlas"]), edits=read_texts([names["edits"]]), plans=read_plans([names["plan"]]), lesions=lesions
    )
    save_bundle(made, Path(names["bundle"]))
