"""The explorer's drawing and the walk over it, in Chromium."""

import re

import pytest

from tests.browser.acts import FOLDED, SMALLER, numbers, phase, press, steps, unfold

# -- the picture ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SMALLER)
def test_opened_it_draws_every_node_and_edge_of_the_record(show, pages, size):
    page, data = show(size), pages[size].data
    unfold(page)
    ops = [n for n in data["nodes"] if n["kind"] == "op"]
    joined = {(x, i) for i, n in enumerate(data["nodes"]) for x in n.get("inputs", ())}
    beside = {(x, i) for x, i in joined if data["nodes"][x]["kind"] != "op"}
    assert page.locator(".card.op").count() == len(ops)
    assert page.locator(".card").count() == len(ops) + len(beside)
    assert page.locator("path.f").count() == len(joined)
    sent = {(s, t) for s, t, _, _ in data["messages"]}
    assert page.locator("path.b").count() == len(sent)


def folded(data, opened):
    """The cards and edges that a record has with these boxes open."""

    def card(i):
        trail, b = [], data["nodes"][i].get("box", -1)
        while b >= 0:
            trail.append(b)
            b = data["boxes"][b].get("parent", -1)
        return next((("box", b) for b in reversed(trail) if b not in opened), ("op", i))

    edges = set()
    for i, n in enumerate(data["nodes"]):
        for x in n.get("inputs", ()):
            if data["nodes"][x]["kind"] == "op" and card(x) != card(i):
                edges.add((card(x), card(i)))
    return {card(i) for i, n in enumerate(data["nodes"]) if n["kind"] == "op"}, edges


def test_folded_cards_keep_their_skip_edges(show, pages):
    page, data = show("large"), pages["large"].data
    for _ in range(2):
        page.locator(FOLDED).first.click()
        press(page, "Enter")
    opened = {
        int(k[1:]) for k in page.eval_on_selector_all(".box", "a => a.map(e => e.dataset.key)")
    }
    cards, edges = folded(data, opened)
    drawn = page.locator(".card:not(.leaf):not(.parameter):not(.input):not(.given)").count()
    assert drawn == len(cards)
    leaves = page.locator(".card.parameter, .card.input, .card.given").count()
    assert page.locator("path.f").count() == len(edges) + leaves
    skips = [(a, b) for a, b in edges if sum(c == b for _, c in edges) > 1]
    assert skips


@pytest.mark.parametrize("size", SMALLER)
@pytest.mark.parametrize("opened", [False, True])
def test_cards_do_not_overlap_and_hold_their_text(show, size, opened):
    page = show(size)
    if opened:
        unfold(page)
    press(page, "End")
    found = page.evaluate("""() => [...document.querySelectorAll('.card')].map(c => {
        const [x, y] = c.getAttribute('transform').match(/-?\\d[\\d.e-]*/g).map(Number);
        const f = c.querySelector('.face').getBBox();
        const out = [...c.querySelectorAll('text')].filter(t => !t.closest('.count')).filter(t => {
            const b = t.getBBox();
            return b.x < f.x - .5 || b.x + b.width > f.x + f.width + .5 ||
                b.y < f.y - 1 || b.y + b.height > f.y + f.height + 1;
        }).map(t => t.textContent);
        return [x + f.x, y + f.y, f.width, f.height, out];
    })""")
    assert [out for *_, out in found if out] == []
    boxes = sorted(found, key=lambda b: b[1])
    for i, (x, y, w, h, _) in enumerate(boxes):
        for u, v, r, _, _ in boxes[i + 1 :]:
            if v >= y + h:
                break
            assert u >= x + w or x >= u + r


def test_each_message_shows_its_norm_on_its_edge(show, pages):
    page, data = show("middle"), pages["middle"].data
    unfold(page)
    press(page, "End")
    shown = page.eval_on_selector_all(
        ".norm", "all => all.map(e => getComputedStyle(e).visibility + ' ' + e.textContent)"
    )
    assert len(shown) == len({(s, t) for s, t, _, _ in data["messages"]})
    assert all(re.match(r"visible (‖.+‖|[−\d.e]+)$", s) for s in shown)


# -- the walk -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SMALLER)
@pytest.mark.parametrize("opened", [False, True])
def test_every_step_is_reached_by_keys_and_by_the_slider(show, size, opened):
    page = show(size)
    if opened and size != "large":
        unfold(page)
    press(page, "Home")
    last = steps(page)
    seen = [(phase(page), page.locator("#info h2").inner_text())]
    for _ in range(last):
        press(page, "ArrowRight")
        seen.append((phase(page), page.locator("#info h2").inner_text()))
    assert [int(p.split()[1]) for p, _ in seen] == list(range(1, last + 2))
    press(page, "ArrowRight")
    assert phase(page) == seen[-1][0]
    for k in range(last, -1, -1):
        page.locator("#step").fill(str(k))
        assert (phase(page), page.locator("#info h2").inner_text()) == seen[k]


def test_the_other_keys(show):
    page = show("middle")
    last = steps(page)
    press(page, "End")
    assert phase(page) == f"backward {last + 1} of {last + 1}"
    press(page, "PageUp")
    assert phase(page) == f"backward {last - 9} of {last + 1}"
    press(page, "Home", "PageDown")
    assert phase(page) == f"forward 11 of {last + 1}"
    press(page, "b")
    assert page.locator("#info h2").inner_text() == "The way back begins"
    press(page, "ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight")
    assert page.locator("#info h2").inner_text() == "The way back begins"
    press(page, "?")
    assert page.locator("dialog").is_visible()
    press(page, "Escape")
    assert not page.locator("dialog").is_visible()
    size = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    press(page, "+")
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") > 1.2 * size
    press(page, "-")
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") == size


@pytest.mark.parametrize("size", SMALLER)
def test_the_view_follows_the_step(show, size):
    page = show(size, 1000, 500, reduced_motion="reduce")
    unfold(page)
    press(page, "Home")
    for _ in range(min(steps(page), 150)):
        press(page, "ArrowRight")
        seen = page.evaluate("""() => {
            const on = document.querySelector('.card.on');
            const view = document.querySelector('#view').getBoundingClientRect();
            if (!on) return true;
            const r = on.querySelector('.face').getBoundingClientRect();
            return r.left >= view.left && r.right <= view.right &&
                r.top >= view.top && r.bottom <= view.bottom;
        }""")
        assert seen, phase(page)


@pytest.mark.parametrize("width", [1280, 700])
def test_a_box_is_opened_and_closed_in_its_place(show, width):
    page = show("large", width, reduced_motion="reduce")
    press(page, "b")
    card = page.locator(FOLDED).first
    card.click()
    key, before = card.get_attribute("data-key"), card.locator(".face").bounding_box()
    cards = page.locator(".card").count()
    press(page, "Enter")
    title = page.locator(f'.box[data-key="{key}"] > rect').bounding_box()
    # What is no wider than the view cannot be scrolled; it moves as far as there is room.
    fits = page.evaluate("(v => v.scrollWidth <= v.clientWidth)(document.querySelector('#view'))")
    assert fits or abs(title["x"] + title["width"] / 2 - before["x"] - before["width"] / 2) < 3
    assert abs(title["y"] + 10 - before["y"] - before["height"] / 2) < 15
    assert page.locator(".card").count() > cards
    assert phase(page).startswith("backward")
    press(page, "Backspace")
    assert page.locator(f'.card[data-key="{key}"]').count() == 1
    assert page.locator(".card").count() == cards
    after = page.locator(f'.card[data-key="{key}"] .face').bounding_box()
    assert abs(after["x"] + after["width"] / 2 - title["x"] - title["width"] / 2) < 3
    press(page, "]")
    more = page.locator(".card").count()
    press(page, "[")
    assert page.locator(".card").count() < more


def test_predicting_first(show):
    page = show("small")
    press(page, "b", "q", "ArrowRight")
    assert page.locator(".guess").count() == 3
    assert numbers(page, ".message") == []
    assert page.locator(".b.on").count() == 0
    assert page.locator(".norm.done").count() == 0
    at = phase(page)
    press(page, "Enter")
    assert phase(page) == at
    assert page.locator(".guess").count() == 0
    assert page.locator(".b.on").count() == 3
    press(page, "ArrowRight")
    assert phase(page) != at
    assert page.locator(".guess").count() > 0
    press(page, "q")
    assert page.locator(".guess").count() == 0
