"""Make a mixture of experts of a dense model: every expert a copy of the MLP, in front of them a random router.

Source: Komatsuzaki et al. 2022, arXiv 2212.05055. The weights of a token's experts sum to 1, so that equal experts
give what the one MLP gave. Shape legend: E experts.
"""

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from fnet_core.choices import EXPERTS_PER_TOKEN
from fnet_core.errors import RequestError
from fnet_core.models.modules import decoder_layers
from fnet_core.models.structure import family_of
from fnet_core.progress import Report, silent

MIXTURE_OF = {"llama": "mixtral", "mistral": "mixtral", "qwen3": "qwen3_moe"}
"""The mixture whose layers are those of a dense architecture but for the MLP."""

_CLOSE = 1e-4
"""By how much of the largest logit the mixture may differ: rounding alone."""


@torch.no_grad()
def upcycled(
    model: PreTrainedModel, experts: int, noise: float, generator: torch.Generator, report: Report = silent
) -> PreTrainedModel:
    """A mixture of `experts` copies of each MLP with a random router, two experts for each token, float32.

    It computes what the model computes, which is checked, unless gaussian noise of `noise` standard deviations of
    each expert's matrices tells the experts apart. RequestError for a model that no mixture is like.
    """
    config = _mixture_config(model.config, experts)
    family = family_of(config)
    with torch.random.fork_rng(devices=[]):
        mixture = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval().requires_grad_(False)
    tensors, wanted = model.state_dict(), mixture.state_dict()
    taken: dict[str, Tensor] = {}
    layers = len(decoder_layers(model))
    for layer in range(layers):
        mlp = f"{family.layers}.{layer}.mlp"
        gate, up, down = (tensors.pop(f"{mlp}.{name}_proj.weight") for name in ("gate", "up", "down"))
        taken[f"{mlp}.experts.gate_up_proj"] = torch.cat([gate, up]).expand(experts, -1, -1)
        taken[f"{mlp}.experts.down_proj"] = down.expand(experts, -1, -1)
        router = torch.randn(wanted[f"{mlp}.gate.weight"].shape, generator=generator)
        taken[f"{mlp}.gate.weight"] = router * model.config.initializer_range
    taken |= tensors
    if {name: t.shape for name, t in taken.items()} != {name: t.shape for name, t in wanted.items()}:
        raise RequestError(
            f"This {model.config.model_type} model has tensors that a {config.model_type} model has not, or of other "
            "sizes, such as biases or layers of several widths; choose one without them."
        )
    for done, (name, tensor) in enumerate(taken.items()):
        report("changing", done / len(taken))
        wanted[name].copy_(tensor)
    _check_same(model, mixture)
    for block in decoder_layers(mixture) if noise else ():
        for stacked in block.get_submodule("mlp.experts").parameters():
            for matrix in stacked:
                matrix += torch.randn(matrix.shape, generator=generator) * (noise * matrix.std())
    return mixture


def _mixture_config(dense: PretrainedConfig, experts: int) -> PretrainedConfig:
    if dense.model_type not in MIXTURE_OF:
        raise RequestError(
            f"There is no mixture of experts with the layers of a {dense.model_type} model; choose a model of one of "
            f"these: {', '.join(MIXTURE_OF)}."
        )
    kind = MIXTURE_OF[dense.model_type]
    known = AutoConfig.for_model(kind).to_dict().keys() - {"model_type", "architectures", "transformers_version"}
    shared = {name: value for name, value in dense.to_dict().items() if name in known}
    if dense.model_type == "qwen3":
        own = {"num_experts": experts, "moe_intermediate_size": dense.intermediate_size, "norm_topk_prob": True}
    else:
        own = {"num_local_experts": experts}
    return AutoConfig.for_model(kind, **shared | own | {"num_experts_per_tok": EXPERTS_PER_TOKEN})


def _check_same(model: PreTrainedModel, mixture: PreTrainedModel) -> None:
    """RequestError unless both give the same logits and every layer attends alike, as it must in the mixture."""
    config = model.config
    reach = min(config.max_position_embeddings, 64)
    ids = torch.arange(reach)[None] % config.vocab_size
    expected, found = (each(input_ids=ids, use_cache=False).logits for each in (model, mixture))
    types = set(getattr(config, "layer_types", None) or ["full_attention"])
    if len(types) > 1 or not torch.allclose(found, expected, rtol=0, atol=_CLOSE * float(expected.abs().max())):
        raise RequestError(
            f"A {mixture.config.model_type} model cannot compute what this {config.model_type} model computes, for its "
            "configuration says something that the mixture's cannot; choose another model."
        )
