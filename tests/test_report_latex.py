"""`tables.tex`: it compiles, alone and within a document, and every text comes out as text."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.report import write_report
from orchestrator.report.blocks import Cell, Header, Page, Section, Table
from orchestrator.report.formats import one_line
from orchestrator.report.forms.latex import to_latex
from orchestrator.report.forms.latex_text import escape, escape_breakable
from tests.made_up_runs import MadeUpRun, write_run
from tests.test_report_html import HOSTILE, HOSTILE_TRIAL
from trainers.architectures import ARCHITECTURES
from trainers.result import TrialState

EVIL = (
    f"{HOSTILE} \\input{{/etc/passwd}} \\end{{document}} ^^5c % gone? ~ -- --- ?` !` ,, '' << "
    "é ñ ç ő ž ø ß ½ ± × ∞ κ 😀 漢 \x1b[31m \u202e “q” \u2018s\u2019"
)
COMPILER = shutil.which("pdflatex") or shutil.which("lualatex") or shutil.which("xelatex")
COMMANDS = {
    "textbackslash": "\\",
    "textasciitilde": "~",
    "textasciicircum": "^",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
}


def read_back(latex: str) -> str:
    """What TeX prints of escaped ASCII; fails on anything that it would take for a command."""

    def group(match: re.Match[str]) -> str:
        special, code, name, guarded, empty = match.groups()
        if code:
            return chr(int(code))
        return special or guarded or (COMMANDS[name] if name else empty and "")

    pattern = (
        r"\\([{}$&#%_])|\\symbol\{(34|96)\}|\\([a-z]+)\{\}|\{([\[\]*])\}|(\{\})"  # one a group
    )
    rest = re.sub(pattern, "", latex)
    assert not re.search(r"[\\{}$&#%_~^<>\"`]", rest), rest
    assert not re.search(r"--|,,|''", latex)
    return re.sub(pattern, group, latex)


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_ascii_comes_out_as_it_went_in(text: str):
    assert read_back(escape(text)) == one_line(text)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_becomes_ascii_on_one_line(text: str):
    for written in (escape(text), escape_breakable(text)):
        assert written.isascii()
        assert "\n" not in written
        # No group is left open, whatever the text: escaped braces aside.
        bare = re.sub(r"\\[{}]", "", written)
        assert bare.count("{") == bare.count("}")


def test_symbols_have_their_commands_and_others_their_code():
    assert escape("±1 – ∞ é Ő 😀 漢") == (
        r"$\pm$1 \textendash{} $\infty$ \'{e} \H{O} {[}U+1F600{]} {[}U+6F22{]}"
    )
    assert escape("a\x1b[31mb") == "a{[}U+FFFD{]}{[}31mb"
    assert escape_breakable("f" * 30) == "f" * 24 + r"\allowbreak{}" + "f" * 6


def page_of(*tables: Table) -> Page:
    return Page("title", (), (), (), (Section("one", "One", tables=tables),))


def columns_of(latex: str) -> list[int]:
    """Columns of each part: its format, checked against the cells of each row."""
    found = []
    for part in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", latex, re.DOTALL):
        columns = len(re.match(r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}", part)[1])
        body = part[part.index(r"\midrule") :]
        for row in re.findall(r"^(.*) \\\\$", body, re.MULTILINE):
            assert len(re.findall(r"(?<!\\)&", row)) == columns - 1
        found.append(columns)
    return found


def test_a_wide_table_goes_on_in_further_ones_with_its_first_column():
    headers = (Header("Name", numeric=False), *(Header(f"Column {i}") for i in range(30)))
    rows = tuple((Cell(f"row {row}"), *(Cell("12.345"),) * 30) for row in range(3))
    latex = to_latex(page_of(Table("wide", "Wide", headers, rows, note="The note.")))
    parts = columns_of(latex)
    assert sum(parts) == 30 + len(parts)
    assert max(parts) - min(parts) <= 2
    assert latex.count("row 1 &") == len(parts) == latex.count(r"\end{table}")
    assert latex.count("The note.") == latex.count(r"\label{tab:wide}") == 1
    assert latex.count("(continued)") == latex.count(r"\addtocounter{table}{-1}") == len(parts) - 1


def test_a_long_table_goes_on_on_the_next_page():
    rows = tuple((Cell(f"row {row};"), Cell("1")) for row in range(100))
    headers = (Header("Name", numeric=False), Header("Value", "unit"))
    latex = to_latex(page_of(Table("long", "Long", headers, rows)))
    assert columns_of(latex) == [2, 2, 2]
    assert all(f"row {row};" in latex for row in range(100))


def test_the_best_is_bold_and_a_long_text_is_broken():
    headers = (Header("Name", numeric=False), Header("State", numeric=False))
    rows = (
        (Cell("a", best=True), Cell("failed", detail="why " * 30)),
        (Cell("b"), Cell("", detail="c")),
    )
    latex = to_latex(page_of(Table("t", "T", headers, rows)))
    assert r"\textbf{a}$\,\star$" in latex
    assert r"\parbox[t]{6.5cm}{\raggedright failed: why why" in latex
    assert r"b & {\scriptsize c} \\" in latex.replace("&  {", "& {")


def test_a_wide_cell_keeps_its_detail_and_its_star():
    headers = (Header("Name", numeric=False), Header("Value", numeric=False))
    rows = ((Cell("a"), Cell("long " * 10 + "end", detail="short", best=True)),)
    latex = to_latex(page_of(Table("t", "T", headers, rows)))
    assert r"long end}$\,\star$: short\strut}" in latex


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tables.tex` of a run whose every text is hostile."""
    run = MadeUpRun(
        name=EVIL,
        trials=(HOSTILE_TRIAL, "mobilenet-s0", "[*]\\evil{}-s0"),
        states={"mobilenet-s0": TrialState.FAILED},
        recipe={"weights": EVIL, EVIL: 1, "long": "f00d" * 100},
        reason=EVIL + "\n\n| a | b |",
        notes=(EVIL,),
    )
    store = write_run(tmp_path_factory.mktemp("hostile"), run)
    write_report(store.root)
    return store.report_dir / "tables.tex"


def test_hostile_texts_stay_texts(hostile: Path):
    latex = hostile.read_text(encoding="ascii")
    columns_of(latex)
    assert r"\input{/etc" not in latex
    assert r"\evil" not in latex
    assert latex.count(r"\end{document}") == 1  # ours
    assert r"\textbackslash{}input\{/etc/pass" in latex


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tables.tex` of fourteen architectures with three seeds each."""
    trials = tuple(f"{name}-s{seed}" for name in ARCHITECTURES for seed in range(3))
    store = write_run(tmp_path_factory.mktemp("many"), MadeUpRun(trials=trials, states={}))
    write_report(store.root)
    return store.report_dir / "tables.tex"


def compile_latex(source: Path, folder: Path) -> str:
    """The compiler's log; the test is skipped where there is no compiler."""
    if COMPILER is None:
        pytest.skip("no LaTeX (pdflatex, lualatex or xelatex) is installed")
    command = [COMPILER, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
    done = subprocess.run(
        [*command, str(source)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert (folder / source.with_suffix(".pdf").name).stat().st_size > 10_000
    return (folder / source.with_suffix(".log").name).read_text(errors="replace")


@pytest.mark.slow
@pytest.mark.parametrize("run", ["hostile", "many"])
def test_it_compiles_alone_and_within_a_document(run: str, request, tmp_path: Path):
    tables: Path = request.getfixturevalue(run)
    log = compile_latex(tables, tmp_path)
    assert "Overfull \\vbox" not in log
    around = tmp_path / "around.tex"
    around.write_text(
        "\\documentclass[twocolumn]{article}\n\\usepackage{booktabs,graphicx}\n\\begin{document}\n"
        f"Before.\n\\input{{{tables}}}\nSee Table~\\ref{{tab:accuracy-table}}.\n\\end{{document}}\n"
    )
    compile_latex(around, tmp_path)
