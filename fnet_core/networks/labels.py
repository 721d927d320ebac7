"""Name a network by the words that drive it.

Shape legend: T tokens of all passages, K networks.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]|\n+")
_TOP_SHARE = 0.02
"""The share of tokens, those with the highest time course, whose words may name a network."""


def words_of_tokens(text: str, offsets_T2: np.ndarray) -> list[str]:
    """The whole word or mark that each token is a part of; "line break" and "space" stand for white space."""
    owner: list[str] = [""] * len(text)
    for match in _WORD.finditer(text):
        word = "line break" if match.group().startswith("\n") else match.group()
        owner[match.start() : match.end()] = [word] * (match.end() - match.start())
    words = []
    for start, end in offsets_T2:
        inside = [word for word in owner[start:end] if word]
        words.append(inside[0] if inside else "space")
    return words


def label_networks(words: Sequence[str], courses_TK: np.ndarray, count: int = 3) -> tuple[str, ...]:
    """Per network, the `count` words that gather most of its time course's highest peaks, joined by dots.

    `words` names the word of each of the T tokens, `courses_TK` is the time course of every network. Words
    that differ in case alone count as one and appear in their more frequent form.
    """
    forms = Counter(words)
    shown: dict[str, str] = {}
    for form in sorted(forms, key=lambda form: (-forms[form], form)):
        shown.setdefault(form.casefold(), form)
    index_of = {folded: i for i, folded in enumerate(shown)}
    names = list(shown.values())
    index_T = np.array([index_of[word.casefold()] for word in words])
    top = min(len(words), max(count, int(len(words) * _TOP_SHARE)))
    labels = []
    for course_T in courses_TK.T:
        peaks = np.argpartition(course_T, -top)[-top:]
        weight = np.bincount(index_T[peaks], np.maximum(course_T[peaks], 0), minlength=len(names))
        best = [i for i in np.argsort(-weight, kind="stable")[:count] if weight[i] > 0]
        labels.append(" · ".join(names[i] for i in best) or "no positive peak")
    return tuple(labels)


def strongest_passage(courses: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Per network, the largest share of its highest peaks that one passage has, and which: (K,) float64, (K,) int64.

    `courses` has a (T, K) time course of every network for each passage; the peaks are those that label a network,
    weighted by their height.
    """
    courses_TK = np.concatenate(courses)
    passage_T = np.repeat(np.arange(len(courses)), [len(course) for course in courses])
    top = max(1, int(len(courses_TK) * _TOP_SHARE))
    weight_KS = np.zeros((courses_TK.shape[1], len(courses)))
    for weight_S, course_T in zip(weight_KS, courses_TK.T, strict=True):
        peaks = np.argpartition(course_T, -top)[-top:]
        np.add.at(weight_S, passage_T[peaks], np.maximum(course_T[peaks], 0))
    total_K = weight_KS.sum(axis=1)
    share_KS = np.divide(weight_KS, total_K[:, None], out=np.zeros_like(weight_KS), where=total_K[:, None] > 0)
    return share_KS.max(axis=1), share_KS.argmax(axis=1)
