"""Rows of pictures with words beside and below them, as one image."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from datasets.described import decoded
from datasets.files import write_atomically
from datasets.folder import Place
from datasets.images import ImageHWC
from datasets.manifest import Manifest
from datasets.shards import read_checked

_TILE: Final = 112
_GAP: Final = 8
_HEADING: Final = 176
_MARGIN: Final = 16
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_PAPER, _INK, _FAINT = "white", "#202020", "#606060"


@dataclass(frozen=True)
class Tile:
    """A picture, and lines that are written below it."""

    image_HWC: ImageHWC
    caption: tuple[str, ...] = ()


@dataclass(frozen=True)
class SheetRow:
    """Lines of which the first is printed large, and the pictures beside them."""

    heading: tuple[str, ...]
    tiles: Sequence[Tile | None] = field(default_factory=tuple)
    """None leaves a place empty."""


def draw_sheet(title: Sequence[str], rows: Sequence[SheetRow]) -> Image.Image:
    """Draw rows of pictures, each 112 pixels wide and high, below the lines of the title: RGB."""
    columns = max((len(row.tiles) for row in rows), default=0)
    width = 2 * _MARGIN + _HEADING + max(columns, 4) * (_TILE + _GAP)
    top = 2 * _MARGIN + sum(_line_height(size) for size in _title_sizes(title))
    height = top + sum(_row_height(row) for row in rows) + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (_MARGIN, _MARGIN), title, _title_sizes(title), width - 2 * _MARGIN)
    for row in rows:
        _draw_row(sheet, draw, row, top)
        top += _row_height(row)
    return sheet


def write_png(path: Path, sheet: Image.Image) -> None:
    """Write a picture as PNG, atomically."""
    write_atomically(path, lambda temporary: sheet.save(temporary, "PNG"))


def read_images(
    place: Place, manifest: Manifest, wanted: Mapping[str, Collection[int]]
) -> dict[tuple[str, int], ImageHWC]:
    """Return the pixels of the wanted rows, given by shard file, by (shard file, row).

    Raises `DataError` that names a damaged shard.
    """
    images: dict[tuple[str, int], ImageHWC] = {}
    for shard in manifest.shards:
        rows = set(wanted.get(shard.file, ()))
        if not rows:
            continue
        for number, row in enumerate(read_checked(place, manifest, shard)):
            if number in rows:
                images[shard.file, number] = decoded(row, place, manifest, shard)
    return images


def _draw_row(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: SheetRow, top: int) -> None:
    sizes = [18] + [14] * (len(row.heading) - 1)
    _write(draw, (_MARGIN, top), row.heading, sizes, _HEADING - _GAP)
    for number, tile in enumerate(row.tiles):
        if tile is None:
            continue
        left = _MARGIN + _HEADING + number * (_TILE + _GAP)
        picture = Image.fromarray(tile.image_HWC)
        sheet.paste(picture.resize((_TILE, _TILE), Image.Resampling.LANCZOS), (left, top))
        place = (left, top + _TILE + 2)
        _write(draw, place, tile.caption, [12] * len(tile.caption), _TILE)


def _row_height(row: SheetRow) -> int:
    lines = max((len(tile.caption) for tile in row.tiles if tile is not None), default=0)
    beside = _line_height(18) + (len(row.heading) - 1) * _line_height(14)
    return max(_TILE + lines * _line_height(12), beside) + _GAP


def _title_sizes(title: Sequence[str]) -> list[int]:
    return [22] + [14] * (len(title) - 1)


def _line_height(size: int) -> int:
    return round(size * 1.35)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    lines: Sequence[str],
    sizes: Iterable[int],
    width: int,
) -> None:
    left, top = place
    for number, (line, size) in enumerate(zip(lines, sizes, strict=True)):
        font = ImageFont.load_default(size)
        text = _fitted(draw, line, font, width)
        draw.text((left, top), text, fill=_FAINT if number else _INK, font=font)
        top += _line_height(size)


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: _Font, width: int) -> str:
    """Leave out the middle of a text that is too wide: ids differ at their ends."""
    text = " ".join(text.split())
    keep = len(text)
    fitted = text
    while keep > 2 and draw.textlength(fitted, font=font) > width:
        keep -= 1
        fitted = f"{text[: keep // 3]}…{text[len(text) - (keep - keep // 3) :]}"
    return fitted
