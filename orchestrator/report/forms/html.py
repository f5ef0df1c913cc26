"""The report as one HTML file that opens from disk and asks for nothing else.

Style sheet, script, plotly.js and the figures are inlined. Texts are escaped by Jinja; what stands
in a `<script>` is escaped by `script_json`.
"""

from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.report.blocks import Page
from orchestrator.texts import visible


def script_json(text: str) -> Markup:
    """JSON that may stand in a `<script>`: no character left that HTML could read as markup."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _finalize(value: object) -> object:
    """No control character, whatever the file that a text comes from."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def to_html(page: Page) -> str:
    """The whole file. plotly.js (about 4.8 MB) is in it only where there is a figure to draw."""
    environment = Environment(
        loader=PackageLoader("orchestrator.report.forms", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    environment.filters["script_json"] = script_json
    figures = [figure for section in page.sections for figure in section.figures]
    return environment.get_template("index.html.j2").render(
        page=page,
        style=_inline("report.css"),
        script=_inline("report.js"),
        plotly=_plotly() if figures else "",
    )


def _inline(name: str) -> Markup:
    path = resources.files("orchestrator.report.forms").joinpath("templates", name)
    return Markup(path.read_text(encoding="utf-8"))


def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    # The bundle holds no "</script", but it is not ours: make sure of it.
    return Markup(get_plotlyjs().replace("</script", "<\\/script"))
