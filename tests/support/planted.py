"""Planted sources: maps and time courses made by hand, so that what must be found is known."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def sparse_maps(networks: int, neurons: int, active: int, seed: int) -> Tensor:
    """(K, N) float64: faint background, `active` neurons of each map at strengths 4 to 8, of either sign."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 0.02, (networks, neurons))
    for row in maps:
        chosen = rng.choice(neurons, active, replace=False)
        row[chosen] = rng.uniform(4, 8, active) * rng.choice([1, -1], active, p=[0.8, 0.2])
    return torch.from_numpy(maps)


def subjects_from(maps_KN: Tensor, tokens: list[int], noise: float, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Subjects (T, N) float32 that mix the maps with their own weights and noise, and their courses (T, K)."""
    rng = np.random.default_rng(seed)
    subjects, courses = [], []
    for count in tokens:
        weight = rng.uniform(0.6, 1.6, len(maps_KN))
        course = rng.laplace(size=(count, len(maps_KN))) * weight
        activity = course @ maps_KN.numpy() + rng.normal(0, noise, (count, maps_KN.shape[1]))
        baseline = rng.normal(0, 3, maps_KN.shape[1])
        subjects.append(torch.from_numpy(activity + baseline).float())
        courses.append(torch.from_numpy(course))
    return subjects, courses


def matched_correlation(a_KN: Tensor, b_KN: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Abs Pearson r of the best one-to-one matching of rows, with the rows of a and of b."""
    joint = np.corrcoef(a_KN.double().numpy(), b_KN.double().numpy())[: len(a_KN), len(a_KN) :]
    rows, columns = linear_sum_assignment(-np.abs(joint))
    return np.abs(joint[rows, columns]), rows, columns
