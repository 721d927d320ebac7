"""How well a model predicts a text: token, word and byte perplexity with a running estimate.

Shape legend: W windows, T scored tokens.

Token perplexity is the strided sliding window of the Hugging Face documentation; word perplexity, byte
perplexity and bits per byte are those of lm-evaluation-harness: disjoint windows behind a prefix token, words
and bytes counted on the original text. They are different scales, so a result carries its definition.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch.nn import functional as F

from fnet_core.choices import Definition
from fnet_core.drawing import Described
from fnet_core.evaluation.windows import Window, check_windows, text_windows, window_and_stride
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent
from fnet_core.storage import artifacts
from fnet_core.storage.memo import Kind
from fnet_core.texts import Passage

KIND = "perplexity"
FORMAT = 1

_CPU_BATCH_TOKENS = 512
_GPU_BATCH_TOKENS = 16_384
_LOGIT_BYTES = 1 << 30


@dataclass(frozen=True, eq=False, repr=False)
class PerplexityResult(Described):
    """Perplexity of some documents with what it was measured on; also a running estimate before the end."""

    definition: Definition
    window: int
    stride: int
    start: str
    """The tokens put before each window (before each document, for words and bytes), or "" for none."""
    texts: tuple[str, ...]
    """Names of the documents."""
    document_W: np.ndarray
    """int64: the document of each window."""
    nll_W: np.ndarray
    """float64: summed negative log-likelihood of each window's scored tokens, in nats."""
    units_W: np.ndarray
    """float64: tokens, words or bytes of each window, the units that perplexity is per."""
    tokens: int
    """Scored tokens."""
    total_windows: int
    """Windows in all; more than the arrays hold while the measurement is running."""
    token_nll: tuple[np.ndarray, ...]
    """Per document, float32 negative log-likelihood of each text token; NaN where it was not scored (yet)."""
    token_offsets: tuple[np.ndarray, ...]
    """Per document, (tokens, 2) start and end character of each token."""
    dtype: str
    recipe: dict[str, Any] = field(default_factory=dict)
    """What it was measured of, edits as their digest; empty until it is kept, and in files of before recipes were."""

    @property
    def value(self) -> float:
        """Perplexity; infinite where the model's output was not finite."""
        return _exp(self.log_value)

    @property
    def log_value(self) -> float:
        """Mean negative log-likelihood per unit, nats."""
        if not self.finite:
            return math.inf
        return float(self.nll_W.sum() / self.units_W.sum())

    @property
    def finite(self) -> bool:
        """False when some window gave infinite or undefined log-likelihoods."""
        return bool(np.isfinite(self.nll_W).all())

    @property
    def too_large(self) -> bool:
        """Whether a finite loss is a perplexity beyond every number: a text without spaces is one long word."""
        return self.finite and math.isinf(self.value)

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval with windows as the sample; None with fewer than two of them, or if not finite."""
        bounds = _ratio_interval(self.nll_W, self.units_W)
        return bounds and (_exp(bounds[0]), _exp(bounds[1]))

    @property
    def bits_per_byte(self) -> float | None:
        """Bits per byte of original text, for the definition "byte" alone."""
        return self.log_value / math.log(2) if self.definition == "byte" else None

    def document_values(self) -> np.ndarray:
        """Perplexity of each document, float64; NaN where no window of it was measured."""
        count = len(self.texts)
        nll = np.bincount(self.document_W, self.nll_W, count)
        units = np.bincount(self.document_W, self.units_W, count)
        with np.errstate(over="ignore"):
            return np.exp(np.divide(nll, units, out=np.full(count, np.nan), where=units > 0))

    @property
    def sentence(self) -> str:
        """The perplexity with its interval and what it was measured on."""
        if not self.finite:
            return "not a number: the model's output became infinite"
        measured = f"per {self.definition}, {self.tokens:,} tokens of {len(self.texts)} texts"
        if self.too_large:
            return f"too large for a number ({self.log_value:,.0f} nats {measured}); {_INSTEAD}"
        return f"{self.value:.4g}{spoken(self.interval, '.4g')}, {measured}"

    def _description(self) -> tuple[str, dict[str, object]]:
        return f"Perplexity {self.sentence}", {"window": f"{self.window} tokens", "stride": f"{self.stride} tokens"}

    def save(self, path: Path) -> None:
        """Write the result as one safetensors file, whole or not at all; RequestError if the disk refuses."""
        arrays = {"document": self.document_W, "nll": self.nll_W, "units": self.units_W}
        for i, (nll, offsets) in enumerate(zip(self.token_nll, self.token_offsets, strict=True)):
            arrays[f"token_nll.{i}"], arrays[f"token_offsets.{i}"] = nll, offsets
        plain = ("definition", "window", "stride", "start", "tokens", "total_windows", "dtype", "recipe")
        header = {name: getattr(self, name) for name in plain} | {"texts": list(self.texts)}
        artifacts.save_artifact(path, KIND, arrays, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "PerplexityResult":
        """Read a saved result; RequestError when it is missing, damaged, or of another format."""
        arrays, header = artifacts.load_artifact(path, KIND, FORMAT)
        texts = tuple(header.pop("texts"))
        return cls(
            **header,
            texts=texts,
            document_W=arrays["document"],
            nll_W=arrays["nll"],
            units_W=arrays["units"],
            token_nll=tuple(arrays[f"token_nll.{i}"] for i in range(len(texts))),
            token_offsets=tuple(arrays[f"token_offsets.{i}"] for i in range(len(texts))),
        )

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line; a perplexity that is not finite is null."""
        return {
            "value": self.value if self.finite and math.isfinite(self.value) else None,
            "interval": finite_interval(self.interval),
            "definition": self.definition,
            "bits_per_byte": self.bits_per_byte if self.finite else None,
            "tokens": self.tokens,
            "windows": len(self.nll_W),
            "window": self.window,
            "stride": self.stride,
            "start_token": self.start,
            "texts": list(self.texts),
            "dtype": self.dtype,
            "finite": self.finite,
            "too_large": self.too_large,
        }


_INSTEAD = "the text has hardly any spaces, so measure it per token or per byte"


PERPLEXITIES = Kind(KIND, PerplexityResult.load, FORMAT, keyed_since=1, names=frozenset({"model"}))
"""Perplexities in the store."""


@dataclass(frozen=True)
class Ratio:
    """One perplexity over another on the same windows, with a paired 95 % interval where there is one."""

    value: float
    interval: tuple[float, float] | None

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line; what is not finite is null."""
        return {
            "value": self.value if math.isfinite(self.value) else None,
            "interval": finite_interval(self.interval),
        }


def ratio(changed: PerplexityResult, baseline: PerplexityResult) -> Ratio:
    """Changed over baseline perplexity on the windows that both have; `ValueError` if they are not the same."""
    both = min(len(changed.nll_W), len(baseline.nll_W))
    same = (changed.units_W[:both] == baseline.units_W[:both]).all() and changed.texts == baseline.texts
    if not same or changed.definition != baseline.definition:
        raise ValueError("The two perplexities were not measured on the same windows; measure both alike.")
    difference = changed.nll_W[:both] - baseline.nll_W[:both]
    units = changed.units_W[:both]
    if not np.isfinite(difference).all():
        return Ratio(math.inf, None)
    bounds = _ratio_interval(difference, units)
    return Ratio(_exp(float(difference.sum() / units.sum())), bounds and (_exp(bounds[0]), _exp(bounds[1])))


def on_same_windows(results: Sequence[PerplexityResult]) -> tuple[PerplexityResult, ...]:
    """Running estimates cut to the windows that all of them have, so that their numbers can be compared."""
    W = min(len(result.nll_W) for result in results)
    return tuple(
        replace(result, nll_W=result.nll_W[:W], units_W=result.units_W[:W], document_W=result.document_W[:W])
        for result in results
    )


def spoken(interval: tuple[float, float] | None, digits: str) -> str:
    """An interval as it stands behind a number, empty where there is none: " (95 % interval 1.2 to 1.5)"."""
    return f" (95 % interval {interval[0]:{digits}} to {interval[1]:{digits}})" if interval else ""


def finite_interval(interval: tuple[float, float] | None) -> list[float] | None:
    """An interval as JSON can hold it: None unless both bounds are finite."""
    return list(interval) if interval and all(map(math.isfinite, interval)) else None


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _ratio_interval(total_W: np.ndarray, units_W: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of sum(total) / sum(units): linearised ratio estimator, Student's t over windows."""
    count = len(total_W)
    if count < 2 or not np.isfinite(total_W).all():
        return None
    mean = total_W.sum() / units_W.sum()
    residual = total_W - mean * units_W
    error = math.sqrt(count / (count - 1) * float(residual @ residual)) / float(units_W.sum())
    reach = float(stats.t.ppf(0.975, count - 1)) * error
    return mean - reach, mean + reach


def _batches(windows: Sequence[Window], tokens: int) -> Iterator[list[Window]]:
    """Runs of neighbouring windows whose padded size stays within `tokens`."""
    batch: list[Window] = []
    for item in windows:
        longest = max(len(w.ids) for w in (*batch, item))
        if batch and longest * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(item)
    yield batch


@torch.no_grad()
def window_log_likelihoods(loaded: LoadedModel, batch: Sequence[Window]) -> list[torch.Tensor]:
    """Negative log-likelihood of each window's scored tokens, (scored,) float32 on the CPU, in nats.

    Windows are padded on the right, which a causal model does not see; logits become float32 first.
    """
    device = main_device(loaded.model)
    lengths = [len(w.ids) - 1 for w in batch]
    ids = torch.zeros(len(batch), max(lengths), dtype=torch.int64)
    for row, w in enumerate(batch):
        ids[row, : lengths[row]] = torch.tensor(w.ids[:-1])
    mask = None
    if min(lengths) < max(lengths):
        mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long().to(device)
    logits = loaded.model(input_ids=ids.to(device), attention_mask=mask, use_cache=False).logits
    losses = []
    for row, w in enumerate(batch):
        scored = logits[row, lengths[row] - w.scored : lengths[row]].float()
        targets = torch.tensor(w.ids[-w.scored :], device=scored.device)
        losses.append(F.cross_entropy(scored, targets, reduction="none").cpu())
    return losses


def measure(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    *,
    definition: Definition = "token",
    window: int | None = None,
    stride: int | None = None,
    batch_tokens: int | None = None,
    around: Callable[[], AbstractContextManager] = nullcontext,
    report: Report = silent,
) -> Iterator[PerplexityResult]:
    """The running estimate after each batch of windows; the last one is the result.

    Each passage is a document of its own. `window` is in tokens, see `window_and_stride` where it is not given;
    `stride` is the window unless given, and always for words and bytes. A model whose tokenizer puts a start token
    before a text gets it before each window. `around` is opened around every batch, for edits: several measurements
    may take turns. Raises RequestError for a window that the model cannot read or a text without tokens. `report`
    gets the stage "measuring" and may raise to stop.
    """
    window, stride = window_and_stride(loaded, definition, window, stride)
    check_windows(loaded, passages, definition, window, stride)
    windows, offsets, start = text_windows(loaded, passages, definition, window, stride)
    units_of = _unit_counter(passages, windows, definition)
    if batch_tokens is None:
        most = _LOGIT_BYTES // (4 * loaded.model.config.vocab_size)
        batch_tokens = min(_GPU_BATCH_TOKENS if torch.cuda.is_available() else _CPU_BATCH_TOKENS, most)
    token_nll = [np.full(len(o), np.nan, dtype=np.float32) for o in offsets]
    documents: list[int] = []
    nll: list[float] = []
    units, tokens = [], 0
    for batch in _batches(windows, batch_tokens):
        report("measuring", len(nll) / len(windows))
        with around():
            found = window_log_likelihoods(loaded, batch)
        for item, losses in zip(batch, found, strict=True):
            token_nll[item.document][item.first_scored : item.first_scored + item.scored] = losses.numpy()
            documents.append(item.document)
            nll.append(float(losses.double().sum()))
            units.append(units_of(item))
            tokens += item.scored
        yield PerplexityResult(
            definition=definition,
            window=window,
            stride=stride,
            start=start,
            texts=tuple(p.name for p in passages),
            document_W=np.array(documents),
            nll_W=np.array(nll),
            units_W=np.array(units),
            tokens=tokens,
            total_windows=len(windows),
            token_nll=tuple(t.copy() for t in token_nll),
            token_offsets=tuple(offsets),
            dtype=loaded.dtype,
        )
    report("measuring", 1.0)


def _unit_counter(
    passages: Sequence[Passage], windows: Sequence[Window], definition: Definition
) -> Callable[[Window], float]:
    """Units of a window: its scored tokens, or its share by tokens of the document's words or bytes."""
    if definition == "token":
        return lambda window: float(window.scored)
    scored = np.bincount([w.document for w in windows], [w.scored for w in windows])
    sizes = [len(re.split(r"\s+", p.text)) if definition == "word" else len(p.text.encode("utf-8")) for p in passages]
    return lambda window: sizes[window.document] * window.scored / scored[window.document]
