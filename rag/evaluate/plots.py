"""Plots of the report page, drawn as SVG that stands inside the page."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rag.evaluate.risk import Point, area
from rag.evaluate.score import Figures

INK, GRID, BLUE, TEAL, AMBER, RED, GREY = "#1f2937", "#e5e7eb", "#2563eb", "#0d9488", "#d97706", "#dc2626", "#9ca3af"
RUNG_COLOURS = (BLUE, TEAL, AMBER, "#7c3aed", "#db2777", GREY)
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "shoptalk",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def draw(width: float, height: float, paint: Callable[[Any], None]) -> str:
    """An <svg> of `width` x `height` inches, painted on one pair of axes, without a display."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure.subplots())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def latency(first: Sequence[float], total: Sequence[float]) -> str:
    """How long shoppers wait: the share of questions within a time, logarithmic."""

    def paint(axes: Any) -> None:  # noqa: ANN401 - matplotlib is not typed here
        for values, colour, label in ((first, BLUE, "first word"), (total, TEAL, "whole answer")):
            ranked = sorted(max(value, 1.0) for value in values)
            shares = [100 * rank / len(ranked) for rank in range(1, len(ranked) + 1)]
            axes.step(ranked, shares, where="post", color=colour, label=label, linewidth=2)
        axes.set(xscale="log", xlabel="milliseconds", ylabel="% of questions within", ylim=(0, 101))
        axes.legend(loc="lower right")

    return draw(5.6, 3.1, paint)


def histogram(total: Sequence[float]) -> str:
    """How often a whole answer took how long."""

    def paint(axes: Any) -> None:  # noqa: ANN401
        axes.hist([value / 1000 for value in total], bins=30, color=BLUE, edgecolor="white", linewidth=0.5)
        for share, style in ((0.5, "-"), (0.95, "--")):
            at = sorted(total)[min(len(total) - 1, int(share * len(total)))] / 1000
            axes.axvline(at, color=INK, linestyle=style, linewidth=1.2, label=f"p{round(100 * share)}: {at:.2f} s")
        axes.set(xlabel="seconds until the answer stands", ylabel="questions")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=2)

    return draw(5.6, 3.1, paint)


def risk_coverage(curve: Sequence[Point]) -> str:
    """Share of answers that are wrong against the share of questions answered, as the evidence asked for falls."""

    def paint(axes: Any) -> None:  # noqa: ANN401
        axes.plot([100 * p.coverage for p in curve], [100 * p.risk for p in curve], color=RED, linewidth=2)
        for place in (len(curve) // 4, len(curve) // 2, 3 * len(curve) // 4, len(curve) - 1):
            at = (100 * curve[place].coverage, 100 * curve[place].risk)
            axes.plot(*at, "o", color=RED, markersize=4)
            axes.annotate(f"{curve[place].threshold:.2f}", at, textcoords="offset points", xytext=(0, 7), ha="center")
        axes.set(xlabel="% of questions answered (labels: evidence asked for)", ylabel="% of answers wrong", ylim=(0, 100))

    return draw(5.6, 3.1, paint)


def retrieval_risk(curves: Mapping[str, Sequence[Point]]) -> str:
    """Share of accepted questions whose answer was not found, against the share accepted; a line and its area a language."""

    def paint(axes: Any) -> None:  # noqa: ANN401
        for (name, points), colour in zip(curves.items(), RUNG_COLOURS, strict=False):
            label = f"{name}: area {area(points):.3f}"
            axes.plot([100 * p.coverage for p in points], [100 * p.risk for p in points], color=colour, linewidth=2, label=label)
        axes.set(xlabel="% of questions accepted", ylabel="% of those without the answer found", ylim=(0, 100))
        axes.legend(loc="upper left")

    return draw(5.6, 3.1, paint)


def bars(groups: Mapping[str, Figures], metrics: Mapping[str, str]) -> str:
    """Horizontal bars, a cluster per group, one colour per metric (path -> label)."""

    def paint(axes: Any) -> None:  # noqa: ANN401
        height = 0.8 / len(metrics)
        for index, (metric, label) in enumerate(metrics.items()):
            places = [row + (index - (len(metrics) - 1) / 2) * height for row in range(len(groups))]
            values = [100 * figures[metric].value if metric in figures else 0.0 for figures in groups.values()]
            axes.barh(places, values, height=0.9 * height, color=RUNG_COLOURS[index], label=label)
        axes.set_yticks(range(len(groups)), [name.replace("_", " ") for name in groups])
        axes.set(xlim=(0, 100), xlabel="%")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=len(metrics))

    return draw(5.6, 1.1 + 0.42 * len(groups), paint)


def mix(parts: Mapping[str, Mapping[str, int]]) -> str:
    """What ended the turns: a stacked bar per group, in percent; parts is group -> rung -> count."""

    def paint(axes: Any) -> None:  # noqa: ANN401
        names = list(dict.fromkeys(name for counts in parts.values() for name in counts))
        left = [0.0] * len(parts)
        for index, name in enumerate(names):
            shares = [100 * counts.get(name, 0) / sum(counts.values()) for counts in parts.values()]
            axes.barh(list(parts), shares, left=left, color=RUNG_COLOURS[index % len(RUNG_COLOURS)], label=name, height=0.6)
            left = [start + share for start, share in zip(left, shares, strict=True)]
        axes.set(xlim=(0, 100), xlabel="% of questions")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.28), ncols=min(len(names), 4))

    return draw(5.6, 3.1, paint)
