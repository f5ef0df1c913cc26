"""The figures of `data_scale.py`, the promises that they must keep, and the table of them."""

from dataclasses import dataclass, field

from measuring import Step

LARGEST_PEAK_MIB = 2048
LEAST_RATIO = 0.8


@dataclass(frozen=True)
class StagingLimit:
    """The rates that staging can't exceed, each measured alone, and its own."""

    decode_images_per_s: float
    disk_mb_per_s: float
    disk_images_per_s: float
    staging_images_per_s: float

    def __str__(self) -> str:
        rates = {"decode": self.decode_images_per_s, "disk": self.disk_images_per_s}
        limit = min(rates, key=lambda name: rates[name])
        part = self.staging_images_per_s / rates[limit]
        return (
            f"{limit}. Decode alone {self.decode_images_per_s:,.0f} images/s, disk alone "
            f"{self.disk_mb_per_s:,.0f} MB/s = {self.disk_images_per_s:,.0f} images/s, staging "
            f"{self.staging_images_per_s:,.0f} images/s = {part:.2f} of {limit}"
        )


@dataclass
class Result:
    """All figures of a run."""

    data: dict[str, str | int]
    """What was drawn."""
    machine: dict[str, str]
    steps: list[Step] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    """Rate of prepare to that of the bare loop: before, after, and the mean of both."""
    staging: StagingLimit | None = None
    problems: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Add what is over the limits to the problems."""
        for step in self.steps:
            if step.peak_mib is not None and step.peak_mib >= LARGEST_PEAK_MIB:
                self.problems.append(
                    f"{step.name}: peak memory {step.peak_mib:,.0f} MiB, promised are fewer than "
                    f"{LARGEST_PEAK_MIB}"
                )
        ratio = self.ratios.get("mean")
        if ratio is not None and ratio < LEAST_RATIO:
            self.problems.append(
                f"prepare: {ratio:.3f} of the rate of the bare loop, promised are {LEAST_RATIO}"
            )

    def markdown(self) -> str:
        """Return the table and the lines below it."""
        numeric = list(_COLUMNS)[1:]
        lines = [f"| {' | '.join(_COLUMNS)} |", f"|---{'|--:' * len(numeric)}|"]
        lines += [f"| {' | '.join(_cells(step))} |" for step in self.steps]
        paragraphs = [
            f"Data: {', '.join(f'{name} {value}' for name, value in self.data.items())}.",
            f"Machine: {', '.join(self.machine.values())}.",
        ]
        if self.ratios:
            shown = ", ".join(f"{value:.3f} {name}" for name, value in self.ratios.items())
            paragraphs.append(f"Rate of prepare to that of the bare loop: {shown}.")
        if self.staging is not None:
            paragraphs.append(f"Limit of staging: {self.staging}.")
        paragraphs += [f"PROBLEM: {text}" for text in self.problems]
        return "\n\n".join(["\n".join(lines), *paragraphs]) + "\n"


_COLUMNS = (
    *("step", "images", "seconds", "images/s"),
    *("peak memory MiB", "of it anonymous", "input MB", "output MB"),
)


def _cells(step: Step) -> tuple[str, ...]:
    return (
        step.name,
        f"{step.images:,}",
        f"{step.seconds:,.1f}",
        f"{step.images_per_s:,.0f}",
        _shown(step.peak_mib),
        _shown(step.peak_anonymous_mib),
        _shown(step.input_bytes, 1e6),
        _shown(step.output_bytes, 1e6),
    )


def _shown(value: float | None, unit: float = 1) -> str:
    if value is None:
        return "–"
    value /= unit
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
