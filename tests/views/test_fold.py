"""What is folded: modules, runs of equal siblings, loops; and that nothing is lost by it."""

import itertools
import json

import numpy as np
import pytest

import overbar as ob
from overbar.views.draw import draw
from overbar.views.fold import fold
from overbar.views.operations import Operations
from overbar.views.record import record_of
from overbar.views.rows import Telling
from tests.views import nets


def folding(L):
    return fold(Telling(record_of("fold", L).sweep()))


def titles(L, **how):
    """What each card is called, in order."""
    return [c["name"] for c in draw(L, **how).cards]


def test_equal_blocks_become_one_run():
    f = folding(nets.transformer(12))
    (run,) = [b for b in f.boxes if b.title == "blocks × 12"]
    blocks = [b for b in f.boxes if b.path[:1] == ("blocks",) and len(b.path) == 2]
    assert [b.title for b in blocks] == [f"blocks.{i}" for i in range(12)]
    assert (run.start, run.stop) == (blocks[0].start, blocks[-1].stop)
    size = blocks[0].stop - blocks[0].start
    assert all(b.stop - b.start == size for b in blocks)
    assert all(a.stop == b.start for a, b in itertools.pairwise(blocks))
    assert {b.title for b in f.boxes if b.kind == "more"} == {"blocks × 10"}


def test_the_first_and_the_last_of_a_run_are_shown():
    names = titles(nets.transformer(12))
    assert [n for n in names if n.startswith("blocks")] == ["blocks.0", "blocks × 10", "blocks.11"]
    assert len(names) <= 30


def test_an_unrolled_loop_is_a_run_of_steps():
    drawing = draw(nets.rnn(64))
    assert "step × 62" in [c["name"] for c in drawing.cards]
    assert len(drawing.cards) <= 30
    f = drawing.folding
    steps = [b for b in f.boxes if b.kind == "step"]
    assert len(steps) == 64
    assert all(f.rows[b.stop - 1].node.op.name == "add" for b in steps)  # L = L + ... ends a turn


def test_a_turn_begins_where_the_loop_does():
    f = folding(nets.lstm(24))
    steps = [b for b in f.boxes if b.kind == "step"]
    firsts = {f.rows[b.start].node.origin.line for b in steps}
    assert len(steps) >= 23
    assert len(firsts) == 1
    assert "a = ob.concat" in f.rows[steps[0].start].node.origin.source


def test_alexnet_fits_on_thirty_cards():
    drawing = draw(nets.alexnet())
    assert len(drawing.cards) <= 30
    names = [c["name"] for c in drawing.cards]
    assert [n for n in names if "." in n] == [
        *(f"features.{i}" for i in range(13)), *(f"classifier.{i}" for i in range(7)),
    ]  # fmt: skip


def test_what_fits_is_not_folded():
    assert not [c for c in draw(nets.mlp()).cards if c["kind"] == "box"]
    assert not [c for c in draw(nets.diamonds(4)).cards if c["kind"] == "box"]


@pytest.mark.parametrize("net", nets.LARGE.values(), ids=nets.LARGE)
def test_never_more_than_three_hundred_cards_nor_unreadably_many(net):
    assert len(draw(net()).cards) <= 60


def test_depth_opens_modules():
    L = nets.transformer(3)
    few, more = titles(L), titles(L, depth=2)
    assert "blocks.1" in few
    assert "blocks.1" not in more
    assert len(more) > len(few)


def test_unfolded_every_operation_is_a_card():
    for net in nets.EVERY.values():
        L = net()
        cards = draw(L, fold=False).cards
        parts = Operations(Telling(record_of("x", L).sweep()))
        assert sum(c["kind"] == "op" for c in cards) == len(parts.rows)
        assert not [c for c in cards if c["kind"] in {"box", "bundle"}]


def test_a_leaf_used_in_several_places_has_a_card_in_each():
    cards = draw(nets.tied()).cards
    kinds = [c["kind"] for c in cards if c["name"] == "w"]
    assert sorted(kinds) == ["alias", "alias", "alias", "leaf"]
    assert kinds[0] == "leaf"


def test_many_equal_leaves_share_a_card():
    drawing = draw(ob.sum(ob.stack([ob.tensor(float(i), requires_grad=True) for i in range(40)])))
    (bundle,) = [c for c in drawing.cards if c["kind"] == "bundle"]
    (wire,) = drawing.wires
    assert "40 × number" in bundle["lines"]
    assert wire["message"] == (1.0,) * 40


@pytest.mark.parametrize("count", [3, 1000])
def test_s4_3_indexed_sums_are_folded(count):
    """f(W, x, y) = (y - sum of relu(w_i x + b_i))²."""
    r = np.random.default_rng(0)
    x, y, s = ob.tensor(r.normal(size=3)), ob.tensor(1.0), 0.0
    W = [ob.tensor(r.normal(size=3), requires_grad=True, name=f"w{i}") for i in range(count)]
    B = [ob.tensor(0.1, requires_grad=True, name=f"b{i}") for i in range(count)]
    for w, b in zip(W, B, strict=True):
        u = w @ x + b
        s = s + ob.relu(u)
    f = (y - s) ** 2
    drawing = draw(f, direction="LR")
    names = [c["name"] for c in drawing.cards]
    assert len(names) <= 30
    assert ("step × 998" in names) == (count == 1000)
    assert ("w1" in names) == (count == 3)


def test_a_loop_stays_a_loop():
    (loop,) = [c for c in draw(nets.looped()).cards if c["op"] == "scan"]
    assert "scan × 20" in loop["lines"][0]
    assert loop["lines"][1].startswith("body of ")


def test_calls_of_one_module_are_told_apart():
    class Net(ob.nn.Module):
        def __init__(self):
            self.cell, self.head = nets.Block(4), ob.nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.cell(self.cell(x)))

    f = folding(ob.sum(Net()(np.ones((3, 4), np.float32))))
    assert [b.title for b in f.boxes if b.path == ("cell",)] == ["cell", "cell"]


def test_a_penalty_is_no_part_of_the_module_it_is_on():
    ob.random.seed(0)
    model = ob.nn.Sequential(ob.nn.Linear(3, 3), ob.nn.Linear(3, 1))
    loss = ob.sum(model(np.ones((2, 3), np.float32)))
    penalty = sum(ob.sum(p * p) for p in model.parameters())
    f = folding(loss + penalty)
    assert [b.title for b in f.boxes if b.path] == ["0", "1"]


@pytest.mark.parametrize("net", nets.EVERY.values(), ids=nets.EVERY)
def test_boxes_are_nested_stretches_and_plain_data(net):
    f = folding(net())
    for i, box in enumerate(f.boxes):
        assert box.start < box.stop
        assert box.parent < i
        if box.parent >= 0:
            outer = f.boxes[box.parent]
            assert outer.start <= box.start
            assert box.stop <= outer.stop
    plain = json.loads(json.dumps(f.plain()))
    homes = sorted(i for box in plain for i in box["rows"])
    assert homes == [i for i, home in enumerate(f.home) if home >= 0]
    assert [len(b["nodes"]) for b in f.nested()] == [len(b["rows"]) for b in plain]


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("net", nets.EVERY.values(), ids=nets.EVERY)
def test_folded_cards_keep_every_edge(net, closed):
    """The wires are the record's edges, seen from the cards: none is lost, none is new."""
    from overbar.views.scene import Scene

    f = folding(net())
    opened = set() if closed else f.opened()
    scene = Scene(f, opened)
    card_of, wanted = {}, set()
    for i, row in enumerate(f.rows):
        for member in row.members:
            card_of[member] = f.card_of(i, scene.closed)
    record = scene.record
    for i, row in enumerate(f.rows):
        here = f.card_of(i, scene.closed)
        for x in row.inputs:
            if x in card_of and card_of[x] != here:
                wanted.add((card_of[x], here, x))
    number = {}
    for k, c in enumerate(scene.cards):
        if c.kind in {"op", "box"}:
            i = next(i for i, row in enumerate(f.rows) if row is c.rows[0])
            number[k] = f.card_of(i, scene.closed)
    found = {
        (number[w.source], number[w.target], w.node)
        for w in scene.wires
        if w.source in number and record.computed(w.node)
    }
    assert found == wanted
