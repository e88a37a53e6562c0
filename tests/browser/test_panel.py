"""What the explorer says in each step, against the record; and what it finds."""

import math
import re

import numpy as np
import pytest

from tests.browser.acts import SMALLER, as_number, numbers, phase, press, steps, unfold


def known(data):
    """Every number of the record, as text that the page may show."""
    found = set()

    def walk(v):
        if isinstance(v, list):
            for w in v:
                walk(w)
        elif isinstance(v, dict):
            walk(list(v.values()))
        elif v is not None:
            found.add(as_number(v) if isinstance(v, str) else float(v))

    walk(data["pool"])
    walk([s for *_, s in data["messages"]])
    walk([s for *_, s in data["sums"]])
    return np.array(sorted(found | {float(abs(v)) for v in found}))


@pytest.mark.parametrize("size", SMALLER)
def test_every_number_of_every_step_is_the_engines(show, pages, size):
    page, data = show(size), pages[size].data
    if size != "large":
        unfold(page)
    press(page, "Home")
    every, count = known(data), 0
    for _ in range(steps(page) + 1):
        for text in numbers(page, "#info > :not(.whatif)"):
            v = as_number(text)
            near = every[np.argmin(np.abs(every - v))]
            assert math.isclose(near, v, rel_tol=1e-12, abs_tol=0), (phase(page), text)
            count += 1
        press(page, "ArrowRight")
    assert count > 50


def test_each_step_shows_its_own_adjoint_and_messages(show, pages):
    page, data = show("small"), pages["small"].data
    unfold(page)
    press(page, "b", "ArrowRight")
    seen = 0
    while page.locator(".arrives").count():
        i = int(page.locator(".card.on").get_attribute("data-key")[1:])
        assert as_number(numbers(page, ".arrives")[0]) == data["pool"][data["nodes"][i]["bar"]]
        sent = {t: data["pool"][v] for s, t, v, _ in data["messages"] if s == i}
        shown = page.evaluate("""() => [...document.querySelectorAll('.message')].map(m => [
            +m.querySelector('[data-node]').dataset.node,
            +m.querySelector('.result data').getAttribute('value'),
        ])""")
        assert dict(map(tuple, shown)) == sent
        seen += len(sent)
        press(page, "ArrowRight")
    assert seen == len(data["messages"])


def test_the_parts_of_an_adjoint_add_up_to_it_as_they_arrive(show, pages):
    page, data = show("small"), pages["small"].data
    nodes = {n["name"]: n for n in data["nodes"]}
    press(page, "End", "ArrowLeft")
    table = page.locator(".parts").first
    assert "w so far: 2 of 2 parts" in table.inner_text()
    parts = [as_number(v) for v in numbers(page, ".parts td:nth-child(2)")]
    assert sum(parts) == pytest.approx(data["pool"][nodes["w"]["bar"]], rel=1e-12)
    shares = [as_number(v) for v in numbers(page, ".parts td:nth-child(4)")]
    assert min(shares) < 0 < max(shares)
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    assert page.locator(".parts .against").count() == 1


def test_messages_that_cancel_say_so(show):
    page = show("cancels")
    press(page, "End", "ArrowLeft")
    assert "messages cancel" in page.locator(".message .share").first.inner_text()
    parts = [as_number(v) for v in numbers(page, ".parts td:nth-child(2)")]
    assert parts
    assert sum(parts) == 0
    assert all(parts)
    assert numbers(page, ".parts td:nth-child(4)") == []
    assert "messages cancel" in page.locator(".sum").first.inner_text()


def test_what_is_not_finite_is_told_and_found(show):
    page = show("broken")
    unfold(page)
    press(page, "ArrowRight")
    assert "2 not finite" in page.locator("#info").inner_text()
    press(page, "/")
    page.keyboard.type("nan")
    assert int(page.locator("#hits").inner_text().split()[0]) > 1
    assert page.locator(".whatif").count() == 0


def test_the_rule_the_line_and_the_words_are_shown(show):
    page = show("small")
    unfold(page)
    press(page, "End", "ArrowLeft")
    assert page.locator(".rule math").count() >= 3
    assert "multiply switches" in page.locator(".words").inner_text()
    assert page.locator(".source code").inner_text() == "z = w * x + b"
    assert re.fullmatch(r"programs\.py:\d+", page.locator(".source .dim").inner_text())
    bar = page.locator(".rule .over").first
    assert bar.evaluate("e => parseFloat(getComputedStyle(e).borderTopWidth)") > 0


def test_what_if(show, pages):
    page, data = show("small"), pages["small"].data
    names = page.locator("#which option").all_inner_texts()
    assert names == ["all variables, downhill", "w", "b", "x", "t", "lam"]
    for k, slide in enumerate(data["slides"]):
        page.locator("#which").select_option(index=k)
        half = len(slide["values"]) // 2
        for p in (0, half, half + 7, 2 * half):
            page.locator("#by").fill(str(p))
            moved, guess, actual = map(as_number, numbers(page, "#told table"))
            assert moved == pytest.approx(slide["reach"] * (p - half) / half, rel=1e-12)
            assert guess == pytest.approx(slide["slope"] * moved, rel=1e-12)
            assert actual == slide["values"][p] - slide["values"][half]
    page.locator("#which").select_option(label="w")
    assert "Downhill: more of w" in page.locator(".downhill").inner_text()


def test_a_leaf_that_is_chosen_tells_its_value_its_parts_and_what_if(show):
    page = show("small")
    page.locator('.card.input:has-text("w")').first.click()
    assert page.locator("#info h2").inner_text() == "w"
    assert "w so far: 2 of 2 parts" in page.locator("#info").inner_text()
    assert page.locator("#which").input_value() == "1"
    assert page.locator(".card.on").count() == 2  # the leaf and its alias
    press(page, "ArrowRight")
    assert page.locator("#info h2").inner_text().startswith("computes")


def test_search(show):
    page = show("large")
    press(page, "/")
    page.keyboard.type("op:softmax")
    assert page.locator("#hits").inner_text().startswith("12 hits on ")
    assert sum(map(int, page.locator(".count text").all_text_contents())) == 12
    press(page, "Enter")
    assert "block" in page.locator(".card.on").text_content()
    page.locator("#view").focus()
    unfold(page)
    assert page.locator("#hits").inner_text() == "12 hits"
    press(page, "n")
    first = page.locator("#info h2").inner_text()
    press(page, "n")
    assert page.locator("#info h2").inner_text() != first
    press(page, "N")
    assert page.locator("#info h2").inner_text() == first
    for query, least in {
        "blocks.3.q.weight": 1, "norm>0.1": 10, "shape:*x16": 10, "module:blocks.2*": 40,
        "programs.py": 100, "line:programs.py:*": 100, "min<-1": 1, "nan": 0,
    }.items():  # fmt: skip
        page.locator("#query").fill(query)
        said = page.locator("#hits").inner_text()
        assert int(re.match(r"\d*", said)[0] or 0) >= least, query
    page.locator("#query").fill("nan")
    assert page.locator("#hits").inner_text() == "no hits"
