"""Where two models part in a text: how far their predictions of each token lie apart.

The Jensen-Shannon divergence of their next-token distributions, in bits: 0 where they predict alike, 1 where they share
nothing. Both must read the text as the same tokens. Shape legend: T tokens of a passage, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from torch import Tensor

from fnet_core.activations.fitting import fitted, reader_of
from fnet_core.activations.reading import tokenize
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent
from fnet_core.texts import Passage


@dataclass(frozen=True, eq=False)
class Parting:
    """One passage, and how far apart the two models' predictions of its tokens are."""

    passage: Passage
    offsets_T2: np.ndarray
    """int64: start and end character of each token."""
    bits_T: np.ndarray
    """float64, 0 to 1: the divergence of the predictions of each token; NaN for one that nothing stands before."""

    @property
    def mean(self) -> float:
        """The mean over tokens."""
        return float(np.nanmean(self.bits_T))

    def furthest(self, count: int) -> list[tuple[str, float]]:
        """The tokens whose predictions lie furthest apart, with their divergence."""
        order = np.argsort(-np.nan_to_num(self.bits_T, nan=-1.0), kind="stable")[:count]
        return [(self.passage.text[slice(*self.offsets_T2[t])], float(self.bits_T[t])) for t in order]


@torch.no_grad()
def parting(
    a: LoadedModel, b: LoadedModel, passages: Sequence[Passage], report: Report = silent
) -> tuple[Parting, ...]:
    """Where two loaded models part, the passage where they part most first; `report` gets the stage "reading".

    RequestError for models whose tokenizers read a passage as other tokens.
    """
    found = []
    read = fitted(passages, [reader_of(a), reader_of(b)], context_only=True).passages
    for number, passage in enumerate(read):
        report("reading", number / len(read))
        tokens, others = tokenize(a, passage), tokenize(b, passage)
        if not torch.equal(tokens.ids_T, others.ids_T):
            raise RequestError(
                f"{a.name} and {b.name} read '{passage.name}' as other tokens, so their predictions cannot be held "
                "against each other; compare their networks instead."
            )
        bits_T = np.full(len(tokens.ids_T), np.nan)
        bits_T[1:] = divergence(*(_log_predictions(model, tokens.ids_T) for model in (a, b)))[:-1]
        found.append(Parting(passage, tokens.offsets_T2[tokens.text_T].numpy(), bits_T[tokens.text_T.numpy()]))
    report("reading", 1.0)
    return tuple(sorted(found, key=lambda each: -each.mean))


def _log_predictions(loaded: LoadedModel, ids_T: Tensor) -> Tensor:
    ids = ids_T[None].to(main_device(loaded.model))
    return loaded.model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(dim=-1).cpu()


def divergence(one_TV: Tensor, other_TV: Tensor) -> np.ndarray:
    """Jensen-Shannon divergence in bits of distributions given by log probabilities, (T,) float64.

    Of vocabularies of two sizes the longer one's last entries, which no tokenizer gives, are left out.
    """
    size = min(one_TV.shape[1], other_TV.shape[1])
    one_TV, other_TV = (each[:, :size].double().log_softmax(dim=-1) for each in (one_TV, other_TV))
    middle_TV = torch.logaddexp(one_TV, other_TV) - log(2)
    nats_2T = torch.stack([(each.exp() * (each - middle_TV)).nan_to_num().sum(dim=-1) for each in (one_TV, other_TV)])
    return (nats_2T.mean(dim=0) / log(2)).clamp(0, 1).numpy()
