"""The four poses: what each model takes them for, and its first feature maps.

The paper's Table 4 and its Figures 14 to 21, from the trials' `probes/`. One trial an architecture:
that of the lowest seed.
"""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from datasets.errors import DataError
from datasets.labels import EXPRESSIONS
from orchestrator.report import paper
from orchestrator.report.blocks import Cell, Gallery, Header, Picture, Section, Table
from orchestrator.report.collect import RunReport, TrialReport
from orchestrator.report.formats import MISSING, fixed, one_line
from trainers.result import PROBES_DIR, PROBES_FILE, ProbeOutcome, TrialProbes, read_record

_POSES = paper.POSES
# Wide enough for eight maps side by side; a report of fourteen stays far below 15 MB.
_THUMBNAIL_PX = 320


@dataclass(frozen=True)
class Probed:
    """A trial with what its `probes/` holds."""

    trial: TrialReport
    record: TrialProbes

    @property
    def folder(self) -> Path:
        """Where the record's files are."""
        return self.trial.record.directory / PROBES_DIR

    def outcome(self, pose: str) -> ProbeOutcome | None:
        """The outcome of a pose, None where it was not shown."""
        return next((one for one in self.record.poses if one.pose == pose), None)


def probed_trials(run: RunReport) -> list[Probed]:
    """Finished trials with a whole record, one an architecture, in the order of the accuracy."""
    lowest: dict[str, TrialReport] = {}
    for trial in run.finished:
        name = trial.group
        if name not in lowest or trial.record.seed < lowest[name].record.seed:
            lowest[name] = trial
    found = []
    for trial in run.finished:
        if lowest[trial.group] is not trial:
            continue
        try:
            record = read_record(trial.record.directory / PROBES_DIR / PROBES_FILE, TrialProbes)
        except DataError:  # of another version: the trial has no place in this section
            record = None
        if record is not None:
            found.append(Probed(trial, record))
    return found


def poses_section(run: RunReport) -> Section | None:
    """None where no trial left its probes."""
    probed = probed_trials(run)
    if not probed:
        return None
    galleries = (*_faces(probed), *(_maps(pose, probed) for pose in _POSES))
    return Section(
        "poses",
        "Four poses",
        paragraphs=(_sentence(probed),),
        tables=(_table(probed),),
        galleries=tuple(gallery for gallery in galleries if gallery),
    )


def _sentence(probed: list[Probed]) -> str:
    drawn = all(one.record.source == "drawn" for one in probed)
    shown = "one drawn face" if drawn else "the pictures that the run was given"
    return (
        f"Each model was shown {shown} in four poses after its training. The feature maps are the "
        "output of its first convolution, one channel beside the other, each from black (its least "
        "value) to white (its greatest). The paper's Table 4 and Figures 14 to 21 show photographs "
        "of another face, which are not published. The files are in each trial's folder probes."
    )


def _table(probed: list[Probed]) -> Table:
    return Table(
        id="poses-table",
        caption="Predicted expression of the four poses, with its probability",
        headers=(
            Header("Architecture", numeric=False),
            *(Header(pose.capitalize(), _labelled(pose, probed), numeric=False) for pose in _POSES),
            Header("Right of four"),
        ),
        rows=tuple(_row(one) for one in probed),
        note="★ marks a right answer. Beneath: what the paper's Table 4 has for its own "
        "photograph, a happy face too.",
        sortable=True,
    )


def _labelled(pose: str, probed: list[Probed]) -> str:
    labels = {outcome.label for one in probed if (outcome := one.outcome(pose))}
    label = labels.pop() if len(labels) == 1 else None
    return "" if label is None else EXPRESSIONS[label]


def _row(one: Probed) -> tuple[Cell, ...]:
    theirs = paper.pose_predictions().get(one.trial.record.architecture, {})
    outcomes = [one.outcome(pose) for pose in _POSES]
    known = [outcome for outcome in outcomes if outcome and outcome.label is not None]
    right = sum(outcome.predicted == outcome.label for outcome in known)
    cells = [
        _cell(outcome, theirs.get(pose)) for pose, outcome in zip(_POSES, outcomes, strict=True)
    ]
    last = Cell(f"{right}", right) if known else Cell(MISSING)
    return (Cell(one.trial.title, one.trial.title), *cells, last)


def _cell(outcome: ProbeOutcome | None, theirs: int | None) -> Cell:
    detail = "" if theirs is None else f"paper: {EXPRESSIONS[theirs]}"
    if outcome is None:
        return Cell(MISSING, detail=detail)
    name = EXPRESSIONS[outcome.predicted]
    probability = fixed(100 * outcome.probabilities[outcome.predicted], 0)
    return Cell(f"{name}, {probability} %", name, detail, best=outcome.predicted == outcome.label)


def _faces(probed: list[Probed]) -> list[Gallery | None]:
    """What was shown, once a run: all trials of a run see the same pictures."""
    first = {one.trial.run: one for one in reversed(probed)}
    runs = list(dict.fromkeys(one.trial.run for one in probed))
    if len(runs) == 1:
        return [_faces_of(probed[0], "probe-faces", "The pictures shown")]
    return [
        _faces_of(first[run], f"probe-faces-{number}", f"The pictures shown, run {run}")
        for number, run in enumerate(runs, start=1)
    ]


def _faces_of(one: Probed, id_: str, caption: str) -> Gallery | None:
    pictures = []
    for pose in _POSES:
        outcome = one.outcome(pose)
        if outcome and (data := _thumbnail(one.folder / outcome.image_file)):
            label = "" if outcome.label is None else f", {EXPRESSIONS[outcome.label]}"
            text = f"{pose.capitalize()}{label} ({one_line(outcome.source)})"
            pictures.append(Picture(data, text, f"The face shown: {text}."))
    return Gallery(id_, caption, tuple(pictures)) if pictures else None


def _maps(pose: str, probed: list[Probed]) -> Gallery | None:
    pictures = []
    for one in probed:
        outcome = one.outcome(pose)
        if outcome and (data := _thumbnail(one.folder / outcome.maps_file)):
            record = one.record
            what = f"{record.channels} maps of {record.map_width} by {record.map_height}"
            alternative = (
                f"First feature maps of {one.trial.title} for the {pose} pose: {what}, in "
                f"{record.grid_rows} rows of {record.grid_columns}."
            )
            pictures.append(Picture(data, f"{one.trial.title}: {what}", alternative))
    if not pictures:
        return None
    return Gallery(f"maps-{pose}", f"First feature maps, {pose} pose", tuple(pictures))


def _thumbnail(path: Path) -> bytes | None:
    """A picture as PNG of bounded size, None where it is missing or damaged."""
    try:
        with Image.open(path) as opened:
            opened.load()
            picture = opened.convert("RGB" if opened.mode not in ("L", "RGB") else opened.mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    picture.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.BOX)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=False, compress_level=9)
    return stream.getvalue()
