"""The figures as files, for papers and slides: `figures/NAME.svg` and `.png`, by matplotlib.

Without a display and without the user's matplotlib settings. Letters are drawn as paths, so that a
figure looks the same everywhere; nothing in the files tells the time or the machine, so that equal
input gives equal bytes.
"""

import io
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.report.collect import RunReport
from orchestrator.report.pictures.curves import accuracy_curves, accuracy_intervals, loss_curves
from orchestrator.report.pictures.matrices import confusions, precision_map, recall_map
from orchestrator.report.pictures.palette import INK, MUTED, RULE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "figures"
PNG_DPI = 130

_PICTURES: Mapping[str, Callable[[RunReport], "Figure | None"]] = {
    "accuracy-intervals": accuracy_intervals,
    "accuracy-curves": accuracy_curves,
    "loss-curves": loss_curves,
    "recall-map": recall_map,
    "precision-map": precision_map,
    "confusion-matrices": confusions,
}
FILES = tuple(f"{FOLDER}/{name}.{kind}" for name in _PICTURES for kind in ("svg", "png"))
"""Every file that there can be, from the report's directory."""

_SETTINGS: Any = {  # matplotlib types the keys as a list of literals
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.fonttype": "path",
    "svg.hashsalt": "fer-orch",
    "font.family": ["DejaVu Sans"],  # comes with matplotlib
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


def draw(run: RunReport) -> dict[str, bytes]:
    """Every picture that the run has figures for, by its path from the report's directory."""
    import matplotlib as mpl

    files = {}
    with mpl.rc_context(), warnings.catch_warnings():
        # A name may hold letters that the font has not: they show as boxes.
        warnings.filterwarnings("ignore", message="Glyph")
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        for name, make in _PICTURES.items():
            if figure := make(run):
                _lay_out(figure)
                files[f"{FOLDER}/{name}.svg"] = _save(figure, "svg", {"Date": None})
                files[f"{FOLDER}/{name}.png"] = _save(figure, "png", {"Software": None})
    return files


def _lay_out(figure: "Figure") -> None:
    """Place all in the figure for good: an engine would have it drawn once more for each file."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    figure.set_layout_engine(None)


def _save(figure: "Figure", kind: str, metadata: dict[str, None]) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, dpi=PNG_DPI, metadata=metadata)
    return stream.getvalue()
