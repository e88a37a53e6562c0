"""A Chromium for the tests of this folder; without one they fail, they are not left out."""

import html
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from overbar.views.compiled import compiled
from overbar.views.explore import explore
from tests.browser.programs import broken, cancels, logistic, mlp, training, transformer

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SIZES = {
    "small": (logistic, (0.5, 0.5, 1.0, 1.0, 0.01)),
    "middle": mlp(),
    "large": transformer(12),
    "huge": transformer(70),
    "cancels": (cancels, (2.0,)),
    "broken": (broken, (np.array([0.0, -1.0, 2.0]),)),
}
"""17, 40, 885 and 5061 nodes; and two in which something is wrong."""


@pytest.fixture(scope="session")
def browser():
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail(
            f"no browser: none of {', '.join(NAMES)} is on the PATH; `make browser` installs one"
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def pages():
    """Each computation's Explorer."""
    return {name: explore(f, *args) for name, (f, args) in SIZES.items()}


@pytest.fixture(scope="session")
def answers():
    """What became of two compiled steps."""
    return {name: compiled(*training(count)) for name, count in (("one", 1), ("several", 8))}


@pytest.fixture(scope="session")
def files(pages, answers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, page in {**pages, **answers}.items():
        page.save(folder / f"{name}.html")
    (folder / "frame.html").write_text(
        f"<!DOCTYPE html><html lang=en><title>{html.escape('a notebook')}</title>"
        f"<body><main><h1>a notebook</h1>{pages['middle']._repr_html_()}</main>",
        encoding="utf-8",
    )
    return folder


@pytest.fixture
def show(browser, files):
    """show("small", width, height, color_scheme=...) is the page, ready; errors fail the test."""
    contexts, errors = [], []

    def shown(name, width=1280, height=800, **how):
        context = browser.new_context(viewport={"width": width, "height": height}, **how)
        contexts.append(context)
        page = context.new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda said: errors.append(said.text) if said.type in {"error", "warning"} else None,
        )
        page.goto((Path(files) / f"{name}.html").as_uri())
        if name != "frame":
            page.wait_for_selector("body[data-ready]", timeout=20_000)
        return page

    yield shown
    for context in contexts:
        context.close()
    assert not errors, errors[:5]


NOTES = pytest.StashKey[list]()


@pytest.fixture
def note(request):
    """note("a line") is printed when all is done: times, to be read beside their limits."""
    return request.config.stash.setdefault(NOTES, []).append


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(NOTES, []):
        terminalreporter.write_line(line)
