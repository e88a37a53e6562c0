"""The training step of every model, told: drawn on few cards, explored, and asked everything."""

import itertools
import math

import numpy as np
import pytest

import overbar as ob
from overbar.views.calls import calls_of
from overbar.views.fold import EASY
from overbar.views.record import record_of
from overbar.views.unroll import unrolled
from tests.views import steps

EACH = pytest.mark.parametrize("made", steps.SMALL.values(), ids=steps.SMALL)


def names(drawing):
    return [card["name"] for card in drawing.cards]


@pytest.fixture(scope="module")
def alexnet():
    return steps.alexnet()


def test_alexnet_is_thirty_cards_each_with_the_path_and_the_class_of_its_module(alexnet):
    step, args, _ = alexnet
    drawing = ob.draw(step, *args)
    assert len(drawing.cards) <= EASY
    heads = [card["lines"][0] for card in drawing.cards if card["kind"] == "box"]
    features = ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"] * 2
    features += ["Conv2d", "ReLU"] * 3 + ["MaxPool2d"]
    assert heads[:15] == [f"features.{i}: {kind}" for i, kind in enumerate(features)]
    assert heads[15:] == [
        f"classifier.{i}: {kind}"
        for i, kind in enumerate(
            ["Flatten", "Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear"]
        )
        if kind != "Flatten"  # it moves no number: part of what comes after it
    ]
    opened = type(drawing)(drawing.telling, depth=2)
    assert "features.0.weight" in names(opened)
    assert "z" in names(opened)


def test_sixty_million_numbers_are_not_in_alexnets_page(alexnet):
    step, args, model = alexnet
    before = [p.value for p in model.parameters()]
    page = ob.explore(step, *args)
    assert len(page.html().encode()) < 200_000
    held = sum(len(line[4]) for line in page.data["pool"] if isinstance(line, list) and line[0])
    assert held < 3_000
    modules = {b["path"]: b["module"] for b in page.data["boxes"] if "path" in b}
    assert modules["features.0"] == "Conv2d"
    assert modules["classifier"] == "Sequential"
    assert all(p.value is v for p, v in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("made", [steps.ntm, steps.ntm_written_out])
def test_a_turing_machine_takes_as_many_cards_for_any_length(made):
    counts = set()
    for length in (5, 40):
        step, args, _ = made(length)
        counts.add(len(ob.draw(step, *args).cards))
    assert len(counts) == 1
    assert counts.pop() <= EASY


def test_an_opened_loop_takes_as_many_cards_for_any_length():
    counts = set()
    for length in (3, 8):
        step, args, _ = steps.ntm(length)
        drawing = ob.draw(step, *args, depth=2)
        assert f"step × {2 * length + 1 - 4}" in names(drawing)
        counts.add(len(drawing.cards))
    assert len(counts) == 1
    assert counts.pop() <= EASY


def test_a_loop_written_out_has_a_first_and_a_last_step_that_are_not_quite_the_others():
    step, args, _ = steps.ntm_written_out(5)
    (first, *_, last) = [n for n in names(ob.draw(step, *args)) if "step" in n]
    assert (first, last) == ("first step", "last step")


@EACH
def test_a_drawing_is_of_cards_that_are_few(made):
    step, args, _ = made()
    drawing = ob.draw(step, *args)
    assert len(drawing.cards) <= EASY
    assert "<svg" in drawing.svg()
    assert max(map(len, drawing.text(columns=120).splitlines())) <= 240  # bars are characters too


@EACH
def test_a_page_is_the_same_of_a_compiled_step(made):
    step, args, _ = made()
    pages = [ob.explore(f, *args) for f in (step, ob.jit(step))]
    plain, compiled = (
        [(n["name"], n["op"], n.get("box")) for n in page.data["nodes"]] for page in pages
    )
    assert plain == compiled
    assert len(pages[0].html().encode()) < 1_000_000
    assert all("module" in b for b in pages[0].data["boxes"] if "path" in b)


@EACH
def test_every_view_says_something_and_changes_nothing(made):
    step, args, model = made()
    before = [p.value for p in model.parameters()]
    said = [f(step, *args).text() for f in (ob.explain, ob.cost, ob.memory, ob.health, ob.why_nan)]
    said += [ob.shape_table(step, *args).text(), ob.summary(model, args[0]).text()]
    parameter = next(model.parameters())
    said.append(ob.derive(step, *args, wrt=parameter).text())
    assert all(said)
    assert all(p.value is v for p, v in zip(model.parameters(), before, strict=True))
    answer = ob.compiled(ob.jit(step), *args)
    assert answer.text()


# -- calls of modules -------------------------------------------------------------------------


class Pair(ob.nn.Module):
    """Two layers, of which one is used twice; it gives two results."""

    def __init__(self):
        self.one, self.two = ob.nn.Linear(3, 3, rng=steps.rng()), ob.nn.Tanh()

    def forward(self, x):
        y = self.two(self.one(x))
        z = self.one(y)
        return z, {"not": y}


def test_results_know_the_calls_of_modules_that_made_them():
    model = Pair()
    z, _ = model(np.ones((2, 3), np.float32))
    record = record_of("test", ob.sum(z * z))
    found = calls_of(record.nodes)
    assert [(c.path, c.kind) for c in found] == [
        ("", "Pair"), ("one", "Linear"), ("two", "Tanh"), ("one", "Linear"),
    ]  # fmt: skip
    whole, *inner = found
    assert all(whole.since < c.since and c.until <= whole.until for c in inner)
    assert all(a.until <= b.since for a, b in itertools.pairwise(inner))


def test_in_a_loop_that_is_written_out_each_turn_has_its_calls():
    cell = ob.nn.LSTMCell(2, 3, rng=steps.rng())
    head = ob.nn.Linear(3, 1, rng=steps.rng())

    def turn(state, x):
        h, c = cell(x, state)
        return (h, c), h

    zeros = np.zeros((4, 3), np.float32)
    _, hs = ob.scan(turn, (zeros, zeros), np.ones((5, 4, 2), np.float32))
    record = unrolled(record_of("test", ob.sum(head(hs))))
    found = calls_of(record.nodes)
    assert [c.kind for c in found] == ["LSTMCell"] * 5 + ["Linear"]
    assert all(a.until <= b.since for a, b in itertools.pairwise(found))


def test_a_result_that_was_there_before_is_not_of_the_call():
    class Same(ob.nn.Module):
        def forward(self, x):
            return x

    x = ob.tensor([1.0, 2.0], requires_grad=True) * 2.0
    assert calls_of(record_of("test", ob.sum(Same()(x))).nodes) == []


def test_slides_that_would_take_long_are_left_out():
    a = np.full((300, 300), 0.01, np.float32)
    w = ob.tensor(a, requires_grad=True, name="w")

    def f():
        y = w
        for _ in range(5):
            y = ob.tanh(y @ w)
        return ob.sum(y)

    data = ob.explore(f).data
    assert data["slides"] == []
    assert math.isfinite(data["pool"][data["nodes"][data["outputs"][0]]["value"]])
