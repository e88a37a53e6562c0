"""The rows of the course notes that belong to the compiler: what is kept, and what is worked out
once."""

from collections import Counter

import pytest

import overbar as ob
from overbar.compile.operations import PRODUCT

ACTIVATIONS = [ob.sigmoid, ob.relu, ob.tanh, ob.sigmoid, ob.relu] * 2


def ten_layers(weights, x):
    for f, w in zip(ACTIVATIONS, weights, strict=True):
        x = f(x @ w + 0.1)
    return ob.sum(x)


@pytest.fixture
def layers(rng):
    return [rng.normal(size=(16, 16)) / 4 for _ in ACTIVATIONS], rng.normal(size=(32, 16))


def test_s0_9_an_activation_is_kept_and_what_went_into_it_is_not(layers):
    weights, x = layers
    saved = ob.memory(ten_layers, weights, x).saved
    kept = [s for s in saved if s.bytes]
    assert [s.bytes for s in kept] == [x.nbytes] * len(ACTIVATIONS)
    assert [s.why[0] for s in kept] == [f"{f.__name__} needs its output" for f in ACTIVATIONS]


def test_s0_9_no_array_of_the_program_is_a_sum_before_an_activation(layers):
    step = ob.jit(ob.grad(ten_layers))
    step(*layers)
    stored = [
        y.op.name
        for node in step.lower().nodes
        if node.op is PRODUCT
        for body in (p for p in node.params.values() if isinstance(p, ob.Graph))
        for y in body.outputs
    ]
    forward = Counter(f.__name__ for f in ACTIVATIONS)
    forward["relu"] -= 1  # of the last only the sign is needed
    assert {name: stored.count(name) for name in forward} == forward  # once each
    assert "add" not in stored  # x W + 0.1 goes from one register to the next
    assert "heaviside" not in stored  # f′ comes of f's result, where it is used


def test_s0_9_what_is_dropped_changes_no_bit(layers):
    weights, x = layers
    dropped = ob.grad(ten_layers)(weights, x)
    leaves = [ob.tensor(w, requires_grad=True) for w in weights]
    with ob.record() as g:  # which keeps every value
        loss = ten_layers(leaves, x)
    assert all(node.value is not None for node in g.nodes)
    kept = ob.adjoint(loss, leaves)
    assert [d.tobytes() for d in dropped] == [k.numpy().tobytes() for k in kept]


def neuron(w, b, x, t):
    z = w * x + b
    y = ob.sigmoid(z)
    return (y - t) ** 2 / 2


POINT = (0.5, -1.0, 2.0, 1.0)


def operations(f):
    """The operations of a compiled function, counted by name, without constant factors."""
    step = ob.jit(f)
    step(*POINT)
    nodes = [n for n in step.lower("share").nodes if n.inputs and n.op.name != "alias"]
    return Counter(n.op.name for n in nodes if not any(x.op.name == "const" for x in n.inputs))


def test_s2_4_both_gradients_take_four_terms():
    """ȳ = y − t, z̄ = ȳ σ′(z), w̄ = z̄ x, b̄ = z̄; and σ′ = y (1 − y), z = w x + b, y = σ(z)."""
    both = operations(ob.grad(neuron, argnums=(0, 1)))
    forward = Counter(multiply=1, add=1, sigmoid=1)
    slope = Counter(multiply=1)  # 1 − y has a constant in it
    terms = Counter(subtract=1, multiply=2)  # b̄ is z̄
    assert both == forward + slope + terms
    assert both == operations(ob.grad(neuron))  # b̄ costs nothing


def test_s2_4_what_two_expansions_have_in_common_is_computed_once():
    def expanded(w, b, x, t):
        return ob.grad(neuron)(w, b, x, t), ob.grad(neuron, argnums=1)(w, b, x, t)

    assert operations(expanded) == operations(ob.grad(neuron, argnums=(0, 1)))
    traced = ob.jit(expanded)
    traced(*POINT)
    assert sum(n.op.name == "sigmoid" for n in traced.lower("trace").nodes) == 2
    assert sum(n.op.name == "sigmoid" for n in traced.lower("share").nodes) == 1
    assert [float(g) for g in traced(*POINT)] == [-0.25, -0.125]
