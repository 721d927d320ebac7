"""No layer makes an accelerator wait: what goes to the host is counted, per passage and not per layer."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from support.loading import loaded_tiny
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from fnet_core.activations.reading import copied, read_subjects, tokenize
from fnet_core.decomposition.canica import standardize
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import Edit
from fnet_core.lineage.neuron_signals import SignatureReader
from fnet_core.models.loading import LoadedModel
from fnet_core.pruning.calibration import Calibrator
from fnet_core.texts import Passage

PASSAGES = (
    Passage("one", "the tide came in at dawn.", "test"),
    Passage("two", "two boats, both old; neither sailed again (so they say).", "test"),
)
ACCELERATOR = torch.device("maia", 0)
"""A kind of device that no machine of ours has, so that whatever is not caught here fails."""
BEHIND = (ACCELERATOR, torch.device("meta"))
"""What its tensors say they are on, and what torch's own code is told."""


class There(torch.Tensor):
    """A tensor that says it is on the accelerator; its values are on the CPU."""

    @staticmethod
    def __new__(cls, values):
        made = torch.Tensor._make_wrapper_subclass(
            cls, values.shape, strides=values.stride(), dtype=values.dtype, device=BEHIND[1]
        )
        made.values_here = values
        return made

    @property
    def device(self) -> torch.device:
        return ACCELERATOR

    def __repr__(self) -> str:
        return f"There({self.values_here})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        assert func is torch.ops.aten.detach.default, f"{func} was called while nobody counted"
        return There(args[0].values_here.detach())


class Counting(TorchDispatchMode):
    """Runs what is asked of the accelerator, and counts by operation what it sends to the host."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        leaves = tree_leaves((args, kwargs))
        wanted = kwargs.get("device")
        there = any(isinstance(each, There) for each in leaves)
        stays = wanted in BEHIND or (there and wanted is None)
        if wanted in BEHIND:
            kwargs["device"] = torch.device("cpu")
        owners = {id(each.values_here): each for each in leaves if isinstance(each, There)}
        out = func(
            *tree_map_only(There, lambda each: each.values_here, args),
            **tree_map_only(There, lambda each: each.values_here, kwargs),
        )
        if func is torch.ops.aten.copy_.default:
            stays = isinstance(args[0], There)
            to_host = isinstance(args[1], There) and not stays
        else:
            scalar = not any(isinstance(each, torch.Tensor) for each in tree_leaves(out))
            to_host = there and (not stays or scalar or func._schema.name in ("aten::nonzero", "aten::equal"))
        self.counts[func._schema.name] += to_host
        if not stays:
            return out
        return tree_map_only(torch.Tensor, lambda each: owners[id(each)] if id(each) in owners else There(each), out)


def on_accelerator(layers: int) -> LoadedModel:
    """A tiny model of so many layers whose weights stand on an accelerator that this machine need not have."""
    loaded = loaded_tiny("llama", num_hidden_layers=layers, attn_implementation="eager")
    for module in loaded.model.modules():
        for name, tensor in module.named_parameters(recurse=False):
            module._parameters[name] = torch.nn.Parameter(There(tensor.detach()), requires_grad=False)
        for name, tensor in module.named_buffers(recurse=False):
            module._buffers[name] = There(tensor)
    return loaded


def reading(loaded: LoadedModel) -> None:
    for _ in read_subjects(loaded, PASSAGES, "mlp", write=standardize, reuse=True):
        pass


def reading_heads(loaded: LoadedModel) -> None:
    for _ in read_subjects(loaded, PASSAGES, "heads", write=copied):
        pass


def calibrating(signals: str) -> Callable[[LoadedModel], None]:
    def run(loaded: LoadedModel) -> None:
        for _ in Calibrator(loaded, heads=True, signals=signals).subjects(PASSAGES):
            pass

    return run


def signing(loaded: LoadedModel) -> None:
    with SignatureReader(loaded, PASSAGES).reading():
        reading(loaded)


def under_an_edit(loaded: LoadedModel) -> None:
    every = tuple((layer, 1) for layer in range(loaded.model.config.num_hidden_layers))
    with editing(loaded, [Edit("mlp", every, gain=0.5)]):
        reading(loaded)


@pytest.mark.parametrize(
    "work",
    [
        reading,
        reading_heads,
        calibrating("none"),
        calibrating("inputs"),
        calibrating("published"),
        signing,
        under_an_edit,
    ],
    ids=["atlas", "heads", "moments", "networks", "fn", "signatures", "edited"],
)
def test_one_look_at_the_host_per_passage_however_many_layers(work):
    for layers in (2, 5):
        loaded = on_accelerator(layers)
        with torch.no_grad(), Counting() as bare:
            for passage in PASSAGES:
                loaded.model.base_model(tokenize(loaded, passage).ids_T[None].to(ACCELERATOR), use_cache=False)
        with torch.no_grad(), Counting() as counting:
            work(loaded)
        assert sum(bare.counts.values()) <= len(PASSAGES)  # transformers looks at its mask
        assert counting.counts - bare.counts == {"aten::_local_scalar_dense": len(PASSAGES)}  # is all of it finite?


def test_the_count_sees_what_it_is_for():
    loaded = on_accelerator(3)
    here = torch.zeros(200)

    def to_host(values_TN, place_TN) -> None:
        copied(values_TN, place_TN)
        values_TN.cpu()
        values_TN.max().item()
        here[:1].copy_(values_TN[0, :1])

    with torch.no_grad(), Counting() as counting:
        (subject,) = read_subjects(loaded, PASSAGES[:1], "mlp", write=to_host)
    scalars = counting.counts.pop("aten::_local_scalar_dense")
    assert +counting.counts == {"aten::_to_copy": 3, "aten::copy_": 3} and 1 + 3 <= scalars <= 2 + 3
    (plain,) = read_subjects(loaded_tiny("llama", attn_implementation="eager"), PASSAGES[:1], "mlp")
    torch.testing.assert_close(subject.activations_TN.values_here, plain.activations_TN)
