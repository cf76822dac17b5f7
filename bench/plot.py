"""Draws SVG charts without a library: lines over a logarithmic axis, with their spread."""

import math
import statistics
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 520, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 34, 46
COLOURS = ("#c0392b", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f",
           "#bcbd22", "#e377c2", "#000000", "#5f9ea0", "#b8860b", "#556b2f")


class Axis:
    """Maps values to positions between two ends; logarithmic, but with a position for zero."""

    def __init__(self, values, low, high):
        positive = [value for value in values if value > 0] or [1]
        self.has_zero = any(value == 0 for value in values)
        self.first = math.floor(math.log10(min(positive)))
        self.last = max(math.ceil(math.log10(max(positive))), self.first + 1)
        self.low, self.high = low, high

    def place(self, value):
        power = math.log10(value) if value > 0 else self.first - 1
        first = self.first - self.has_zero
        return self.low + (self.high - self.low) * (power - first) / (self.last - first)

    def ticks(self):
        powers = [10.0 ** power for power in range(self.first, self.last + 1)]
        return [0] * self.has_zero + powers


def tick_text(value):
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def text(x, y, words, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def line(x1, y1, x2, y2, colour, more=""):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'{more}/>')


def panel(left, title, x_name, lines):
    """`lines`: (name, colour, dashed, [(x, [values of the rounds])])."""
    points = [(x, value) for _, _, _, series in lines for x, values in series for value in values]
    x_axis = Axis([x for x, _ in points], left + LEFT, left + WIDTH - RIGHT)
    y_axis = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [text(left + WIDTH / 2, 20, title, more='font-weight="bold"'),
             text(left + WIDTH / 2, HEIGHT - 8, x_name)]
    for tick in x_axis.ticks():
        x = x_axis.place(tick)
        parts += [line(x, TOP, x, HEIGHT - BOTTOM, "#ddd"),
                  text(x, HEIGHT - BOTTOM + 16, tick_text(tick))]
    for tick in y_axis.ticks():
        y = y_axis.place(tick)
        parts += [line(left + LEFT, y, left + WIDTH - RIGHT, y, "#ddd"),
                  text(left + LEFT - 6, y + 4, tick_text(tick), "end")]
    for _, colour, dashed, series in lines:
        places = [(x_axis.place(x), [y_axis.place(value) for value in values])
                  for x, values in series if values]
        path = " ".join(f"{x:.1f},{statistics.median(ys):.1f}" for x, ys in places)
        dashes = 'stroke-dasharray="5,4"' if dashed else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
                     f'{dashes}/>')
        for x, ys in places:
            parts.append(line(x, min(ys), x, max(ys), colour, 'stroke-width="4" opacity="0.4"'))
            parts.append(f'<circle cx="{x:.1f}" cy="{statistics.median(ys):.1f}" r="3" '
                         f'fill="{colour}"/>')
    return parts


def chart(path, panels, names):
    """`panels`: (title, name of x, lines); `names`: the legend of the colours, in order."""
    columns = 4
    rows = -(-len(names) // columns)
    width, height = WIDTH * len(panels), HEIGHT + 20 * rows + 12
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    for number, (title, x_name, lines) in enumerate(panels):
        parts += panel(number * WIDTH, title, x_name, lines)
    for number, name in enumerate(names):
        x = LEFT + (width - LEFT) / columns * (number % columns)
        y = HEIGHT + 16 + 20 * (number // columns)
        parts += [line(x, y - 4, x + 20, y - 4, COLOURS[number % len(COLOURS)], 'stroke-width="3"'),
                  text(x + 26, y, name, "start")]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(parts + ["</svg>\n"]))


def comparison_chart(path, result):
    """Draws throughput and latency against connections; false if there is nothing to draw."""
    drawn = [one for one in result["lines"] if one["plotted"]]
    names = [name for name in result["servers"]
             if any(one["measured"].get(name) for one in drawn)]
    if len(drawn) < 2 or not names:
        return False

    def series(name, key):
        return [(one["connections"], [m[key] for m in one["measured"][name] if m.get(key)])
                for one in drawn if name in one["measured"]]

    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    chart(path, [
        ("a second", "connections",
         [(name, colours[name], False, series(name, "per_second")) for name in names]),
        ("milliseconds: median, and dashed p99", "connections",
         [(name, colours[name], key == "p99_ms", series(name, key))
          for name in names for key in ("p50_ms", "p99_ms")]),
    ], names)
    return True
