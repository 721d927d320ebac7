"""A tiny model that has learnt a text, so that cutting it costs perplexity and training gives it back."""

from pathlib import Path

from support.pruning_cases import PASSAGES
from support.tiny_models import save_tiny

from fnet_core.derivation.finetune import text_ids, train_by
from fnet_core.derivation.training import Training
from fnet_core.models import loading as models
from fnet_core.models.loading import LoadedModel


def save_schooled(folder: Path, family: str = "llama", **changes) -> LoadedModel:
    """Save a tiny model trained on the calibration sentences, and load it."""
    source = models.load(str(save_tiny(folder.with_name(f"{folder.name}-raw"), family, **changes)))
    training = Training(steps=60, learning_rate=1e-2, window=48, batch=4)
    train_by(source, text_ids(source, PASSAGES), (), "finetune", training, 0)
    source.model.save_pretrained(folder)
    source.tokenizer.save_pretrained(folder)
    return models.load(str(folder))
