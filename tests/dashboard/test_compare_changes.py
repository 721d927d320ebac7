"""Signed files, secret probes and what changed, on the Compare page."""

from support.compare_page import FAR, NEAR, A, keep, opened, shown, upload
from support.pages import page, said
from support.pressing import press_for_job
from support.tiny_models import save_tiny

from dashboard import fingerprints as compare_fingerprints
from fnet_core.derivation.derive import derive
from fnet_core.lineage.fingerprint import KIND
from fnet_core.lineage.signing import new_key
from fnet_core.storage import artifacts


def test_who_signed_a_file_is_said_and_a_broken_signature_is_refused(tmp_path, with_reference):
    path = tmp_path / "copy.safetensors"
    signed = NEAR.signed(new_key())
    signed.save(path)
    at = upload(page("compare", a=keep(A)[0]), "b", "copy.safetensors", path.read_bytes())
    at.button(key="compare_run").click().run()
    assert not at.exception and f"Signed by the key {signed.signature.signer}" in said(at)
    assert f"A: not signed. B: signed by the key {signed.signature.signer}" in said(at)
    arrays, header = artifacts.load_artifact(path, KIND, 3)
    header["signature"]["made"] = "2020-01-01T00:00:00Z"
    artifacts.save_artifact(path, KIND, arrays, header, 3)
    at = upload(page("compare", a=keep(A)[0]), "b", "sent.safetensors", path.read_bytes())
    assert len(at.error) == 1 and "The signature of sent.safetensors is broken" in at.error[0].value


def test_secret_probes_have_to_be_given_whole():
    at = page("compare", a="tiny", b="tiny")
    at.selectbox(key="compare_source").select("Secret probes").run()
    assert len(at.error) == 1 and "no text to draw secret probes from" in at.error[0].value
    at.file_uploader(key="compare_text_secret").upload("mine.txt", b"A sentence of some words. " * 500)
    at.run()
    assert len(at.error) == 1 and "need a seed" in at.error[0].value
    at.text_input(key="compare_seed").set_value("geese").run()
    assert not at.error and not at.button(key="compare_run").disabled and "secret probes" in said(at)


def test_where_two_models_part_is_read_and_coloured():
    save_tiny(artifacts.home() / "models" / "other", "llama", seed=4, max_position_embeddings=2048)
    derive("tiny", "noise:0.4", artifacts.home() / "models" / "noisy")
    pair = compare_fingerprints.pair(*keep(A, NEAR))
    at = opened(page("compare", a="tiny", b="noisy", compared=pair), "What changed")
    job = press_for_job(at, "compare_parting_run", 120)
    assert job.state == "done", job.error
    at.run()
    assert not at.exception and "bits a token" in at.selectbox(key="compare_parting_passage").options[0]
    assert any(' bits"' in element.value for element in at.html)
    at = opened(page("compare", a="tiny", b="other", compared=pair), "What changed")
    job = press_for_job(at, "compare_parting_run", 120)
    assert job.state == "failed" and "as other tokens" in job.error


def test_what_changed_is_said_from_two_files():
    at = opened(shown(A, FAR), "What changed")
    assert "networks of base, other has lost" in said(at) and "takes both models" in said(at)
    assert set(at.dataframe[0].value["what"]) <= {"lost", "gained", "changed"}
