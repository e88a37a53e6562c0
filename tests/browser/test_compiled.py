"""The page of a compiled step, in Chromium: its three columns, and what lights up together."""

import pytest

from tests.browser.acts import press
from tests.browser.test_everywhere import AXE, SCHEMES, best


def shown(page):
    """The nodes that the picture, or the list, shows."""
    found = page.eval_on_selector_all("#view [data-node]", "a => a.map(e => +e.dataset.node)")
    return set(found)


def lit(page, kind):
    where = f"[data-{kind}].on"
    return set(page.eval_on_selector_all(where, f"a => a.map(e => +e.dataset.{kind})"))


def choose(page, name):
    page.locator("#passes label", has_text=name).first.click()


def test_it_draws_every_node_of_every_pass(show, answers):
    page, answer = show("one"), answers["one"]
    for p in answer.passes:
        choose(page, p.name)
        assert shown(page) == set(range(len(p.graph.nodes))), p.name
        press(page, "t")
        assert page.locator("#view li").count() == len(p.graph.nodes)
        press(page, "t")
    assert page.locator(".step").count() == len(answer.kernels)
    assert page.locator("button[data-line]").count() == len(answer.lines)


def test_a_line_lights_its_nodes_and_kernels_and_a_kernel_its_lines(show, answers):
    page, answer = show("one"), answers["one"]
    choose(page, "trace")
    graph = answer.data["passes"][0]["nodes"]
    for k, line in enumerate(answer.lines):
        page.locator(f'button[data-line="{k}"]').click()
        assert lit(page, "node") == {i for i, n in enumerate(graph) if k in n["lines"]}
        assert lit(page, "step") == set(line.kernels)
        assert lit(page, "line") == {k}
    for i, kernel in enumerate(answer.kernels):
        page.locator(f'.step[data-step="{i}"]').click()
        assert lit(page, "line") == set(kernel.lines)
        assert lit(page, "node") == {j for j, n in enumerate(graph) if i in n["steps"]}
    press(page, "Escape")
    assert page.locator(".on").count() == 0


def test_keys_alone_are_enough(show, answers):
    page, answer = show("one"), answers["one"]
    press(page, "[")
    assert shown(page) == set(range(len(answer.passes[-2].graph.nodes)))
    press(page, "]")
    page.locator("#view .card").first.focus()
    press(page, "ArrowRight", "Enter")
    assert len(lit(page, "node")) == 1
    assert "1 node here" in page.locator("#said").inner_text()
    page.locator("#passes input:checked").focus()
    press(page, "ArrowLeft")
    assert page.locator("#passes input:checked").get_attribute("value") == str(
        len(answer.passes) - 2
    )
    reached = set()
    page.locator("body").click(position={"x": 2, "y": 2})
    for _ in range(80):
        press(page, "Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('class')"))
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"row on", "step on", "theme", "listing"} <= reached


def test_what_runs_with_numpy_says_why(show):
    page = show("one")
    said = page.locator(".why").all_inner_texts()
    assert said
    assert all(text.startswith("with NumPy: ") for text in said)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_accessibility_violations(show, scheme):
    page = show("one", reduced_motion="reduce", **SCHEMES[scheme])
    page.evaluate(AXE)
    for keys in ([], ["t"], ["[", "["]):
        press(page, *keys)
        found = page.evaluate("axe.run()")
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == [], keys
    page.locator("button[data-line]").first.click()
    assert page.evaluate("axe.run()")["violations"] == []


def test_it_asks_for_nothing_and_is_ready_in_time(show, answers, note):
    page = show("several")
    assert [u for u in page.asked if not u.startswith(("file:", "data:"))] == []
    nodes = len(answers["several"].passes[0].graph.nodes)
    assert nodes > 1000
    ready = best(lambda: float(show("several").evaluate("document.body.dataset.ready")) / 1000, 1)
    note(f"compiled, {nodes} nodes traced: ready after {ready:.3f} s")
    assert ready < 1


def test_on_a_phone_nothing_is_lost(show):
    page = show("one", 390, 844, device_scale_factor=3)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for part in ("#lines button", "#passes label >> nth=-1", "#view .card", ".step >> nth=-1"):
        page.locator(part).first.scroll_into_view_if_needed()
        assert page.locator(part).first.is_visible()
