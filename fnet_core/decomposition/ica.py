"""Batched symmetric FastICA: tensors in, tensors out.

Shape legend: B independent problems, R restarts of each, K components, N samples (neurons, here).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fnet_core.choices import CONTRASTS, Contrast
from fnet_core.decomposition.moments import FourthMoments, fewer_operations
from fnet_core.decomposition.products import eigenvectors

Step = Callable[[Tensor, Tensor], Tensor]
"""Called with the numbers of the problems, (B,), and their rows, (B, R, K, K); returns the updated rows."""

EXACT_ITERATIONS = 10
"""Iterations that a restart may take in float64 after those in float32; one or two are enough where it converges."""

DAMPED_AFTER, STEP = 40, 0.7
"""Updates after which a damped restart goes only so far of the way to where the next one points. A restart that has not
converged by then mostly swings between two points (docs/log.md); half the way could meet itself on the way back."""

_CHUNK_ELEMENTS = 1 << 19
"""Samples are visited in chunks of about this many source values, so that they stay in the cache."""


@dataclass(frozen=True)
class Unmixing:
    """What FastICA ends with; a restart that did not converge is reported, not hidden."""

    unmixing_BRKK: Tensor
    """Orthonormal rows; sources are `unmixing @ x`."""
    iterations_BR: Tensor
    change_BR: Tensor
    """Largest rotation of any component in the last iteration, 1 - abs(cosine)."""
    converged_BR: Tensor


def contrast_terms(sources: Tensor, contrast: Contrast) -> tuple[Tensor, Tensor]:
    """The contrast's derivative g and its second derivative g' at the sources, same shape.

    Source: Hyvärinen 1999, IEEE Trans. Neural Networks 10(3), equations for g1 to g3.
    """
    match contrast:
        case "cube":
            square = sources.square()
            return square * sources, square.mul_(3)
        case "logcosh":
            g = sources.tanh()
            return g, (1 - g.square())
        case "exp":
            square = sources.square()
            bell = square.mul(-0.5).exp_()
            return sources * bell, square.neg_().add_(1).mul_(bell)
        case _:
            raise ValueError(f"Contrast '{contrast}' is unknown; choose one of {', '.join(CONTRASTS)}.")


def decorrelate(w: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows, (W W^T)^(-1/2) W, for any leading dimensions; computed in float64."""
    exact = w.double()
    values, vectors = eigenvectors(exact @ exact.mT)
    scale = values.clamp_min(torch.finfo(exact.dtype).tiny).rsqrt()
    return ((vectors * scale.unsqueeze(-2)) @ vectors.mT @ exact).to(w.dtype)


def random_starts(batch: int, restarts: int, components: int, seed: int) -> Tensor:
    """Random orthonormal starting points, (B, R, K, K) float64, from a generator of their own."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(batch, restarts, components, components, generator=generator, dtype=torch.float64)
    return decorrelate(normal)


def whiten(data_BKN: Tensor) -> Tensor:
    """Centre each row over samples and decorrelate the rows to unit variance, (B, K, N) in and out.

    Raises ValueError when the rows are linearly dependent, since no rotation can separate them.
    """
    centred = data_BKN - data_BKN.mean(dim=-1, keepdim=True)
    values, vectors = eigenvectors(centred @ centred.mT / data_BKN.shape[-1])
    if (values[..., 0] <= values[..., -1] * 1e-12).any():
        raise ValueError("The rows to whiten are linearly dependent; ask for fewer components.")
    return (vectors * values.rsqrt().unsqueeze(-2)) @ vectors.mT @ centred


def _step(x_BKN: Tensor, w_BRKK: Tensor, contrast: Contrast) -> Tensor:
    """One fixed-point update before decorrelation: E[g(Wx) x^T] - diag(E[g'(Wx)]) W; cubic, E[g'] is 3 for white x."""
    batch, restarts, components, _ = w_BRKK.shape
    rows = restarts * components
    samples = x_BKN.shape[-1]
    w_flat = w_BRKK.reshape(batch, rows, components)
    outer = torch.zeros_like(w_flat)
    slope = w_flat.new_full((batch, rows), 3.0 * samples if contrast == "cube" else 0.0)
    width = max(256, math.ceil(_CHUNK_ELEMENTS / (batch * rows)))
    for start in range(0, samples, width):
        x = x_BKN[..., start : start + width]
        sources = w_flat @ x
        if contrast == "cube":
            g = sources.square().mul_(sources)
        else:
            g, g_prime = contrast_terms(sources, contrast)
            slope += g_prime.sum(dim=-1)
        outer.baddbmm_(g, x.mT)
    update = (outer - slope.unsqueeze(-1) * w_flat) / samples
    return update.reshape(w_BRKK.shape)


def fastica(
    x_BKN: Tensor,
    start_BRKK: Tensor,
    contrast: Contrast = "cube",
    tolerance: float = 1e-4,
    max_iterations: int = 200,
    on_iteration=lambda iteration: None,
    damped: bool = False,
) -> Unmixing:
    """Symmetric FastICA on white data, every restart of every problem in one batch.

    `x_BKN` is white over N (see `whiten`), `start_BRKK` gives the starting rows. A restart stops when no
    component turns by more than `tolerance` (1 - abs(cosine)); converged restarts leave the batch. Data in float64 are
    separated in float32 first, at half the cost, and end with at most `EXACT_ITERATIONS` in float64, where convergence
    is judged. With the cubic contrast the updates in float32 come from the fourth moments where that is less work.
    `on_iteration` may raise to stop. `damped` shortens the steps of restarts that take long, so that fewer of them end
    without having converged. Source: Hyvärinen 1999, and his FastICA package for shorter steps; the stopping rule is
    scikit-learn's.
    """
    w = decorrelate(start_BRKK.to(x_BKN, copy=True))
    rough_iterations = max_iterations - EXACT_ITERATIONS
    from_data = _from_data(x_BKN, contrast)
    if x_BKN.dtype != torch.float64 or rough_iterations <= 0:
        return _iterated(from_data, w, tolerance, max_iterations, on_iteration, DAMPED_AFTER if damped else None)
    components, samples = x_BKN.shape[1:]
    rough_step: Step
    if contrast == "cube" and fewer_operations(components, samples, w.shape[1]):
        rough_step = FourthMoments(x_BKN.float()).step
    else:
        rough_step = _from_data(x_BKN.float(), contrast)
    damped_after = DAMPED_AFTER if damped else None
    rough = _iterated(rough_step, w.float(), tolerance, rough_iterations, on_iteration, damped_after)
    spent = int(rough.iterations_BR.max())
    exact = _iterated(
        from_data,
        decorrelate(rough.unmixing_BRKK.double()),
        tolerance,
        EXACT_ITERATIONS,
        lambda iteration: on_iteration(spent + iteration),
        0 if damped else None,
    )
    return replace(exact, iterations_BR=rough.iterations_BR + exact.iterations_BR)


def _from_data(x_BKN: Tensor, contrast: Contrast) -> Step:
    held, theirs_BKN = torch.arange(len(x_BKN)), x_BKN

    def step(problems: Tensor, w_BRKK: Tensor) -> Tensor:
        nonlocal held, theirs_BKN
        if not torch.equal(problems, held):  # gathered anew only when a problem has left
            held, theirs_BKN = problems, x_BKN if len(problems) == len(x_BKN) else x_BKN[problems]
        return _step(theirs_BKN, w_BRKK, contrast)

    return step


def _iterated(
    step: Step, w: Tensor, tolerance: float, max_iterations: int, on_iteration, damped_after: int | None
) -> Unmixing:
    """Fixed-point updates from orthonormal rows, (B, R, K, K), in their precision; shorter ones after so many."""
    w = w.clone()
    batch, restarts = w.shape[:2]
    iterations = torch.zeros(batch, restarts, dtype=torch.int64)
    change = torch.full((batch, restarts), math.inf, dtype=w.dtype)
    active_B = torch.arange(batch)
    active_R = torch.arange(restarts)
    for iteration in range(max_iterations):
        on_iteration(iteration)
        block = (active_B[:, None], active_R[None, :])
        current = w[block]
        updated = decorrelate(step(active_B, current))
        along = (updated * current).sum(dim=-1)
        moved = (1 - along.abs()).abs().amax(dim=-1).cpu()
        if damped_after is not None and iteration >= damped_after:
            same_way = torch.where(along.unsqueeze(-1) < 0, -updated, updated)
            updated = decorrelate(STEP * same_way + (1 - STEP) * current)
        still = change[block] >= tolerance
        w[block] = torch.where(still.to(w.device)[..., None, None], updated, current)
        change[block] = torch.where(still, moved, change[block])
        iterations[block] += still
        open_BR = change >= tolerance
        active_B = open_BR.any(dim=1).nonzero().flatten()
        active_R = open_BR.any(dim=0).nonzero().flatten()
        if not open_BR.any():
            break
    return Unmixing(w, iterations, change, change < tolerance)
