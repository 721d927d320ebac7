"""What is asked: the requests that keep every kind of answer, and for every file that FNet reads those that read it."""

from dataclasses import dataclass
from pathlib import Path

SMALL = ("--components", "2", "--threshold", "1", "--find", "{text}", "--score", "{other}")
PRUNED = ("--ratio", "0.2", "--protect", "0", "0", "--method", "networks", "--compensation", "networks")
FEW = ("--components", "2", "--calibration", "{text}", "--texts", "{other}")
QUESTIONS: dict[str, tuple[str, ...]] = {
    "atlas": ("atlas", "tiny", "--components", "2", "--texts", "{text}"),
    "singles": ("recur", "tiny", "--components", "2", "--texts", "{text}", "--single", "2"),
    "recurrence": ("recur", "{atlas}", "--threshold", "1"),
    "fingerprint": ("fingerprint", "tiny", *SMALL),
    "logits": ("logits", "tiny", "--atlas", "{atlas}", "--threshold", "1"),
    "fingerprint-index": ("scan", "{fingerprint}", "--against", "{known}", "--resamples", "200", "--nearest", "1"),
    "labels": ("labels", "{atlas}"),
    "pair": ("audit", "{fingerprint}", "{signed}", "--resamples", "200"),
    "perplexity": ("perplexity", "tiny", "--texts", "{text}"),
    "scores": ("prune", "tiny", *PRUNED, *FEW),
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
    "dequantised": ("perplexity", "{quantised}", "--texts", "{text}"),
    "merged": ("perplexity", "{adapter}", "--base", "tiny", "--texts", "{text}"),
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
    kept: Path | None = None
    """Where the requests find it by themselves, in the cache folder; `path` is a copy, and they name no {it}."""
    requests: tuple[tuple[str, ...], ...] = ()
    """They name it as {it}."""


def given(names: dict[str, str], home: Path) -> tuple[Sample, ...]:
    """Every file that a person can give, and what a person writes that FNet keeps, with what reads it."""
    return (*_results(names), *_texts(names), *_models(names), *_written(names, home))


def _results(names: dict[str, str]) -> list[Sample]:
    """What FNet saved and reads again, wherever it has been."""
    on_text = ("--texts", "{text}", "--controls", "1")
    of_fingerprint = (
        ("compare", "{it}", "{fingerprint}", "--resamples", "200"),
        ("independence", "{fingerprint}", "{it}"),
        ("audit", "{it}", "{fingerprint}", "{signed}", "--resamples", "200"),
        ("scan", "{it}", "--against", "{folder}", "--resamples", "200"),
        ("scan", "{fingerprint}", "--against", "{folder}", "--resamples", "200", "--nearest", "1"),
        ("changes", "{it}", "{fingerprint}"),
        ("keys", "show", "{it}"),
    )
    requests: dict[str, tuple[tuple[str, ...], ...]] = {
        "atlas": (
            ("listen", "tiny", "--atlas", "{it}", "--text", "one boat, two boats"),
            ("edit", "tiny", "--atlas", "{it}", "--gain", "0=0", "--threshold", "1", *on_text),
            ("recur", "{it}", "{atlas}"),
            ("recur", "{it}"),
            ("logits", "tiny", "--atlas", "{it}", "--threshold", "1"),
            ("labels", "{it}"),
            ("report", "{it}", "--out", "{scratch}"),
            ("bundle", "{it}", "--out", "{scratch}"),
        ),
        "edits": (
            ("edit", "tiny", "--load", "{it}", *on_text),
            ("bundle", "{atlas}", "--edits", "{it}", "--out", "{scratch}"),
        ),
        "plan": (("bundle", "{atlas}", "--plans", "{it}", "--out", "{scratch}"),),
        "bundle": (("replay", "{it}"),),
        "fingerprint": of_fingerprint,
        "signed": of_fingerprint,
        "key": (
            ("keys", "show", "{it}"),
            ("fingerprint", "tiny", *SMALL, "--out", "{scratch}", "--sign", "{it}"),
        ),
    }
    return [Sample(name, Path(names[name]), requests=each) for name, each in requests.items()]


def _texts(names: dict[str, str]) -> list[Sample]:
    """A text, wherever one may be given."""
    recovered = ("--recover", "1", "--recover-window", "16", "--recover-text", "{it}")
    requests = (
        ("perplexity", "tiny", "--texts", "{it}"),
        ("atlas", "tiny", "--components", "2", "--texts", "{it}"),
        ("listen", "tiny", "--atlas", "{atlas}", "--file", "{it}"),
        ("prune", "tiny", *PRUNED, "--components", "2", "--calibration", "{it}", "--texts", "{other}"),
        ("prune", "tiny", *PRUNED, *FEW, *recovered),
        ("fingerprint", "tiny", "--components", "2", "--threshold", "1", "--text", "{it}", "--probes", "sea"),
    )
    return [Sample("text", Path(names["text"]), requests=requests)]


def _models(names: dict[str, str]) -> list[Sample]:
    """Models of others and of FNet's making, file by file."""
    requests = (
        ("perplexity", "{it}", "--texts", "{text}"),
        ("models", "{it}"),
        ("atlas", "{it}", "--components", "2", "--texts", "{text}"),
    )
    on_base = (("perplexity", "{it}", "--base", "tiny", "--texts", "{text}"), ("models", "{it}"))
    files = [Sample("gguf", Path(names["gguf"]), requests=requests[:2])]
    for name in ("strange", "model", "pruned", "quantised", "adapter"):
        files += [
            Sample(
                f"{name}/{path.name}", Path(names[name]), path.name, requests=on_base if name == "adapter" else requests
            )
            for path in sorted(Path(names[name]).iterdir())
            if path.suffix in (".json", ".safetensors")
        ]
    return files


def _written(names: dict[str, str], home: Path) -> list[Sample]:
    """What a person said of networks, named and accepted, in the cache folder."""
    (labels,) = (home / "labels").iterdir()
    return [
        Sample(
            "labels",
            Path(names["labels"]),
            kept=labels,
            requests=(
                ("labels", "{atlas}"),
                ("labels", "{atlas}", "--note", "0=another"),
                ("listen", "tiny", "--atlas", "{atlas}", "--text", "one boat"),
                ("report", "{atlas}", "--out", "{scratch}"),
                ("library", "--all"),
            ),
        ),
        Sample("settings", Path(names["settings"]), kept=home / "library.json", requests=(("library", "--all"),)),
        Sample("accepted", Path(names["accepted"]), kept=home / "accepted-licences.json", requests=(("models",),)),
    ]
