"""Writes the report's files: same inputs, same bytes; an equal file is not touched."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from datasets.errors import DataError
from datasets.files import write_data
from orchestrator.report.blocks import Section
from orchestrator.report.collect import RunReport
from orchestrator.report.comparison_rows import ComparisonRow
from orchestrator.report.forms.csv_rows import to_csv
from orchestrator.report.forms.html import to_html
from orchestrator.report.forms.latex import to_latex
from orchestrator.report.forms.markdown import to_markdown
from orchestrator.report.merge import apart, collect_runs
from orchestrator.report.page import build_page
from orchestrator.report.pictures import draw as pictures
from orchestrator.report.results import ClassRow, TrialRow, run_results
from orchestrator.report.scores.compare import compared
from orchestrator.report.sections.multistage import MULTISTAGE_DIR, multistage_section
from orchestrator.run_store import RunStore

INDEX_FILE = "index.html"


def write_report(run_dir: Path) -> Path:
    """Write `report/` of a run directory, of a run in any state; the path of its `index.html`.

    Raises `ConfigError` where `run_dir` is not a run directory, `DataError` where the report can't
    be written.
    """
    return write_runs([run_dir], RunStore(run_dir).report_dir)


def write_runs(
    run_dirs: Sequence[Path], directory: Path, *, allow_different_data: bool = False
) -> Path:
    """Write one report of all the runs into a directory; the path of its `index.html`."""
    run = compared(collect_runs(run_dirs, allow_different_data=allow_different_data))
    page, results = build_page(run, _multistage(run)), run_results(run)
    drawn = pictures.draw(run)
    page = replace(page, files=(*page.files, *drawn))
    texts = {
        "results.csv": to_csv(TrialRow, results.trials),
        "per_class.csv": to_csv(ClassRow, results.per_class),
        "comparisons.csv": to_csv(ComparisonRow, results.comparisons),
        "results.json": results.model_dump_json(indent=2) + "\n",
        "report.md": to_markdown(page),
        "tables.tex": to_latex(page),
        # Last: who finds it finds the files that it links to.
        INDEX_FILE: to_html(page),
    }
    _write(directory, drawn | {name: text.encode("utf-8") for name, text in texts.items()})
    return directory / INDEX_FILE


def _multistage(run: RunReport) -> list[Section]:
    """Figure 7 of each run that has one."""
    found = [
        (source, section)
        for source in run.sources
        if (section := multistage_section(source.root / MULTISTAGE_DIR))
    ]
    if len(run.sources) == 1:
        return [section for _, section in found]
    return [apart(section, number, source) for number, (source, section) in enumerate(found, 1)]


def _write(directory: Path, files: dict[str, bytes]) -> None:
    """Write the files, and remove pictures of an earlier report that this one has not."""
    try:
        for name, data in files.items():
            write_data(directory / name, data)
        for name in set(pictures.FILES) - set(files):
            (directory / name).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"the report can't be written to {directory} ({error}); "
            "make room or give write permission, then run `fer-orch report` on the run again"
        ) from error
