"""Which local folders the pages may read models from, and the job that loads one.

Libraries of models are loaded where they are needed: they take seconds, and most of what is shown needs none.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard import owner
from fnet_core.choices import SITES, Site
from fnet_core.errors import RequestError, ran_out_of_memory
from fnet_core.jobs import Job, JobReport, Work, manager
from fnet_core.progress import Report
from fnet_core.serving import named_roots

if TYPE_CHECKING:
    from fnet_core.models.cards import ModelCard

KIND = "load"
STAGES = {
    "downloading": 10.0,
    "unpacking": 1.0,
    "reading the GGUF file": 20.0,
    "converting": 5.0,
    "saving": 2.0,
    "checking": 1.0,
    "loading": 3.0,
}
"""Relative lengths of the stages of a first load, for the time left."""


def roots() -> tuple[Path, ...]:
    """The folders that whoever started the server named; its own models and exports are allowed beside them."""
    return named_roots()


@st.cache_data(ttl=30, show_spinner="Reading what is on this machine")
def cards() -> list[ModelCard]:
    """The starters and the models in the cache folder; may be half a minute old."""
    from fnet_core.models.cards import available

    return available()


@st.cache_data(ttl=60, max_entries=32, show_spinner="Checking the model")
def card_of(name: str, allowed: tuple[Path, ...]) -> ModelCard:
    """The card of any model; `RequestError` if it is unknown, unsupported or outside the allowed folders."""
    from fnet_core.models.cards import peek

    return peek(name, roots=allowed)


def folder_of(name: str) -> Path:
    """Where the model that was saved under this name is."""
    from fnet_core.models.saving import destination

    return destination(name, roots())[1]


def sites(name: str | None) -> tuple[Site, ...]:
    """The sites that the model of this name has; all of them while its configuration is not on this machine."""
    from fnet_core.models.structure import family_of

    config = next((card.config for card in cards() if card.name == name), None)
    if config is None and name and Path(name).expanduser().is_dir():
        with suppress(RequestError):
            config = card_of(name, roots()).config
    return family_of(config).sites if config else tuple(SITES)


def device() -> str:
    """The queue that computations wait in."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def freeing(work: Work) -> Work:
    """The work, which lets go of all models where it runs out of memory, so that the next has room."""

    def freed(report: JobReport) -> Any:
        try:
            return work(report)
        except BaseException as error:
            if ran_out_of_memory(error):
                from fnet_core.models.loading import release_loaded

                release_loaded()
            raise

    return freed


def submit_load(name: str, accept_licence: bool) -> Job:
    """Fetch, convert and load a model in the background; the result is the name."""
    allowed = roots()

    def work(report: Report) -> str:
        from fnet_core.models.loading import get_loaded

        get_loaded(name, accept_licence=accept_licence, roots=allowed, report=report)
        return name

    return manager().submit(
        KIND, name, freeing(work), label=f"Loading {name}", device=device(), stages=STAGES, owner=owner.current()
    )
