"""Several runs as one report: told apart, never mixed up, refused where their data differ."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datasets.errors import ConfigError
from orchestrator.cli import app
from orchestrator.report import write_runs
from orchestrator.report.comparison import NO_BEST
from orchestrator.report.formats import MISSING
from orchestrator.report.forms import html
from orchestrator.report.merge import collect_runs
from orchestrator.report.page import build_page
from orchestrator.report.results import RunResults, run_results
from orchestrator.report.scores.choice import choices_of
from orchestrator.report.scores.compare import compared
from orchestrator.report.sections.choice import choice_section
from tests.made_up_runs import MadeUpRun, write_run
from tests.test_multistage import write_experiment
from tests.test_report_html import HOSTILE, Reader, figure_data
from trainers.result import TrialState

FIRST = MadeUpRun(name="first", trials=("mobilenet-s0", "xception-s0"), states={})
SECOND = MadeUpRun(
    name="second",
    trials=("mobilenet-s0", "resnet50-s0", "densenet121-s0"),
    states={"resnet50-s0": TrialState.FAILED},
    seed=1,
)
OTHER_DATA = replace(SECOND, fingerprint="0ther" * 10, validation_images=160)


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [write_run(tmp_path / one.name, one).root for one in (FIRST, SECOND)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def report(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["report", *map(str, words)])
    assert "Traceback" not in done.output
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.slow
def test_every_trial_of_every_run_has_its_row_and_says_its_run(two, tmp_path):
    code, said = report(*two, "--out", tmp_path / "both")
    assert (code, said) == (0, str(tmp_path / "both" / "index.html"))
    found = [
        (row["run"], row["architecture"], row["status"])
        for row in rows(tmp_path / "both" / "results.csv")
    ]
    assert found == [
        ("first", "mobilenet", "finished"),
        ("first", "xception", "finished"),
        ("second", "mobilenet", "finished"),
        ("second", "resnet50", "failed"),
        ("second", "densenet121", "finished"),
    ]
    classes = rows(tmp_path / "both" / "per_class.csv")
    assert [row["run"] for row in classes[::8]] == ["first", "first", "second", "second"]
    # The figures of a trial are those of the report of its run alone.
    alone = write_runs([two[1]], tmp_path / "alone").parent
    # But for what they are called: an architecture that both runs trained is told apart.
    ours = [row | {"group": ""} for row in rows(tmp_path / "both" / "results.csv")[2:]]
    assert [row | {"group": ""} for row in rows(alone / "results.csv")] == ours
    for run in two:
        assert not (run / "report").exists()


@pytest.mark.slow
def test_results_json_lists_the_runs(two, tmp_path):
    write_runs(two, tmp_path / "both")
    text = (tmp_path / "both" / "results.json").read_text(encoding="utf-8")
    results = RunResults.model_validate_json(text)
    assert results.run == "first + second"
    assert [run.name for run in results.runs] == ["first", "second"]
    assert results.same_data
    # Made up anew, the second run's images have other labels.
    assert all("is not compared image by image" in text for text in results.warnings)


def test_only_trials_of_the_same_name_carry_their_runs(two):
    run = collect_runs(two)
    names = [run.name_of(trial) for trial in run.trials]
    assert names == [
        "MobileNet, run first",
        "Xception",
        "MobileNet, run second",
        "ResNet50",
        "DenseNet121",
    ]
    assert len({run.key_of(trial) for trial in run.trials}) == 5


@pytest.mark.slow
def test_the_page_has_unique_ids_and_curves_and_each_runs_configuration(two, tmp_path):
    page = Reader(write_runs(two, tmp_path / "both").read_text(encoding="utf-8"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for text in ("Configuration, run first", "Provenance, run second", "first + second"):
        assert text in page.text
    curves = figure_data(page)["accuracy-curves"]
    keys = [(trace["meta"]["trial"], trace["meta"]["stage"]) for trace in curves["data"]]
    assert len(keys) == len(set(keys)) == 8


@pytest.mark.slow
def test_what_a_figure_lets_choose_is_unique_and_has_its_own_traces(two):
    page = build_page(collect_runs(two))
    figures = [one for section in page.sections for one in section.figures if one.choices]
    assert {one.id for one in figures} >= {"confusion-matrix", "reliability"}
    for figure in figures:
        values = [value for value, _ in figure.choices]
        assert len(values) == len(set(values)) == 4, figure.id
        data = json.loads(figure.plotly_json)["data"]
        traces = [trace["meta"]["trial"] for trace in data if trace["meta"]["trial"]]
        assert sorted(traces) == sorted(values), figure.id


@pytest.mark.slow
def test_rows_of_trials_have_the_names_that_comparisons_use(tmp_path):
    one = replace(FIRST, trials=("mobilenet-s0",))
    runs = [write_run(tmp_path / place, one).root for place in ("a", "b")]
    results = run_results(compared(collect_runs(runs)))
    groups = {row.group for row in results.trials}
    assert groups == {"mobilenet, run first", "mobilenet, run first (2)"}
    assert {row.architecture for row in results.seeds} == groups
    labels = {row.run for row in results.trials}
    assert {row.run for row in results.confusions} == labels
    assert {row.run for row in results.reliability} == labels


def test_runs_of_the_same_name_are_numbered(tmp_path):
    runs = [write_run(tmp_path / place, FIRST).root for place in ("a", "b", "c")]
    labels = [source.label for source in collect_runs(runs).sources]
    assert labels == ["first", "first (2)", "first (3)"]


@pytest.mark.slow
def test_two_trials_of_one_seed_stand_apart_and_are_compared(tmp_path):
    one = replace(FIRST, trials=("mobilenet-s0",))
    runs = [write_run(tmp_path / place, one).root for place in ("a", "b")]
    write_runs(runs, tmp_path / "both")
    (pair,) = rows(tmp_path / "both" / "comparisons.csv")
    assert {pair["architecture_a"], pair["architecture_b"]} == {
        "mobilenet, run first",
        "mobilenet, run first (2)",
    }
    assert float(pair["mcnemar_p"]) == 1  # they are copies
    page = build_page(collect_runs(runs))
    assert page.lead[0].startswith("MobileNet, run first reached")
    assert "seeds" not in page.cards[0].detail


@pytest.mark.slow
def test_runs_that_share_no_trial_give_seeds_of_one_architecture(tmp_path):
    seeds = [replace(FIRST, trials=(f"mobilenet-s{seed}",), name=f"s{seed}") for seed in (0, 1)]
    runs = [write_run(tmp_path / one.name, one).root for one in seeds]
    page = build_page(collect_runs(runs))
    assert "on average over 2 seeds" in page.lead[0]


def test_runs_of_other_recipes_are_no_seeds_of_one_architecture(tmp_path):
    runs = [
        write_run(tmp_path / name, replace(FIRST, trials=(trial,), name=name, epochs=epochs)).root
        for name, trial, epochs in (
            ("e", "resnet50-s0", 9),
            ("f", "resnet50-s1", 1),
            ("g", "resnet50-s2", 9),
        )
    ]
    groups = [trial.group for trial in collect_runs(runs[:2]).trials]
    assert groups == ["resnet50, run e", "resnet50, run f"]
    groups = [trial.group for trial in collect_runs(runs).trials]
    assert groups == ["resnet50, runs e and g", "resnet50, run f", "resnet50, runs e and g"]


def test_a_setting_that_an_older_run_does_not_know_is_no_difference(tmp_path):
    runs = [
        write_run(tmp_path / name, replace(FIRST, trials=(trial,), name=name, recipe=recipe)).root
        for name, trial, recipe in (
            ("old", "resnet50-s0", {}),
            ("new", "resnet50-s1", {"probes_label": "Happiness"}),
        )
    ]
    run = collect_runs(runs)
    assert not run.warnings
    assert {trial.group for trial in run.trials} == {"resnet50"}


def test_different_data_are_refused_with_both_fingerprints_and_the_way_out(tmp_path):
    runs = [write_run(tmp_path / one.name, one).root for one in (FIRST, OTHER_DATA)]
    code, said = report(*runs, "--out", tmp_path / "both")
    assert code == 2
    for text in (FIRST.fingerprint, OTHER_DATA.fingerprint, "--allow-different-data"):
        assert text in said
    assert not (tmp_path / "both").exists()


@pytest.mark.slow
def test_different_data_that_were_asked_for_are_marked_everywhere(tmp_path):
    runs = [write_run(tmp_path / one.name, one).root for one in (FIRST, OTHER_DATA)]
    out = tmp_path / "both"
    code, _ = report(*runs, "--out", out, "--allow-different-data")
    assert code == 0
    assert {row["run"]: row["data_fingerprint"] for row in rows(out / "results.csv")} == {
        "first": FIRST.fingerprint,
        "second": OTHER_DATA.fingerprint,
    }
    results = RunResults.model_validate_json((out / "results.json").read_text(encoding="utf-8"))
    assert not results.same_data
    assert not results.paper_comparable
    page = build_page(collect_runs(runs, allow_different_data=True))
    warnings = [notice.text for notice in page.notices if notice.kind == "warning"]
    assert any(text.startswith("the runs are of different data (first: ") for text in warnings)
    accuracy = next(section for section in page.sections if section.id == "accuracy")
    marks = {(row[0].text.partition(", ")[2], row[0].detail) for row in accuracy.tables[0].rows}
    assert marks == {
        ("run first", f"data {FIRST.fingerprint[:12]}"),
        ("run second", f"data {OTHER_DATA.fingerprint[:12]}"),
    }
    data = next(section for section in page.sections if section.id == "data")
    assert [table.id for table in data.tables] == ["data-table-1", "data-table-2"]
    assert_nothing_is_the_best(page)
    expressions = next(section for section in page.sections if section.id == "expressions")
    for table in expressions.tables:
        assert not any(header.unit for header in table.headers)


def assert_nothing_is_the_best(page):
    """No trial is ranked: in the lead, on the cards, by a star, on a front."""
    assert page.lead == (NO_BEST,)
    assert page.cards[0].value == MISSING
    for section in page.sections:
        assert not any("-front" in figure.id for figure in section.figures)
        own = () if section.id in ("poses", "paper") else section.tables
        for table in own:
            assert not any(cell.best for row in table.rows for cell in row), table.id
            assert "★" not in table.note, table.id
    choice = next(section for section in page.sections if section.id == "choice")
    names = [row[0].text for row in choice.tables[0].rows]
    assert all(", run " in name for name in names)
    assert len(names) == 4
    assert choice.paragraphs == (NO_BEST,)


def test_configurations_that_differ_are_told(tmp_path):
    other = replace(SECOND, epochs=9, recipe={"batch_size": 32})
    runs = [write_run(tmp_path / one.name, one).root for one in (FIRST, other)]
    (warning,) = collect_runs(runs).warnings
    assert "recipe.epochs 5 (first), 9 (second)" in warning
    assert "recipe.batch_size 16 (first), 32 (second)" in warning
    assert "seeds" not in warning


@pytest.mark.slow
def test_each_run_speaks_for_itself(tmp_path):
    momenta = {"first": 0.83, "second": None}
    made = [
        replace(one, epochs=epochs, recipe={"batch_norm_momentum": momenta[one.name]})
        for one, epochs in ((FIRST, 5), (SECOND, 9))
    ]
    page = build_page(collect_runs([write_run(tmp_path / one.name, one).root for one in made]))
    texts = [notice.text for notice in page.notices]
    for start, part in (("Run first: ", "epochs 5 (p"), ("Run second: ", "epochs 9 (p")):
        assert any(text.startswith(f"{start}The recipe differs") and part in text for text in texts)
    (momentum,) = [text for text in texts if "lowered to 0.83" in text]
    assert momentum.startswith("Run first: ")
    how = next(section for section in page.sections if section.id == "how")
    assert momentum in how.bullets
    assert how.bullets[0].startswith("Learning rate")
    poses = next(section for section in page.sections if section.id == "poses")
    faces = [one for one in poses.galleries if one.id.startswith("probe-faces")]
    assert [one.caption.rpartition(", ")[2] for one in faces] == ["run first", "run second"]
    assert len({one.id for one in faces}) == 2


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_a_trial_has_the_price_of_its_own_run(tmp_path, currency):
    runs = []
    for name, trial, price, named in (
        ("a", "resnet50-s0", 3.0, "EUR"),
        ("b", "mobilenet-s0", 2.0, currency),
    ):
        store = write_run(tmp_path / name, replace(FIRST, name=name, trials=(trial,)))
        document = store.read()
        config = document.config | {"estimate": {"price_per_hour": price, "currency": named}}
        store.write(document.model_copy(update={"config": config}))
        runs.append(store.root)
    run = collect_runs(runs)
    found = {one.architecture: one.costs for one in choices_of(run)}
    note = choice_section(run).tables[0].note
    if currency == "EUR":
        for name, price in (("resnet50", 3), ("mobilenet", 2)):
            hours = found[name]["train_seconds"] / 3600
            assert found[name]["price"] == pytest.approx(price * hours)
        assert "Run a: Price: training time at 3.00 EUR an hour. Run b: Price: " in note
    else:
        assert {costs["price"] for costs in found.values()} == {None}
        assert "different currencies" in note


@pytest.mark.slow
def test_a_runs_own_warnings_name_it(two):
    (two[1] / "provenance.json").unlink()
    (two[1] / "trials" / "mobilenet-s0" / "predictions.parquet").unlink()
    run = collect_runs(two)
    assert any(text.startswith("run second: provenance.json is missing") for text in run.warnings)
    notices = [notice.text for notice in build_page(run).notices]
    assert any("mobilenet-s0 (run second): predictions.parquet" in text for text in notices)


@pytest.mark.slow
def test_multistage_trainings_of_two_runs_stand_apart(two, tmp_path, monkeypatch):
    monkeypatch.setattr(html, "_plotly", lambda: "")
    for run in two:
        write_experiment(run / "multistage")
    page = Reader(write_runs(two, tmp_path / "both").read_text(encoding="utf-8"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"multistage-1", "multistage-2"} <= set(ids)
    assert {
        str(one["href"])[1:] for one in page.with_tag("a") if str(one["href"])[0] == "#"
    } <= set(ids)


def test_requests_that_make_no_sense_are_refused(two, tmp_path):
    code, said = report(*two)
    assert code == 2
    assert "2 runs need --out DIR" in said
    code, said = report(two[0], two[0] / ".." / "first", "--out", tmp_path / "out")
    assert code == 2
    assert "is given twice" in said
    with pytest.raises(ConfigError, match=r"holds no run\.yaml"):
        collect_runs([two[0], tmp_path])


@pytest.mark.slow
def test_one_run_may_go_elsewhere(two, tmp_path):
    code, _ = report(two[0], "--out", tmp_path / "elsewhere")
    assert code == 0
    assert (tmp_path / "elsewhere" / "index.html").exists()
    assert not (two[0] / "report").exists()


@pytest.mark.slow
def test_hostile_names_of_runs_come_out_as_text(tmp_path):
    runs = [
        write_run(tmp_path / place, replace(one, name=HOSTILE)).root
        for place, one in (("a", FIRST), ("b", OTHER_DATA))
    ]
    index = write_runs(runs, tmp_path / "both", allow_different_data=True)
    page = Reader(index.read_text(encoding="utf-8"))
    sources = [str(attributes["src"]) for attributes in page.with_tag("img")]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert f"{HOSTILE} (2)" in page.text
    latex = (index.parent / "tables.tex").read_text(encoding="ascii")
    assert r"\textless{}/script\textgreater{}" in latex
