"""What a request can choose from, and what it gets unless it chooses: words that pages, command line and core share.

Nothing is imported here, so that a command line can be read and refused before any library is loaded.
"""

from typing import Literal

Site = Literal["mlp", "mlp_out", "residual", "heads", "experts"]

SITES: dict[Site, str] = {
    "mlp": "MLP neurons: the input of each MLP's down-projection, one neuron per intermediate unit",
    "mlp_out": "MLP output: what each MLP adds to the residual stream",
    "residual": "Residual stream: each decoder layer's output",
    "heads": "Attention heads: the input of the attention output projection, averaged within each head",
    "experts": "Experts: the router's probability of each expert for each token, in mixtures of experts alone",
}
"""The five sites that can be read, with the sentence that explains each."""


def site_title(site: Site) -> str:
    """What a site is called in front of its explanation: "MLP neurons"."""
    return SITES[site].partition(":")[0]


Scope = str
"""One of `SCOPES`, or a window of another width."""

SCOPES: dict[str, str] = {
    "model": "one decomposition over all layers: a network may run across layers",
    "layer": "one decomposition per layer: each network lives in one layer",
    "window:3": "one decomposition per window of 3 neighbouring layers, which slides by one layer; any other width too",
}


def window_of(scope: str) -> int:
    """How many layers the windows of a scope have, 2 or more; 0 for a scope without windows."""
    name, colon, width = scope.partition(":")
    whole = name == "window" and bool(colon) and width.isascii() and width.isdigit() and len(width) < 6
    return int(width) if whole and int(width) > 1 and width == str(int(width)) else 0


def scope_title(scope: Scope) -> str:
    """What a scope is called: "whole model", "layer by layer", "windows of 3 layers"."""
    if scope == "model":
        return "whole model"
    width = window_of(scope)
    return f"windows of {width} layers" if width else "layer by layer"


def is_scope(scope: object) -> bool:
    """Whether this is one of `SCOPES` or a window of another width."""
    return isinstance(scope, str) and (scope in SCOPES or window_of(scope) > 0)


MOST_PASSAGES = 384
"""The most passages that are taken until recurrence levels off, unless asked otherwise."""

DEFAULT_THRESHOLD = 3.0
"""abs(z) above which a neuron counts as a key neuron, unless asked otherwise."""

Contrast = Literal["cube", "logcosh", "exp"]

CONTRASTS: tuple[Contrast, ...] = ("cube", "logcosh", "exp")

Definition = Literal["token", "word", "byte"]

DEFINITIONS: dict[str, str] = {
    "token": "per token of this model's tokenizer, sliding window: not comparable between tokenizers",
    "word": "per word of the original text, as lm-evaluation-harness counts: comparable between models",
    "byte": "per byte of the original text (its base-2 logarithm is bits per byte): comparable between models",
}

DEFAULT_WINDOW = 512

Share = Literal["neurons", "parameters"]

SHARES: dict[str, str] = {
    "neurons": "of all MLP neurons (and, with heads, of all attention heads)",
    "parameters": "of all parameters of the model, embeddings included",
}

PROTECTED = (3, 2)
"""First and last layers that stay whole, as published (arXiv 2508.05239)."""

Compensation = Literal["none", "bias", "bias-sequential", "networks", "ridge", "blend"]

COMPENSATIONS: dict[str, str] = {
    "none": "removed neurons become zero",
    "bias": "their mean in the unpruned model stays as a bias of the projection (FLAP); wrong at a start token",
    "bias-sequential": "their mean with the earlier layers already pruned stays as a bias (code of arXiv 2508.05239)",
    "networks": "what the layer's networks, read from the kept neurons, say about them is folded into the weights",
    "ridge": "what all kept neurons say about them by least squares, of a strength chosen on held-out calibration "
    "passages, is folded into the weights",
    "blend": "least squares that believes the layer's networks or the measured covariance, as far as held-out "
    "calibration passages say, is folded into the weights",
}

LEAST_SQUARES: tuple[Compensation, ...] = ("ridge", "blend")
"""Those that solve with the Gram matrix of a layer's inputs."""

DEFAULT_COMPENSATION: Compensation = "networks"

Form = Literal["auto", "plain", "asked"]

FORMS: dict[Form, str] = {
    "auto": "without code of its own wherever that is no worse beyond the error, else as asked",
    "plain": "without code of its own: as many neurons from every layer, no new biases",
    "asked": "as asked for, with the code that builds it where a configuration cannot say it",
}
"""How a pruned model is saved."""

METHOD_NAMES = (
    *("networks", "fn", "wanda-sp", "flap", "obs", "obs-networks", "magnitude", "random"),
    *("layer-networks", "block-influence", "layer-random"),
)
"""Every way to score for pruning: neurons, and whole layers; `pruning` says what each is."""

LAYER_METHODS = ("layer-networks", "block-influence", "layer-random")
"""Those by which whole layers go, and nothing stands in for them."""

DEFAULT_METHOD = "networks"

PUBLISHED_COMPONENTS, PUBLISHED_THRESHOLD, PUBLISHED_RUN = 128, 6.03, 40
"""Of the published criterion in its paper (arXiv 2508.05239): networks per layer, abs(z) to stay, texts of a run."""

RESAMPLES = 1000
"""Resamples of the passages for the interval of a comparison, unless asked otherwise."""

SAMPLED_NEURONS, TEST_PASSAGES = 256, 4
"""Of an independence test: neurons per layer, and passages read, unless asked otherwise."""

ORDERS = 1999
"""Random orders of neurons that the true one is held against where two models share their shape."""

FINGERPRINT_SITE: Site = "residual"
FINGERPRINT_COMPONENTS = 64
FINGERPRINT_THRESHOLD = 3.6
"""abs(z) above which a neuron belongs to a network's mask in a fingerprint, that of arXiv 2601.22692."""

WAY_EXAMPLES = {
    "noise": "0.1",
    "permute": "",
    "permute-residual": "",
    "rescale": "2",
    "rotate": "",
    "quantise": "4",
    "prune": "0.3",
    "drop-layers": "4",
    "merge": "OTHER",
    "upcycle": "4",
    "finetune": "FILE",
    "lora": "FILE",
    "distil": "FILE",
}
"""Every way to derive a model, with an example of what follows its colon, empty where nothing does."""


EXPERTS_PER_TOKEN, MOST_EXPERTS = 2, 64
"""Of a mixture that is made of a dense model."""


def ways() -> list[str]:
    """Every way to derive a model as it is written, with its example."""
    return [f"{name}:{example}" if example else name for name, example in WAY_EXAMPLES.items()]


CAPABILITY_NAMES = (
    *("agreement", "determiners", "gender", "polarity", "tense", "word-order", "induction", "copying", "quotes"),
    *("brackets", "indentation", "counting", "sums", "capital-letters", "capital-cities", "opposites", "sentiment"),
)
"""Everything that models are asked for; `assets/capabilities/` has the grammar of each."""

ITEMS, MOST_ITEMS = 100, 500
"""Items per capability, unless asked otherwise."""

LESION_DRAWS = 3
"""Random lesions beside that of each network, unless asked otherwise."""

MOST_CHARACTERS = 20_000
"""No longer text is listened to."""
