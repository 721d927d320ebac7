"""Distil a model into fresh weights: a new model of the same configuration learns to predict what the model predicts.

Source: Hinton et al. 2015, arXiv 1503.02531, at temperature 1. Shape legend: B windows, T tokens, V vocabulary.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, PreTrainedModel

from fnet_core.derivation.finetune import facts_of, prepared, train
from fnet_core.derivation.training import Training
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.saving import needs_code
from fnet_core.progress import Report, silent


def fresh(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """A float32 model of the same configuration whose weights are drawn anew by the seed.

    RequestError for a model that its configuration alone does not describe.
    """
    if needs_code(model):
        raise RequestError("Layers of this model were cut to several widths; distil a model that was not.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(model.config, dtype=torch.float32).eval()


def distil(
    student: LoadedModel, teacher: PreTrainedModel, file: str, training: Training, seed: int, report: Report = silent
) -> dict[str, object]:
    """Train `student.model`, the caller's own, in place to predict what `teacher` predicts on a text file.

    Returns what `fine_tune` does; the loss is the Kullback-Leibler divergence from the teacher, nats per token.
    RequestError as `fine_tune`.
    """
    ids, prefix, training = prepared(student, file, "distil", training)
    model = student.model.requires_grad_(True)

    def divergence(windows_BT: Tensor) -> Tensor:
        with torch.no_grad():
            wanted_BTV = F.log_softmax(teacher(input_ids=windows_BT, use_cache=False).logits.float(), dim=-1)
        found_BTV = F.log_softmax(model(input_ids=windows_BT, use_cache=False).logits.float(), dim=-1)
        return F.kl_div(found_BTV.flatten(0, 1), wanted_BTV.flatten(0, 1), reduction="batchmean", log_target=True)

    generator = torch.Generator().manual_seed(seed)
    losses = train(model, list(model.parameters()), ids, prefix, training, generator, report, divergence)
    model.requires_grad_(False)
    return facts_of(file, ids, training, losses)
