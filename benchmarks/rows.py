"""Rows of the benchmark's table: a value, a baseline of the same run, a target for their ratio."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_HEADER = (
    "| what | value | baseline | ratio | spread | target | met |\n|---|--:|---|--:|--:|--:|---|"
)


@dataclass(frozen=True)
class Target:
    """What a ratio must reach, or stay under."""

    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"

    def met(self, ratio: float) -> bool:
        """Whether a ratio is on the right side."""
        return ratio >= self.least if self.least is not None else ratio <= (self.most or 0.0)


@dataclass(frozen=True)
class Row:
    """One line of the table; `low` and `high` are the ratio's least and greatest repetition.

    Where there is nothing to compare with, the baseline is a limit.
    """

    name: str
    value: float
    unit: str
    baseline_name: str
    baseline: float
    ratio: float
    low: float
    high: float
    target: str
    met: bool


@dataclass(frozen=True)
class Baseline:
    """What a value is compared with, a figure for each repetition."""

    name: str
    values: Sequence[float]


def compare(
    name: str,
    unit: str,
    values: Sequence[float],
    baseline: Baseline,
    target: Target,
) -> Row:
    """Compare repetitions, each with the baseline of the same turn; medians of all."""
    ratios = [value / baseline for value, baseline in zip(values, baseline.values, strict=True)]
    ratio = statistics.median(ratios)
    return Row(
        name=name,
        value=statistics.median(values),
        unit=unit,
        baseline_name=baseline.name,
        baseline=statistics.median(baseline.values),
        ratio=ratio,
        low=min(ratios),
        high=max(ratios),
        target=str(target),
        met=target.met(ratio),
    )


def as_table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    return "\n".join((_HEADER, *map(_line, rows)))


def write_rows(path: Path, machine: dict[str, str], rows: Sequence[Row]) -> None:
    """Write the machine and all rows as JSON."""
    document = {"machine": machine, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _line(row: Row) -> str:
    spread = "–" if row.low == row.high else f"{_short(row.low)} – {_short(row.high)}"
    baseline = f"{_short(row.baseline)}: {row.baseline_name}"
    cells = row.name, f"{_short(row.value)} {row.unit}", baseline, _short(row.ratio), spread
    return f"| {' | '.join(cells)} | {row.target} | {'yes' if row.met else 'no'} |"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
