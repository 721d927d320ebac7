"""The atlas that is shown as files: its report, its bundle, and itself, all with what people say of its networks.

What makes them is loaded when one is asked for.
"""

import tempfile
from pathlib import Path

import streamlit as st

from dashboard import atlases
from fnet_core.networks.annotations import annotated
from fnet_core.networks.atlas import Atlas


def draw(key: str, threshold: float) -> None:
    """The popover with the downloads, each made when it is pressed, with what is said of networks by then."""
    atlas, under = atlases.load(key), atlases.kept_under(key)
    stem = atlases.file_stem(atlas)
    with st.popover("Save", icon=":material/download:", width="stretch"):
        st.download_button(
            "Report (HTML)",
            lambda: report(annotated(atlas, under), threshold),
            f"{stem}.html",
            "text/html",
            key="atlas_report",
            icon=":material/description:",
            width="stretch",
            on_click="ignore",
            help="One page that opens offline and can be sent to anybody: scan, table, labels and notes, contexts, "
            "time courses, what is kept of lesions and fingerprint, recipe and digests.",
        )
        st.download_button(
            "Bundle (zip)",
            lambda: bundle(annotated(atlas, under)),
            f"{stem}.fnet.zip",
            "application/zip",
            key="atlas_bundle",
            icon=":material/inventory_2:",
            width="stretch",
            on_click="ignore",
            help="Atlas, labels, lesions, fingerprint and recipe in one file: fnet replay FILE computes it again and "
            "says figure by figure whether it agrees. On the command line fnet bundle adds edits and plans.",
        )
        st.download_button(
            "Atlas with labels",
            lambda: saved(annotated(atlas, under)),
            f"{stem}.safetensors",
            "application/octet-stream",
            key="atlas_file",
            icon=":material/hub:",
            width="stretch",
            on_click="ignore",
            help="For the command line, and to be imported on the Library page of another machine.",
        )


def report(atlas: Atlas, threshold: float) -> bytes:
    """The report of an atlas, with what is kept beside it."""
    from fnet_core.reporting.atlas import report_html
    from fnet_core.reporting.stored import fingerprint_of, lesions_of

    return report_html(atlas, threshold, lesions_of(atlas), fingerprint_of(atlas)).encode()


def bundle(atlas: Atlas) -> bytes:
    """The bundle of an atlas, with what is kept beside it."""
    from fnet_core.reporting.bundle import save_bundle
    from fnet_core.reporting.replay import bundle_of
    from fnet_core.reporting.stored import fingerprint_of, lesions_of

    with tempfile.TemporaryDirectory(prefix="fnet-") as folder:
        made = bundle_of(atlas, lesions=lesions_of(atlas), fingerprint=fingerprint_of(atlas))
        save_bundle(made, Path(folder) / "bundle.zip")
        return (Path(folder) / "bundle.zip").read_bytes()


def saved(atlas: Atlas) -> bytes:
    """An atlas as a file."""
    with tempfile.TemporaryDirectory(prefix="fnet-") as folder:
        atlas.save(Path(folder) / "atlas.safetensors")
        return (Path(folder) / "atlas.safetensors").read_bytes()
