"""Models by name, and the networks of an atlas: found again, in a text, in the tokens they promote."""

from collections.abc import Callable
from typing import Any

from fnet_core.activations.fitting import Reader, fitted, reader_at, reader_of
from fnet_core.choices import (
    DEFAULT_THRESHOLD,
)
from fnet_core.engine.client import engine_at
from fnet_core.errors import RequestError
from fnet_core.given import Model, Texts, loaded_of, name_of, passages
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


def load(name: str, *, accept_licence: bool = False, report: Report = silent) -> LoadedModel:
    """The named model, ready to run; the two used last stay loaded. RequestError says why one cannot be.

    >>> import fnet_core as fn
    >>> model = fn.load("tiny")
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

    >>> import fnet_core as fn
    >>> atlas = fn.find_atlas("tiny", components=4)
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

    >>> import fnet_core as fn
    >>> found = fn.recur("tiny", components=4)
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

    >>> import fnet_core as fn
    >>> heard = fn.listen("tiny", fn.find_atlas("tiny", components=4), "The rain fell. The sun came out.")
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

    >>> import fnet_core as fn
    >>> found = fn.direct_effect("tiny", fn.find_atlas("tiny", components=4), threshold=2.0)
    >>> len(found.table(0)), found.random_KM2.shape[1]
    (20, 10)
    """
    return direct.direct_effect(loaded_of(model, report), atlas, threshold, seed, report)


def _reader(model: Model, report: Report) -> Reader:
    return reader_at(loading.resolve(model, report=report)) if isinstance(model, str) else reader_of(model)
