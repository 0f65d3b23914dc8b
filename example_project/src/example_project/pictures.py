"""Pictures for the Dagster UI: PNG in Markdown metadata.

A picture is in Dagster's event log, which more people may see than the data. It shows aggregates
only, each of at least `FEWEST` people.
"""

import base64
import io

import dagster as dg
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

FEWEST = 5
BLUE = "#4f6bed"


def distributions(numbers: pd.DataFrame) -> dg.MarkdownMetadataValue:
    """Return a histogram of each measure with more than two values, without its smallest bars."""
    ranges = {str(name): _range(values) for name, values in numbers.items()}
    shown = [name for name, values in ranges.items() if values.nunique() > 2]
    rows = max(-(-len(shown) // 4), 1)
    figure = Figure(figsize=(11, 2.1 * rows))
    for place, name in enumerate(shown, start=1):
        axes = figure.add_subplot(rows, 4, place)
        counts, edges = np.histogram(ranges[name], bins=_edges(ranges[name]))
        axes.bar(
            edges[:-1],
            np.where(counts < FEWEST, 0, counts),
            np.diff(edges),
            align="edge",
            color=BLUE,
        )
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
    return _markdown(
        figure,
        f"Bars of fewer than {FEWEST} people are not drawn; the {FEWEST} lowest and the {FEWEST} "
        "highest values are drawn as one.",
    )


def correlations(numbers: pd.DataFrame, matrix: pd.DataFrame) -> dg.MarkdownMetadataValue:
    """Return the correlations of the measures in which enough people differ from the rest."""
    shown = [
        str(name)
        for name, values in numbers.items()
        if values.count() - values.value_counts().max() >= FEWEST
    ]
    figure = Figure(figsize=(9, 8))
    axes = figure.add_subplot()
    image = axes.imshow(matrix.loc[shown, shown], cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(len(shown)), shown, rotation=90, fontsize=7)
    axes.set_yticks(range(len(shown)), shown, fontsize=7)
    figure.colorbar(image, shrink=0.6)
    return _markdown(
        figure, f"Measures in which fewer than {FEWEST} people differ from the rest are left out."
    )


def missingness(table: pd.DataFrame) -> dg.MarkdownMetadataValue:
    """Return the share of missing answers, by question, where enough people left one out."""
    shown = table[table["missing"] >= FEWEST].sort_values("share")
    figure = Figure(figsize=(8, 1 + 0.22 * len(shown)))
    axes = figure.add_subplot()
    axes.barh(shown["field"], 100 * shown["share"], color=BLUE)
    axes.set_xlim(0, 100)
    axes.set_xlabel("not answered, %", fontsize=8)
    axes.tick_params(labelsize=7)
    return _markdown(figure, f"Questions that fewer than {FEWEST} people left out are not drawn.")


def _range(values: pd.Series) -> pd.Series:
    """Clip the lowest and the highest values, so that the ends of an axis show no single person."""
    known = values.dropna().sort_values()
    if len(known) < 2 * FEWEST:
        return known.iloc[:0]
    return known.clip(known.iloc[FEWEST - 1], known.iloc[-FEWEST])


def _edges(values: pd.Series) -> NDArray[np.float64]:
    """Return the edges of the bars: one bar per whole number if these are at most forty."""
    low, high = values.min(), values.max()
    if (values % 1 == 0).all() and high - low < 40:
        return np.arange(low - 0.5, high + 1)
    return np.linspace(low, high, 16)


def _markdown(figure: Figure, note: str) -> dg.MarkdownMetadataValue:
    figure.set_layout_engine("compressed")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=80, bbox_inches="tight")
    text = base64.b64encode(png.getvalue()).decode("ascii")
    return dg.MetadataValue.md(f"![{note}](data:image/png;base64,{text})\n\n{note}")
