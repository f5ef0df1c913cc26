"""Writes the report's files: same inputs, same bytes; an equal file is not touched."""

from pathlib import Path

from datasets.errors import DataError
from datasets.files import write_text
from orchestrator.report.collect import collect
from orchestrator.report.html import to_html
from orchestrator.report.latex import to_latex
from orchestrator.report.markdown import to_markdown
from orchestrator.report.multistage import MULTISTAGE_DIR, multistage_section
from orchestrator.report.page import build_page
from orchestrator.report.results import ClassRow, TrialRow, run_results, to_csv
from orchestrator.run_store import RunStore

INDEX_FILE = "index.html"


def write_report(run_dir: Path) -> Path:
    """Write `report/` of a run directory, of a run in any state; the path of its `index.html`.

    Raises `ConfigError` where `run_dir` is not a run directory, `DataError` where the report can't
    be written.
    """
    run = collect(run_dir)
    multistage = multistage_section(run_dir / MULTISTAGE_DIR)
    page, results = build_page(run, [multistage] if multistage else []), run_results(run)
    directory = RunStore(run_dir).report_dir
    files = {
        "results.csv": to_csv(TrialRow, results.trials),
        "per_class.csv": to_csv(ClassRow, results.per_class),
        "results.json": results.model_dump_json(indent=2) + "\n",
        "report.md": to_markdown(page),
        "tables.tex": to_latex(page),
        # Last: who finds it finds the files that it links to.
        INDEX_FILE: to_html(page),
    }
    try:
        for name, text in files.items():
            write_text(directory / name, text)
    except OSError as error:
        raise DataError(
            f"the report can't be written to {directory} ({error}); "
            "make room or give write permission, then run `fer-orch report` on the run again"
        ) from error
    return directory / INDEX_FILE
