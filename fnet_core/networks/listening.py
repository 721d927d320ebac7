"""Listening: the time courses of known networks in any text.

Shape legend: T tokens, K networks, N neurons.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from fnet_core.activations.fitting import fitted, reader_of
from fnet_core.activations.reading import Subject, read_subjects
from fnet_core.choices import MOST_CHARACTERS
from fnet_core.decomposition.canica import standardize
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.blocks import layer_blocks
from fnet_core.networks.labels import words_of_tokens
from fnet_core.progress import Report, silent
from fnet_core.texts import Passage


@dataclass(frozen=True, eq=False)
class Heard:
    """A text with the activity of every network of an atlas in it."""

    passage: Passage
    offsets_T2: np.ndarray
    """int64, start and end character of each token."""
    courses_TK: np.ndarray
    """float32, in standard deviations of each network's time course over the atlas's own text."""
    labels: tuple[str, ...]
    cut: str = ""
    """Into how many pieces the text was cut and why, as a sentence; empty where it was read whole."""

    def table(self) -> pd.DataFrame:
        """One row per network, the highest peak first: network, label, peak (standard deviations), word, token."""
        peak_K = self.courses_TK.argmax(axis=0)
        words = words_of_tokens(self.passage.text, self.offsets_T2)
        found = pd.DataFrame(
            {
                "network": np.arange(self.courses_TK.shape[1]),
                "label": self.labels,
                "peak": self.courses_TK.max(axis=0),
                "word": [words[token] for token in peak_K],
                "token": peak_K,
            }
        )
        return found.sort_values("peak", ascending=False, kind="stable").reset_index(drop=True)

    def summary(self) -> dict[str, Any]:
        """The JSON object that the command line prints: text, tokens with their characters, networks with courses."""
        return {
            "text": self.passage.text,
            "tokens": [
                {"start": start, "end": end, "text": self.passage.text[start:end]}
                for start, end in self.offsets_T2.tolist()
            ],
            "networks": [
                {
                    "id": int(row["network"]),
                    "label": row["label"],
                    "peak": float(row["peak"]),
                    "word": row["word"],
                    "course": [round(float(value), 4) for value in self.courses_TK[:, row["network"]]],
                }
                for row in self.table().to_dict("records")
            ],
        }


def listen(loaded: LoadedModel, atlas: Atlas, text: str, report: Report = silent) -> Heard:
    """Read a text and follow every network of an atlas in it.

    As in the atlas, each neuron is z-scored over the text's own tokens, so a passage of the atlas gives its own time
    courses again, and a short text shows only what changes within it. A text past the model's context is read in
    pieces, each as a passage of its own. Raises RequestError for the atlas of another model, an empty text, one of a
    single token, and one that is longer than MOST_CHARACTERS.

    >>> import fnet_core as fn
    >>> from fnet_core.networks.listening import listen
    >>> heard = listen(fn.load("tiny"), fn.find_atlas("tiny", components=4), "The rain fell. The sun came out.")
    >>> heard.courses_TK.shape[1]
    4
    """
    if atlas.recipe["model_digest"] != loaded.digest:
        raise RequestError(f"This atlas was found in another model than {loaded.name}; load the one it was found in.")
    if not text.strip():
        raise RequestError("There is no text to listen to; type a sentence.")
    if len(text) > MOST_CHARACTERS:
        raise RequestError(
            f"The text has {len(text):,} characters and at most {MOST_CHARACTERS:,} are listened to; take a part of it."
        )
    passage = Passage("your text", text, "typed")
    read = fitted((passage,), [reader_of(loaded)], context_only=True)
    courses, offsets, at = [], [], 0
    for subject in read_subjects(loaded, read.passages, atlas.site, report):
        at = text.index(subject.passage.text, at)
        courses.append(_courses(atlas, subject))
        offsets.append(at + subject.offsets_T2.numpy())
        at += len(subject.passage.text)
    scale_K = np.array([atlas.course_scale(network) for network in range(len(atlas))], dtype=np.float32)
    return Heard(passage, np.concatenate(offsets), np.concatenate(courses) / scale_K, atlas.labels, read.note)


def _courses(atlas: Atlas, subject: Subject) -> np.ndarray:
    """The time courses of an atlas's networks in one piece of text, (T, K) float32, as their maps have them."""
    z_TN = standardize(subject.activations_TN)
    courses = []
    for maps_KN, layers in zip(atlas.maps, layer_blocks(atlas.scope, atlas.layer_count), strict=True):
        start = sum(atlas.widths_L[: layers.start])
        block_TN = z_TN[:, start : start + maps_KN.shape[1]]
        inverse_NK = torch.linalg.pinv(torch.from_numpy(maps_KN).to(z_TN.device, torch.float64)).float()
        courses.append((block_TN @ inverse_NK).cpu().numpy())
    return np.concatenate(courses, axis=1)
