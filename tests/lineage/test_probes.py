"""Secret probes: text and seed decide them, a file tells none of their words, and other seeds are refused."""

from dataclasses import replace

import numpy as np
import pytest
from support.fingerprints import hand_reference
from support.loading import loaded_tiny
from support.taking import LONG, take

from fnet_core import texts
from fnet_core.cli import main
from fnet_core.errors import RequestError
from fnet_core.lineage.comparable import check_comparable
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.probes import dots, draw
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.trained_apart import independence_of_any

OWNED = "\n\n".join(passage.text for passage in texts.bundled("find")[:10])
WIDE = LONG | {"intermediate_size": 64}


def taken(seed="seven grey geese", text=OWNED, **changes):
    drawn = draw(text, seed)
    asked = {"find": drawn.find, "score": drawn.score, "secret": drawn.secret}
    return take(loaded_tiny(**WIDE | changes), **asked)


@pytest.fixture(scope="module")
def secret():
    return taken()


def test_text_and_seed_decide_and_nothing_is_read_twice():
    drawn, again, other = draw(OWNED, "one"), draw(OWNED, "one"), draw(OWNED, "two")
    assert drawn == again and drawn.secret.text == other.secret.text and drawn.secret.seed != other.secret.seed
    assert [p.text for p in drawn.find] != [p.text for p in other.find]
    read = [passage.text for passage in (*drawn.find, *drawn.score)]
    assert len(set(read)) == len(read) and len(drawn.find) == len(drawn.score) and all(text in OWNED for text in read)
    elsewhere = draw(OWNED + " More of it.", "one").secret
    assert elsewhere.text != drawn.secret.text and elsewhere.seed != drawn.secret.seed


@pytest.mark.parametrize(
    ("text", "seed", "sentence"), [(OWNED, " ", "need a seed"), ("Too short.", "x", "8 are needed")]
)
def test_no_seed_and_too_short_a_text_are_refused(text, seed, sentence):
    with pytest.raises(RequestError, match=sentence):
        draw(text, seed)


def test_the_file_holds_no_word_of_the_probes_nor_the_seed(secret, tmp_path):
    path = tmp_path / "f.safetensors"
    secret.save(path)
    content = path.read_bytes()
    drawn = draw(OWNED, "seven grey geese")
    for passage in (*drawn.find, *drawn.score):
        for word in {word for word in passage.text.split() if len(word) > 7}:
            assert word.encode() not in content, word
    assert b"grey geese" not in content and drawn.secret.seed.encode() in content
    loaded = Fingerprint.load(path)
    assert loaded.is_secret and loaded.content_digest() == secret.content_digest()
    assert [len(p.text) for p in loaded.passages] == [len(p.text) for p in drawn.score]
    assert loaded.labels[0] == "network 0" and loaded.recipe["texts"][0][0].startswith("secret ")


def test_secret_and_open_fingerprints_of_the_same_passages_agree_alike(secret):
    drawn = draw(OWNED, "seven grey geese")
    other = taken(seed="seven grey geese", num_hidden_layers=2)
    shown = [
        take(loaded_tiny(**WIDE | more), find=drawn.find, score=drawn.score) for more in ({}, {"num_hidden_layers": 2})
    ]
    hidden, plain = compare(secret, other), compare(*shown)
    assert hidden.score == pytest.approx(plain.score, abs=2e-3) and hidden.score != hidden.plain_score
    assert hidden.independence.p == plain.independence.p
    assert "The probes are secret." in hidden.verdict.decisive
    assert hidden.summary()["secret_probes"] and not plain.summary()["secret_probes"]


def test_other_seeds_texts_and_public_probes_are_refused_in_a_sentence(secret):
    drawn = draw(OWNED, "seven grey geese")
    plain = take(loaded_tiny(**WIDE), find=drawn.find, score=drawn.score)
    for other, sentence in (
        (taken(seed="another"), "secret probes of two seeds"),
        (taken(text=OWNED + " More."), "secret probes of two texts"),
        (plain, "on secret probes and tiny-llama on others"),
    ):
        for pair in ((secret, other), (other, secret)):
            with pytest.raises(RequestError, match=sentence):
                check_comparable(*pair)
            with pytest.raises(RequestError, match=sentence):
                independence_of_any(*pair, [])
    with pytest.raises(RequestError, match="does not hold its passages"):
        independence_of_any(secret, loaded_tiny(**WIDE), [])


def test_as_many_secret_probes_are_judged_by_the_pairs_of_the_public_ones(secret):
    assert secret.reference_digest == secret.protocol_digest  # five passages are not as many as the public ones
    full = replace(secret, recipe=secret.recipe | {"protocol": secret.protocol | {"passages": [24, 24]}})
    public = FingerprintRequest("tiny", components=8, threshold=1.8).protocol()
    assert full.reference_digest != full.protocol_digest
    assert full.reference_digest == take_digest(public)
    found = compare(secret, taken(num_hidden_layers=2), reference=hand_reference(secret.reference_digest))
    assert any("measured on as many public ones" in reason for reason in found.verdict.decisive)


def take_digest(protocol):
    from fnet_core.storage.artifacts import digest

    return digest(protocol)


@pytest.mark.parametrize("change", ["word", "no surface", "seed"])
def test_a_secret_file_that_does_not_keep_to_its_form_is_refused(secret, change, tmp_path):
    path = tmp_path / "f.safetensors"
    if change == "word":
        first = replace(secret.passages[0], text="A" + dots(len(secret.passages[0].text) - 1))
        broken = replace(secret, passages=(first, *secret.passages[1:]))
    elif change == "no surface":
        broken = replace(secret, surfaces=tuple(np.full_like(each, np.nan) for each in secret.surfaces))
    else:
        told = secret.protocol["secret"] | {"seed": "seven grey geese"}
        broken = replace(secret, recipe=secret.recipe | {"protocol": secret.protocol | {"secret": told}})
    broken.save(path)
    with pytest.raises(RequestError, match="no whole fingerprint"):
        Fingerprint.load(path)


def test_the_command_line_draws_them_and_says_what_belongs_together(capsys, tmp_path):
    text = tmp_path / "mine.txt"
    text.write_text(OWNED)
    small = ["--components", "5", "--threshold", "1.5", "--text", str(text)]
    out = str(tmp_path / "f.safetensors")
    assert main.main(["fingerprint", "tiny", *small, "--probes", "geese", "--out", out]) == 0
    assert "Its probes are secret" in capsys.readouterr().out
    assert main.main(["compare", out, "tiny", *small, "--probes", "geese"]) == 0
    assert "same model: tiny and tiny" in capsys.readouterr().out
    for more, sentence in (
        (["--probes", "ducks"], "two seeds"),
        ([], "belong together"),
        (["--probes", "geese", "--find", str(text)], "take the place of --find"),
    ):
        assert main.main(["compare", out, "tiny", *small, *more]) == 2
        assert sentence in capsys.readouterr().err
