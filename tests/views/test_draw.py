"""Drawings: every number is the engine's, every form is well-formed, and nothing overflows."""

import itertools
import re
import sys
import unicodedata
from xml.etree import ElementTree as ET

import numpy as np
import pydot
import pytest

import overbar as ob
from overbar.errors import DomainError, FileError, GradientError, MissingPackageError
from overbar.graph import ancestors
from overbar.views.draw import draw
from overbar.views.faces import MARGIN, SIZE, STYLES
from overbar.views.measure import shortened, text_width
from overbar.views.names import width
from overbar.views.operations import Operations
from overbar.views.record import record_of
from overbar.views.rows import Telling
from overbar.views.unroll import unrolled
from tests.views import nets

SVG = "{http://www.w3.org/2000/svg}"
HOW = [
    {}, {"style": "compact"}, {"style": "forward"}, {"style": "backward"}, {"style": "bipartite"},
    {"direction": "LR"}, {"fold": False}, {"depth": 3}, {"color": "grad"},
]  # fmt: skip


FEW = {k: nets.EVERY[k] for k in ("logistic", "mlp", "rnn", "looped", "tied", "transformer")}


def names_of(how):
    return ",".join(f"{k}={v}" for k, v in how.items()) or "plain"


def parsed(drawing):
    """The SVG as a tree, and its elements by id."""
    root = ET.fromstring(drawing.svg())  # noqa: S314  (our own)
    found = [e for e in root.iter() if "id" in e.attrib]
    ids = [e.attrib["id"] for e in found]
    assert len(ids) == len(set(ids))
    return root, dict(zip(ids, found, strict=True))


def close(a, b):
    if isinstance(a, tuple):
        for p, q in zip(a, b, strict=True):
            if p is not None or q is not None:
                close(p, q)
        return
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12, atol=0)


# -- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOW, ids=names_of)
@pytest.mark.parametrize("net", FEW.values(), ids=FEW)
def test_every_number_is_the_engines(net, how):
    L = net()
    drawing = draw(L, **how)
    record = record_of("x", L)
    record = unrolled(record) if how.get("depth", 1) > 1 else record
    again = {
        n.serial: m for n, m in zip(drawing.telling.record.nodes, record.sweep().nodes, strict=True)
    }
    for card, data in zip(drawing.picture.cards, drawing.cards, strict=True):
        node = again[card.node.serial]
        close(data["value"], record.value(node))
        if node in record.bars:
            close(data["adjoint"], record.bars[node])
        else:
            assert data["adjoint"] is None


@pytest.mark.parametrize("how", [{}, {"fold": False}, {"style": "bipartite"}], ids=names_of)
@pytest.mark.parametrize("net", nets.EVERY.values(), ids=nets.EVERY)
def test_the_messages_to_a_card_sum_to_its_adjoint(net, how):
    L = net()
    L.backward()
    drawing = draw(L, **how)
    picture = drawing.picture
    bundled = {x for c in picture.cards for x in c.leaves}
    sums = {}
    for _, _, wire in picture.wires:
        target = drawing.picture.scene.cards[wire.target]
        if wire.message is not None and not isinstance(wire.message, tuple):
            if target.kind == "tensor":
                close(wire.message, picture.scene.record.bars[wire.node])
                continue
            sums[wire.node] = sums.get(wire.node, 0) + wire.message
    shown = {c.node for c in picture.cards if c.box < 0} - bundled
    for node, whole in sums.items():
        inside = [c for c in picture.cards if c.box >= 0 and any(node in r.inputs for r in c.rows)]
        if node in shown and not inside:
            bar = picture.scene.record.bars[node]
            exact = np.asarray(bar).dtype.itemsize > 4
            scale = float(np.abs(bar).max(initial=0.0))
            rtol, atol = (1e-12, 1e-14) if exact else (1e-5, 1e-5)
            np.testing.assert_allclose(whole, bar, rtol=rtol, atol=atol * scale)


def test_logistic_regression_of_the_notes():
    drawing = draw(nets.logistic())
    lines = {c["name"]: c["lines"] for c in drawing.cards if c["kind"] != "alias"}
    assert lines["z"] == ["z = w x + b", "1.00", nfd("z̄ = -0.0529")]
    assert lines["y"] == ["y = σ(z)", "0.731", nfd("ȳ = -0.269")]
    assert lines["w"] == ["w", "0.500", nfd("w̄ = -0.0479")]
    labels = drawing.picture.labels
    said = {
        (drawing.cards[a]["name"], drawing.cards[b]["name"]): label
        for (a, b, _), label in zip(drawing.picture.wires, labels, strict=True)
    }
    assert said["w", "z"] == "-0.0529"
    assert said["w", "R"] == "0.00500"
    assert said["x", "z"] == ""


def nfd(text):
    return unicodedata.normalize("NFD", text)


def test_it_draws_after_backward_and_changes_nothing():
    ob.random.seed(0)
    model = nets.Transformer(2)
    x = np.ones((3, 16), np.float32)
    L = ob.mean(model(x) ** 2)
    L.backward()
    before = [(p.grad, p.value, p.node) for p in model.parameters()]
    values = [(n, n.value) for n in ancestors([L.node])]
    state = ob.random.default_rng(3).normal(2).tolist()
    for how in HOW:
        drawing = draw(L, **how)
        drawing.svg(), drawing.dot(), drawing.text(), drawing.html()
        draw(lambda x: ob.mean(model(x) ** 2), x, **how)
    after = [(p.grad, p.value, p.node) for p in model.parameters()]
    assert all(
        a is b for p, q in zip(before, after, strict=True) for a, b in zip(p, q, strict=True)
    )
    assert all(n.value is v for n, v in values)
    assert ob.random.default_rng(3).normal(2).tolist() == state


def test_adjoints_are_those_that_backward_leaves():
    ob.random.seed(0)
    model = nets.Transformer(2)
    L = ob.mean(model(np.ones((3, 16), np.float32)) ** 2)
    L.backward()
    adjoints = {c["name"]: c["adjoint"] for c in draw(L, fold=False).cards if c["kind"] == "leaf"}
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(adjoints[name], p.grad.numpy())


# -- counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", nets.EVERY.values(), ids=nets.EVERY)
def test_unfolded_there_is_a_card_for_each_operation_and_each_use_of_a_leaf(net):
    L = net()
    drawing = draw(L, fold=False)
    parts = Operations(Telling(record_of("x", L).sweep()))
    computed = parts.record.computed
    named = parts.names
    leaves = sum(not computed(x) and x.serial in named for r in parts.rows for x in set(r.inputs))
    slots = [
        x
        for row in parts.rows
        for member in row.members
        for x in member.inputs
        if x not in row.members and (computed(x) or x.serial in named)
    ]
    assert len(drawing.cards) == len(parts.rows) + leaves
    assert len(drawing.wires) == len(slots)


@pytest.mark.parametrize("how", HOW, ids=names_of)
@pytest.mark.parametrize("net", FEW.values(), ids=FEW)
def test_the_svg_is_well_formed_and_has_all_cards_and_wires(net, how):
    drawing = draw(net(), **how)
    root, ids = parsed(drawing)
    assert root.tag == f"{SVG}svg"
    assert sum(i.startswith("card-") for i in ids) == len(drawing.cards)
    wires = [w for w in drawing.wires if drawing.style != "backward"]
    assert sum(i.startswith("wire-") for i in ids) == len(wires)
    back = (
        [] if drawing.style == "forward" else [w for w in drawing.wires if w["message"] is not None]
    )
    assert sum(i.startswith("back-") for i in ids) == len(back)
    assert sum(i.startswith("message-") for i in ids) == sum(map(bool, drawing.picture.labels))
    assert all(e.find(f"{SVG}title") is not None for i, e in ids.items() if i.startswith("card-"))
    assert "nan" not in re.sub(r">[^<]*<", "><", drawing.svg())


def test_the_structure_of_one_drawing():
    """A golden by structure: classes and ids, no coordinates."""
    _, ids = parsed(draw(nets.two_paths()))
    cards = {i: e.attrib["class"] for i, e in ids.items() if i.startswith("card-")}
    assert cards == {
        "card-0": "card leaf parameter", "card-1": "card op", "card-2": "card op",
        "card-3": "card leaf given", "card-4": "card op", "card-5": "card op",
    }  # fmt: skip
    assert sorted(i for i in ids if not i.startswith("card-")) == sorted([
        *(f"wire-{k}" for k in range(6)), *(f"back-{k}" for k in (0, 1, 2, 4, 5)),
        *(f"message-{k}" for k in (0, 1, 2, 4, 5)),
    ])  # fmt: skip
    texts = ["".join(t.itertext()) for t in ids["card-1"].iter(f"{SVG}text")]
    assert texts == ["h1 = 2 x", "6.00", "h1 = 336"]
    barred = [t.text for t in ids["card-1"].iter(f"{SVG}tspan")]
    assert barred == ["h"]  # a bar of its own: the combining one strikes a tall letter through


def test_s0_1_each_forward_edge_has_its_reverse_with_its_formula():
    x = ob.tensor(0.5, requires_grad=True)
    h1 = ob.sin(x)
    h2 = ob.exp(h1)
    h3 = ob.tanh(h2)
    _, ids = parsed(draw(h3))
    tips = [ids[f"back-{k}"].find(f"{SVG}title").text for k in range(3)]
    assert sum(i.startswith("wire-") for i in ids) == 3
    assert tips[0].startswith(nfd("x̄ += h̄1 cos x = "))


def test_s0_11_circles_are_tensors_and_rectangles_functions():
    root, ids = parsed(draw(nets.two_paths(), style="bipartite"))
    for element in (e for i, e in ids.items() if i.startswith("card-")):
        rectangle = "function" in element.attrib["class"]
        assert (element.find(f"{SVG}rect") is not None) == rectangle
        assert (element.find(f"{SVG}ellipse") is not None) != rectangle
    functions = [e for e in root.iter() if "function" in e.attrib.get("class", "").split()]
    assert [e.find(f"{SVG}text").text for e in functions] == [
        "multiply", "square", "multiply", "add", "multiply",
    ]  # fmt: skip
    drawing = draw(nets.two_paths(), style="bipartite")
    kind = [c["kind"] for c in drawing.cards]
    pairs = {
        (kind[w["source"]] == "function", kind[w["target"]] == "function") for w in drawing.wires
    }
    assert pairs == {(True, False), (False, True)}  # never two of a kind


def test_s3_9_x_used_twice_in_one_operation_counts_twice():
    drawing = draw(nets.shared(), style="bipartite")
    kind = [(c["kind"], c["name"]) for c in drawing.cards]
    twice = [w["message"] for w in drawing.wires if kind[w["source"]] == ("alias", "x")]
    assert twice == [56.0, 56.0]
    (x,) = [c for c in drawing.cards if c["kind"] == "leaf" and c["name"] == "x"]
    assert float(x["adjoint"]) == 292.0


# -- nothing overlaps, nothing overflows --------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"style": "bipartite"}, {"direction": "LR"}], ids=names_of)
@pytest.mark.parametrize("net", [*nets.EVERY.values(), *nets.LARGE.values()])
def test_no_two_cards_overlap(net, how):
    cards = draw(net(), **how).cards
    for a, b in itertools.combinations(cards, 2):
        apart_x = abs(a["x"] - b["x"]) - (a["width"] + b["width"]) / 2
        apart_y = abs(a["y"] - b["y"]) - (a["height"] + b["height"]) / 2
        assert max(apart_x, apart_y) > 0


@pytest.mark.parametrize("how", [{}, {"depth": 2}, {"style": "bipartite"}], ids=names_of)
@pytest.mark.parametrize("net", [*nets.EVERY.values(), *nets.LARGE.values()])
def test_every_wire_runs_down(net, how):
    """Folded as they are, cards are never in a circle."""
    for route in draw(net(), **how).picture.places["routes"]:
        assert all(a[1] <= b[1] + 1e-9 for a, b in itertools.pairwise(route))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("net", FEW.values(), ids=FEW)
def test_no_text_overflows_its_card(net, style):
    for face in draw(net(), style=style).picture.faces:
        for line in face.lines:
            wide = text_width(line.text, SIZE, bold=line.tone == "name")
            assert wide <= face.width - 2 * MARGIN + 1e-9


def test_texts_are_measured_as_wide_as_the_widest_face():
    fonts = pytest.importorskip("PIL.ImageFont")
    try:
        plain = fonts.truetype("DejaVuSans.ttf", 100)
        bold = fonts.truetype("DejaVuSans-Bold.ttf", 100)
    except OSError:
        pytest.skip("needs the DejaVu faces")
    for text in (
        "W = x Wᵀ + b",
        "5×8 ‖3.62‖",
        "gradient 0.0123",
        "h₁ = σ(z₁) ⊙ tanh c₁",
        "−1.5e-09 ½ ∂",
    ):
        assert text_width(text, 100) >= 0.98 * plain.getlength(text)
        assert text_width(text, 100, bold=True) >= 0.98 * bold.getlength(text)
    assert text_width(nfd("z̄"), 12) == text_width("z", 12)
    assert text_width(shortened("a long name " * 9, 100, 12), 12) <= 100


def test_long_names_and_formulas_are_cut():
    x = ob.tensor(1.0, requires_grad=True, name="a_very_long_name_" * 8)
    drawing = draw(x * 2.0)
    assert max(c["width"] for c in drawing.cards) < 300
    assert "a_very_long_name" in drawing.svg()


# -- the terminal -------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize(
    "net", [*nets.EVERY.values(), nets.LARGE["transformer"], nets.LARGE["rnn"]]
)
def test_text_fits_the_terminal(net, ascii, columns):
    text = draw(net()).text(ascii=ascii, columns=columns)
    assert max(map(width, text.splitlines())) <= columns
    assert text.isascii() or not ascii


def test_the_text_of_a_small_drawing():
    x = ob.tensor(3.0, requires_grad=True)
    h = ob.exp(x)
    L = h * x
    assert draw(L).text(columns=80) == nfd("""\
           ╭──────────╮
           │    x     │
           │   3.00   │
           │ x̄ = 80.3 │
           ╰──────────╯
                   ▼
┌╌╌╌╌╌╌┐   ┌───────────┐
╎  x   ╎   │ h = exp x │
└╌╌╌╌╌╌╯   │   20.1    │
      │    │ h̄ = 3.00  │
      │    └───────────┘
      └────────┐   │
               ▼   ▼
           ┌──────────┐
           │ L = h x  │
           │   60.3   │
           │ L̄ = 1.00 │
           └──────────┘""")


def test_lines_of_text_join_cards():
    """Every arrowhead stands on a card, and every line that leaves a row goes on."""
    for net in nets.EVERY.values():
        lines = draw(net()).text(columns=160).splitlines()
        if "▼" not in "".join(lines):
            continue
        grid = [cells(line) for line in lines]
        for r, row in enumerate(grid[:-1]):
            for c, sign in enumerate(row):
                below = grid[r + 1][c] if c < len(grid[r + 1]) else " "
                if sign == "▼":
                    assert below in "┌─╭╌╔═╮┐╗"
                elif sign in "┌┐┬├┤┼" and "─" not in row[max(0, c - 1) : c] + row[c + 1 : c + 2]:
                    assert below in "│├┤┼└┘┴▼ │╎║┌┐"


def cells(line):
    """The characters of a line by column: bars over letters take none."""
    return "".join(ch for ch in line if not unicodedata.combining(ch))


def test_what_is_too_wide_is_folded_and_then_listed():
    drawing = draw(nets.two_paths())
    assert "▼" in drawing.text(columns=40)
    wide = draw(nets.fan(9), fold=False)
    said = wide.text(columns=60)
    assert "▼" not in said
    assert "← w0" in said
    assert max(map(width, said.splitlines())) <= 60


# -- other forms --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("how", HOW, ids=names_of)
@pytest.mark.parametrize("net", [nets.logistic, lambda: nets.transformer(2)])
def test_dot_is_read_by_pydot(net, how):
    drawing = draw(net(), **how)
    (graph,) = pydot.graph_from_dot_data(drawing.dot())
    nodes, edges, clusters = [], [], [graph]
    while clusters:
        part = clusters.pop()
        nodes += [n for n in part.get_nodes() if re.fullmatch(r"c\d+", n.get_name())]
        edges += part.get_edges()
        clusters += part.get_subgraphs()
    messages = sum(w["message"] is not None for w in drawing.wires)
    assert len(nodes) == len(drawing.cards)
    back = 0 if drawing.style in {"forward", "backward"} else messages
    assert len(edges) == len(drawing.wires) + back


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dot_escapes_names():
    x = ob.tensor(1.0, requires_grad=True, name='a "b" \\ <c>')
    (graph,) = pydot.graph_from_dot_data(draw(x * 2.0).dot())
    assert graph.get_nodes()


def test_svg_escapes_names():
    x = ob.tensor(1.0, requires_grad=True, name="<b>&\"'")
    root, _ = parsed(draw(x * 2.0))
    assert any(t.text == "<b>&\"'" for t in root.iter(f"{SVG}text"))


def test_png_is_a_picture_of_the_right_size():
    pytest.importorskip("resvg_py")
    data = draw(nets.logistic()).png(scale=1.0)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    root, _ = parsed(draw(nets.logistic()))
    assert int.from_bytes(data[16:20], "big") == pytest.approx(float(root.attrib["width"]), abs=1)


def test_without_the_package_png_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'overbar\[plot\]'"):
        draw(nets.logistic()).png()


def test_it_is_saved_in_every_form(tmp_path, monkeypatch):
    drawing = draw(nets.logistic())
    for ending, said in {
        "svg": "<svg",
        "html": "<!DOCTYPE html>",
        "dot": "digraph",
        "txt": "z = w",
    }.items():
        drawing.save(tmp_path / f"a.{ending}")
        assert said in (tmp_path / f"a.{ending}").read_text("utf-8")
    with pytest.raises(FileError, match="nothing that can be drawn"):
        drawing.save(tmp_path / "a.pdf")
    assert drawing._repr_svg_() == drawing.svg()
    assert drawing.svg() in drawing._repr_html_()
    assert "z = w x + b" in str(drawing)


def test_light_and_dark_pages_and_no_request_to_anywhere():
    svg = draw(nets.transformer(12), color="grad").svg()
    assert "prefers-color-scheme:dark" in svg
    assert not re.findall(r"(?:href|src|url)\s*[=(]", svg)
    assert re.findall(r"https?://[^\"]+", svg) == ["http://www.w3.org/2000/svg"]


# -- styles -------------------------------------------------------------------------------------


def test_backward_runs_from_the_result_to_the_leaves():
    drawing = draw(nets.logistic(), style="backward")
    place = {c["name"]: c["y"] for c in drawing.cards}
    assert place["Lr"] < place["L"] < place["y"] < place["z"] < place["b"]
    assert "t" not in place
    assert all(w["message"] is not None for w in drawing.wires)


def test_forward_needs_nothing_to_differentiate_by():
    y = ob.tensor(1.0) * 2.0
    with pytest.raises(GradientError, match="nothing that asks for a gradient"):
        draw(y)
    with ob.record() as graph:
        ob.sin(ob.tensor(0.5)) + 1.0
    assert [c["op"] for c in draw(graph, style="forward").cards if c["op"]]


def test_left_to_right():
    cards = {c["name"]: c for c in draw(nets.logistic(), direction="LR").cards}
    assert cards["z"]["x"] < cards["y"]["x"] < cards["L"]["x"] < cards["Lr"]["x"]


@pytest.mark.parametrize("color", ["norm", "grad", "time", "memory", "dtype"])
def test_colours_have_a_legend_and_are_of_the_engines_numbers(color):
    L = nets.mlp()
    drawing = draw(L, color=color)
    record = record_of("x", L).sweep()
    root, _ = parsed(drawing)
    legend = [e for e in root.iter() if e.attrib.get("class") == "legend"]
    assert len(legend) == 1
    of = {n.serial: n for n in record.nodes}
    for card, data in zip(drawing.picture.cards, drawing.cards, strict=True):
        node, amount = of[card.node.serial], data["amount"]
        if color == "norm":
            assert amount == pytest.approx(
                np.linalg.norm(np.asarray(record.value(node), float)), rel=1e-12
            )
        elif color == "grad" and node in record.bars:
            assert amount == pytest.approx(
                np.linalg.norm(np.asarray(record.bars[node], float)), rel=1e-12
            )
        elif color == "memory":
            assert amount == np.asarray(record.value(node)).nbytes or card.kind == "alias"
        elif color == "dtype":
            assert amount == str(node.spec.dtype)
        elif color == "time":
            assert (amount is None) == (not card.rows)
    if color == "dtype":
        words = [t.text for t in legend[0].iter(f"{SVG}text")]
        assert words == ["dtype", "float32", "int64"]


# -- slides -------------------------------------------------------------------------------------


def test_slides_go_forward_and_then_back():
    L = nets.logistic()
    count = draw(L).steps
    frames = [parsed(draw(L, step=k)) for k in range(count)]
    assert count == 5 + 5
    sizes = {(root.attrib["width"], root.attrib["height"]) for root, _ in frames}
    assert len(sizes) == 1  # the same picture, so that slides do not jump
    shown = [sum(i.startswith("message-") for i in ids) for _, ids in frames]
    ghosts = [sum("ghost" in e.attrib.get("class", "") for e in root.iter()) for root, _ in frames]
    active = [
        [i for i, e in ids.items() if "active" in e.attrib.get("class", "").split()]
        for _, ids in frames
    ]
    assert shown[:5] == [0] * 5
    assert shown == sorted(shown)
    assert ghosts == sorted(ghosts, reverse=True)
    assert ghosts[4:] == [0] * 6
    assert all(len(a) == 1 for a in active)
    whole = parsed(draw(L))[1]
    assert shown[-1] == sum(i.startswith("message-") for i in whole)
    assert draw(L, step=-1).svg() == draw(L, step=count - 1).svg()


def test_a_sum_is_shown_when_its_last_message_has_come():
    L = nets.logistic()
    drawing = draw(L)
    w = next(i for i, c in enumerate(drawing.cards) if c["name"] == "w" and c["kind"] == "leaf")
    said = []
    for k in range(drawing.steps):
        _, ids = parsed(draw(L, step=k))
        said.append(any("0.0479" in (t.text or "") for t in ids[f"card-{w}"].iter(f"{SVG}text")))
    assert said == [False] * 9 + [True]


def test_every_style_has_slides():
    for style in STYLES:
        count = draw(nets.two_paths(), style=style).steps
        for k in range(count):
            parsed(draw(nets.two_paths(), style=style, step=k))


# -- what can be drawn --------------------------------------------------------------------------


def test_functions_graphs_and_results_are_drawn_alike():
    def f(w, b, x):
        y = ob.sigmoid(w * x + b)
        return y * y

    a = draw(f, 0.5, -1.0, 2.0, wrt=["w", "b"])
    b = draw(ob.trace(f)(0.5, -1.0, 2.0), 0.5, -1.0, 2.0)
    for drawing in (a, b):
        assert {"w", "b", "x"} <= {c["name"] for c in drawing.cards}
        top = drawing.cards[-1]
        assert float(top["value"]) == float(f(0.5, -1.0, 2.0))


def test_odd_values_are_drawn():
    x = ob.tensor([np.nan, np.inf, 0.0], requires_grad=True)
    empty = ob.tensor(np.zeros((0, 3)), requires_grad=True)
    z = ob.tensor(1.0 + 2.0j, requires_grad=True)
    for L in (
        ob.sum(x * 2.0),
        ob.sum(empty * 2.0),
        ob.real(z * z),
        ob.tensor(1.0, requires_grad=True),
    ):
        for how in HOW:
            parsed(draw(L, **how))
            draw(L, **how).text(columns=80)


def test_operations_of_several_results_are_drawn():
    A = ob.tensor([[2.0, 1.0], [0.5, 3.0]], requires_grad=True)
    Q, R = ob.linalg.qr(A)
    L = ob.sum(Q) + ob.sum(R)
    for how in HOW:
        parsed(draw(L, **how))


def test_unknown_words_are_refused():
    L = nets.logistic()
    for how in ({"style": "pretty"}, {"direction": "up"}, {"color": "red"}, {"step": 99}):
        with pytest.raises(DomainError):
            draw(L, **how)
    with pytest.raises(TypeError, match="nothing that has a history"):
        draw(3)


# -- what a card is called ------------------------------------------------------------------------


def test_a_matrix_times_a_vector_is_one_function():
    """It is computed as a product of matrices, reshaped: nothing to draw."""
    W, x = ob.tensor(np.ones((2, 3)), requires_grad=True), np.ones(3)
    z = W @ x
    drawing = draw(ob.sum(z), style="bipartite")
    assert [c["op"] for c in drawing.cards if c["kind"] == "function"] == ["matmul", "sum"]
    assert [c["name"] for c in drawing.cards if c["kind"] == "tensor"] == ["z", "L"]


def test_one_result_of_a_loop_is_drawn_as_the_loop():
    w = ob.tensor(0.5, requires_grad=True)
    _, powers = ob.scan(lambda c, x: (c * w, c + x), 1.0, np.ones(7))
    (card,) = [c for c in draw(ob.sum(powers)).cards if c["kind"] == "op" and c["name"] != "L"]
    assert card["lines"][0] == "powers = scan × 7"


def test_a_transposed_leaf_keeps_its_whole_name():
    W, x = ob.tensor(np.ones((2, 3)), requires_grad=True), ob.tensor(np.ones((1, 3)))
    h = W @ x.T
    drawn = next(c for c in draw(ob.sum(h)).cards if c["kind"] == "op")
    assert drawn["lines"][0] == "h = W x.T"
