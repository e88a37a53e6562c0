"""Summaries of models and functions, and the table of shapes."""

import itertools

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DTypeError, GradientError
from overbar.views.names import width


class Net(ob.nn.Module):
    def __init__(self, rng):
        self.body = ob.nn.Sequential(
            ob.nn.Flatten(), ob.nn.Linear(12, 6, rng=rng), ob.nn.Tanh(), ob.nn.Identity()
        )
        self.drop = ob.nn.Dropout(0.5, rng=rng)
        self.head = ob.nn.Linear(6, 2, rng=rng)
        self.again = self.head
        self.scale = ob.nn.Parameter(2.0)

    def forward(self, x):
        return self.head(self.drop(self.body(x))) * self.scale


def test_s3_2_inputs_and_outputs_of_every_layer():
    rng = ob.random.default_rng(0)
    model = ob.nn.Sequential(ob.nn.Linear(3, 4, rng=rng), ob.nn.ReLU(), ob.nn.Linear(4, 2, rng=rng))
    table = ob.summary(model, ob.ones((5, 3)))
    rows = [(r.name, r.kind, r.formula, r.takes, r.gives, r.parameters) for r in table.rows]
    assert rows == [
        ("Sequential", "Sequential", "", ((5, 3),), ((5, 2),), 0),
        ("0", "Linear", "h₁ = x Wᵀ + b", ((5, 3),), ((5, 4),), 16),
        ("1", "ReLU", "h₂ = relu(h₁)", ((5, 4),), ((5, 4),), 0),
        ("2", "Linear", "y = h₂ Wᵀ + b", ((5, 4),), ((5, 2),), 10),
    ]
    y = model(ob.ones((5, 3)))
    np.testing.assert_array_equal(table.rows[-1].value, y.value)
    assert (table.parameters, table.bytes) == (26, 104)

    def two_layers(x, W1, b1, W2, b2):
        s1 = W1 @ x + b1
        a1 = 3 * ob.relu(s1)
        s2 = W2 @ a1 + b2
        return s2  # noqa: RET504

    r = np.random.default_rng(0).normal
    args = [r(size=s) for s in (3, (4, 3), 4, (2, 4), 2)]
    steps = ob.summary(two_layers, *args)
    assert [row.formula for row in steps.rows] == [
        "s1 = W1 x + b1",
        "a1 = 3 relu(s1)",
        "s2 = W2 a1 + b2",
    ]
    np.testing.assert_allclose(steps.rows[1].value, 3 * np.maximum(args[1] @ args[0] + args[2], 0))


def test_a_model_of_models():
    rng = ob.random.default_rng(0)
    model = Net(rng)
    twin = ob.random.default_rng(0)
    Net(twin)
    table = ob.summary(model, ob.ones((2, 3, 4)))
    assert [(r.name, r.depth) for r in table.rows] == [
        ("Net", 0),
        ("body", 1),
        ("body.0", 2),
        ("body.1", 2),
        ("body.2", 2),
        ("body.3", 2),
        ("drop", 1),
        ("head", 1),
    ]
    assert table.parameters == sum(p.size for p in model.parameters()) == 12 * 6 + 6 + 12 + 2 + 1
    assert table.rows[0].parameters == 1
    assert [r.formula for r in table.rows if r.formula][:3] == [
        "h₁ = x",
        "h₂ = h₁ Wᵀ + b",
        "h₃ = tanh h₂",
    ]
    np.testing.assert_array_equal(rng.normal((3,)).value, twin.normal((3,)).value)


def test_what_is_printed_fits():
    model = ob.nn.Sequential(ob.nn.Linear(3, 4), ob.nn.ReLU(), ob.nn.Linear(4, 2))
    table = ob.summary(model, ob.ones((5, 3)))
    for columns in (80, 160):
        assert max(map(width, table.text(columns=columns).split("\n"))) <= columns
    assert table.text(ascii=True).isascii()
    assert "26 parameters" in table._repr_html_()


def test_frozen_parameters_have_formulas_too():
    model = ob.nn.Sequential(ob.nn.Linear(3, 4), ob.nn.ReLU())
    model.requires_grad_(False)
    assert ob.summary(model, ob.ones((5, 3))).rows[1].formula == "h₁ = x Wᵀ + b"


def test_an_error_in_a_layer_leaves_no_trace():
    model = ob.nn.Sequential(ob.nn.Linear(3, 4), ob.nn.Linear(5, 2))
    with pytest.raises(ValueError, match="takes 5 features"):
        ob.summary(model, ob.ones((5, 3)))
    assert all("forward" not in vars(m) for m in model.modules())


def test_what_has_no_layers_is_refused():
    with pytest.raises(DTypeError, match="has no layers"):
        ob.summary(3)


# -- shapes -----------------------------------------------------------------------------------

TABLE = """\
of \\ by            a number s   a vector v (m)   a matrix M (p×q)
a number s         number       m                p×q
a vector v (n)     n            n×m              n×p×q
a matrix M (k×l)   k×l          k×l×m            k×l×p×q"""


def test_s1_3_the_table_of_shapes_filled():
    assert ob.shape_table().text() == TABLE


@pytest.mark.parametrize(("out", "into"), list(itertools.product([(), (2,), (2, 3)], repeat=2)))
def test_s1_3_the_shapes_are_those_of_the_jacobian(out, into):
    n, m = int(np.prod(out)), int(np.prod(into))
    a = np.arange(1.0, n * m + 1).reshape(n, m)

    def f(x):
        y = ob.reshape(a @ ob.reshape(x, (m,)), out)
        return y  # noqa: RET504

    table = ob.shape_table(f, np.ones(into))
    row = next(r for r in table.rows if r.name == "x")
    assert row.total == np.shape(ob.jacobian(f)(np.ones(into))) == (*out, *into)
    assert row.shape == into


def test_the_shapes_of_a_computation():
    def f(W, x):
        h = ob.tanh(W @ x)
        L = ob.sum(h * h)
        return L  # noqa: RET504

    table = ob.shape_table(f, np.ones((2, 3)), np.ones(3))
    by = {r.name: r.by for r in table.rows if r.by}
    assert by == {"z": {"W": (2, 2, 3), "x": (2, 3)}, "h": {"z": (2, 2)}, "L": {"h": (2,)}}
    assert "∂z/∂W 2×2×3" in table.text()
    with pytest.raises(GradientError, match="differentiated by"):
        ob.shape_table(ob.tensor(1.0) * 2.0)
