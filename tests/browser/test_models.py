"""The page of every model's training step, for both themes and for wide and narrow windows."""

import itertools

import pytest

from overbar.views.explore import explore
from tests.browser.acts import press
from tests.views.steps import SMALL

WIDTHS = (1440, 900, 390)
LABELS = """() => [...document.querySelectorAll('#graph .norm, .card')].map(e => {
    const r = e.getBoundingClientRect();
    return [e.classList[0], e.textContent, r.left, r.top, r.right, r.bottom];
})"""


def overlap(a, b):
    """By how much two rectangles overlap, across and down."""
    return min(a[4], b[4]) - max(a[2], b[2]), min(a[5], b[5]) - max(a[3], b[3])


@pytest.mark.parametrize("made", SMALL.values(), ids=SMALL)
def test_a_model_is_readable_in_every_window(browser, tmp_path, made):
    step, args, _ = made()
    path = tmp_path / "page.html"
    explore(step, *args).save(path)
    errors = []
    for scheme, width in itertools.product(("light", "dark"), WIDTHS):
        context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda said: errors.append(said.text) if said.type in {"error", "warning"} else None,
        )
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]", timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert 5 < page.locator(".card").count() <= 40
        things = page.evaluate(LABELS)
        for a, b in itertools.combinations(things, 2):
            if a[0] == b[0]:
                across, down = overlap(a, b)
                assert min(across / 2, down / 4) <= 1, (a, b)
        press(page, "b", "ArrowRight", "ArrowRight")
        assert page.locator("#info .message").count() >= 1
        context.close()
    assert not errors
