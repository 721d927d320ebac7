"""A model whose layers have projections of their own sizes, as pruning leaves them.

This file is copied into the folder of such a model as `modeling_fnet.py` and needs torch and transformers alone:
`AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)` loads the model through it, without FNet.
`config.json` describes the model before it was resized and holds under `fnet_resized` what differs:
`projections`, module path to [inputs, outputs, has bias], `attributes`, attribute path to value, and where there are
any `parameters`, path to length.
"""

import copy

import transformers
from torch import nn
from transformers.pytorch_utils import Conv1D


def new_projection(old: nn.Module, inputs: int, outputs: int, bias: bool) -> nn.Linear | Conv1D:
    """An empty projection of another size, of the class, device and number type of `old`."""
    weight = old.get_parameter("weight")
    new: nn.Linear | Conv1D
    if isinstance(old, Conv1D):
        new = Conv1D(outputs, inputs).to(device=weight.device, dtype=weight.dtype)
    else:
        new = nn.Linear(inputs, outputs, bias=bias, device=weight.device, dtype=weight.dtype)
    return new.requires_grad_(weight.requires_grad)


def set_attribute(model: nn.Module, path: str, value: int) -> None:
    """Set a dotted attribute; a configuration on the way is copied first, so that other layers keep theirs."""
    *owners, name = path.split(".")
    target = model
    for owner in owners:
        if owner == "config":
            target.config = copy.copy(target.config)
        target = getattr(target, owner)
    setattr(target, name, value)


def resize(model: nn.Module, resized: dict) -> None:
    """Give the model the empty projections and parameters and the attributes that `resized` lists."""
    for path, (inputs, outputs, bias) in resized["projections"].items():
        owner, _, name = path.rpartition(".")
        old = model.get_submodule(path)
        setattr(model.get_submodule(owner), name, new_projection(old, inputs, outputs, bias))
    for path, length in resized.get("parameters", {}).items():
        owner, _, name = path.rpartition(".")
        whole = model.get_parameter(path)
        setattr(model.get_submodule(owner), name, nn.Parameter(whole.new_empty(length), whole.requires_grad))
    for path, value in resized["attributes"].items():
        set_attribute(model, path, value)


def resized_class(base: type[transformers.PreTrainedModel]) -> type[transformers.PreTrainedModel]:
    """The transformers class `base`, made with the sizes that the configuration lists under `fnet_resized`."""

    def __init__(self, config, *arguments, **options):
        base.__init__(self, config, *arguments, **options)
        resize(self, config.fnet_resized)

    # the tensors are named as those of the class it is made from, so they are renamed alike on loading
    is_custom_code = classmethod(lambda cls: False)
    members = {"__init__": __init__, "is_custom_code": is_custom_code, "__module__": __name__, "__doc__": base.__doc__}
    return type(base.__name__, (base,), members)


def __getattr__(name: str) -> type:
    """`modeling_fnet.LlamaForCausalLM` is the resized kind of `transformers.LlamaForCausalLM`."""
    if not name.endswith(("ForCausalLM", "LMHeadModel")):
        raise AttributeError(name)
    made = resized_class(getattr(transformers, name))
    globals()[name] = made
    return made
