"""What the Prune page asks for: the values of its controls, their place in the address, and the requests they make."""

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from dashboard import model_access, selection
from fnet_core import texts
from fnet_core.choices import COMPENSATIONS, PROTECTED, PUBLISHED_COMPONENTS, PUBLISHED_THRESHOLD, SHARES
from fnet_core.errors import RequestError
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.published import CHOICES as PUBLISHED
from fnet_core.pruning.published import published_groups
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.pruning.target import Target, read_target
from fnet_core.storage import artifacts, library
from fnet_core.storage.contents import text_of

HIGHEST = 80
"""The largest ratio that the slider offers, per cent."""
THRESHOLD, TARGET = "threshold", "target"
AMOUNTS = (*SHARES, THRESHOLD, TARGET)
"""What says how much goes: a ratio of either kind, a threshold on the scores, or what is to be reached."""
CURVE_RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""The ratios that the background job measures."""
FIRST_PASSAGES = 8
"""Passages that perplexity is measured on unless more are asked for."""
CHART_METHODS = ("networks", "wanda-sp", "flap", "random")
BUNDLED, PASTE = "Bundled passages", "Pasted text"

_SHARED = {
    "prune_method": PlanRequest.method,
    "prune_percent": 20,
    "prune_compensation": PlanRequest.compensation,
    "prune_share": PlanRequest.share,
    "prune_cutoff": 3.0,
    "prune_target": "",
    "prune_first": PlanRequest.protected[0],
    "prune_last": PlanRequest.protected[1],
    "prune_even": PlanRequest.even,
    "prune_heads": PlanRequest.heads,
    "prune_seed": ScoreRequest.seed,
    "prune_published": False,
}
"""What stands in the address, with its defaults."""
_OWN = {
    "prune_components": ScoreRequest.components,
    "prune_source": BUNDLED,
    "prune_pasted": "",
    "prune_passages": FIRST_PASSAGES,
    "prune_definition": "token",
    "prune_export_form": "auto",
    "prune_methods": list(CHART_METHODS),
    "prune_fill": True,
}
_REACHED = "prune_reached"
"""The ratios that targets were found to be reached at, by what was asked."""
_READ, _VISITED, _PROBLEM = "prune_read", "prune_visited", "prune_address_problem"
_OPENED = "prune_opened"


@dataclass(frozen=True)
class PruneRequest:
    """What was asked for: how to prune which model, and what to measure it by."""

    model: str
    plan: PlanRequest
    ratios: tuple[float, ...]
    """Where the curves have points: those that the job measures, and those that the slider has been at."""
    scores: ScoreRequest
    yardstick: Yardstick
    target: Target | None = None
    """What is to be reached in place of a ratio; the plan's is the one that reaches it, or 0 until that is found."""
    reached: str = ""
    """What the ratio that reaches the target was measured or counted at, as a sentence; empty until it is found."""

    def key(self, *more: object) -> str:
        """The digest of all that decides the pruned model and its perplexity."""
        return artifacts.digest([self.plan.method, self.plan.ratio, self.plan.threshold, self.measure_key(), *more])

    @property
    def amount(self) -> str:
        """ "20 %", "threshold 3"."""
        plan = self.plan
        if self.target and not self.reached:
            return self.target.written
        return f"threshold {plan.threshold:g}" if plan.ratio is None else f"{100 * plan.ratio:.4g} %"

    def measure_key(self) -> str:
        """The digest of what all points of the curves share."""
        s = self.plan
        return artifacts.digest(
            [
                *(s.compensation, s.share, s.protected, s.even),
                self.scores_key(),
                self.yardstick.to_dict(),
            ]
        )

    def scores_key(self) -> str:
        """The digest of what the scores of all methods rest on."""
        s = self.score_request()
        return artifacts.digest([self.model, s.texts_digest, s.heads, s.seed, s.components, s.groups])

    def score_request(self) -> ScoreRequest:
        """The request for scores, of heads too where heads may go."""
        return self.scores.with_heads(self.plan.heads)


def start() -> None:
    """Fill the session with defaults and, where the address changed, with what it says."""
    state = st.session_state
    for name, value in (_SHARED | _OWN).items():
        state.setdefault(name, value)
    written = selection.current().prune
    if _READ not in state or state[_READ] != written:
        state[_READ] = written
        try:
            values = _SHARED | _parse(written or "")
        except RequestError as error:
            values = _SHARED
            state[_PROBLEM] = str(error)
        state.update(values)
    _open(selection.current().plan)


@dataclass(frozen=True)
class Opened:
    """A plan of the library whose settings the controls show."""

    key: str
    masks_digest: str
    """Tells which neurons and heads it keeps."""
    settings: str
    """The settings as the address writes them."""


def opened() -> Opened | None:
    """The plan of the library that was opened, as long as the controls ask for what it asked for."""
    return st.session_state.get(_OPENED) if selection.current().plan else None


def _open(key: str | None) -> None:
    state = st.session_state
    if key is None or (state.get(_OPENED) and state[_OPENED].key == key):
        return
    try:
        recipe, values = settings_of(text_of(library.entry_of("plan", key)))
    except RequestError as error:
        state[_PROBLEM] = str(error)
        selection.choose(plan=None)
        return
    state.update(_SHARED | values)
    state[_OPENED] = Opened(key, recipe["masks_digest"], _written())


def problem() -> str | None:
    """The sentence about a value in the address that means nothing, told once."""
    return st.session_state.pop(_PROBLEM, None)


def write() -> None:
    """Put what the controls say in the address; what is at its default is left out."""
    text = _written()
    found: Opened | None = st.session_state.get(_OPENED)
    if found and found.settings != text:
        del st.session_state[_OPENED]
        selection.choose(plan=None)
    if (text or None) != selection.current().prune:
        selection.choose(prune=text or None)
    st.session_state[_READ] = text or None


def _written() -> str:
    state = st.session_state
    return ",".join(
        f"{name.removeprefix('prune_')}:{int(value) if isinstance(value := state[name], bool) else value}"
        for name, default in _SHARED.items()
        if state[name] != default
    )


def _parse(text: str) -> dict[str, object]:
    """The values that the address names; `RequestError` for what means nothing."""
    found: dict[str, object] = {}
    for part in text.split(","):
        if not part:
            continue
        name, _, value = part.partition(":")
        key = f"prune_{name}"
        if key not in _SHARED:
            raise RequestError(f"The address asks for '{name[:40]}' on the Prune page, which has no such setting.")
        found[key] = _value(key, name, value)
    return found


def settings_of(text: str) -> tuple[dict[str, Any], dict[str, object]]:
    """Recipe and control values of a kept plan; `RequestError` if the text is no plan that the page could show."""
    try:
        recipe = json.loads(text)["recipe"]
        first, last = recipe["protected"]
        told = {name: recipe[name] for name in ("method", "ratio", "threshold", "share", "even")}
        asked = PlanRequest(**told, protected=(first, last), heads=bool(recipe["scores"]["heads"]))
        scores, masks = recipe["scores"], recipe["masks_digest"]
        seed, components = scores.get("seed", ScoreRequest.seed), scores.get("components", ScoreRequest.components)
        if not (isinstance(masks, str) and isinstance(seed, int) and isinstance(components, int)):
            raise TypeError
    except RequestError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RequestError("This is no whole plan; delete it on the Library page and keep it anew.") from error
    values: dict[str, object] = {
        "prune_method": asked.method,
        "prune_share": asked.share if asked.threshold is None else THRESHOLD,
        "prune_first": first,
        "prune_last": last,
        "prune_even": asked.even,
        "prune_heads": asked.heads,
        "prune_seed": seed,
        "prune_components": components,
    }
    if asked.method == PUBLISHED["method"] and _at_published_scale(scores):
        own = {"prune_published": True, "prune_compensation": PUBLISHED["compensation"]}
        values |= own | {"prune_components": ScoreRequest.components}
    if asked.threshold is not None:
        return recipe, values | {"prune_cutoff": float(asked.threshold)}
    percent = 100 * (asked.ratio or 0.0)
    if abs(percent - round(percent)) > 1e-9 or percent > HIGHEST:
        raise RequestError(
            f"The plan takes {percent:g} % and this page whole per cents up to {HIGHEST}; export it, and use the "
            "command line: fnet prune MODEL --ratio R."
        )
    return recipe, values | {"prune_percent": round(percent)}


def _at_published_scale(scores: dict[str, Any]) -> bool:
    """Whether scores, by their recipe, are on the text and of the networks that the switch stands for."""
    wanted = _published_scores()
    own = {"components": wanted.components, "groups": wanted.used_groups, "texts_digest": wanted.texts_digest}
    return all(scores.get(name) == value for name, value in own.items())


_SWITCHES = ("prune_even", "prune_heads", "prune_published")
_CHOICES: dict[str, Collection[str]] = {
    "prune_method": METHODS,
    "prune_compensation": COMPENSATIONS,
    "prune_share": AMOUNTS,
}


def _value(key: str, name: str, value: str) -> object:
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            listed = ", ".join(_CHOICES[key])
            raise RequestError(f"The address asks for {name} '{value[:40]}'; choose one of {listed}.")
        return value
    if key == "prune_cutoff":
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise RequestError(f"The address asks for {name} '{value[:40]}'; choose a number such as 3.")
        return number
    if key == "prune_target":
        return read_target(value).written
    most = {"prune_percent": HIGHEST, **dict.fromkeys(_SWITCHES, 1)}.get(key, 10**9 - 1)
    if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value) <= most):
        raise RequestError(f"The address asks for {name} '{value[:40]}'; choose a whole number from 0 to {most:,}.")
    return bool(int(value)) if key in _SWITCHES else int(value)


def request(model: str) -> PruneRequest:
    """What the controls ask for; `RequestError` if something in them is wrong."""
    state = st.session_state
    by_threshold, reaching = (state["prune_share"] == name for name in (THRESHOLD, TARGET))
    ratio = None if by_threshold else 0.0 if reaching else state["prune_percent"] / 100
    visited: set[float] = state.setdefault(_VISITED, set())
    if ratio is not None and not reaching:
        visited.add(ratio)
    asked = PruneRequest(
        model=model,
        plan=PlanRequest(
            method=state["prune_method"],
            ratio=ratio,
            threshold=state["prune_cutoff"] if by_threshold else None,
            compensation=state["prune_compensation"],
            share=PlanRequest.share if by_threshold or reaching else state["prune_share"],
            protected=(state["prune_first"], state["prune_last"]),
            even=state["prune_even"],
            heads=state["prune_heads"],
        ),
        ratios=tuple(sorted({*CURVE_RATIOS, *visited})),
        scores=_scores(),
        yardstick=Yardstick(texts.bundled("score")[: state["prune_passages"]], state["prune_definition"]),
        target=read_target(state["prune_target"]) if reaching and target_problem() == "" else None,
    )
    found: tuple[float, str] | None = state.get(_REACHED, {}).get(target_key(asked)) if asked.target else None
    if found is None:
        return asked
    return replace(asked, plan=replace(asked.plan, ratio=found[0]), reached=found[1])


def by_target() -> bool:
    """Whether a target says how much goes."""
    return st.session_state["prune_share"] == TARGET


def target_problem() -> str | None:
    """What is wrong with the target, as a sentence; empty where nothing is, None where none is written."""
    if not st.session_state["prune_target"].strip():
        return None
    try:
        read_target(st.session_state["prune_target"])
    except RequestError as error:
        return str(error)
    return ""


def target_key(request: PruneRequest) -> str:
    """The digest of all that decides which ratio reaches the target."""
    assert request.target is not None
    return replace(request, plan=replace(request.plan, ratio=0.0)).key("target", request.target.written)


def reach(key: str, ratio: float, sentence: str) -> None:
    """Take a ratio as the one that reaches the target of this key."""
    st.session_state.setdefault(_REACHED, {})[key] = (ratio, sentence)


def as_published() -> bool:
    """Whether the scores are those of the published criterion at the scale of its paper."""
    return st.session_state["prune_published"] and st.session_state["prune_method"] == PUBLISHED["method"]


_AS_PUBLISHED: dict[str, object] = {
    "prune_share": THRESHOLD,
    "prune_cutoff": PUBLISHED_THRESHOLD,
    "prune_compensation": PUBLISHED["compensation"],
    "prune_first": PROTECTED[0],
    "prune_last": PROTECTED[1],
    "prune_even": False,
    "prune_heads": False,
}
"""What the paper set beside the scale of its scores."""


def publish() -> None:
    """Set what the paper set where its scale was switched on, and the defaults where it was switched off."""
    on = as_published()
    st.session_state.update({name: value if on else _SHARED[name] for name, value in _AS_PUBLISHED.items()})


def choose_method() -> None:
    """The paper's scale ends with its method, for a threshold means nothing to another."""
    if st.session_state["prune_published"] and not as_published():
        st.session_state["prune_published"] = False
        publish()


def _published_scores(seed: int = ScoreRequest.seed) -> ScoreRequest:
    passages = texts.for_networks()
    return ScoreRequest(passages, seed=seed, components=PUBLISHED_COMPONENTS, groups=published_groups(len(passages)))


def _scores() -> ScoreRequest:
    state = st.session_state
    seed, components = state["prune_seed"], state["prune_components"]
    if as_published():
        return _published_scores(seed)
    pasted = state["prune_source"] == PASTE
    passages = texts.from_text(state["prune_pasted"]) if pasted else texts.bundled("find")
    groups = min(ScoreRequest.groups, len(passages))
    return ScoreRequest(passages, seed=seed, components=components, groups=groups)


def chart_methods() -> list[str]:
    """The methods whose curves are drawn: those picked, and the chosen one."""
    picked = {*st.session_state["prune_methods"], st.session_state["prune_method"]}
    return [method for method in METHODS if method in picked]


def models() -> list[str]:
    """The models on this machine, the chosen one among them."""
    names = [card.name for card in model_access.cards() if card.cached]
    chosen = selection.current().model
    return names if chosen is None or chosen in names else [chosen, *names]
