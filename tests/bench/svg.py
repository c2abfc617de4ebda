"""Curves as SVG: panels side by side, x logarithmic, y from zero, every point with its value. The same input gives the same bytes."""

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT, GAP, LEFT, TOP, BOTTOM = 300, 190, 34, 56, 92, 50
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 } .panel { font-weight: 600 } .small { font-size: 11px; fill: #57606a }
.paper { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #57606a }
.line { fill: none; stroke-width: 2 } .range { stroke-width: 1.5; opacity: .6 }
.s0 { stroke: #0b62d6 } .s1 { stroke: #b35900; stroke-dasharray: 6 3 } .d0 { fill: #0b62d6 } .d1 { fill: #b35900 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9da7b1 } .paper { fill: #0d1117 } .grid { stroke: #30363d } .axis { stroke: #9da7b1 }
  .s0 { stroke: #6cb0ff } .s1 { stroke: #ffb366 } .d0 { fill: #6cb0ff } .d1 { fill: #ffb366 }
}"""


@dataclass
class Panel:
    """One diagram: name -> points (x, median, lowest, highest), x above 0. At most two series."""

    title: str
    series: dict


def label(value):
    """A figure of three digits, as short as it can be read."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size * (10 if unit == "k" else 1):
            return f"{value / size:.3g}{unit}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ceiling(value):
    """The end of an axis: the next of 1, 2, 3, 4, 5, 6, 8, 10 times a power of ten."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(k * power for k in (1, 2, 3, 4, 5, 6, 8, 10) if k * power >= value)


def text(x, y, words, cls="", anchor="middle"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{f" class={chr(34)}{cls}{chr(34)}" if cls else ""}>{escape(words)}</text>'


def line(x1, y1, x2, y2, cls):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>'


def _axes(left, xs, at_x, at_y, top):
    out = []
    for k in range(5):
        y = at_y(top * k / 4)
        out += [line(left, y, left + WIDTH, y, "grid" if k else "axis"), text(left - 6, y + 4, label(top * k / 4), "small", "end")]
    for x in xs:
        out += [line(at_x(x), TOP + HEIGHT, at_x(x), TOP + HEIGHT + 4, "axis"), text(at_x(x), TOP + HEIGHT + 18, label(x), "small")]
    return out


def _curve(k, points, at_x, at_y, row):
    """A series; its values stand in a row below the axis, where they do not hide each other."""
    path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y, *_ in points)
    out = [f'<polyline points="{path}" class="line s{k}"/>']
    for x, y, low, high in points:
        out += [line(at_x(x), at_y(low), at_x(x), at_y(high), f"range s{k}"), f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3.5" class="d{k}"/>',
                text(at_x(x), row, label(y), f"d{k}")]
    return out


def _panel(left, panel, x_label, names):
    xs = sorted({x for points in panel.series.values() for x, *_ in points})
    top = ceiling(1.05 * max(high for points in panel.series.values() for *_, high in points))
    span = math.log(xs[-1] / xs[0]) or 1
    at_x = lambda x: left + 24 + (WIDTH - 48) * math.log(x / xs[0]) / span
    at_y = lambda y: TOP + HEIGHT * (1 - y / top)
    rows = TOP + HEIGHT + 36
    out = [text(left - 40, TOP - 16, panel.title, "panel", "start"), *_axes(left, xs, at_x, at_y, top),
           text(left + WIDTH / 2, rows + 17 * len(names) + 4, x_label, "small")]
    for name, points in panel.series.items():
        k = names.index(name)
        out += _curve(k, points, at_x, at_y, rows + 17 * k)
    return out


def draw(title, x_label, panels):
    """The picture as text."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    width, height = GAP + len(panels) * (LEFT + WIDTH + GAP), TOP + HEIGHT + BOTTOM + 17 * len(names)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">',
           f"<title>{escape(title)}</title>", f"<style>{STYLE}\n</style>", f'<rect width="{width}" height="{height}" class="paper"/>',
           text(GAP / 2, 26, title, "title", "start")]
    at = GAP / 2
    for k, name in enumerate(names):
        out += [line(at, 47, at + 30, 47, f"line s{k}"), f'<circle cx="{at + 15}" cy="47" r="3.5" class="d{k}"/>', text(at + 38, 51, name, "", "start")]
        at += 60 + 7 * len(name)
    for k, panel in enumerate(panels):
        out += _panel(GAP / 2 + LEFT + k * (LEFT + WIDTH + GAP), panel, x_label, names)
    return "\n".join([*out, "</svg>", ""])
