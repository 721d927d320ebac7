"""How a program begins: no searches for cycles while libraries load, and Python's own after that."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = """
import gc, weakref
from fnet_core import starting
searches = []
gc.callbacks.append(lambda phase, _: searches.append(phase))
before = gc.get_threshold()
starting.begin()
starting.begin()
made = [[] for _ in range(starting.OBJECTS_OF_LIBRARIES // 2)]
assert not searches, "searched while libraries load"
class Knot: pass
made += [[] for _ in range(starting.OBJECTS_OF_LIBRARIES)]
assert searches, "never searched"
assert gc.get_threshold() == before
knot = Knot()
knot.itself, seen = knot, weakref.ref(knot)
del knot
made += [[] for _ in range(2 * before[0])]
assert seen() is None, "cycles stay"
assert starting._first_search not in gc.callbacks
"""


def test_libraries_are_not_searched_while_they_load_and_cycles_are_freed_after_that():
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, check=True)
