"""Where cards stand: nothing overlaps, little crosses, nothing leans; and both twins agree."""

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import overbar
from overbar.views.layout import layout
from tests.views.curves import sampled

VIEWS = Path(overbar.__file__).parent / "views"
TWINS = "".join((VIEWS / n).read_text(encoding="utf-8") for n in ("layers.js", "layout.js"))


class Draws:
    """The few draws the tests need, by NumPy."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def randint(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def random(self):
        return float(self.rng.random())


def drawing(r, *, cyclic=False, convex=False):
    """Cards, edges and options, drawn from a generator; convex: groups are stretches of cards."""
    n = r.randint(1, 40)
    sizes = [[r.randint(20, 140), r.randint(16, 70)] for _ in range(n)]
    count = r.randint(0, 4)
    groups = [
        {"parent": r.randint(-1, g - 1), "title": [r.randint(0, 90), 14]} for g in range(count)
    ]
    edges = []
    for b in range(1, n):
        for _ in range(r.randint(0, 3)):
            edge = [r.randint(0, b - 1), b]
            if cyclic and r.random() < 0.1:
                edge.reverse()
            edges.append([*edge, r.randint(0, 2)] if r.random() < 0.3 else edge)
    inside = [r.randint(-1, count - 1) for _ in range(n)]
    if convex:
        spans = []
        for g in groups:
            low, high = spans[g["parent"]] if g["parent"] >= 0 else (0, n)
            apart = [s for s, h in zip(spans, groups, strict=False) if h["parent"] == g["parent"]]
            low = max([low, *(b for _, b in apart)])
            start = r.randint(low, high)
            spans.append((start, r.randint(start, high)))
        inside = [max([g for g, (a, b) in enumerate(spans) if a <= i < b], default=-1)
                  for i in range(n)]  # fmt: skip
    return sizes, edges, {"inside": inside, "groups": groups, "turned": r.random() < 0.3}


def block(deep):
    """A chain of residual blocks with three branches in each."""
    edges, n, h = [], 1, 0
    for _ in range(deep):
        z, q, k, v, s, m, o, add = range(n, n + 8)
        edges += [(h, z), (z, q), (z, k), (z, v), (q, s), (k, s), (s, m), (m, o), (v, o)]
        edges += [(o, add), (h, add)]
        n, h = n + 8, add
    return n, edges


# -- the twins ----------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_python_and_javascript_give_the_same_coordinates():
    r = Draws(0)
    cases = [drawing(r, cyclic=i % 4 == 0) for i in range(80)]
    for deep in (3, 40):
        n, edges = block(deep)
        cases.append(([[72, 36]] * n, edges, {}))
    cases.append(([[60, 30]] * 301, [[i, 300] for i in range(300)], {}))
    long = [[i, i + 1] for i in range(199)] + [[i, 199] for i in range(180)]
    cases.append(([[60, 30]] * 200, long, {"across": 30, "down": 50, "lane": 9, "spread": 4}))
    script = (
        f"{TWINS}\n"
        "const cases = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(cases.map(([s, e, o]) => overbarLayout(s, e, o))))"
    )
    run = subprocess.run(
        ["node", "-e", script],  # noqa: S607
        input=json.dumps(cases), capture_output=True, text=True, check=True,
    )  # fmt: skip
    for (sizes, edges, options), theirs in zip(cases, json.loads(run.stdout), strict=True):
        ours = json.loads(json.dumps(layout(sizes, edges, **options)))
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert _flat(value) == pytest.approx(_flat(theirs[key]), abs=1e-9)


def _flat(value):
    if isinstance(value, list):
        return [len(value), *(v for item in value for v in _flat(item))]
    return [-1.0 if value is None else value]


# -- nothing overlaps ---------------------------------------------------------------------------


def rectangle(places, sizes, i):
    w, h = sizes[i]
    return (
        places["x"][i] - w / 2, places["y"][i] - h / 2,
        places["x"][i] + w / 2, places["y"][i] + h / 2,
    )  # fmt: skip


def overlap(a, b, slack=1e-6):
    return (
        a[0] < b[2] - slack and b[0] < a[2] - slack and a[1] < b[3] - slack and b[1] < a[3] - slack
    )


def within(a, b, slack=1e-6):
    return (
        a[0] >= b[0] - slack and a[1] >= b[1] - slack
        and a[2] <= b[2] + slack and a[3] <= b[3] + slack
    )  # fmt: skip


def trail(groups, g):
    found = []
    while g >= 0:
        found.append(g)
        g = groups[g]["parent"]
    return found


@given(st.integers(0, 10**9))
def test_no_two_cards_overlap_and_boxes_hold_what_is_theirs(seed):
    sizes, edges, options = drawing(Draws(seed))
    places = layout(sizes, edges, **options)
    cards = [rectangle(places, sizes, i) for i in range(len(sizes))]
    boxes = [b and (b[0], b[1], b[0] + b[2], b[1] + b[3]) for b in places["boxes"]]
    picture = (0, 0, places["width"], places["height"])
    for a, b in itertools.combinations(cards, 2):
        assert not overlap(a, b)
    for i, card in enumerate(cards):
        around = trail(options["groups"], options["inside"][i])
        assert within(card, picture)
        for g, box in enumerate(boxes):
            if box is not None:
                assert within(card, box) if g in around else not overlap(card, box)
    for g, h in itertools.combinations(range(len(boxes)), 2):
        if boxes[g] is not None and boxes[h] is not None:
            nested = g in trail(options["groups"], h)
            assert within(boxes[h], boxes[g]) if nested else not overlap(boxes[g], boxes[h])


@given(st.integers(0, 10**9))
def test_edges_run_from_card_to_card_and_over_no_other(seed):
    sizes, edges, options = drawing(Draws(seed), convex=True)
    options["turned"] = False
    places = layout(sizes, edges, **options)
    cards = [rectangle(places, sizes, i) for i in range(len(sizes))]
    for (a, b, *_), route in zip(edges, places["routes"], strict=True):
        (x, y), (u, v) = route[0], route[-1]
        assert cards[a][0] <= x <= cards[a][2]
        assert cards[b][0] <= u <= cards[b][2]
        assert (y, v) == pytest.approx((cards[a][3], cards[b][1]))
        assert len(route) % 2 == 0
        for p, q in sampled(route):
            for i, (left, top, right, bottom) in enumerate(cards):
                if i not in (a, b):
                    assert not (left + 1 < p < right - 1 and top + 1 < q < bottom - 1)


# -- it reads well ------------------------------------------------------------------------------


def test_a_chain_is_straight_and_a_diamond_symmetrical():
    chain = layout([(60, 30)] * 5, [(0, 1), (1, 2), (2, 3), (3, 4)])
    assert np.ptp(chain["x"]) == 0
    assert chain["rows"] == [0, 1, 2, 3, 4]
    diamond = layout([(60, 30)] * 4, [(0, 1), (0, 2), (1, 3), (2, 3)])
    x = diamond["x"]
    assert x[0] == pytest.approx(x[3])
    assert x[0] == pytest.approx((x[1] + x[2]) / 2)


def test_leaves_stand_right_above_their_consumer_and_on_both_sides():
    edges = [(0, 1), (1, 2), (2, 3), (4, 3), (5, 3)]
    places = layout([(60, 30)] * 6, edges)
    assert places["rows"] == [0, 1, 2, 3, 2, 2]
    assert np.ptp([places["x"][i] for i in (0, 1, 2, 3)]) < 1e-6
    assert (places["x"][4] - places["x"][3]) * (places["x"][5] - places["x"][3]) < 0


def test_a_fan_keeps_the_order_of_its_inputs():
    x = layout([(60, 30)] * 13, [(i, 12) for i in range(12)])["x"][:12]
    assert x == sorted(x)


def test_a_deep_drawing_does_not_lean():
    shallow, deep = (layout([(72, 36)] * n, edges) for n, edges in (block(4), block(120)))
    assert deep["crossings"] == 0
    assert deep["width"] < 1.3 * shallow["width"]


def test_cycles_are_drawn_too():
    places = layout([(60, 30)] * 3, [(0, 1), (1, 2), (2, 0)])
    assert sorted(places["rows"]) == [0, 1, 2]
    assert places["routes"][2][0][1] > places["routes"][2][-1][1]  # one edge runs upwards


def test_what_carries_the_same_shares_a_port_of_a_box():
    groups = [{"parent": -1, "title": (0, 0)}]
    inside = [-1, 0, 0]
    same = layout([(60, 30)] * 3, [(0, 1, 7), (0, 2, 7)], inside=inside, groups=groups)
    other = layout([(60, 30)] * 3, [(0, 1, 7), (0, 2, 8)], inside=inside, groups=groups)
    top = same["boxes"][0][1]

    def entries(places):
        return {round(x, 6) for r in places["routes"] for x, y in r if y == pytest.approx(top + 12)}

    assert len(entries(same)) == 1
    assert len(entries(other)) == 2


@pytest.mark.timing
def test_wide_rows_and_long_edges_are_quick():
    import time

    begin = time.perf_counter()
    layout([(60, 30)] * 3001, [(i, 3000) for i in range(3000)])
    edges = [(i, i + 1) for i in range(499)] + [(i, 499) for i in range(400)]
    layout([(60, 30)] * 500, edges)
    assert time.perf_counter() - begin < 5
