"""A peer that reads weights alone: singular values of products that no change of basis inside attention can touch.

Source: GhostSpec, arXiv 2511.06390, derived anew: per layer the spectra of W_q'W_k and W_o W_v, each with norm 1, put
on a grid of relative rank; layers are aligned in order of depth. Turning or permuting the residual stream or the heads'
dimensions leaves them as they are. Shape legend: L, J layers of the one model and the other, R ranks.
"""

import numpy as np
import torch
from transformers import PreTrainedModel

from fnet_core.models.modules import attention_weights, head_size, heads_per_group

RANKS = 64


@torch.no_grad()
def spectra(model: PreTrainedModel) -> np.ndarray:
    """(L, 2, R) float64, largest first; (0, 2, R) for a model whose attention weights are not known."""
    found = []
    for layer in attention_weights(model):
        size, shared = head_size(model), heads_per_group(model)
        q, k, v, o = (layer[name].double() for name in "qkvo")
        k, v = (part.reshape(-1, size, part.shape[1]).repeat_interleave(shared, 0).flatten(0, 1) for part in (k, v))
        rank = min(o.shape)
        values = [torch.linalg.svdvals(product)[:rank].numpy() for product in (q.T @ k, o @ v)]
        found.append([_resampled(each) for each in values])
    return np.array(found) if found else np.zeros((0, 2, RANKS))


def _resampled(values: np.ndarray) -> np.ndarray:
    at = np.interp(np.linspace(0, 1, RANKS), np.linspace(0, 1, len(values)), values)
    return at / np.linalg.norm(at)


def alike(a: np.ndarray, b: np.ndarray) -> float | None:
    """Minus the mean distance of aligned layers, at most 0; None where either has no spectra."""
    if not len(a) or not len(b):
        return None
    if len(a) > len(b):
        a, b = b, a
    distance_LJ = np.linalg.norm(a[:, None] - b[None], axis=-1).mean(axis=-1)
    best_J = np.zeros(len(b) + 1)
    for row in distance_LJ:  # every layer of the shallower model gets one of the deeper, in order
        reached = np.full(len(b) + 1, np.inf)
        for j in range(len(b)):
            reached[j + 1] = min(reached[j], best_J[j] + row[j])
        best_J = reached
    return -float(best_J[-1] / len(a))
