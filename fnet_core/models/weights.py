"""The model of a configuration, with the weights that a folder holds for it."""

from pathlib import Path
from typing import Any

from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, PretrainedConfig, PreTrainedModel

from fnet_core.models.adapters import SETTINGS
from fnet_core.models.folder import check_resized, wrapper_of
from fnet_core.models.modeling_fnet import resized_class
from fnet_core.models.wrappers import RENAMED, text_class


def with_weights(config: PretrainedConfig, folder: Path, name: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """The model that a folder holds, or the text model inside it, and what the library says about loading it."""
    inside = wrapper_of(folder)
    # the library would put an adapter that lies beside a whole model onto it, though only where peft is installed
    beside = {"subfolder": "none"} if (folder / SETTINGS).is_file() else None
    kind = model_class(config, name)
    made: Any = (text_class(kind) if inside else kind).from_pretrained(
        folder,
        config=config,
        key_mapping=RENAMED if inside else None,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
        adapter_kwargs=beside,
        **options,
    )
    model, info = made  # the annotation leaves out the second value
    if inside and hasattr(model, "_weight_conversions"):
        del model._weight_conversions  # it is saved under its own class's names
    return model, info


def model_class(config: PretrainedConfig, name: str) -> type[PreTrainedModel]:
    """The causal language model of a configuration; with its own sizes where FNet resized it (see `modeling_fnet`).

    Raises RequestError when the sizes that the model `name` lists are not those of a pruned model.
    """
    base: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]  # annotated as a pair of classes, which no family has
    if getattr(config, "fnet_resized", None) is None:
        return base
    check_resized(config, name)
    return resized_class(base)
