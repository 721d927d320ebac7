"""A library whose parts import each other is loaded whole by the first thread that asks, and the others wait."""

import subprocess
import sys
import threading
from importlib import import_module

import pytest

from dashboard.serving.whole import PARTS, Whole


@pytest.fixture
def lazy_library(tmp_path, monkeypatch):
    """A package that is slow, and puts a module in its place that gives a name out of a part when asked for it."""
    package = tmp_path / "lazylibrary"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import sys, time\n"
        "from importlib import import_module\n"
        "from types import ModuleType\n"
        "class Lazy(ModuleType):\n"
        "    def __getattr__(self, name):\n"
        "        return getattr(import_module('lazylibrary.part'), name)\n"
        "time.sleep(0.3)\n"
        "lazy = Lazy(__name__)\n"
        "lazy.__spec__, lazy.__path__ = __spec__, __path__\n"
        "sys.modules[__name__] = lazy\n"
    )
    (package / "part.py").write_text("import time, events\ntime.sleep(0.3)\nTHING = 1\nevents.said.append('loaded')\n")
    (tmp_path / "events.py").write_text("said = []\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [Whole({"lazylibrary": ("lazylibrary.part",)}), *sys.meta_path])
    yield import_module("events").said
    for name in ("lazylibrary", "lazylibrary.part", "events"):
        sys.modules.pop(name, None)


def test_who_asks_second_waits_until_all_parts_are_there(lazy_library):
    def ask(number: int) -> None:
        from lazylibrary import THING

        lazy_library.append((number, sys.modules["lazylibrary.part"].__dict__.get("THING"), THING))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lazy_library[0] == "loaded" and lazy_library.count("loaded") == 1
    assert sorted(lazy_library[1:]) == [(number, 1, 1) for number in range(4)]


def test_threads_that_begin_at_different_parts_of_the_core_all_get_what_they_asked_for():
    starts = ["models.tokenizers", "models.structure", "capability.lesions", "networks.finding", "models.memory"]
    program = (
        "import threading; from importlib import import_module; from dashboard.serving import whole\n"
        "whole.load_whole(); failed = []; together = threading.Barrier(5)\n"
        "def ask(name):\n"
        "    together.wait()\n"
        "    try: import_module('fnet_core.' + name)\n"
        "    except Exception as error: failed.append(repr(error))\n"
        f"threads = [threading.Thread(target=ask, args=(name,)) for name in {starts}]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; print(failed)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_parts_exist():
    assert all(import_module(part) for parts in PARTS.values() for part in parts)
