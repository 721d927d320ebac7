"""What `import fnet_core as fn` offers: one function for each thing a person does, on a model by name or loaded.

They call what the pages and the command line call and return the same frozen objects, answered from the same store.
Texts are given as "networks" (the bundled passages of an atlas), "find" (their first 24), "score", as a path to a text
file, as a text, or as several texts.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fnet_core import texts
from fnet_core.activations.fitting import Reader, fitted, reader_at, reader_of
from fnet_core.choices import (
    DEFAULT_THRESHOLD,
    PUBLISHED_COMPONENTS,
    SAMPLED_NEURONS,
    TEST_PASSAGES,
    Compensation,
    Definition,
)
from fnet_core.derivation import derive as derivations
from fnet_core.engine.client import Engine, engine_at
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.evaluation.yardstick import Yardstick, baseline_perplexity
from fnet_core.given import Model, Texts, loaded_of, name_of, passages
from fnet_core.interventions.editing import check_atlas
from fnet_core.interventions.edits import Edit, edit_networks
from fnet_core.interventions.measuring import Intervention, intervene
from fnet_core.lineage import audit as auditing
from fnet_core.lineage import changes as changing
from fnet_core.lineage import comparison, probes, subjects, trained_apart
from fnet_core.lineage import independence as testing
from fnet_core.lineage import scan as scanning
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.index import known_in
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.taking import find_fingerprint, fingerprint_of, taken_alike
from fnet_core.models import loading
from fnet_core.models.loading import LoadedModel
from fnet_core.networks import direct, finding, listening
from fnet_core.networks.annotations import annotated
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.comparing import compare_atlases
from fnet_core.networks.direct import DirectEffect
from fnet_core.networks.halves import split_half
from fnet_core.networks.listening import Heard
from fnet_core.networks.recurrence import Recurrence
from fnet_core.progress import Report, silent
from fnet_core.pruning import export as exporting
from fnet_core.pruning.masking import Pruning, prepare
from fnet_core.pruning.measuring import PruneResult, measure_pruning
from fnet_core.pruning.plan import PrunePlan, plan_for
from fnet_core.pruning.published import published_groups, published_plan
from fnet_core.pruning.reaching import reach
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.pruning.target import read_target
from fnet_core.texts import Passage


def load(name: str, *, accept_licence: bool = False, report: Report = silent) -> LoadedModel:
    """The named model, ready to run; the two used last stay loaded. RequestError says why one cannot be.

    >>> model = load("tiny")
    >>> model.family, model.layers
    ('llama', 2)
    """
    return loading.get_loaded(name, accept_licence=accept_licence, report=report)


def find_atlas(
    model: Model,
    source: Texts = "networks",
    *,
    report: Report = silent,
    publish: Callable[[Atlas], None] | None = None,
    engine: str | None = None,
    **choices: Any,
) -> Atlas:
    """The functional networks of a model; `choices` are those of `AtlasRequest`, such as site, scope, components, seed.

    `publish` is called with provisional atlases of the first passages, while the others are read. The workers of
    `engine`, tcp://HOST:PORT, or of FNET_ENGINE, read them where a model is given by name. Raises RequestError for
    choices that do not exist, texts too short for so many networks, and an engine that does not answer.

    >>> atlas = find_atlas("tiny", components=4)
    >>> len(atlas), atlas.site, atlas.layer_count
    (4, 'mlp', 2)
    """
    request = finding.AtlasRequest(name_of(model), passages(source), **choices)
    if isinstance(model, str):
        with engine_at(engine) as workers:
            return annotated(finding.find_atlas(request, report, publish=publish, engine=workers).answer)
    return annotated(finding.atlas_of(model, request, report, publish=publish).answer)


def recur(
    first: Model | Atlas,
    second: Model | Atlas | None = None,
    source: Texts = "networks",
    *,
    threshold: float = DEFAULT_THRESHOLD,
    report: Report = silent,
    **choices: Any,
) -> Recurrence:
    """Whether the networks of a model come back in two halves of the texts or, with a second model or atlas, in that.

    `choices` are those of `AtlasRequest`. Raises RequestError for fewer than four passages, an atlas alone, and two
    atlases without common neurons.

    >>> found = recur("tiny", components=4)
    >>> len(found), bool((found.correlation_K <= 1).all())
    (4, True)
    """
    if second is None:
        if isinstance(first, Atlas):
            raise RequestError("An atlas holds no text to split; give its model, or a second atlas.")
        request = finding.AtlasRequest(name_of(first), passages(source), **choices)
        return split_half(request, threshold, report)[1]
    readers = [_reader(each, report) for each in (first, second) if not isinstance(each, Atlas)]
    read = fitted(passages(source), readers).passages if len(readers) == 2 else source
    a, b = (
        each if isinstance(each, Atlas) else find_atlas(each, read, report=report, **choices)
        for each in (first, second)
    )
    return compare_atlases(a, b, threshold)


def listen(model: Model, atlas: Atlas, text: str, *, report: Report = silent) -> Heard:
    """The activity of every network of an atlas, token by token, in a text of your own.

    Raises RequestError for the atlas of another model, and a text that is empty, of one token, or too long.

    >>> heard = listen("tiny", find_atlas("tiny", components=4), "The rain fell. The sun came out.")
    >>> heard.courses_TK.shape[1], len(heard.table())
    (4, 4)
    """
    return listening.listen(loaded_of(model, report), atlas, text, report)


def direct_effect(
    model: Model, atlas: Atlas, *, threshold: float = DEFAULT_THRESHOLD, seed: int = 0, report: Report = silent
) -> DirectEffect:
    """The tokens that each network would promote and suppress if what it writes went straight to the output.

    Random neurons of the same layers stand beside them. Raises RequestError for the atlas of another model, and for a
    site that is not written to the residual stream.

    >>> found = direct_effect("tiny", find_atlas("tiny", components=4), threshold=2.0)
    >>> len(found.table(0)), found.random_KM2.shape[1]
    (20, 10)
    """
    return direct.direct_effect(loaded_of(model, report), atlas, threshold, seed, report)


def inhibit(atlas: Atlas, *networks: int, threshold: float = DEFAULT_THRESHOLD) -> Edit:
    """The edit that switches networks off: their key neurons, abs(z) above the threshold, times 0.

    Raises RequestError if they have no key neuron.

    >>> inhibit(find_atlas("tiny", components=4), 0, threshold=2.0).gain
    0.0
    """
    return edit_networks(atlas, _some(networks, "inhibit(atlas, 0, 3)"), threshold, gain=0.0)


def amplify(atlas: Atlas, *networks: int, gain: float = 1.5, threshold: float = DEFAULT_THRESHOLD) -> Edit:
    """The edit that turns networks up: their key neurons, abs(z) above the threshold, times `gain`.

    Raises RequestError if they have no key neuron, or for a gain below 0 or above 100.

    >>> amplify(find_atlas("tiny", components=4), 0, 1, threshold=2.0).name
    'networks 0, 1'
    """
    return edit_networks(atlas, _some(networks, "amplify(atlas, 0, 3, gain=1.5)"), threshold, gain=gain)


def _some(networks: tuple[int, ...], example: str) -> tuple[int, ...]:
    if not networks:
        raise RequestError(f"No network was named; name at least one, for instance {example}.")
    return networks


def measure(
    model: Model,
    edits: Edit | Sequence[Edit],
    source: Texts = "score",
    *,
    atlas: Atlas | None = None,
    controls: int = 5,
    seed: int = 0,
    report: Report = silent,
    **yardstick: Any,
) -> Intervention:
    """Perplexity untouched, under edits, and under as many random neurons, `controls` times.

    With `atlas` it is checked that the edits' networks are this model's; `yardstick` takes definition, window and
    stride. Raises RequestError for neurons that the model does not have.

    >>> edit = inhibit(find_atlas("tiny", components=4), 0, threshold=2.0)
    >>> found = measure("tiny", edit, "It rained all day, and nobody minded the rain.", controls=2)
    >>> found.edited.value != found.baseline.value, len(found.controls)
    (True, 2)
    """
    loaded = loaded_of(model, report)
    if atlas is not None:
        check_atlas(loaded, atlas)
    chosen = (edits,) if isinstance(edits, Edit) else tuple(edits)
    measured_by = Yardstick(passages(source), **yardstick)
    return intervene(loaded, chosen, measured_by, controls=controls, seed=seed, report=report)


def perplexity(
    model: Model,
    source: Texts = "score",
    *,
    definition: Definition = "token",
    window: int | None = None,
    stride: int | None = None,
    report: Report = silent,
) -> PerplexityResult:
    """How well a model predicts texts, per token, word or byte, with an interval.

    >>> perplexity("tiny", "It rained all day, and nobody minded the rain.").tokens
    45
    """
    yardstick = Yardstick(passages(source), definition, window, stride)
    return baseline_perplexity(loaded_of(model, report), yardstick, report)


def plan_pruning(
    model: Model,
    ratio: float | None = None,
    source: Texts = "find",
    *,
    components: int = 32,
    seed: int = 0,
    target: str | None = None,
    measured_on: Texts = "score",
    report: Report = silent,
    **choices: Any,
) -> PrunePlan:
    """Which neurons (and heads, or whole layers) go at a ratio, or with threshold= what scores at most so much.

    With `target` ("450MB", "100Mparams", "600tok/s", "ppl<=40" on `measured_on`) it is the plan that reaches that, and
    its `request.ratio` says at which ratio. `choices` are those of `PlanRequest`: method, threshold, share, protected,
    even, heads, compensation, folded. Raises RequestError for choices that do not exist, a ratio or a target that
    cannot be met, and text too short to score on.

    >>> plan = plan_pruning("tiny", 0.25, method="wanda-sp", protected=(0, 0))
    >>> plan.removed_neurons, plan.removed_share
    (80, 0.25)
    >>> smaller = plan_pruning("tiny", target="50Kparams", method="wanda-sp", protected=(0, 0), compensation="none")
    >>> 49_500 < smaller.parameters <= 50_000
    True
    """
    if target is not None and (ratio, choices.get("threshold")) != (None, None):
        raise RequestError("A target stands instead of a ratio and a threshold; give one of them.")
    asked = PlanRequest(ratio=0.0 if target else ratio, **choices)
    request = ScoreRequest(passages(source), asked.heads, seed, components)
    loaded = loaded_of(model, report)
    if target is None:
        return plan_for(loaded, asked, request, report)
    return reach(loaded, read_target(target), asked, request, Yardstick(passages(measured_on)), report).plan


def plan_published(
    model: Model,
    ratio: float | None = None,
    source: Texts = "networks",
    *,
    components: int = PUBLISHED_COMPONENTS,
    seed: int = 0,
    report: Report = silent,
    **choices: Any,
) -> PrunePlan:
    """Which neurons go by the published criterion as its paper ran it (arXiv 2508.05239), see `pruning.published`.

    By its threshold unless a ratio is given; other `choices` of `PlanRequest` win. Raises RequestError as
    `plan_pruning`.

    >>> plan = plan_published("tiny", 0.25, "score", components=4, protected=(0, 0))
    >>> plan.request.method, plan.request.compensation, plan.removed_share
    ('fn', 'bias-sequential', 0.25)
    """
    asked, read = published_plan(ratio, **choices), passages(source)
    request = ScoreRequest(read, asked.heads, seed, components, published_groups(len(read)))
    return plan_for(loaded_of(model, report), asked, request, report)


def prune(
    model: Model,
    plan: PrunePlan,
    source: Texts = "score",
    *,
    report: Report = silent,
    compensation: Compensation | None = None,
    calibration: Texts = "find",
    components: int | None = None,
    seed: int | None = None,
) -> PruneResult:
    """What a plan costs: perplexity before and after, with what stands in for the removed neurons.

    What stands in is the plan's compensation unless another is named, worked out on `calibration`, which must be the
    texts of the plan; `components` and `seed` are the plan's where its method has them, 32 and 0 otherwise. The model
    is not changed. Raises RequestError for other texts, components or seed than the plan was scored with, a plan of
    another model, and an unknown compensation.

    >>> plan = plan_pruning("tiny", 0.25, method="wanda-sp", protected=(0, 0))
    >>> found = prune("tiny", plan, "It rained all day, and nobody minded the rain.", compensation="bias")
    >>> round(found.effect.value, 6) == round(found.pruned.value / found.baseline.value, 6)
    True
    """
    loaded = loaded_of(model, report)
    pruning = _prepared(loaded, plan, compensation, (passages(calibration), components, seed), report)
    return measure_pruning(loaded, pruning, Yardstick(passages(source)), report)


def export(
    model: Model,
    plan: PrunePlan,
    folder: str | Path,
    *,
    result: PruneResult | None = None,
    report: Report = silent,
    compensation: Compensation | None = None,
    calibration: Texts = "find",
    components: int | None = None,
    seed: int | None = None,
) -> Path:
    """Save the pruned model as a new folder that transformers loads; with `result` its card states the perplexities.

    Raises RequestError as `prune`, for a folder that exists, and for a plan that removes nothing.

    >>> plan = plan_pruning("tiny", 0.25, method="wanda-sp", protected=(0, 0))
    >>> folder = export("tiny", plan, "smaller", compensation="none")
    >>> load(str(folder.resolve())).model.num_parameters() == plan.parameters
    True
    """
    loaded = loaded_of(model, report)
    pruning = _prepared(loaded, plan, compensation, (passages(calibration), components, seed), report)
    perplexities = {"before": result.baseline, "after": result.pruned} if result else {}
    return exporting.export(loaded, pruning, Path(folder), perplexities, report, result.yardstick if result else None)


def fingerprint(
    model: Model, *, find: Texts = "find", score: Texts = "score", report: Report = silent, **choices: Any
) -> Fingerprint:
    """A model's fingerprint, which compares without the model; `choices` are those of `FingerprintRequest`.

    Raises RequestError as `find_atlas`.

    >>> len(fingerprint("tiny", components=4, threshold=2.0))
    4
    """
    request = FingerprintRequest(name_of(model), passages(find), passages(score), **choices)
    if isinstance(model, str):
        return find_fingerprint(request, report).answer
    return fingerprint_of(model, request, report).answer


def secret_probes(text: str | Path, seed: str) -> dict[str, Any]:
    """Secret probes for `fingerprint` and `compare`: passages drawn by a seed from a text file that you keep.

    Fingerprints taken on them hold none of their words. RequestError for an empty seed and too short a text.

    >>> Path("mine.txt").write_text("Snow fell on the harbour. " * 400)
    10400
    >>> taken = fingerprint("tiny", **secret_probes("mine.txt", "seven grey geese"), components=4, threshold=2.0)
    >>> taken.is_secret, taken.passages[0].text[:12]
    (True, '····· ····· ')
    """
    drawn = probes.draw_from_file(text, seed)
    return {"find": drawn.find, "score": drawn.score, "secret": drawn.secret}


def compare(
    a: Model | Fingerprint | Path,
    b: Model | Fingerprint | Path,
    *,
    seed: int = 0,
    test: bool = True,
    report: Report = silent,
    **choices: Any,
) -> comparison.Comparison:
    """Whether one model derives from the other: of two models, fingerprints, or paths to fingerprint files.

    Without `test` it is not tested whether the two were trained apart, which takes most of the time between files.
    `choices` go to `fingerprint` for what is not one yet. Raises RequestError for fingerprints of other probes.

    >>> found = compare("tiny", load("tiny"), components=4, threshold=2.0)
    >>> found.outcome
    'same model'
    """
    sides = taken_alike([_taking(side, report, choices) for side in (a, b)])
    return comparison.compare(*sides, seed=seed, test=test, report=report)


def changes(
    a: Model | Fingerprint | Path, b: Model | Fingerprint | Path, *, report: Report = silent, **choices: Any
) -> changing.Changes:
    """What changed between two related models: networks lost, gained and changed, and how far each layer moved.

    Sides and `choices` are those of `compare`, and so are its refusals.

    >>> changes("tiny", "tiny", components=4, threshold=2.0).lost
    ()
    """
    return changing.changes_of(compare(a, b, report=report, **choices))


def audit(
    *models: Model | Fingerprint | Path,
    seed: int = 0,
    test: bool = True,
    engine: str | None = None,
    report: Report = silent,
    **choices: Any,
) -> auditing.Audit:
    """Many models against each other: every pair's verdict, p-values corrected for all pairs, families in words.

    Models, fingerprints, paths to fingerprint files, and folders that hold models or files, in any mixture; each is
    fingerprinted once, with `choices` as in `fingerprint`. The workers of `engine`, tcp://HOST:PORT, or of FNET_ENGINE,
    take the fingerprints of models by name and compare the pairs. A model that cannot be read is a failure in the
    result. Raises RequestError where fewer than two can, and for an engine that does not answer.

    >>> found = audit("tiny", load("tiny"), components=4, threshold=2.0)
    >>> found.pair(0, 1).outcome, len(found.families)
    ('same model', 1)
    """
    with engine_at(engine) as workers:
        taken = _taken(subjects.spread(models), seed, test, report, choices, workers)
        return auditing.audit(taken, seed=seed, test=test, engine=workers, report=report)


def scan(
    model: Model | Fingerprint | Path,
    against: str | Path | Sequence[Fingerprint | Path],
    *,
    seed: int = 0,
    test: bool = True,
    nearest: int | None = None,
    engine: str | None = None,
    report: Report = silent,
    **choices: Any,
) -> scanning.Scan:
    """Which of many known fingerprints could be a model's parent: a set with stated coverage, "none" included.

    `against` is a folder with fingerprint files, or several fingerprints or files; `choices` are those of
    `fingerprint`, and `engine` is that of `audit`. With `nearest` only so many are compared, which a short vector puts
    first. Raises RequestError where there is none.

    >>> known = fingerprint("tiny", components=4, threshold=2.0)
    >>> scan("tiny", [known], components=4, threshold=2.0).possible
    ('tiny',)
    """
    with engine_at(engine) as workers:
        taken = _taken([model], seed, test, report, choices, workers)
        subjects.check_enough(taken, 1)
        if isinstance(against, str | Path):
            known = known_in(against, vectors=nearest is not None, report=report)
        else:
            known = _taken(list(against), seed, test, silent, choices)
        return scanning.scan(
            taken.subjects[0], known, seed=seed, test=test, nearest=nearest, engine=workers, report=report
        )


def independence(
    a: Model | Fingerprint | Path,
    b: Model | Fingerprint | Path,
    source: Texts | None = None,
    *,
    neurons: int = SAMPLED_NEURONS,
    seed: int = 0,
    report: Report = silent,
) -> testing.Independence:
    """Whether two models were trained apart, with a p-value, and which layer of the one matches which of the other.

    Fingerprints, or paths to their files, do in place of models. It reads the first bundled passages of "score" unless
    `source` says otherwise; a fingerprint brings its own. Raises RequestError for mixtures of experts, for a model with
    gated MLPs and one without, for fewer than 24 neurons, and for fingerprints from before they held neurons.

    >>> found = independence("tiny", "tiny")
    >>> found.matched_J.tolist(), found.layers_in_words
    ([0, 1], ['Layers 0 and 1 of B match layers 0 and 1 of A.'])
    """
    first, second = (
        loaded_of(side, report) if isinstance(side, str | LoadedModel) else side for side in (_given(a), _given(b))
    )
    read = texts.bundled("score")[:TEST_PASSAGES] if source is None else passages(source)
    return trained_apart.independence_of_any(first, second, read, neurons=neurons, seed=seed, report=report)


def derive(
    model: Model, how: str, folder: str | Path, *, seed: int = 0, report: Report = silent
) -> derivations.Derived:
    """Save a model that comes from another, to test `compare` with; `how` is a way such as "noise:0.1" or "finetune".

    Raises RequestError for an unknown way, which lists those there are, and a folder that exists.

    >>> derive("tiny", "noise:0.1", "noisy").how
    'noise:0.1'
    """
    return derivations.derive(name_of(model), how, Path(folder), seed=seed, report=report)


def _taken(
    given: Sequence[Any], seed: int, test: bool, report: Report, choices: dict[str, Any], engine: Engine | None = None
) -> subjects.Taken:
    """The fingerprints of models, fingerprints and files, those that cannot be read apart."""
    texts_of = {name: passages(choices.get(name, name)) for name in ("find", "score")}
    request = FingerprintRequest("", **{"seed": seed} | choices | texts_of)
    return subjects.take(given, request, report, test=test, engine=engine)


def _reader(model: Model, report: Report) -> Reader:
    return reader_at(loading.resolve(model, report=report)) if isinstance(model, str) else reader_of(model)


def _prepared(
    loaded: LoadedModel,
    plan: PrunePlan,
    compensation: Compensation | None,
    read: tuple[tuple[Passage, ...], int | None, int | None],
    report: Report,
) -> Pruning:
    """What stands in for removed neurons, from the passages, components and seed that the plan was scored with."""
    given, components, seed = read
    compensation = compensation or plan.request.compensation
    scored = plan.scores
    request = ScoreRequest(
        given,
        scored["heads"],
        scored.get("seed", 0) if seed is None else seed,
        scored.get("components", 32) if components is None else components,
    ).fitted(loaded)
    for name, value, option in (
        ("texts_digest", request.texts_digest, "calibration"),
        ("components", request.components, "components"),
        ("seed", request.seed, "seed"),
    ):
        if compensation != "none" and scored.get(name, value) != value:
            raise RequestError(
                f"The plan was scored with another {option}; give the one that plan_pruning had as {option}=."
            )
    return prepare(loaded, plan, compensation, request, report)


def _given(side: Model | Fingerprint | Path) -> Model | Fingerprint:
    """A side with the file read that it names, if it names one."""
    if isinstance(side, Path) or (isinstance(side, str) and side.endswith(".safetensors")):
        return Fingerprint.load(Path(side))
    return side


def _taking(
    side: Model | Fingerprint | Path, report: Report, choices: dict[str, Any]
) -> Fingerprint | Callable[[int], Fingerprint]:
    """A fingerprint, or what takes one, given the longest stretch of text to read at once."""
    given = _given(side)
    if isinstance(given, Fingerprint):
        return given
    return lambda span: fingerprint(given, report=report, **(choices | {"span": span}))
