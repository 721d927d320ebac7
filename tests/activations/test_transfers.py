"""No layer makes an accelerator wait: what goes to the host is counted, per passage and not per layer."""

import copy
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from support.loading import loaded_tiny
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from fnet_core.activations.reading import copied, read_subjects
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
ACCELERATOR = torch.device("cuda", 0)
SCALARS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal")


class Transfers(TorchDispatchMode):
    """Counts what leaves the accelerator, by operation; a scalar that is read is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        tensors = [each for each in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        there = any(each.device == ACCELERATOR for each in tensors)
        if there and name in SCALARS:
            self.counts[name] += 1
            return 1
        out = func(*args, **(kwargs or {}))
        back = [each for each in torch.utils._pytree.tree_leaves(out) if isinstance(each, torch.Tensor)]
        if there and any(each.device.type == "cpu" for each in back):
            self.counts[name] += 1
        return out


def on_accelerator(layers: int) -> tuple[LoadedModel, FakeTensorMode]:
    """A tiny model of so many layers whose weights stand on an accelerator that this machine need not have."""
    loaded = loaded_tiny("llama", num_hidden_layers=layers)
    model = copy.deepcopy(loaded.model)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        for module in model.modules():
            for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                fake = torch.empty(tensor.shape, dtype=tensor.dtype, device=ACCELERATOR)
                if name in module._parameters:
                    module._parameters[name] = torch.nn.Parameter(fake, requires_grad=False)
                else:
                    module._buffers[name] = fake
    return loaded_tiny("llama", model=model), mode


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
    counts = []
    for layers in (2, 5):
        loaded, mode = on_accelerator(layers)
        with mode, Transfers() as transfers:
            work(loaded)
        counts.append(transfers.counts)
    assert counts[0] == counts[1]
    assert sum(counts[0].values()) == len(PASSAGES)  # whether the activations are finite


def test_the_count_sees_what_it_is_for():
    loaded, mode = on_accelerator(3)

    def to_host(values_TN, place_TN) -> None:
        values_TN.cpu()
        values_TN.max().item()

    with mode, Transfers() as transfers:
        for _ in read_subjects(loaded, PASSAGES[:1], "mlp", write=to_host):
            pass
    assert transfers.counts == {"aten::_to_copy": 3, "aten::_local_scalar_dense": 1 + 3}
