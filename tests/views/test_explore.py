"""The explorer without a browser: its record against the engine, its page as text."""

import html
import json
import math
import re

import numpy as np
import pytest

import overbar as ob
import overbar.views.explore as module
from overbar import nn
from overbar.errors import DomainError, FileError, GradientError
from overbar.views.explore import Explorer, explore, skeleton
from overbar.views.operations import Operations
from overbar.views.page import HERE
from overbar.views.record import record_of
from tests.browser.programs import blocks, logistic, mlp, transformer

SMALL = (logistic, (0.5, 0.5, 1.0, 1.0, 0.01))


def array(line, dtype="float64"):
    """A line of the pool as an array, if it is whole."""
    if not isinstance(line, list):
        return np.array(number(line))
    return np.array([number(v) for v in line[4]]).reshape(line[0])


def number(v):
    if isinstance(v, dict):
        return complex(number(v["re"]), number(v["im"]))
    return float(v)


def by_name(data):
    return {n["name"]: n for n in data["nodes"]}


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-300)


def test_the_record_of_the_notes_example():
    data = explore(SMALL[0], *SMALL[1]).data
    assert (data["schema"], data["version"]) == ("overbar.record", 1)
    nodes, pool = by_name(data), data["pool"]
    assert [n["name"] for n in data["nodes"] if n["kind"] == "input"] == ["w", "b", "x", "t", "lam"]
    slope = ob.grad(logistic, argnums=(0, 1, 2, 3, 4))(*SMALL[1])
    for name, g in zip(("w", "b", "x", "t", "lam"), slope, strict=True):
        close(pool[nodes[name]["bar"]], g)
    (z,) = (b for b in data["boxes"] if b["name"] == "z")
    rule = data["rules"][z["rule"]]
    assert rule["forward"][0] == "{0} {1} + {2}"
    assert [rule["back"][k][0] for k in "012"] == ["{bar} {1}", "{bar} {0}", "{bar}"]
    assert rule["forward"][1].startswith("<mrow>{0}<mo>")
    assert data["lines"][nodes["z"]["line"]] == ["programs.py", *line_of("z = w * x + b")]


def line_of(text):
    source = re.sub(r"[^\n]*", lambda m: m[0].strip(), _source())
    return source.split("\n").index(text) + 1, text


def _source():
    import inspect

    from tests.browser import programs

    return inspect.getsource(programs)


PROGRAMS = {
    "logistic": SMALL,
    "mlp": mlp(),
    "transformer": transformer(2),
    "complex": (lambda z: ob.sum(ob.abs(z * z + 1.0)), (np.array([1 + 2j, 0.5 - 1j]),)),
    "several": (lambda x: ob.sum(ob.linalg.svd(x)[1]), (np.array([[1.0, 2.0], [3.0, 5.0]]),)),
}


@pytest.fixture(params=PROGRAMS, name="both")
def _both(request):
    f, args = PROGRAMS[request.param]
    page = explore(f, *args, values="all")
    return page, page.data


def test_every_value_and_adjoint_is_the_engines(both):
    page, data = both
    record = page.telling.record
    with np.errstate(all="ignore"):
        engine = {node: y_bar for node, y_bar, _ in record.steps()}
    each = Operations(page.telling)
    named = {each.name(n): n for n in record.nodes if n.serial in each.names}
    seen = 0
    for made in data["nodes"]:
        node = named[made["name"]]
        if isinstance(node.spec, tuple):
            continue
        close(array(data["pool"][made["value"]]), record.value(node))
        assert ("bar" in made) == (node in record.bars)
        if "bar" in made:
            close(array(data["pool"][made["bar"]]), record.bars[node])
            seen += 1
        if node in engine:
            close(array(data["pool"][made["bar"]]), engine[node])
    assert seen >= len(record.variables)


def test_messages_add_up_to_adjoints(both):
    _, data = both
    came = {}
    for source, target, value, _ in data["messages"]:
        assert target in data["nodes"][source]["inputs"]
        if data["pool"][value] is not None and not several(data["pool"][value]):
            came.setdefault(target, []).append(array(data["pool"][value]))
    for y in data["outputs"]:
        came.setdefault(y, []).append(np.array(1.0))
    for i, parts in came.items():
        bar = data["pool"][data["nodes"][i]["bar"]]
        if not several(bar):
            close(sum(parts), array(bar))


def several(line):
    return isinstance(line, list) and line[0] is None


def test_shares_add_up_to_one(both):
    _, data = both
    came = {}
    for _, target, _, share in data["messages"]:
        came.setdefault(target, []).append(share)
    checked = 0
    for target, shares in came.items():
        if None not in shares and target not in data["outputs"]:
            assert math.fsum(shares) == pytest.approx(1, abs=1e-12)
            checked += 1
    assert checked


def test_a_line_of_the_pool_tells_norm_and_range(both):
    _, data = both
    for line in data["pool"]:
        if isinstance(line, list) and line[0] is not None and line[4]:
            a = array(line)
            close(number(line[1]), np.linalg.norm(a))
            if not np.iscomplexobj(a):
                assert (number(line[2]), number(line[3])) == (a.min(), a.max())


def test_what_a_box_sends_is_the_sum_of_what_its_operations_send():
    data = explore(lambda x: ob.sum(x * x + x * x * x), np.arange(1.0, 4.0), values="all").data
    pool, boxes = data["pool"], data["boxes"]
    inside = [n.get("box", -1) for n in data["nodes"]]
    assert data["sums"]
    for box, target, value, share in data["sums"]:

        def within(b, box=box):
            while b >= 0 and b != box:
                b = boxes[b].get("parent", -1)
            return b == box

        parts = [pool[v] for s, t, v, _ in data["messages"] if t == target and within(inside[s])]
        assert len(parts) > 1
        close(sum(map(array, parts)), array(pool[value]))
        assert share == pytest.approx(1)


def test_a_share_can_be_negative_and_is_none_where_messages_cancel():
    data = explore(lambda x: 3.0 * x - 1.0 * x, 2.0).data
    shares = sorted(s for _, t, _, s in data["messages"] if data["nodes"][t]["name"] == "x")
    assert shares == [-0.5, 1.5]
    data = explore(lambda x: 2.0 * x - 2.0 * x, 2.0).data
    assert [s for _, t, _, s in data["messages"] if data["nodes"][t]["name"] == "x"] == [None, None]
    data = explore(lambda x: (0.1 * x + 0.2 * x) - 0.3 * x, 1.0).data  # all but rounding cancels
    assert {s for _, t, _, s in data["messages"] if data["nodes"][t]["name"] == "x"} == {None}


def test_numbers_that_are_not_finite_are_words():
    with np.errstate(all="ignore"):
        data = explore(lambda x: ob.sum(ob.log(x)), np.array([0.0, -1.0, 2.0])).data
    line = next(v for v in data["pool"] if isinstance(v, list) and "-inf" in v[4])
    assert line[4][1] == "nan"
    assert line[5] == 2
    json.loads(json.dumps(data), parse_constant=pytest.fail)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_other_dtypes_are_told_and_exact(dtype):
    x = np.array([0.1, 0.2], dtype)
    data = explore(lambda x: ob.sum(x * x), x, values="all").data
    (made,) = (n for n in data["nodes"] if n["name"] == "x")
    assert made["dtype"] == np.dtype(dtype).name
    assert data["pool"][made["value"]][4] == x.tolist()


def test_local_derivatives_are_those_of_the_operation_alone():
    data = explore(*SMALL[:1], *SMALL[1]).data
    nodes = by_name(data)
    y = data["pool"][nodes["y"]["value"]]
    assert {k: data["pool"][v] for k, v in nodes["y"]["local"].items()} == {"0": y * (1 - y)}
    (z,) = (b for b in data["boxes"] if b["name"] == "z")  # w x + b
    assert [data["pool"][z["local"][k]] for k in "012"] == [1.0, 0.5, 1.0]
    f, args = mlp()
    nodes = explore(f, *args).data["nodes"]
    assert not any("local" in n for n in nodes if n["op"] == "matmul")


# -- moving inputs ------------------------------------------------------------------------------


def test_a_slide_holds_what_the_program_itself_gives():
    f, args = SMALL
    data = explore(f, *args).data
    names = [n["name"] for n in data["nodes"]]
    for slide in data["slides"]:
        half = len(slide["values"]) // 2
        close(slide["values"][half], float(f(*map(ob.tensor, args))))
        if slide["node"] is None:
            continue
        k = ["w", "b", "x", "t", "lam"].index(names[slide["node"]])
        close(slide["slope"], ob.grad(f, argnums=k)(*args))
        for p, y in enumerate(slide["values"]):
            moved = list(args)
            moved[k] += slide["reach"] * (p - half) / half
            close(y, float(f(*map(ob.tensor, moved))))
    assert len(data["slides"]) == 6


def test_downhill_is_along_the_negative_gradient():
    f, args = mlp()
    page = explore(f, *args)
    slide = next(s for s in page.data["slides"] if s["node"] is None)
    bars = [page.telling.record.bars[v] for v in page.telling.record.variables]
    close(slide["slope"], -math.hypot(*(np.linalg.norm(b) for b in bars)))
    half = len(slide["values"]) // 2
    assert slide["values"][half + 1] < slide["values"][half] < slide["values"][half - 1]
    step = slide["reach"] / half
    change = slide["values"][half + 1] - slide["values"][half]
    assert change == pytest.approx(slide["slope"] * step, rel=0.2)


def test_an_entry_of_an_array_is_moved_alone():
    x = np.array([[1.0, -2.0], [3.0, 0.5]])
    data = explore(lambda x: ob.sum(x**3), x).data
    (slide,) = data["slides"]
    assert slide["entry"] == 2  # the greatest adjoint, 27
    assert (slide["at"], slide["slope"]) == (3.0, 27.0)
    assert slide["values"][-1] == pytest.approx((3 + slide["reach"]) ** 3 - 8 + 1 + 0.125)


def test_what_was_cut_off_stays_where_it_was():
    calls = []

    def noted(x):
        calls.append(1)
        return np.asarray(x)

    def f(x):
        return x * ob.stop_gradient(x) + ob.callback(noted, np.empty(()), ob.stop_gradient(x)) * x

    data = explore(f, 3.0).data
    (slide,) = data["slides"]
    assert len(calls) == 1
    assert slide["slope"] == 6.0
    assert slide["values"][-1] == 18.0 + 6.0 * slide["reach"]


# -- folding ------------------------------------------------------------------------------------


def test_equal_blocks_share_their_rules():
    def rules(n):
        f, args = transformer(n)
        return len(explore(f, *args).data["rules"])

    assert rules(6) == rules(3)


def test_boxes_come_outer_ones_first_and_hold_every_operation_of_their_modules():
    f, args = transformer(4)
    data = explore(f, *args).data
    for i, box in enumerate(data["boxes"]):
        assert box.get("parent", -1) < i
    modules = [b for b in data["boxes"] if b["kind"] == "module"]
    assert {"blocks.0", "blocks.3", "blocks.0.q"} <= {b.get("path") for b in modules}
    rows = [b for b in data["boxes"] if b["kind"] == "row"]
    assert all(data["nodes"][b["node"]]["name"] == b["name"] for b in rows)
    assert all(data["boxes"][b]["kind"] != "row" for b in data["open"])


def test_five_thousand_nodes_fit_into_two_megabytes():
    f, args = transformer(70)
    page = explore(f, *args)
    assert len(page.telling.record.nodes) > 5000
    assert len(page.html().encode()) <= 2_000_000
    assert len(page.data["nodes"]) > 3000


# -- the page -----------------------------------------------------------------------------------


def test_the_shell_is_small_and_asks_for_nothing():
    assert len(skeleton().encode()) <= 40 * 1024
    for name in module.CODE:
        code = (HERE / name).read_text(encoding="utf-8")
        urls = set(re.findall(r"https?://[^\s'\"`)]+", code))
        assert urls <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(
            r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import)\s*\(", code
        )
    assert "default-src 'none'" in skeleton()
    assert not re.search(r"(src|href)=\"?https?:", skeleton())


def test_the_page_holds_the_record():
    page = explore(*SMALL[:1], *SMALL[1])
    text = page.html()
    tag = r'<script id="record" type="application/json">(.*?)</script>'
    (held,) = re.findall(tag, text, re.DOTALL)
    assert json.loads(held) == json.loads(json.dumps(page.data))
    assert "[[" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_a_source_line_cannot_end_the_record():
    x = ob.tensor(2.0, requires_grad=True)
    y = x * 3.0  # </script><script>alert("[[code]]")</script><!--
    page = explore(y)
    assert any("</script>" in text for _, _, text in page.data["lines"])
    assert page.html().count("</script>") == explore(x * 3.0).html().count("</script>")


def test_in_a_notebook_it_is_a_frame_that_may_only_run_scripts():
    page = explore(*SMALL[:1], *SMALL[1])
    shown = page._repr_html_()
    assert re.findall(r'sandbox="([^"]*)"', shown) == ["allow-scripts"]
    (inside,) = re.findall(r'srcdoc="([^"]*)"', shown)
    assert html.unescape(inside) == page.html()
    rest = shown.replace(inside, "")
    assert "z = w x + b" in rest  # what is left if the frame is dropped
    assert "z = w x + b" in repr(page)


def test_beside_the_frame_are_a_picture_without_a_script_and_a_text():
    shown = explore(*SMALL[:1], *SMALL[1])._repr_mimebundle_()
    assert set(shown) == {"text/html", "image/svg+xml", "text/plain"}
    assert "<script" not in shown["image/svg+xml"]
    assert "z = w x + b" in shown["text/plain"]


def test_it_is_saved_by_ending(tmp_path):
    page = explore(*SMALL[:1], *SMALL[1])
    page.save(tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == page.html()
    page.save(tmp_path / "a.json")
    assert (
        json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["schema"] == "overbar.record"
    )
    page.save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<svg")
    page.save(tmp_path / "a.txt")
    assert "z = w x + b" in (tmp_path / "a.txt").read_text(encoding="utf-8")
    with pytest.raises(FileError, match=r"a\.pdf"):
        page.save(tmp_path / "a.pdf")


# -- what can be asked, and that asking changes nothing -------------------------------------------


def test_of_a_result_after_backward_of_a_graph_and_of_a_jitted_step():
    w = ob.tensor(0.3, requires_grad=True)
    L = (ob.sigmoid(w * 2.0) - 0.85) ** 2
    L.backward()
    after = explore(L).data
    close(after["pool"][by_name(after)["w"]["bar"]], w.grad.value)

    def f(w):
        return (ob.sigmoid(w * 2.0) - 0.85) ** 2

    for page in (explore(ob.trace(f)(0.3), 0.3), explore(ob.jit(f), 0.3)):
        close(page.data["pool"][by_name(page.data)["w"]["bar"]], w.grad.value)


def test_looking_changes_nothing():
    rng = ob.random.default_rng(0)
    model = blocks(1, rng)
    x = ob.tensor(np.ones((2, 16)))
    loss = ob.sum(model(x) ** 2)
    loss.backward()
    before = [(p.value, p.grad.value.copy()) for p in model.parameters()]
    values = [p.value.copy() for p in model.parameters()]
    page = explore(lambda: ob.sum(model(x) ** 2))
    page.html()
    for p, (value, grad), was in zip(model.parameters(), before, values, strict=True):
        assert p.value is value
        assert np.array_equal(p.value, was)
        assert np.array_equal(p.grad.value, grad)


def test_what_cannot_be_explored_says_why():
    with pytest.raises(GradientError, match="explore"):
        explore(ob.tensor(2.0) * 3.0)
    with pytest.raises(DomainError, match="values='none'"):
        explore(lambda x: x, 1.0, values="none")


def test_a_result_without_axes_is_not_needed():
    page = explore(lambda x: x * x, np.array([1.0, 2.0]))
    assert isinstance(page, Explorer)
    (x,) = (n for n in page.data["nodes"] if n["name"] == "x")
    assert page.data["pool"][x["bar"]][4] == [2.0, 4.0]


def test_layers_are_told_in_their_own_names():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    data = explore(lambda x: ob.sum(model(x)), np.ones((4, 2))).data
    assert {"0.weight", "2.bias"} <= set(by_name(data))
    assert record_of("test", lambda x: ob.sum(model(x)), (np.ones((4, 2)),)).variables
