"""Each pass, by the graph it prints; and all of them, on random programs, by what it computes."""

import math
import os
import textwrap

import numpy as np
import pytest

import overbar as ob
from overbar.capture import Captured, Trace
from overbar.compile.passes import PASSES, lowered
from overbar.errors import DomainError
from overbar.handle import as_tensor
from overbar.replay import interpret
from overbar.trees import tree_flatten
from tests.programs import MOVES, program

PROGRAMS = int(os.environ.get("OVERBAR_PROGRAMS", "60"))


def traced(f, *args):
    with Trace() as trace:
        inner = [trace.argument(as_tensor(a).spec) for a in args]
        leaves, structure = tree_flatten(f(*inner), objects=False)
        results = [trace.result(as_tensor(y)) for y in leaves]
    return Captured(trace, results, structure).graph


def printed(f, *args, only):
    graph = traced(f, *args)
    return str(dict(PASSES)[only](graph))


def same(text, wanted):
    assert text == textwrap.dedent(wanted).strip()


x = np.ones((2, 3))


def test_prune_takes_out_what_changes_nothing():
    def f(x):
        return ob.exp(ob.astype(ob.permute_dims(ob.stop_gradient(x), (0, 1)), np.float64))

    same(
        printed(f, x, only="prune"),
        """
        %0 = input  float64[2, 3]
        %1 = exp %0  float64[2, 3]
        return %1
        """,
    )


def test_join_makes_one_loop_of_two_and_hands_on_what_it_has():
    def f(u, x):
        start = ob.asarray(np.zeros(2))
        _, before = ob.scan(lambda h, x: (ob.tanh(u * h + x), h), start, x)
        last, _ = ob.scan(lambda h, x: (ob.tanh(u * h + x), None), start, x)
        return ob.scan(lambda s, r: (s + ob.tanh(u * r[0] + r[1]), None), last, (before, x))[0]

    same(
        printed(f, np.ones(2), np.ones((3, 2)), only="join"),
        """
        %0 = input  float64[2]
        %1 = input  float64[3, 2]
        %2 = const array([0., 0.])  float64[2]
        %3 = scan %0 %2 %1 constants=1 carries=1 length=3 reverse=False  (float64[2], float64[3, 2], float64[3, 2])
            body:
                %0 = input  float64[2]
                %1 = input  float64[2]
                %2 = input  float64[2]
                %3 = multiply %0 %1  float64[2]
                %4 = add %3 %2  float64[2]
                %5 = tanh %4  float64[2]
                return %5 %1 %5
        %4 = part %3 index=1 count=3  float64[3, 2]
        %5 = part %3 index=0 count=3  float64[2]
        %6 = part %3 index=2 count=3  float64[3, 2]
        %7 = scan %0 %5 %4 %1 %6 constants=1 carries=1 length=3 reverse=False  (float64[2],)
            body:
                %0 = input  float64[2]
                %1 = input  float64[2]
                %2 = input  float64[2]
                %3 = input  float64[2]
                %4 = input  float64[2]
                %5 = add %1 %4  float64[2]
                return %5
        %8 = part %7 index=0 count=1  float64[2]
        return %8
        """,  # noqa: E501
    )


def test_hoist_takes_products_out_of_a_loop():
    def f(u, x):
        def cell(carry, x):
            h, total = carry
            h = ob.tanh(h * 0.5 + x @ u)
            return (h, total + h[:, None] @ x[None]), h @ u

        return ob.scan(cell, (np.zeros(2), np.zeros((2, 2))), x)

    same(
        printed(f, np.ones((2, 2)), np.ones((3, 2)), only="hoist"),
        """
        %0 = input  float64[2, 2]
        %1 = input  float64[3, 2]
        %2 = const array([0., 0.])  float64[2]
        %3 = const array([[0., 0.], [0., 0.]])  float64[2, 2]
        %4 = reshape %1 shape=(3, 1, 2)  float64[3, 1, 2]
        %5 = einsum %4 %0 form='aij,jk->aik'  float64[3, 1, 2]
        %6 = scan %2 %5 constants=0 carries=1 length=3 reverse=False  (float64[2], float64[3, 2])
            body:
                %0 = input  float64[2]
                %1 = input  float64[1, 2]
                %2 = const 0.5  float64[]
                %3 = multiply %0 %2  float64[2]
                %4 = reshape %1 shape=(2,)  float64[2]
                %5 = add %3 %4  float64[2]
                %6 = tanh %5  float64[2]
                return %6 %6
        %7 = part %6 index=1 count=2  float64[3, 2]
        %8 = part %6 index=0 count=2  float64[2]
        %9 = slice %1 index=((0, 3, 1), (0, 2, 1)) shape=(3, 1, 2)  float64[3, 1, 2]
        %10 = slice %7 index=((0, 3, 1), (0, 2, 1)) shape=(3, 2, 1)  float64[3, 2, 1]
        %11 = einsum %10 %9 form='aij,ajk->aik'  float64[3, 2, 2]
        %12 = sum %11 axis=(0,)  float64[2, 2]
        %13 = add %3 %12  float64[2, 2]
        %14 = reshape %7 shape=(3, 1, 2)  float64[3, 1, 2]
        %15 = einsum %14 %0 form='aij,jk->aik'  float64[3, 1, 2]
        %16 = reshape %15 shape=(3, 2)  float64[3, 2]
        return %8 %13 %16
        """,
    )


def test_share_computes_equal_things_once():
    same(
        printed(lambda x: ob.exp(x) + ob.exp(x), x, only="share"),
        """
        %0 = input  float64[2, 3]
        %1 = exp %0  float64[2, 3]
        %2 = add %1 %1  float64[2, 3]
        return %2
        """,
    )


def test_share_keeps_random_draws_apart():
    rng = ob.random.default_rng(0)
    graph = lowered(traced(lambda x: rng.uniform((3,)) - rng.uniform((3,)), x), until="share")
    assert sum(n.op.name == "random_bits" for n in graph.nodes) == 2


def test_fold_computes_constants_and_uses_identities():
    def f(x):
        half = ob.asarray(np.array(1.0)) / 2.0
        return ob.negative(ob.negative(x * 1.0 - 0.0)) / 4.0 + half * half

    same(
        printed(f, x, only="fold"),
        """
        %0 = input  float64[2, 3]
        %1 = const 4.0  float64[]
        %2 = divide %0 %1  float64[2, 3]
        %3 = const array(0.25)  float64[]
        %4 = broadcast %3 shape=(2, 3)  float64[2, 3]
        %5 = add %2 %4  float64[2, 3]
        return %5
        """,
    )


def test_fold_computes_what_is_repeated_once():
    def f(a, b):
        rows, number = ob.broadcast_to(a, (5, 3)), ob.sum(b)
        repeated = ob.broadcast_to(number, (5, 3))
        return ob.exp(1 / rows), ob.exp(repeated), rows * repeated

    same(
        printed(f, x[0], x, only="fold"),
        """
        %0 = input  float64[3]
        %1 = input  float64[2, 3]
        %2 = broadcast %0 shape=(5, 3)  float64[5, 3]
        %3 = sum %1 axis=(0, 1)  float64[]
        %4 = broadcast %3 shape=(5, 3)  float64[5, 3]
        %5 = const 1  int64[]
        %6 = multiply %2 %4  float64[5, 3]
        %7 = divide %5 %0  float64[3]
        %8 = exp %7  float64[3]
        %9 = broadcast %8 shape=(5, 3)  float64[5, 3]
        %10 = exp %3  float64[]
        %11 = broadcast %10 shape=(5, 3)  float64[5, 3]
        return %9 %11 %6
        """,
    )


@pytest.mark.parametrize(
    ("shape", "f"),
    [
        ((4, 3), lambda x: ob.repeat(ob.repeat(x, 2, axis=0), 5, axis=1)),
        ((4, 3), lambda x: ob.repeat(ob.repeat(x, 2, axis=1), 5, axis=0)),
        ((1, 3), lambda x: ob.repeat(ob.repeat(x, 2, axis=1), 5, axis=0)),
        ((3, 4), lambda x: ob.tile(ob.repeat(x, 3, axis=1), (2, 1, 2))),
        ((6,), lambda x: ob.repeat(ob.repeat(ob.repeat(x, 2), 3), 4)),
        ((4, 3), lambda x: ob.broadcast_to(ob.repeat(x, 2, axis=1).reshape(4, 1, 6), (7, 4, 2, 6))),
    ],
)
def test_fold_repeats_at_once(shape, f):
    """What is repeated twice is stored once."""
    values = np.arange(math.prod(shape)).reshape(shape) * 1.0
    folded = lowered(traced(f, values), until="fold")
    assert sum(n.op.name == "nest" for n in lowered(traced(f, values)).nodes) == 1
    (found,) = interpret(folded, [values])
    np.testing.assert_array_equal(found, f(values).numpy())
    np.testing.assert_array_equal(ob.jit(f)(values), f(values).numpy())


def test_fold_joins_the_gradients_of_parts():
    """x̄ = [b; a; c], and not three arrays with zeros, added up; −0 becomes 0 as in that sum."""

    def f(x, a, b, c):
        return ob.grad(lambda x: (x[:, 1:2] * a + x[:, :1] * b).sum() + (x[:, 2] * c).sum())(x)

    a, b, c = np.full((2, 1), -0.0), np.ones((2, 1)), np.full(2, 3.0)
    names = [n.op.name for n in lowered(traced(f, x, a, b, c), until="fold").nodes]
    assert names.count("concat") == 1
    assert "place" not in names
    found = ob.jit(f)(x, a, b, c)
    assert np.array_equal(found, [[1, 0, 3], [1, 0, 3]])
    assert not np.signbit(found).any()


@pytest.mark.parametrize("f", [lambda x: x * 0.0, lambda x: x + 0.0, lambda x: x - x])
def test_fold_knows_only_identities_that_hold_for_every_number(f):
    graph = traced(f, x)
    folded = dict(PASSES)["fold"](graph)
    bad = np.array([[np.nan, np.inf, -0.0], [1.0, -np.inf, 0.0]])
    with np.errstate(all="ignore"):
        (wanted,), (found,) = interpret(graph, [bad]), interpret(folded, [bad])
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))
    assert len(folded.nodes) == len(graph.nodes)


def test_expand_writes_softmax_with_simpler_operations():
    same(
        printed(lambda x: ob.softmax(x, axis=1), x, only="expand"),
        """
        %0 = input  float64[2, 3]
        %1 = max %0 axis=(1,) ties='share'  float64[2]
        %2 = isfinite %1  bool[2]
        %3 = const 0.0  float64[]
        %4 = where %2 %1 %3  float64[2]
        %5 = reshape %4 shape=(2, 1)  float64[2, 1]
        %6 = broadcast %5 shape=(2, 3)  float64[2, 3]
        %7 = subtract %0 %6  float64[2, 3]
        %8 = exp %7  float64[2, 3]
        %9 = sum %8 axis=(1,)  float64[2]
        %10 = const 0.0  float64[]
        %11 = equal %9 %10  bool[2]
        %12 = const 1.0  float64[]
        %13 = where %11 %12 %9  float64[2]
        %14 = reshape %13 shape=(2, 1)  float64[2, 1]
        %15 = broadcast %14 shape=(2, 3)  float64[2, 3]
        %16 = divide %8 %15  float64[2, 3]
        return %16
        """,
    )


def test_a_function_compiled_again_is_the_same_program():
    x, w = np.random.default_rng(0).standard_normal((2, 1, 240_000)).astype(np.float32)
    m = np.ones((1, 1), bool)
    f = ob.grad(lambda x: ob.sum(ob.log_softmax(ob.where(m, x, -np.inf), axis=-1) * w))
    first, again = (ob.jit(f)(x).tobytes() for _ in range(2))
    assert first == again


def test_contract_takes_transposes_into_products():
    a, b = np.ones((4, 3)), np.ones((5, 3))
    graph = lowered(traced(lambda a, b: (a @ b.mT).mT, a, b), until="contract")
    same(
        str(graph),
        """
        %0 = input  float64[4, 3]
        %1 = input  float64[5, 3]
        %2 = einsum %0 %1 form='ij,kj->ki'  float64[5, 4]
        return %2
        """,
    )


def test_contract_makes_a_sum_of_a_matrix_times_a_vector():
    graph = lowered(traced(lambda a, v: a @ v, np.ones((4, 3)), np.ones(3)), until="contract")
    assert [n.op.name for n in graph.nodes if n.op.name in ("einsum", "multiply", "sum")] == [
        "multiply",
        "sum",
    ]


@pytest.mark.parametrize(
    "form", ["aij,ajk->aik", "aji,ajk->aki", "abij,abkj->baik", "aijl,jalk->aik", "aijm,ajkm->aikm"]
)
def test_contract_writes_many_tiny_products_term_by_term(form, rng):
    terms = form.partition("->")[0].split(",")
    for many in (5, 20):
        sizes = {"a": many, "b": 2, "i": 3, "j": 4, "k": 2, "l": 1, "m": 2}
        xs = [rng.normal(size=[sizes[c] for c in t]) for t in terms]
        graph = lowered(traced(lambda *xs: ob.einsum(form, *xs), *xs), until="contract")
        names = {n.op.name for n in graph.nodes if n.inputs}
        few = many * (2 if "b" in form or "m" in form else 1) < 16
        assert ("einsum" in names) == few
        np.testing.assert_allclose(ob.jit(ob.einsum)(form, *xs), np.einsum(form, *xs), rtol=1e-12)


def test_contract_drops_the_lanes_of_a_broadcast_weight():
    xs, w = np.ones((7, 4, 3)), np.ones((3, 5))
    graph = lowered(traced(lambda xs, w: ob.vmap(lambda x: x @ w)(xs), xs, w), until="contract")
    (product,) = [n for n in graph.nodes if n.op.name == "einsum"]
    assert [x.spec.ndim for x in product.inputs][1] == 2


def test_fuse_puts_softmax_into_one_kernel():
    graph = lowered(traced(lambda x: ob.softmax(2.0 * x, axis=1), np.ones((4, 8))))
    kernels = [n for n in graph.nodes if n.op.name == "nest"]
    assert len(kernels) == 1
    assert kernels[0].params["reduced"] == (1,)


def test_fuse_puts_bias_and_activation_into_the_product():
    def layer(x, w, b):
        return ob.relu(x @ w.mT + b)

    same(
        str(lowered(traced(layer, np.ones((4, 3)), np.ones((5, 3)), np.ones(5)))),
        """
        %0 = input  float64[4, 3]
        %1 = input  float64[5, 3]
        %2 = input  float64[5]
        %3 = product %0 %1 %2 axes=(4, 5) reduced=()  float64[4, 5]
            graph:
                %0 = input  float64[4, 3]
                %1 = input  float64[5, 3]
                %2 = input  float64[5]
                %3 = einsum %0 %1 form='ij,kj->ik'  float64[4, 5]
                %4 = broadcast %2 shape=(4, 5)  float64[4, 5]
                %5 = add %3 %4  float64[4, 5]
                %6 = relu %5  float64[4, 5]
                return %6
        return %3
        """,
    )


def test_fuse_adds_a_column_and_a_row_to_a_product_where_it_is_made():
    """‖x‖² + ‖y‖² − 2 x·y is stored once: the sum of the two vectors is no matrix of its own."""

    def distances(x):
        own = ob.sum(x * x, axis=1)
        return own[:, None] + own[None, :] - 2.0 * (x @ x.mT)

    graph = lowered(traced(distances, np.ones((64, 3))))
    (product,) = [n for n in graph.nodes if n.op.name == "product"]
    kernels = [n for n in graph.nodes if n.op.name == "nest"]
    assert graph.outputs == (product,)
    assert [n.spec.shape for n in kernels] == [(64,)]
    points = np.random.default_rng(0).standard_normal((64, 3))
    wanted = ((points[:, None] - points[None]) ** 2).sum(2)
    np.testing.assert_allclose(ob.jit(distances)(points), wanted, atol=1e-13)


def test_fuse_adds_up_what_parts_send_back_in_one_kernel():
    """The gradient of a stencil: no array of zeros with a part in it is stored."""

    def energy(x):
        return ((x[1:] - x[:-1]) ** 2).sum() + ((x[:, 1:] - x[:, :-1]) ** 2).sum()

    values = np.random.default_rng(0).standard_normal((71, 83))
    graph = lowered(traced(ob.grad(energy), values))
    kernels = [n.params["graph"] for n in graph.nodes if n.op.name == "nest"]
    placing = [g for g in kernels if any(n.op.name == "place" for n in g.nodes)]
    assert [sum(n.op.name == "place" for n in g.nodes) for g in placing] == [4]
    assert [y.op.name for y in placing[0].outputs] == ["add"]
    np.testing.assert_allclose(
        ob.jit(ob.grad(energy))(values), ob.grad(energy)(values), rtol=1e-13, atol=1e-13
    )


@pytest.mark.parametrize(("rows", "kernels"), [(100, 2), (3, 1)])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: ob.concat([x, x[:, ::2]], axis=1),
        lambda x: ob.pad(x, ((1, 1), (0, 3))),
        lambda x: ob.roll(x, 7, axis=1),
        lambda x: ob.pad(x, ((0, 0), (1, 0))) + ob.pad(x, ((0, 0), (0, 1))),
    ],
)
def test_fuse_puts_long_rows_together_before_it_sums_them(f, rows, kernels):
    """The loops of a sum are not cut where parts begin and end."""
    values = np.random.default_rng(0).standard_normal((rows, 100))
    total = lambda x: ob.logsumexp(f(x), axis=1)
    graph = lowered(traced(total, values))
    assert sum(n.op.name == "nest" for n in graph.nodes) == kernels
    np.testing.assert_allclose(ob.jit(total)(values), total(values), rtol=1e-13)


def test_a_training_step_updates_each_parameter_in_the_kernel_of_its_gradient():
    rng = np.random.default_rng(0)
    net = ob.nn.Sequential(ob.nn.Linear(6, 5), ob.nn.ReLU(), ob.nn.Linear(5, 4))
    opt = ob.optim.SGD(net.parameters(), 0.1)

    def step(x, y):
        opt.zero_grad()
        loss = ob.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        return loss

    batch = rng.standard_normal((8, 6)).astype(np.float32), rng.integers(0, 4, 8)
    graph = lowered(traced(step, *batch))
    products = [n for n in graph.nodes if n.op.name == "product"]
    updates = [n for n in products if any(m.op.name == "subtract" for m in n.params["graph"].nodes)]
    assert len(products) == 5  # two forward, two weights, one input gradient
    assert len(updates) == 2


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_every_pass_keeps_what_a_random_gradient_computes(seed):
    drawn = program(seed)
    table = {name: move.run for name, move in MOVES.items()}
    f = ob.grad(lambda *xs: drawn(table, *xs), argnums=tuple(range(len(drawn.xs))))
    graph = traced(f, *drawn.xs)
    wanted = interpret(graph, drawn.xs)
    for name, apply in PASSES:
        graph = apply(graph)
        assert [y.spec for y in graph.outputs] == [np_spec(w) for w in wanted], name
        for found, y in zip(interpret(graph, drawn.xs), wanted, strict=True):
            scale = np.max(np.abs(y), initial=1.0)
            np.testing.assert_allclose(found, y, rtol=0, atol=1e-11 * scale, err_msg=name)


def np_spec(value):
    return as_tensor(np.asarray(value)).spec


def test_a_pass_that_there_is_not_is_refused():
    with pytest.raises(DomainError, match="'fusion' is no pass") as caught:
        lowered(traced(ob.exp, x), until="fusion")
    assert "contract" in str(caught.value)
