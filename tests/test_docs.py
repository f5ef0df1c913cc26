import re
from pathlib import Path

import pytest

from orchestrator.config_docs import configuration_page

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", link):
            assert (page.parent / link).exists(), link


def test_the_readme_names_every_command():
    import typer.main

    from orchestrator.cli import app

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        for inner in getattr(command, "commands", {"": None}):
            assert f"fer-orch {name} {inner}".strip() in readme


def test_the_page_of_the_configuration_is_what_the_code_says():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == configuration_page(), (
        "python -m orchestrator.config_docs > docs/configuration.md"
    )
    undescribed = [line for line in page.splitlines() if line.endswith("|  |")]
    assert not undescribed
