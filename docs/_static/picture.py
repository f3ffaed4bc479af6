"""Draws picture-light.svg and picture-dark.svg, what the package does in one picture, and icon.svg."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent

THEMES = {
    "light": {"text": "#1f2937", "faint": "#6b7280", "line": "#9ca3af", "top": "#c2410c", "qcd": "#1d4ed8"},
    "dark": {"text": "#e5e7eb", "faint": "#9ca3af", "line": "#6b7280", "top": "#fb923c", "qcd": "#93b4ff"},
}

#: Constituents of each jet in the picture, its axis in degrees, and whether it is a top.
JETS = ((3, -25, False), (9, 0, False), (18, 25, True))

WIDTH, HEIGHT = 960, 250


def picture(theme: dict[str, str]) -> str:
    """Jets, their matrices of products, and the histogram of scores, from left to right."""
    parts = [*jets(theme), *products(theme), *histogram(theme), *arrow(theme, 262, 318), *arrow(theme, 604, 660)]
    parts += caption(theme, 130, "awkward jets", "3, 9, 18, … constituents: no padding")
    parts += caption(theme, 462, "products p_i·p_j, equivariant layers", "stable at any boost")
    parts += caption(theme, 806, "scores beside your cuts", "coffea processors, ROOT files, hist")
    return svg(WIDTH, HEIGHT, parts)


def jets(theme: dict[str, str]) -> Iterator[str]:
    """Cones from one vertex, with a dot for each constituent, as large as its momentum."""
    generator, x0, y0, length = random.Random(4), 40, 100, 160
    for number, axis, is_top in JETS:
        colour = theme["top" if is_top else "qcd"]
        edge = [(x0 + length * _cos(axis + side), y0 + length * _sin(axis + side)) for side in (-9, 9)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in ((x0, y0), *edge))
        yield f'<polygon points="{points}" fill="{colour}" fill-opacity="0.14"/>'
        for k in range(number):
            prong = (k % 3 - 1) * 5 if is_top else 0
            angle = axis + prong + generator.gauss(0, 1.3 if is_top else 3)
            radius = length * (0.72 + 0.4 * generator.random())
            size = 1.8 + 3.2 * generator.random() ** 2
            x, y = x0 + radius * _cos(angle), y0 + radius * _sin(angle)
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" fill="{colour}"/>'
    yield f'<circle cx="{x0}" cy="{y0}" r="3" fill="{theme["text"]}"/>'


def products(theme: dict[str, str]) -> Iterator[str]:
    """One square of n × n cells per jet, darker near its diagonal and for hard pairs."""
    generator, x = random.Random(7), 336.0
    for number, _, is_top in JETS:
        cell = 14 if number < 5 else 7.5 if number < 12 else 6
        side, colour = number * cell, theme["top" if is_top else "qcd"]
        hardness = sorted((generator.random() for _ in range(number)), reverse=True)
        for i in range(number):
            for j in range(number):
                opacity = 0.12 + 0.88 * hardness[i] * hardness[j]
                place = f'x="{x + i * cell:.1f}" y="{100 - side / 2 + j * cell:.1f}"'
                size = f'width="{cell - 0.8:.1f}" height="{cell - 0.8:.1f}"'
                yield f'<rect {place} {size} fill="{colour}" opacity="{opacity:.2f}"/>'
        x += side + 22


def histogram(theme: dict[str, str]) -> Iterator[str]:
    """Distributions of the score of background and signal."""
    x0, y0, step, bins = 690, 168, 14, 16
    shapes = {"qcd": lambda t: math.exp(-5 * t) + 0.02, "top": lambda t: math.exp(-6 * (1 - t)) + 0.03}
    for name, shape in shapes.items():
        heights = [130 * shape((k + 0.5) / bins) for k in range(bins)]
        path = f"M{x0},{y0}" + "".join(f"V{y0 - h:.1f}h{step}" for h in heights) + f"V{y0}Z"
        yield f'<path d="{path}" fill="{theme[name]}" fill-opacity="0.22" stroke="{theme[name]}" stroke-width="1.8"/>'
    yield f'<path d="M{x0},{y0}h{step * bins}" stroke="{theme["text"]}" stroke-width="1.5"/>'
    yield text(theme["qcd"], x0 + 34, 40, "QCD", 13)
    yield text(theme["top"], x0 + step * bins - 34, 40, "top", 13)


def arrow(theme: dict[str, str], left: int, right: int) -> Iterator[str]:
    """From one part to the next."""
    path = f"M{left},100H{right}M{right - 9},93L{right + 1},100L{right - 9},107"
    yield f'<path d="{path}" stroke="{theme["line"]}" stroke-width="2.5" fill="none"/>'


def caption(theme: dict[str, str], x: int, title: str, below: str) -> list[str]:
    """Two lines under a part."""
    return [text(theme["text"], x, 212, title, 15, 600), text(theme["faint"], x, 233, below, 12.5)]


def text(colour: str, x: float, y: float, words: str, size: float, weight: int = 400) -> str:
    """Words with their middle at x; an index follows each underscore."""
    head, *rest = words.split("_")
    shown = head + "".join(
        f'<tspan dy="3" font-size="{size * 0.7:.0f}">{one[0]}</tspan><tspan dy="-3">{one[1:]}</tspan>' for one in rest
    )
    style = f'font-family="system-ui, sans-serif" font-size="{size}" font-weight="{weight}" text-anchor="middle"'
    return f'<text x="{x}" y="{y}" fill="{colour}" {style}>{shown}</text>'


def icon() -> str:
    """A jet of three prongs."""
    lines = [
        f'<path d="M6,32L{58},{y}" stroke="#c2410c" stroke-width="5" stroke-linecap="round"/>' for y in (12, 32, 52)
    ]
    return svg(64, 64, [*lines, '<circle cx="8" cy="32" r="7" fill="#1d4ed8"/>'])


def svg(width: int, height: int, parts: list[str]) -> str:
    """The file."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join([head, *parts, "</svg>", ""])


def _cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def _sin(degrees: float) -> float:
    return math.sin(math.radians(degrees))


if __name__ == "__main__":
    for name, theme in THEMES.items():
        (HERE / f"picture-{name}.svg").write_text(picture(theme))
    (HERE / "icon.svg").write_text(icon())
