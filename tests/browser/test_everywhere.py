"""Where the explorer runs and for whom: frames, themes, zoom, keys; and how long it takes."""

import json
import math
from pathlib import Path

import axe_playwright_python
import numpy as np
import pytest

from tests.browser.acts import FOLDED, SMALLER, press

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("size", [*SMALLER, "huge"])
def test_nothing_is_asked_for(show, size):
    page = show(size)
    press(page, "b", "ArrowRight", "]", "End")
    assert [u for u in page.asked if not u.startswith(("file:", "data:"))] == []
    assert len([u for u in page.asked if u.startswith("file:")]) == 1


def test_it_works_in_a_sandboxed_frame(show):
    page = show("frame")
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready]").wait_for(timeout=10_000)
    frame.locator("#turn").click()
    assert frame.locator("#info h2").inner_text() == "The way back begins"
    frame.locator("body").press("ArrowRight")
    assert frame.locator(".message").count() == 2
    assert [u for u in page.asked if not u.startswith(("file:", "data:", "about:"))] == []


SCHEMES = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active", "color_scheme": "dark"},
    "forced light": {"forced_colors": "active", "color_scheme": "light"},
}
STATES = {
    "small": (
        ["ArrowRight", "ArrowRight"],
        ["b", "ArrowRight"],
        ["q", "ArrowRight"],
        ["End"],
        ["?"],
    ),
    "middle": (["b", "ArrowRight", "ArrowRight"], ["]", "End"]),
    "large": ([], ["b", "ArrowRight", "ArrowRight"]),
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", STATES)
def test_no_accessibility_violations(show, size, scheme):
    page = show(size, reduced_motion="reduce", **SCHEMES[scheme])
    page.evaluate(AXE)
    for keys in STATES[size]:
        press(page, *keys)
        found = page.evaluate("axe.run()")
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == [], keys
        assert len(found["passes"]) > 10


def test_at_200_percent_and_on_a_phone_nothing_is_lost(show):
    for width, height, ratio in ((640, 400, 2), (390, 844, 3), (320, 640, 2)):
        page = show("middle", width, height, device_scale_factor=ratio)
        press(page, "b", "ArrowRight")
        lost = page.evaluate("""() => {
            const wanted = 'header button, header input, #info, #view, #corner button';
            return [...document.querySelectorAll(wanted)].filter(e => {
                const r = e.getBoundingClientRect();
                return r.width < 1 || r.left < -1 || r.right > innerWidth + 1;
            }).map(e => e.id);
        }""")
        assert lost == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for part in ("#next", "#view", "#info h2", ".message >> nth=-1"):
            page.locator(part).scroll_into_view_if_needed()
            assert page.locator(part).is_visible()


def test_with_reduced_motion_nothing_moves(show):
    page = show("large", reduced_motion="reduce")
    page.locator(FOLDED).first.click()
    press(page, "Enter")
    assert page.evaluate("document.getAnimations().length") == 0
    press(page, "Home")
    moved = page.evaluate("""() => {
        const view = document.querySelector('#view'), was = view.scrollTop;
        document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'End', bubbles: true}));
        document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'b', bubbles: true}));
        return [was, view.scrollTop];
    }""")
    assert moved[1] != moved[0]  # at once


def test_keys_alone_reach_everything(show):
    page = show("middle")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    wanted = {"first", "prev", "step", "next", "last", "turn", "predict", "less", "more", "query"}
    wanted |= {"view", "info", "which", "by", "out", "all", "in", "theme", "ask"}
    assert wanted <= reached
    press(page, "Home", "ArrowRight")
    at = page.locator('[tabindex="0"][data-key]')
    at.focus()
    key = at.get_attribute("data-key")
    assert key.startswith("b")
    press(page, "Enter")
    assert page.locator(f'.box[data-key="{key}"]').count() == 1


def test_each_step_is_announced(show):
    page = show("small")
    said = page.locator("#said")
    assert said.get_attribute("aria-live") == "polite"
    press(page, "b", "ArrowRight")
    assert said.text_content().startswith("backward 8 of 13: through ")
    page.locator("#step").focus()
    press(page, "ArrowRight")
    assert page.locator("#step").get_attribute("aria-valuetext").startswith("backward 9 of 13")


# -- how long it takes --------------------------------------------------------------------------


def best(measure, limit, rounds=6):
    """The least of some measurements: others may use the machine too."""
    found = math.inf
    for _ in range(rounds):
        found = min(found, measure())
        if found < limit:
            break
    return found


@pytest.mark.parametrize(("size", "seconds"), [("large", 0.5), ("huge", 1.5)])
def test_it_is_ready_in_time(show, pages, size, seconds, note):
    assert len(pages[size].telling.record.nodes) > {"large": 500, "huge": 5000}[size]
    ready = best(lambda: float(show(size).evaluate("document.body.dataset.ready")) / 1000, seconds)
    note(f"{size}: ready after {ready:.3f} s")
    assert ready < seconds


@pytest.mark.parametrize(
    ("size", "levels"), [("small", 2), ("middle", 3), ("large", 3), ("huge", 0)]
)
def test_a_step_takes_less_than_a_frame(show, size, levels, note):
    page = show(size)
    press(page, *["]"] * levels)

    walk = """() => {
        const key = key => document.body.dispatchEvent(
            new KeyboardEvent('keydown', {key, bubbles: true}));
        key('Home');
        const n = Math.min(300, +document.querySelector('#step').max), times = [];
        for (let i = 0; i < n; i++) {
            const t = performance.now();
            key('ArrowRight');
            document.querySelector('#info').offsetHeight;
            times.push(performance.now() - t);
        }
        return times;
    }"""
    page.evaluate(walk)  # fonts are read once
    times = np.array(page.evaluate(walk))
    for _ in range(30):  # each step at its best: others may use the machine too
        p99 = float(np.percentile(times, 99))
        if p99 < 16:
            break
        times = np.minimum(times, page.evaluate(walk))
    note(f"{size}, {levels} levels opened: 99 % of the steps under {p99:.1f} ms")
    assert p99 < 16


def test_a_page_without_the_program_tells_the_story(browser, pages, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(pages["small"].html().replace("deflate-raw", "no-such-thing"), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector('body[data-ready="failed"]')
    assert "z = w x + b" in page.locator("body").inner_text()
    context.close()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert "z = w x + b" in page.locator("body").inner_text()
    context.close()


def test_the_record_in_the_page_is_the_record(show, pages):
    page = show("middle")
    held = json.loads(page.locator("#record").text_content())
    assert held == json.loads(json.dumps(pages["middle"].data))
