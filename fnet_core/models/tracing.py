"""One forward pass followed without weights: which module's output is added to the stream, and what it was made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

_SUMS = {"add", "add_", "__add__", "__radd__", "__iadd__"}
_SAME = {
    "view", "view_as", "reshape", "to", "type", "type_as", "float", "half", "bfloat16", "clone", "contiguous",
    "dropout", "squeeze", "unsqueeze", "flatten",
}  # fmt: skip
_MIXING = {"scaled_dot_product_attention", "softmax"}
MIXED = "mixed over tokens"
"""The mark of what an attention's softmax has made, until a projection reads it."""


class Value:
    """One tensor: the two that it is the sum of or the one that it equals, its marks, the modules that gave it."""

    def __init__(self, marks: Iterable[str] = (), parts: tuple[Value, ...] = ()) -> None:
        self.marks = frozenset(marks)
        self.parts = parts
        self.names: set[str] = set()

    def summands(self, entered: Value) -> list[Value]:
        """What this was added up from, down to `entered`; a sum without it counts as one where a module gave it."""
        if self is entered or not self.parts:
            return [self]
        found = [summand for part in self.parts for summand in part.summands(entered)]
        if entered in found:
            return found
        if len(self.parts) == 1 and len(found) == 1:
            found[0].names |= self.names
            return found
        return [self] if self.names else found


class Following(TorchFunctionMode):
    """While it is entered, every tensor that a function of torch makes is kept as a `Value` with its ancestors' marks.

    `queries` holds, for each attention that was computed by one function, the values that it mixed: query, key, value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queries: list[tuple[Value, Value, Value]] = []
        self._values: dict[int, Value] = {}
        self._alive: list[Tensor] = []

    def value(self, tensor: Tensor) -> Value:
        """What is known of a tensor; it is new where nothing is."""
        if id(tensor) not in self._values:
            self._put(tensor, Value())
        return self._values[id(tensor)]

    def mark(self, tensor: Tensor, mark: str) -> Value:
        """Let a tensor begin anew, with this mark alone, whatever it was made of."""
        new = Value((mark,))
        self._put(tensor, new)
        return new

    def _put(self, tensor: Tensor, value: Value) -> None:
        self._values[id(tensor)] = value
        self._alive.append(tensor)  # an id names a tensor only while it lives

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        read = [self.value(tensor) for tensor in _tensors((args, kwargs or {}))]
        out = func(*args, **(kwargs or {}))
        if name == "scaled_dot_product_attention":
            self.queries.append((read[0], read[1], read[2]))
        marks = {mark for value in read for mark in value.marks} | ({MIXED} if name in _MIXING else set())
        for tensor in _tensors(out):
            if name in _SAME and read:
                if self._values.get(id(tensor)) is not read[0]:
                    self._put(tensor, Value(marks, (read[0],)))
            elif name in _SUMS and len(read) == 2 and "alpha" not in (kwargs or {}):
                self._put(tensor, Value(marks, tuple(read)))
            else:
                self._put(tensor, Value(marks))
        return out


def _tensors(found: Any) -> Iterable[Tensor]:
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, (tuple, list)):
        for one in found:
            yield from _tensors(one)
    elif isinstance(found, dict):
        for one in found.values():
            yield from _tensors(one)
