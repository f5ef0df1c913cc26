"""What a report says of each of its runs: data, configuration, provenance."""

from dataclasses import replace

from orchestrator.report.blocks import Section, Table
from orchestrator.report.collect import RunReport, RunSource
from orchestrator.report.comparison import class_counts
from orchestrator.report.sections.tables import data_table, mapping_table
from orchestrator.texts import one_line


def data_section(run: RunReport) -> Section:
    """The data; that of each run where they differ."""
    if run.same_data:
        how = preparation_table(run)
        tables = (data_table(run), *([how] if how else []))
        told = (_data_sentence(run), *_audited(run))
        return Section("data", "Data", told, tables=tables)
    parts = [replace(run, document=source.document) for source in run.sources]
    labelled = list(zip(run.sources, parts, strict=True))
    return Section(
        "data",
        "Data",
        tuple(
            f"Run {source.label}: {' '.join((_data_sentence(part), *_audited(part)))}"
            for source, part in labelled
        ),
        tables=tuple(
            _of_run(table, number, source)
            for number, (source, part) in enumerate(labelled, start=1)
            for table in (data_table(part), preparation_table(part))
            if table is not None
        ),
    )


def preparation_table(run: RunReport) -> Table | None:
    """How the data were prepared; None where the run did not note it."""
    return mapping_table(
        "preparation-table", "How they were prepared", run.document.data.preparation
    )


def _data_sentence(run: RunReport) -> str:
    data = run.document.data
    train, validation = class_counts(run, "train"), class_counts(run, "validation")
    return (
        f"{sum(train):,} training and {sum(validation):,} validation images of "
        f"{data.image_size} by {data.image_size} pixels ({data.encoding}), "
        f"fingerprint {data.fingerprint}."
    )


def _audited(run: RunReport) -> tuple[str, ...]:
    """What an audit of the shards had found when the run was made; nothing where none was known."""
    text = one_line(run.document.data.audit)
    return (f"Duplicates, by `data audit`: {text}",) if text else ()


def run_tables(run: RunReport) -> list[Table | None]:
    """Configuration and provenance of each run."""
    tables: list[Table | None] = []
    for number, source in enumerate(run.sources, start=1):
        pair = (
            mapping_table("config-table", "Configuration", source.document.config),
            mapping_table("provenance-table", "Provenance", source.provenance),
        )
        alone = len(run.sources) == 1
        tables += pair if alone else [one and _of_run(one, number, source) for one in pair]
    return tables


def _of_run(table: Table, number: int, source: RunSource) -> Table:
    """The table of one run of several, with its own id."""
    return replace(table, id=f"{table.id}-{number}", caption=f"{table.caption}, run {source.label}")
