"""The report as Markdown (GitHub's tables): the page without its figures."""

import re
import unicodedata

from orchestrator.report.blocks import Cell, Header, Page, Section, Table
from orchestrator.report.formats import one_line

# Everything that can start markup anywhere in a line; a table cell also ends at a pipe.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&$])")
_ADDRESS = re.compile(r"(?i)(https?|ftp|www|mailto|xmpp)([:.])|(?P<at>@)")


def escape(text: str) -> str:
    """Any text as one line of Markdown that prints the same characters and nothing else."""
    visible = "".join(
        " " if unicodedata.category(character) == "Cc" else character for character in text
    )
    escaped = _SPECIAL.sub(r"\\\1", one_line(visible))
    # A bare address becomes a link by itself on some sites; an entity in it stops that.
    return _ADDRESS.sub(_split_address, escaped)


def _split_address(match: re.Match[str]) -> str:
    return "&#64;" if match["at"] else f"{match[1]}&#{ord(match[2])};"


def to_markdown(page: Page) -> str:
    """The whole file, with a newline at its end."""
    parts = [f"# {escape(page.title)}", *(escape(sentence) for sentence in page.lead)]
    parts.append(
        "\n".join(
            f"- {escape(card.label)}: **{escape(card.value)}** ({escape(card.detail)})"
            for card in page.cards
        )
    )
    if page.notices:
        parts.append(
            "\n".join(
                f"> **{notice.kind.capitalize()}:** {escape(notice.text)}  "
                for notice in page.notices
            )
        )
    for section in page.sections:
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    parts = [f"## {escape(section.title)}"]
    parts += [escape(paragraph) for paragraph in section.paragraphs]
    if section.bullets:
        parts.append("\n".join(f"- {escape(bullet)}" for bullet in section.bullets))
    for table in section.tables:
        parts += _table(table)
    return parts


def _table(table: Table) -> list[str]:
    lines = [
        _line([_header(header) for header in table.headers]),
        _line(["---:" if header.numeric else "---" for header in table.headers]),
        *(_line([_cell(cell) for cell in row]) for row in table.rows),
    ]
    parts = [f"### {escape(table.caption)}", "\n".join(lines)]
    return [*parts, escape(table.note)] if table.note else parts


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _header(header: Header) -> str:
    return escape(f"{header.text} ({header.unit})" if header.unit else header.text)


def _cell(cell: Cell) -> str:
    text = escape(f"{cell.text}: {cell.detail}" if cell.detail else cell.text)
    return f"**{text}** ★" if cell.best else text
