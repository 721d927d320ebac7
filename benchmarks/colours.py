"""How far apart the colours of the figures are, to eyes with all cones and to eyes that miss one kind.

`python -m benchmarks.colours` prints, for each kind of colour blindness, the smallest distance between the
first so many colours of networks, and between colours that stand side by side elsewhere: CIE Lab (1976), in
which about 2 is the least that is noticed. It ends with the contrast of the networks' colours on the two backgrounds
(WCAG 2).
"""

import re
from itertools import combinations
from pathlib import Path

import numpy as np

from fnet_core.plotting import lineage, style

Colour = tuple[int, int, int]

COUNTS = (4, 6, 8, 12)
PAIRS = {
    "above and below zero": (style.POSITIVE, style.NEGATIVE),
    "accent and mark": (style.ACCENT, style.MARK),
    "models A and B": (style.ACCENT, lineage.SECOND),
}
KINDS = {
    "all colours": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""What becomes of linear red, green and blue (Machado, Oliveira and Fernandes 2009, severity 1)."""
THEME = Path(__file__).parents[1] / ".streamlit" / "config.toml"
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def parsed(colour: str) -> Colour:
    """The channels of '#2a78c2', 0 to 255."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def linear(colour: Colour) -> np.ndarray:
    """Linear red, green and blue, (3,) from 0 to 1, of sRGB channels."""
    part = np.asarray(colour) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def contrast(a: Colour, b: Colour) -> float:
    """The ratio of two colours' luminances, from 1 to 21 (WCAG 2)."""
    low, high = sorted(float(_XYZ[1] @ linear(colour)) + 0.05 for colour in (a, b))
    return high / low


def distance(a: Colour, b: Colour, kind: str) -> float:
    """The distance in CIE Lab (1976) of two colours as these eyes see them."""
    return float(np.linalg.norm(_lab(KINDS[kind] @ linear(a)) - _lab(KINDS[kind] @ linear(b))))


def nearest(count: int, kind: str) -> float:
    """The distance of the two colours most alike among those of the first so many networks."""
    colours = [parsed(style.network_colour(network)) for network in range(count)]
    return min(distance(*two, kind) for two in combinations(colours, 2))


def backgrounds() -> list[Colour]:
    """The backgrounds of the light and of the dark theme."""
    return [parsed(found) for found in re.findall(r'^backgroundColor = "(#\w{6})"', THEME.read_text(), re.M)[:3:2]]


def _lab(rgb: np.ndarray) -> np.ndarray:
    x = _XYZ @ np.clip(rgb, 0, 1) / _WHITE
    f = np.where(x > 216 / 24389, np.cbrt(x), x * 841 / 108 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def main() -> None:
    for kind in KINDS:
        first = ", ".join(f"{count}: {nearest(count, kind):.1f}" for count in COUNTS)
        named = ", ".join(f"{name} {distance(*two, kind):.0f}" for name, two in PAIRS.items())
        print(f"{kind}: networks, first {first}; {named}")
    for name, background in zip(("light", "dark"), backgrounds(), strict=True):
        least = min(contrast(parsed(style.network_colour(network)), background) for network in range(COUNTS[-1]))
        print(f"least contrast of a network's colour on the {name} background: {least:.1f}")


if __name__ == "__main__":
    main()
