"""Graphs as objects: their order, their steps, running them again, and keeping them in files."""

import itertools
import json

import numpy as np
import pytest

import overbar as ob
from overbar import store
from overbar.errors import DomainError, DTypeError, FileError, StructureError
from overbar.graphfile import KEY

X = np.linspace(-1, 1, 15).reshape(5, 3)


def same_bits(a, b):
    a, b = (t.numpy() if isinstance(t, ob.Tensor) else np.asarray(t) for t in (a, b))
    assert (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


def same_trees(a, b):
    (xs, s), (ys, t) = ob.tree_flatten(a), ob.tree_flatten(b)
    assert s == t
    for x, y in zip(xs, ys, strict=True):
        same_bits(x, y)


# -- the object --------------------------------------------------------------------------------


def test_the_order_is_one_in_which_inputs_come_first_and_is_the_same_every_time():
    f = lambda x: ob.sin(x) * ob.cos(x) + x
    one, two = ob.trace(f)(X), ob.trace(f)(X)
    assert str(one) == str(two)
    at = {n: i for i, n in enumerate(one.order())}
    assert len(at) == len(one)
    assert all(at[x] < at[n] for x, n in one.edges)
    assert [n.op.name for n in one.nodes] == ["input", "sin", "cos", "multiply", "add"]


def test_edges_sources_and_sinks():
    g = ob.trace(lambda x, y: (x * x, ob.sin(y) + 1.0))(2.0, 3.0)
    assert [(x.op.name, n.op.name) for x, n in g.edges] == [
        ("input", "multiply"),
        ("input", "multiply"),
        ("input", "sin"),
        ("sin", "add"),
        ("const", "add"),
    ]
    assert [n.op.name for n in g.sources] == ["input", "input", "const"]
    assert [n.op.name for n in g.sinks] == ["multiply", "add"]


def test_a_traced_graph_runs_on_other_arguments_with_the_bits_of_the_function():
    f = lambda d, k: {"y": ob.tanh(d["x"] @ d["w"]) * k, "n": (ob.sum(d["x"]),)}
    g = ob.trace(f)({"x": X, "w": np.ones((3, 2))}, 2.0)
    for seed in range(3):
        r = np.random.default_rng(seed)
        d, k = (
            {"x": r.standard_normal((5, 3)), "w": r.standard_normal((3, 2))},
            float(r.standard_normal()),
        )
        same_trees(g.run(d, k), f({key: ob.tensor(v) for key, v in d.items()}, k))


def test_what_was_read_from_outside_is_read_at_each_run():
    w = ob.tensor(2.0, requires_grad=True, name="w")
    g = ob.trace(lambda x: x * w)(3.0)
    assert [n.name for n in g.inputs] == ["x", "w"] or g.inputs[-1].name == "w"
    assert float(g.run(3.0)) == 6.0
    w.rebind(ob.tensor(5.0))
    assert float(g.run(3.0)) == 15.0


def test_run_refuses_a_wrong_number_of_arguments():
    g = ob.trace(lambda x, y: x * y)(1.0, 2.0)
    with pytest.raises(StructureError):
        g.run(1.0)
    with pytest.raises(StructureError):
        g.backward_graph().run(1.0)


def test_the_backward_graph_gives_the_gradient_and_is_a_graph_itself():
    f = lambda x, w: ob.sum(ob.tanh(x @ w) ** 2)
    w = np.ones((3, 2)) / 3
    back = ob.trace(f)(X, w).backward_graph()
    x_bar, w_bar = back.run(X, w, np.ones(()))
    gx, gw = ob.grad(f, argnums=(0, 1))(X, w)
    np.testing.assert_allclose(x_bar.numpy(), gx, rtol=1e-15)
    np.testing.assert_allclose(w_bar.numpy(), gw, rtol=1e-15)
    assert "matmul" in str(back)


def test_record_keeps_everything_wanted_or_not():
    x = ob.tensor(X)
    with ob.record() as g:
        y = ob.sum(ob.sin(x) * 2.0)
    assert [n.op.name for n in g.nodes if n.inputs] == ["sin", "multiply", "sum"]
    assert not y.requires_grad
    same_bits(g.nodes[-1].value, y)


def test_steps_forward_and_backward_are_mirror_images():
    w = ob.tensor(X, requires_grad=True)
    with ob.record() as g:
        ob.sum(ob.exp(w) * w)
    forward, backward = list(g.steps("forward")), list(g.steps())
    assert [s.node for s in forward] == [s.node for s in backward][::-1]
    (message,) = backward[0].messages
    same_bits(np.broadcast_to(message[1], (5, 3)), np.ones((5, 3)))
    with pytest.raises(DomainError):
        list(g.steps("sideways"))


# -- in a file ---------------------------------------------------------------------------------


def loop(x, w):
    def step(carry, row):
        inner, _ = ob.scan(lambda c, e: (c + e * 0.5, None), 0.0, row)
        carry = ob.cond(inner > 0, lambda c: c * 0.9 + inner, lambda c: c - inner, carry)
        return carry, ob.tanh(carry)

    last, ys = ob.scan(step, ob.sum(w), x, reverse=True)
    count = ob.while_loop(
        lambda c: c[0] < 100.0, lambda c: (c[0] * 2.0 + 1.0, c[1] + 1), (ob.abs(last) + 1.0, 0)
    )
    return ys, count


PROGRAMS = {
    "arithmetic": (lambda x: (x * 2 - 1) / 3 + x**2 + True, (X,)),
    "weak numbers": (lambda x: x * 0.1 + 3 - 1j, (X.astype(np.float32),)),
    "odd numbers": (lambda x: ob.where(x > 0, x * np.inf, np.nan) + -0.0, (X + 3,)),
    "slices": (lambda x: x[1:, ::-2] + x[::2, 0][:2, None] + x[..., None, 1][1:3, 0:1], (X[:3],)),
    "fancy": (lambda x: x[np.array([0, 2, 2]), np.array([1, 0, 1])], (X,)),
    "matmul": (
        lambda x, w: ob.tanh(x @ w) @ ob.asarray(np.arange(8.0).reshape(2, 4)),
        (X, np.ones((3, 2))),
    ),
    "fortran constant": (lambda x: ob.sum(x * np.asfortranarray(np.exp(X)), axis=0), (X,)),
    "reductions": (
        lambda x: (ob.max(x, axis=0), ob.mean(x, axis=(0, 1)), ob.std(x), ob.argmax(x, axis=-1)),
        (X,),
    ),
    "several results": (lambda x: (ob.sort(x), ob.split(x, 3, axis=1)), (X,)),
    "dtypes": (
        lambda x: (x.astype(np.float32), x > 0, x.astype(int), x.astype(complex) * 1j),
        (X,),
    ),
    "factors": (lambda x: (ob.linalg.qr(x), ob.linalg.svd(x), ob.einsum("ij,kj->ik", x, x)), (X,)),
    "convolution": (
        lambda x, w: ob.max_pool(ob.conv(x, w, padding=1), 2),
        (np.sin(np.arange(32.0)).reshape(1, 2, 16), np.cos(np.arange(12.0)).reshape(2, 2, 3)),
    ),
    "loops": (loop, (X, np.ones(2))),
    "random": (
        lambda x: (
            x
            + ob.random.default_rng(3).normal((5, 3))
            + ob.random.default_rng(4).permutation(5)[:, None]
        ),
        (X,),
    ),
    "gradient": (ob.grad(lambda x: ob.sum(ob.exp(x) * ob.relu(x))), (X,)),
    "second order": (ob.hessian(lambda x: ob.sum(ob.sin(x) ** 3)), (X[0],)),
    "vmapped": (ob.vmap(lambda x: ob.sum(x * x) * ob.cumsum(x)), (X,)),
    "gradient of loops": (
        ob.grad(lambda x: ob.sum(ob.scan(lambda c, e: (c * e, c), 1.0, x)[1])),
        (X[:, 0],),
    ),
    "containers": (
        lambda d: {"b": [d["a"] * 2, None], "a": (d["n"][0],)},
        ({"a": X, "n": [X[0], None]},),
    ),
    "nothing but a constant": (lambda x: 7.0, (X,)),
    "its own argument": (lambda x: x, (X,)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_loaded_graph_is_the_graph_that_was_saved(name, tmp_path):
    f, args = PROGRAMS[name]
    tensors = [ob.tensor(a) if isinstance(a, np.ndarray) else a for a in args]
    with np.errstate(all="ignore"):
        saved = ob.trace(f)(*tensors)
        saved.save(tmp_path / "g")
        loaded = ob.Graph.load(tmp_path / "g")
        assert str(loaded) == str(saved)
        assert [n.spec for n in loaded.nodes] == [n.spec for n in saved.nodes]
        same_trees(loaded.run(*args), saved.run(*args))
        same_trees(loaded.run(*args), saved.run(*args))


@pytest.mark.parametrize("name", ["matmul", "loops", "slices", "reductions", "weak numbers"])
def test_a_loaded_graph_differentiates(name, tmp_path):
    f, args = PROGRAMS[name]
    saved = ob.trace(f)(*args)
    saved.save(tmp_path / "g")
    if name == "loops":
        with pytest.raises(
            DTypeError, match="cannot be written"
        ):  # a while's reverse is a function
            saved.backward_graph().save(tmp_path / "b")
    back, again = saved.backward_graph(), ob.Graph.load(tmp_path / "g").backward_graph()
    seeds = [np.full(y.spec.shape, 0.7, y.spec.dtype) for y in saved.outputs if y.spec.floating]
    for a, b in zip(
        _listed(back.run(*args, *seeds)), _listed(again.run(*args, *seeds)), strict=True
    ):
        same_bits(a, b)


def _listed(found):
    return list(found) if isinstance(found, tuple) else [found]


def test_a_backward_graph_can_be_kept(tmp_path):
    back = ob.trace(lambda x, w: ob.sum(ob.sigmoid(x @ w)))(X, np.ones(3)).backward_graph()
    back.save(tmp_path / "b")
    for a, b in zip(
        back.run(X, np.ones(3), 1.0),
        ob.Graph.load(tmp_path / "b").run(X, np.ones(3), 1.0),
        strict=True,
    ):
        same_bits(a, b)


def test_parameters_are_kept_with_the_values_of_the_moment_and_their_names(tmp_path):
    w = ob.tensor([1.0, 2.0, 3.0], requires_grad=True, name="weight")
    g = ob.trace(lambda x: x @ w)(X)
    w.rebind(ob.tensor([3.0, 2.0, 1.0]))
    g.save(tmp_path / "g")
    w.rebind(ob.tensor([0.0, 0.0, 0.0]))
    loaded = ob.Graph.load(tmp_path / "g")
    np.testing.assert_allclose(loaded.run(X).numpy(), X @ [3.0, 2.0, 1.0], rtol=1e-15)
    assert loaded.inputs[-1].name == "weight"


def test_a_recorded_graph_is_kept_with_its_leaves_and_steps_on(tmp_path):
    w = ob.tensor(X, requires_grad=True, name="w")
    with ob.record() as g:
        ob.sum(ob.exp(w) * w[:, ::-1])
    g.save(tmp_path / "g")
    loaded = ob.Graph.load(tmp_path / "g")
    assert str(loaded) == str(g)
    for mine, theirs in zip(loaded.steps(), g.steps(), strict=True):
        assert mine.node.op is theirs.node.op
        for (_, a), (_, b) in zip(mine.messages, theirs.messages, strict=True):
            same_bits(a, b)


def test_a_file_takes_the_place_of_another_only_when_it_is_complete(tmp_path):
    path = tmp_path / "g"
    ob.trace(lambda x: x * 2.0)(X).save(path)
    with pytest.raises(DTypeError):
        ob.trace(lambda x: ob.callback(np.sin, x, x))(X).save(path)
    same_bits(ob.Graph.load(path).run(X), X * 2.0)


def _custom(x):
    f = ob.custom_vjp(ob.sin)
    f.defvjp(lambda x: (ob.sin(x), x), lambda x, y_bar: (y_bar,))
    return f(x)


def _custom_forward(x):
    f = ob.custom_jvp(ob.sin)
    f.defjvp(lambda xs, dots: (ob.sin(xs[0]), dots[0]))
    return f(x)


class Gate(ob.Function):
    def forward(self, x):
        return x * 2.0

    def backward(self, y_bar):
        return y_bar * 2.0


def _gated(x):
    return Gate()(x)


@pytest.mark.parametrize(
    "f",
    [_custom, _custom_forward, _gated, lambda x: ob.callback(np.sin, x, x)],
    ids=["custom_vjp", "custom_jvp", "Function", "callback"],
)
@pytest.mark.parametrize("inside", [False, True])
def test_functions_of_the_user_are_refused_with_their_place(f, inside, tmp_path):
    traced = ob.trace(lambda x: ob.cond(ob.sum(x) > 0, f, lambda x: x, x) if inside else f(x))(X)
    with pytest.raises(DTypeError, match="cannot be written") as caught:
        traced.save(tmp_path / "g")
    assert "test_graphs.py" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# -- hostile files -----------------------------------------------------------------------------


def forged(tmp_path, change, program="loops"):
    """A saved graph whose record was changed, with checksums that hold."""
    f, args = PROGRAMS[program]
    ob.trace(f)(*args).save(tmp_path / "g")
    arrays, meta = store.read(tmp_path / "g")
    meta = json.loads(json.dumps(meta))
    change(meta[KEY], arrays)
    store.write(tmp_path / "g", arrays, meta)
    return tmp_path / "g"


def node_of(record, op):
    return next(n for n in record["graph"]["nodes"] if n["op"] == op)


def _deep(record, _):
    thing = 0
    for _ in range(300):
        thing = {"tuple": [thing]}
    node_of(record, "scan")["params"]["length"] = thing


CHANGES = {
    "newer": lambda r, a: r.update(version=2),
    "no version": lambda r, a: r.pop("version"),
    "no nodes": lambda r, a: r["graph"].pop("nodes"),
    "nodes are text": lambda r, a: r["graph"].update(nodes="scan"),
    "an unknown operation": lambda r, a: node_of(r, "scan").update(op="system"),
    "an operation with a function": lambda r, a: node_of(r, "scan").update(
        op="callback", params={"f": "os.system", "out": []}
    ),
    "an operation without inputs": lambda r, a: node_of(r, "scan").update(inputs=[]),
    "a later input": lambda r, a: node_of(r, "scan")["inputs"].__setitem__(0, 10**6),
    "a negative input": lambda r, a: node_of(r, "scan")["inputs"].__setitem__(0, -1),
    "an input that is true": lambda r, a: node_of(r, "scan")["inputs"].__setitem__(0, True),
    "a wrong shape": lambda r, a: node_of(r, "sum")["spec"].__setitem__(0, [3]),
    "a wrong dtype": lambda r, a: node_of(r, "sum")["spec"].__setitem__(1, "<i8"),
    "an object dtype": lambda r, a: node_of(r, "sum")["spec"].__setitem__(1, "|O"),
    "no dtype": lambda r, a: node_of(r, "sum")["spec"].__setitem__(1, None),
    "a huge shape": lambda r, a: node_of(r, "sum")["spec"].__setitem__(0, [2**70]),
    "a missing param": lambda r, a: node_of(r, "sum").pop("params"),
    "a param too many": lambda r, a: node_of(r, "sum")["params"].update(more="no"),
    "an unknown tag": lambda r, a: node_of(r, "sum")["params"].update(axis={"eval": "1"}),
    "two tags": lambda r, a: node_of(r, "sum")["params"].update(axis={"tuple": [], "list": []}),
    "a list": lambda r, a: node_of(r, "sum")["params"].update(axis=[0]),
    "more steps than rows": lambda r, a: node_of(r, "scan")["params"].update(length=6),
    "negative steps": lambda r, a: node_of(r, "scan")["params"].update(length=-1),
    "other carries": lambda r, a: node_of(r, "scan")["params"].update(carries=0),
    "a body with other inputs": lambda r, a: node_of(r, "scan")["params"]["body"]["graph"].update(
        inputs=1
    ),
    "a body with other outputs": lambda r, a: node_of(r, "scan")["params"]["body"]["graph"].update(
        outputs=[0]
    ),
    "a body without nodes": lambda r, a: node_of(r, "scan")["params"]["body"].update(
        graph={"nodes": [], "inputs": 0, "outputs": []}
    ),
    "no test": lambda r, a: node_of(r, "while")["params"].pop("test"),
    "a test that gives a number": lambda r, a: node_of(r, "while")["params"]["test"][
        "graph"
    ].update(outputs=[0]),
    "another test": lambda r, a: node_of(r, "while")["params"].update(of_test=1),
    "an output that is not there": lambda r, a: r["graph"].update(outputs=[10**6]),
    "more inputs than nodes": lambda r, a: r["graph"].update(inputs=10**6),
    "negative inputs": lambda r, a: r["graph"].update(inputs=-1),
    "other spots": lambda r, a: r["call"].update(spots=[0]),
    "spots out of range": lambda r, a: r["call"].update(spots=[0, 7]),
    "more results": lambda r, a: r["call"].update(results=99),
    "another structure": lambda r, a: r["call"].update(out="leaf"),
    "an unknown container": lambda r, a: r["call"].update(
        arguments=["set", [0, 1], ["leaf", "leaf"]]
    ),
    "reads that are not there": lambda r, a: r.update(
        reads=[{"value": {"array": "0", "order": [], "scalar": False}, "name": None}] * 9
    ),
    "an array that is not there": lambda r, a: a.clear(),
    "another array": lambda r, a: a.update({k: np.zeros(3) for k in a}),
    "nested too deep": _deep,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_forged_file_is_refused(name, tmp_path):
    path = forged(tmp_path, CHANGES[name])
    with pytest.raises(FileError):
        ob.Graph.load(path)


def test_a_deep_graph_is_refused_and_not_a_crash(tmp_path):
    def change(record, _):
        inner = {"nodes": [], "inputs": 0, "outputs": []}
        for _ in range(70):
            inner = {
                "nodes": [
                    {
                        "op": "call",
                        "spec": [[], "<f8", False],
                        "inputs": [],
                        "params": {"graph": {"graph": inner}},
                    }
                ],
                "inputs": 0,
                "outputs": [0],
            }
        record["graph"] = inner

    with pytest.raises(FileError):
        ob.Graph.load(forged(tmp_path, change))


def test_files_that_hold_something_else_are_refused(tmp_path):
    store.write(tmp_path / "w", {"w": np.ones(2)}, {})
    with pytest.raises(FileError):
        ob.Graph.load(tmp_path / "w")
    (tmp_path / "junk").write_bytes(b"\x80\x04K\x01." * 100)
    with pytest.raises(FileError):
        ob.Graph.load(tmp_path / "junk")
    with pytest.raises(OSError):
        ob.Graph.load(tmp_path / "absent")


def test_a_damaged_byte_is_found_wherever_it_lies(tmp_path):
    ob.trace(lambda x: ob.tanh(x @ np.ones((3, 2))))(X).save(tmp_path / "g")
    whole = (tmp_path / "g").read_bytes()
    for at in itertools.chain(range(8, len(whole), 41), [len(whole) - 1]):
        broken = bytearray(whole)
        broken[at] ^= 4
        (tmp_path / "b").write_bytes(broken)
        with pytest.raises(FileError):
            ob.Graph.load(tmp_path / "b")
    for size in range(0, len(whole), 97):
        (tmp_path / "b").write_bytes(whole[:size])
        with pytest.raises(FileError):
            ob.Graph.load(tmp_path / "b")
