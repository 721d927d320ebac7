"""A tiny random model wrapped as a loaded one, without a folder."""

from pathlib import Path

from support.tiny_models import tiny_model, tiny_tokenizer

from fnet_core.models.folder import context
from fnet_core.models.loading import LoadedModel
from fnet_core.models.stored import StoredWeights


def loaded_tiny(family: str = "llama", model=None, tokenizer=None, **changes) -> LoadedModel:
    """A `LoadedModel` around a tiny random model; `changes` go to its configuration."""
    model = model or tiny_model(family, **changes)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer or tiny_tokenizer(),
        name=f"tiny-{family}",
        digest="0" * 64,
        family=family,
        path=Path("."),
        layers=3,
        dtype="float32",
        device="cpu",
        max_tokens=context(model.config),
        stored=StoredWeights("float32", 4 * model.num_parameters()),
    )
