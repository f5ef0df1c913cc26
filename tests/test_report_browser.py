"""The report in a browser: it asks for nothing, follows clicks, and is accessible.

Needs chromium, chromedriver and axe-core (`npm ci` in tests/browser); skipped where one is missing.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.report import write_report
from tests.made_up_runs import MadeUpRun, write_run

AXE = Path(__file__).parent / "browser" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="no chromium, chromedriver"),
    pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: `npm ci` in tests/browser"),
]

LOOKS = [(1440, "light"), (390, "dark")]
"""Each width and each scheme once: no style asks for both."""

SCRIPT_S = 300
"""A script of the page may take so long: axe-core does on a busy machine."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("browser") / "run"
    write_run(root, MadeUpRun())
    return write_report(root)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(SCRIPT_S)
    driver.set_page_load_timeout(SCRIPT_S)
    yield driver
    driver.quit()


def show(browser, page: Path, width: int = 1440, scheme: str = "light") -> None:
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # what an earlier page left there
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.get(page.as_uri())


def texts(browser, selector: str) -> list[str]:
    """The texts of what is shown; hidden rows are left out."""
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])]"
        ".filter(one => one.offsetParent !== null).map(one => one.textContent.trim())",
        selector,
    )


def click(browser, selector: str) -> None:
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def natural(text: str) -> list[str | int]:
    """ResNet50 before ResNet101."""
    return [int(part) if part.isdigit() else part.casefold() for part in re.split(r"(\d+)", text)]


def limit(browser, name: str, value: str) -> None:
    browser.execute_script(
        "const input = document.querySelector(`.chooser input[name=${arguments[0]}]`);"
        "input.value = arguments[1]; input.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
        value,
    )


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_it_opens_without_an_error_or_a_request(
    browser, report: Path, width: int, scheme: str, tmp_path: Path
):
    show(browser, report, width, scheme)
    problems = [line for line in browser.get_log("browser") if line["level"] != "INFO"]
    assert problems == []
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [report.as_uri()]
    plots = browser.execute_script("return document.querySelectorAll('.plot svg.main-svg').length")
    assert plots >= len(texts(browser, "figure"))
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(overflow) <= 0


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_nothing_serious(browser, report: Path, width: int, scheme: str):
    show(browser, report, width, scheme)
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document).then(result => done(result.violations))"
    )
    serious = [
        (one["id"], one["impact"], node["target"], node["failureSummary"])
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert serious == []


def test_a_click_on_a_header_sorts_and_a_second_turns_it_round(browser, report: Path):
    show(browser, report)
    column = "#accuracy-table thead th:nth-child(1) button"
    click(browser, column)
    names = texts(browser, "#accuracy-table tbody th")
    assert names == sorted(names, key=natural)
    assert texts(browser, "#announcement") == ["Sorted by Architecture, ascending"]
    click(browser, column)
    assert texts(browser, "#accuracy-table tbody th") == names[::-1]


def test_the_chooser_leaves_what_fits_and_names_the_best(browser, report: Path):
    show(browser, report)
    rows = "#choice-table tbody tr"
    everyone = texts(browser, f"{rows} th")
    limit(browser, "parameters", "10")
    left = texts(browser, f"{rows} th")
    assert 0 < len(left) < len(everyone)
    assert all(float(text.split()[0]) <= 10 for text in texts(browser, f"{rows} td:nth-child(4)"))
    (said,) = texts(browser, ".chooser output")
    assert said.startswith(
        f"{len(left)} of {len(everyone)} fit; the most accurate of them: {left[0]}"
    )
    assert shown_points(browser) == set(left)
    limit(browser, "latency_ms", "7")
    fast = texts(browser, f"{rows} th")
    assert set(fast) < set(left)
    limit(browser, "latency_ms", "")
    assert texts(browser, f"{rows} th") == left
    limit(browser, "parameters", "0.001")
    assert texts(browser, ".chooser output") == [f"None of {len(everyone)} fits."]
    click(browser, ".chooser button[type=reset]")
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert texts(browser, f"{rows} th") == everyone
    assert shown_points(browser) == set(everyone)


def shown_points(browser) -> set[str]:
    """The architectures that the figure of parameters shows, without its front."""
    names = browser.execute_script(
        "return document.querySelector('#parameters-front .plot').data"
        ".filter(trace => trace.visible && trace.meta.stage !== 'front')"
        ".map(trace => trace.meta.trial)"
    )
    return set(names)


def test_the_front_follows_the_chooser(browser, report: Path):
    show(browser, report)
    front = (
        "const trace = document.querySelector('#parameters-front .plot').data"
        ".find(one => one.meta.stage === 'front'); return [trace.x, trace.y]"
    )
    x, y = browser.execute_script(front)
    assert x == sorted(x)
    assert y == sorted(y)
    highest = max(x)
    limit(browser, "parameters", str(highest * 0.999))
    x_less, y_less = browser.execute_script(front)
    assert max(x_less) < highest
    assert max(y_less) < max(y)


def test_the_curves_of_a_trial_can_be_hidden_and_shown(browser, report: Path):
    show(browser, report)
    figure = "#accuracy-curves"
    visible = (
        f"return document.querySelector('{figure} .plot').data"
        ".filter(trace => trace.visible).length"
    )
    whole = browser.execute_script(visible)
    click(browser, f"{figure} .legend button")
    assert browser.execute_script(visible) == whole - 2
    click(browser, f"{figure} [data-training]")
    assert browser.execute_script(visible) == whole // 2 - 1
    click(browser, f"{figure} [data-all]")  # "Show all", as one is hidden
    assert browser.execute_script(visible) == whole // 2
    click(browser, f"{figure} [data-all]")
    assert browser.execute_script(visible) == 0


@pytest.mark.parametrize("figure", ["confusion-matrix", "reliability"])
def test_the_trial_of_a_figure_is_chosen_by_its_menu(browser, report: Path, figure: str):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    show(browser, report)
    menu = Select(browser.find_element(By.CSS_SELECTOR, f"#{figure} select"))
    shown = (
        f"return document.querySelector('#{figure} .plot').data"
        ".filter(trace => trace.visible && trace.meta.trial).map(trace => trace.meta.trial)"
    )
    values = [option.get_attribute("value") for option in menu.options]
    assert len(values) == 10  # the finished ones
    for value in (values[0], values[3]):
        menu.select_by_value(value)
        assert set(browser.execute_script(shown)) == {value}


def test_every_control_is_reached_by_the_keyboard(browser, report: Path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, report)
    seen = set()
    for _ in range(120):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        seen.add(browser.execute_script("return document.activeElement.outerHTML.slice(0, 120)"))
    wanted = browser.find_elements(By.CSS_SELECTOR, "nav a, .chooser input, .chooser button")
    missing = [
        one.get_attribute("outerHTML")[:120]
        for one in wanted
        if one.get_attribute("outerHTML")[:120] not in seen
    ]
    assert missing == []
