"""The passages of one atlas read by an engine's workers: each is reduced where it is read, and all are merged in order.

A worker must run the model as this machine would, so that the atlas is the same: to the bit where both round alike.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from fnet_core.activations.reading import read_subjects
from fnet_core.choices import Site
from fnet_core.decomposition.canica import Reduced, reduced, standardize
from fnet_core.engine.client import Engine
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel, get_loaded
from fnet_core.models.naming import place_of
from fnet_core.models.running import main_device, running
from fnet_core.networks.request import AtlasRequest
from fnet_core.progress import Report
from fnet_core.texts import Passage

_SAID = {"model_digest": "other weights", "device": "another device", "dtype": "other numbers"}


@dataclass(frozen=True)
class Spread:
    """Workers that read passages, and how they load the model."""

    engine: Engine
    model: str
    """The model's name as it was asked for."""
    loading: dict[str, Any] = field(default_factory=dict)

    def subjects(
        self,
        loaded: LoadedModel,
        request: AtlasRequest,
        blocks: Sequence[int],
        starts: Sequence[int],
        report: Report,
    ) -> Iterator[Reduced]:
        """What `canica` takes of each passage, in their order; `report` gets the stage "capturing" and may stop.

        RequestError where a worker cannot read the passage, or runs the model otherwise than this machine.
        """
        facts, name, device = facts_of(loaded), place_of(self.model), main_device(loaded.model)
        calls = [
            (name, facts, passage, request.site, blocks, starts, request.components, self.loading)
            for passage in request.passages
        ]
        done = 0
        found = self.engine.in_order(reduce_there, calls, go_on=lambda: report("capturing", done / len(calls)))
        with closing(found):
            for z_TN, directions, varies in found:
                done += 1
                yield Reduced(
                    torch.from_numpy(z_TN),
                    tuple(torch.from_numpy(each).to(device) for each in directions),
                    tuple(torch.from_numpy(each) for each in varies),
                )
        report("capturing", 1.0)


def facts_of(loaded: LoadedModel) -> dict[str, Any]:
    """What of a running model decides numbers."""
    recipe = running(loaded).recipe("torch", "transformers", "scikit-learn")
    return {name: recipe[name] for name in (*_SAID, "versions")}


def check_alike(name: str, here: dict[str, Any], there: dict[str, Any]) -> None:
    """RequestError that names both where a worker runs a model otherwise than the one who asked."""
    differing = [key for key in here if here[key] != there[key]]
    if not differing:
        return
    key = differing[0]
    what = _SAID.get(key, "other versions of libraries")
    raise RequestError(
        f"A worker runs {name} with {what} ({_shown(there[key])}, and here {_shown(here[key])}), so the atlas would be "
        "another; make both alike, or ask without the engine."
    )


def _shown(fact: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in fact.items()) if isinstance(fact, dict) else str(fact)[:16]


def reduce_there(
    name: str,
    facts: dict[str, Any],
    passage: Passage,
    site: Site,
    blocks: Sequence[int],
    starts: Sequence[int],
    components: int,
    loading: dict[str, Any],
    report: Report,
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """On a worker: a passage as `Reduced` has it, in numpy's arrays."""
    loaded = get_loaded(name, report=report, **loading)
    check_alike(name, facts, facts_of(loaded))
    (subject,) = read_subjects(loaded, [passage], site, report, write=standardize)
    found = reduced(subject.activations_TN, blocks, starts, components)
    return found.z_TN.numpy(), [each.numpy() for each in found.directions], [each.numpy() for each in found.varies]
