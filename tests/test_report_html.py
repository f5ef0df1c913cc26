"""The report's forms: one file that asks for nothing, and texts that come out as texts."""

import json
import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from orchestrator.report import write_report
from orchestrator.report.formats import MISSING, duration, fixed, percent, percent_interval
from orchestrator.report.forms.markdown import escape
from tests.made_up_runs import MadeUpRun, write_run
from trainers.result import TrialState

MARKDOWN_TAGS = {"h1", "h2", "h3", "p", "ul", "li", "blockquote", "strong", "br"} | {
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}
LINKED = {
    "results.csv",
    "per_class.csv",
    "comparisons.csv",
    "results.json",
    "report.md",
    "tables.tex",
}
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"quoted' & | pipe `code` "
    "**bold** _it_ {{ 7*7 }} {% raw %} %{x} $1$ [link](javascript:alert(3)) https://evil.example/x"
)
HOSTILE_TRIAL = "<img src=x onerror=alert(4)>|%{y}-s0"


class Reader(HTMLParser):
    """Collects what the page is made of."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.text = ""
        self.rows: list[list[tuple[str | None, str]]] = []
        """Of all tables: each cell's class and text."""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append((dict(attrs).get("class"), ""))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts.append((self.tags[-1][1], data))
        elif self.open[-1:] == ["style"]:
            self.styles.append(data)
        else:
            self.text += data
        if {"th", "td"} & set(self.open[-3:]):
            kind, text = self.rows[-1][-1]
            self.rows[-1][-1] = kind, text + data

    def with_tag(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def figure_data(reader: Reader) -> dict[str, dict]:
    """Each figure's data and layout, by the figure's id."""
    ids = [str(attributes["id"]) for attributes in reader.with_tag("figure")]
    contents = [
        json.loads(text)
        for attributes, text in reader.scripts
        if attributes.get("type") == "application/json"
    ]
    return dict(zip(ids, contents, strict=True))


@pytest.fixture(scope="module")
def mixed_page(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    store = write_run(tmp_path_factory.mktemp("html"))
    return Reader(write_report(store.root).read_text(encoding="utf-8"))


def test_the_page_asks_no_other_place_for_anything(mixed_page):
    for tag, attributes in mixed_page.tags:
        for name in ("src", "srcset", "data", "action", "poster", "formaction"):
            given = str(attributes.get(name, ""))
            assert not given or (tag == "img" and given.startswith("data:image/png;")), given
        if href := attributes.get("href"):
            assert href.startswith("#") or href in {"data:,", *LINKED}, (tag, href)
    ours = [text for attributes, text in mixed_page.scripts if attributes.get("id") != "plotly"]
    for text in (*ours, *mixed_page.styles):
        assert not re.search(r"https?://|//cdn|url\(|@import|fetch\(|XMLHttpRequest", text)
    (policy,) = (
        attributes["content"]
        for attributes in mixed_page.with_tag("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in str(policy)


def test_links_within_the_page_lead_somewhere(mixed_page):
    ids = [attributes["id"] for _, attributes in mixed_page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {
        str(attributes["href"])[1:]
        for attributes in mixed_page.with_tag("a")
        if str(attributes["href"]).startswith("#")
    }
    assert targets
    assert targets <= set(ids)
    for _, attributes in mixed_page.tags:
        if name := attributes.get("aria-labelledby"):
            assert name in ids


def test_tables_are_semantic_and_figures_have_a_text(mixed_page):
    tables = mixed_page.with_tag("table")
    assert len(mixed_page.with_tag("caption")) == len(tables) >= 6
    assert {attributes.get("scope") for attributes in mixed_page.with_tag("th")} == {"col", "row"}
    classes = [attributes.get("class") for attributes in mixed_page.with_tag("td")]
    assert set(classes) == {None, "number", "number best"}
    plots = [
        attributes for attributes in mixed_page.with_tag("div") if attributes.get("class") == "plot"
    ]
    assert len(plots) == len(mixed_page.with_tag("figure")) >= 5
    for attributes in plots:
        assert attributes["role"] == "img"
        assert len(str(attributes["aria-label"])) > 40


def test_the_highest_accuracy_alone_is_marked_as_best(mixed_page):
    """Of the table of accuracies, whose second column they are."""
    ours = [row for row in mixed_page.rows if any(text == "finished" for _, text in row)]
    shown = [float(row[1][1].split()[0]) for row in ours]
    assert len(shown) == 10
    marked = [accuracy for accuracy, row in zip(shown, ours, strict=True) if _is_best(row[1])]
    assert marked == [max(shown)]
    assert not any(_is_best(cell) for row in ours for cell in row[2:])


def _is_best(cell: tuple[str | None, str]) -> bool:
    return cell[0] == "number best" and cell[1].endswith("best")


@pytest.mark.slow
def test_control_characters_do_not_reach_the_page(tmp_path):
    name = "a\x1b[31m\u202eb\x01-s0"
    run = MadeUpRun(trials=(name,), states={}, recipe={"k\x1b": "v\x07"}, notes=("n\x9b",))
    text = write_report(write_run(tmp_path, run).root).read_text(encoding="utf-8")
    ours = re.sub(r'<script id="plotly">.*?</script>', "", text, flags=re.DOTALL)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", ours)


def test_failed_running_and_pending_trials_are_told_with_their_reason(mixed_page):
    text = " ".join(mixed_page.text.split())
    assert "failed ResourceExhaustedError: out of memory while allocating 2.1 GiB" in text
    assert "diverged the training loss became nan (epoch 3, step 17)" in text
    assert "running training, 2 of 5 epochs done, step 31 of 80" in text
    assert "10 of 14" in text
    assert "This run is not over: 2 trials still to finish." in text


def test_curves_hold_the_history_in_percent_and_gaps_for_nan(mixed_page):
    figures = figure_data(mixed_page)
    accuracy, loss = figures["accuracy-curves"], figures["loss-curves"]
    traces = {(trace["meta"]["trial"], trace["meta"]["stage"]): trace for trace in accuracy["data"]}
    # Ten finished, one running, one diverged; two curves each.
    assert len(traces) == len(accuracy["data"]) == 24
    assert traces["nasnetmobile-s0", "validation"]["y"][2] == 12.5
    lost = {(trace["meta"]["trial"], trace["meta"]["stage"]): trace for trace in loss["data"]}
    assert lost["nasnetmobile-s0", "training"]["y"][2] is None
    assert lost["nasnetmobile-s0", "validation"]["y"][2] is None
    for trace in accuracy["data"]:
        assert {"size", "symbol"} <= set(trace["marker"])


@pytest.mark.slow
def test_a_run_of_one_epoch_shows_its_points(tmp_path):
    store = write_run(tmp_path, MadeUpRun(trials=("mobilenet-s0",), states={}, epochs=1))
    page = Reader(write_report(store.root).read_text(encoding="utf-8"))
    accuracy = figure_data(page)["accuracy-curves"]
    assert [trace["x"] for trace in accuracy["data"]] == [[1], [1]]
    assert {trace["mode"] for trace in accuracy["data"]} == {"lines+markers"}
    assert accuracy["layout"]["xaxis"]["range"] == [0.5, 1.5]


def test_a_page_without_figures_does_not_carry_plotly(tmp_path):
    states = {"mobilenet-s0": TrialState.PENDING}
    store = write_run(tmp_path, MadeUpRun(trials=("mobilenet-s0",), states=states))
    assert write_report(store.root).stat().st_size < 100_000


@pytest.mark.slow
def test_the_lowered_batch_norm_momentum_is_told_with_its_value(tmp_path):
    run = MadeUpRun(
        trials=("mobilenet-s0",), states={}, recipe={"batch_norm_momentum": 0.83}, notes=("N.B.",)
    )
    page = Reader(write_report(write_run(tmp_path, run).root).read_text(encoding="utf-8"))
    assert "its momentum was lowered to 0.83" in page.text
    assert "N.B. (mobilenet-s0)" in page.text
    unset = write_run(
        tmp_path / "unset",
        MadeUpRun(trials=("mobilenet-s0",), states={}, recipe={"batch_norm_momentum": None}),
    )
    assert "momentum was lowered" not in write_report(unset.root).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reader, str]:
    run = MadeUpRun(
        name=HOSTILE,
        trials=(HOSTILE_TRIAL, "mobilenet-s0"),
        states={"mobilenet-s0": TrialState.FAILED},
        recipe={"weights": HOSTILE, HOSTILE: 1},
        reason=HOSTILE + "\n\n# second line\n| a | b |",
        notes=(HOSTILE,),
        probe_source=HOSTILE,
    )
    store = write_run(tmp_path_factory.mktemp("hostile"), run)
    page = Reader(write_report(store.root).read_text(encoding="utf-8"))
    return page, (store.report_dir / "report.md").read_text(encoding="utf-8")


def test_hostile_texts_come_out_as_text_in_html(hostile):
    page, _ = hostile
    assert not page.open
    sources = [str(attributes["src"]) for attributes in page.with_tag("img")]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    kinds = [
        attributes.get("type") or attributes.get("id") or ""
        for attributes in page.with_tag("script")
    ]
    assert kinds == ["application/json"] * len(page.with_tag("figure")) + ["plotly", ""]
    for attributes, text in page.scripts:
        if attributes.get("type") == "application/json":
            assert not set("<>&") & set(text)
    for data in figure_data(page).values():
        for trace in data["data"]:
            assert "<" not in trace.get("name", "") + trace["hovertemplate"].replace(
                "<br>", ""
            ).replace("<extra></extra>", "")
            assert "%{y}-" not in trace["hovertemplate"]
    # In the title, as the failed trial's reason, as a note, and in the configuration.
    assert page.text.count(HOSTILE) >= 5
    assert f"{HOSTILE} # second line | a | b |" in page.text
    assert HOSTILE_TRIAL.removesuffix("-s0") in page.text


def test_hostile_texts_come_out_as_text_in_markdown(hostile):
    _, text = hostile
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    page = Reader(rendered)
    assert {tag for tag, _ in page.tags} <= MARKDOWN_TAGS
    assert page.text.count(HOSTILE) >= 5
    assert f"{HOSTILE} # second line | a | b |" in page.text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "failed" in line]
    assert len(rows) == 1


def test_markdown_escapes_keep_every_character():
    rendered = MarkdownIt("commonmark").render(escape("a|b `c` <i> \\ * www.x.org 1\x07\n2"))
    assert Reader(rendered).text.strip() == "a|b `c` <i> \\ * www.x.org 1 2"


@pytest.mark.parametrize(
    "text", ["a@evil.com", "mailto:a@evil.com", "_www.evil.com", "x.http://evil.com", "xmpp:a@b.c"]
)
def test_no_address_becomes_a_link_in_markdown(text):
    escaped = escape(text)
    assert not re.search(r"@|(www|http|mailto|xmpp)[:.]", escaped)
    assert Reader(MarkdownIt("commonmark").render(escaped)).text.strip() == text


def test_missing_figures_print_a_dash():
    assert MISSING == "\u2013"
    nan = float("nan")
    assert [fixed(None, 2), fixed(nan, 2), percent(nan), duration(None)] == [MISSING] * 4
    assert percent_interval(0.1, nan) == MISSING
    assert percent_interval(0.1, 0.25) == f"10.00 {MISSING} 25.00"
    assert [fixed(1234.5, 1), fixed(0.5, 0), fixed(2**40, 0)] == [
        "1,234.5",
        "1",
        "1,099,511,627,776",
    ]
    assert [duration(59.6), duration(61), duration(7300)] == [
        "1 min 00 s",
        "1 min 01 s",
        "2 h 01 min",
    ]
