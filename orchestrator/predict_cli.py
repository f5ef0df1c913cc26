"""`fer-orch predict`: a trained model on image files."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from datasets.labels import EXPRESSIONS, NUM_CLASSES
from orchestrator.progress_bar import bar
from orchestrator.terminal import Terminal

if TYPE_CHECKING:
    from trainers.prediction import Prediction, Predictor, Unreadable

_SOME_UNREADABLE = 1
_WIDE = 10_000  # columns where the output is no terminal: nothing is wrapped
_FULL_NAMES = 130  # columns from which the eight expressions are written out


def predict_command(
    model: Annotated[
        str, typer.Argument(help="A model.keras, a trial's directory, or a run directory.")
    ],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    architecture: Annotated[
        str | None, typer.Option(help="Which of a run directory's models.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Which, where a run has several.")] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, max=NUM_CLASSES, help="Only so many expressions of each image."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say which expression a trained model sees in images."""
    from orchestrator.predict import find_images, find_model

    path = find_model(model, architecture, seed)
    files = find_images(images)
    # Heavy: wrong requests are told before.
    from trainers.prediction import Predictor

    predictor = Predictor(path)
    found, unreadable = _predict(predictor, files)
    _print_unreadable(unreadable)
    if as_json:
        typer.echo(json.dumps(_document(path, predictor, found, unreadable, top), indent=2))
    elif found:
        _print_table(found, top)
    raise typer.Exit(_SOME_UNREADABLE if unreadable else 0)


def _predict(
    predictor: "Predictor", files: list[Path]
) -> "tuple[list[Prediction], list[Unreadable]]":
    from trainers.prediction import Unreadable

    found: list[Prediction] = []
    unreadable: list[Unreadable] = []
    with bar("predicting", Console(stderr=True, quiet=not sys.stderr.isatty())) as advance:
        for number, one in enumerate(predictor.predict(files), start=1):
            if isinstance(one, Unreadable):
                unreadable.append(one)
            else:
                found.append(one)
            advance(number, len(files))
    return found, unreadable


def _print_unreadable(unreadable: "list[Unreadable]") -> None:
    errors = Console(stderr=True)
    for bad in unreadable:
        line = f"{printable(bad.path)}: {bad.reason}"
        errors.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


def _print_table(found: "list[Prediction]", top: int | None) -> None:
    console = Terminal()
    if not console.is_terminal:
        console = Terminal(width=_WIDE)
    full = console.width >= _FULL_NAMES
    console.print(_top_table(found, top) if top else _table(found, full))


def printable(path: Path) -> str:
    """A file's name as a terminal may have it: bytes that are no text, and control characters such
    as those that move the cursor, are escaped.
    """
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _table(found: "list[Prediction]", full_names: bool) -> Table:
    table = Table("file", "expression", box=None, pad_edge=False)
    for header in ("%", *(name if full_names else name[:3] for name in EXPRESSIONS)):
        table.add_column(header, justify="right", no_wrap=True)
    for one in found:
        code, probability = one.ranked()[0]
        values = (probability, *one.probabilities)
        table.add_row(
            Text(printable(one.path), overflow="fold"),
            EXPRESSIONS[code],
            *(f"{100 * value:.1f}" for value in values),
        )
    return table


def _top_table(found: "list[Prediction]", top: int) -> Table:
    table = Table("file", box=None, pad_edge=False)
    for place in range(1, top + 1):
        table.add_column(f"{place}.", no_wrap=True)
        table.add_column("%", justify="right", no_wrap=True)
    for one in found:
        cells = []
        for code, probability in one.ranked()[:top]:
            cells += [EXPRESSIONS[code], f"{100 * probability:.1f}"]
        table.add_row(Text(printable(one.path), overflow="fold"), *cells)
    return table


def _document(
    path: Path,
    predictor: "Predictor",
    found: "list[Prediction]",
    unreadable: "list[Unreadable]",
    top: int | None,
) -> dict[str, Any]:
    return {
        "model": str(path),
        "architecture": predictor.architecture,
        "image_size": predictor.image_size,
        "images": [_entry(one, top) for one in found],
        "unreadable": [{"file": str(bad.path), "reason": bad.reason} for bad in unreadable],
    }


def _entry(one: "Prediction", top: int | None) -> dict[str, Any]:
    ranked = one.ranked()
    code, probability = ranked[0]
    shown = ranked[:top] if top else list(enumerate(one.probabilities))
    return {
        "file": str(one.path),
        "expression": EXPRESSIONS[code],
        "probability": probability,
        "probabilities": {EXPRESSIONS[each]: value for each, value in shown},
    }
