"""Recurrent layers: loops against steps by hand, lengths, carried state, gradients, misuse."""

import numpy as np
import pytest

import overbar as ob
from overbar import nn
from overbar.errors import DomainError, DTypeError, ShapeError

KINDS = {"RNN": (nn.RNN, nn.RNNCell), "LSTM": (nn.LSTM, nn.LSTMCell), "GRU": (nn.GRU, nn.GRUCell)}
KIND = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _in_double_precision():
    ob.random.seed(0)
    with ob.config(dtype=np.float64):
        yield


def state_of(kind, rng, *shape):
    h, c = rng.standard_normal((2, *shape))
    return (h, c) if kind == "LSTM" else h


def close(a, b):
    for one, other in zip(ob.tree_flatten(a)[0], ob.tree_flatten(b)[0], strict=True):
        left, right = (ob.asarray(t).detach().numpy() for t in (one, other))
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)


@KIND
def test_a_layer_is_its_cell_step_by_step(kind, rng):
    layer, cell = KINDS[kind][0](3, 4), KINDS[kind][1](3, 4)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        setattr(cell, name, getattr(layer, f"{name}_l0").numpy())
    x, state = rng.standard_normal((5, 2, 3)), state_of(kind, rng, 2, 4)
    y, last = layer(x, ob.tree_map(lambda s: s[None], state))
    for t in range(5):
        state = cell(x[t], state)
        close(y[t], state[0] if kind == "LSTM" else state)
    close(ob.tree_map(lambda s: s[0], last), state)


@KIND
def test_a_sequence_in_two_parts_carries_its_state_over(kind, rng):
    layer, x = KINDS[kind][0](3, 4, num_layers=2), rng.standard_normal((7, 2, 3))
    y, last = layer(x)
    first, state = layer(x[:3])
    second, end = layer(x[3:], state)
    close(ob.concat([first, second]), y)
    close(end, last)


@KIND
@pytest.mark.parametrize("wrap", [lambda f: f, ob.jit], ids=["eager", "compiled"])
def test_a_batch_with_lengths_is_its_sequences_one_by_one(kind, rng, wrap):
    layer = KINDS[kind][0](3, 4, num_layers=2, bidirectional=True)
    x, lengths = rng.standard_normal((6, 4, 3)), np.array([6, 2, 0, 5])
    state = state_of(kind, rng, 4, 4, 4)
    y, last = wrap(lambda x, s, n: layer(x, s, lengths=n))(x, state, lengths)
    for i, n in enumerate(lengths):
        assert not y[n:, i].numpy().any()
        alone = ob.tree_map(lambda s, i=i: s[:, i], state)
        if n:
            y_alone, alone = layer(x[:n, i], alone)
            close(y[:n, i], y_alone)
        close(ob.tree_map(lambda s, i=i: s[:, i], last), alone)


@KIND
def test_what_lies_beyond_the_end_receives_no_gradient_even_if_it_is_nan(kind, rng):
    layer, x = KINDS[kind][0](3, 4), rng.standard_normal((5, 2, 3))
    x[3:, 1] = np.nan
    slopes, layer_bar = ob.grad(lambda x, layer: layer(x, lengths=[5, 3])[0].sum(), argnums=(0, 1))(
        x, layer
    )
    assert not slopes[3:, 1].numpy().any()
    assert slopes[:3].numpy().all()
    assert np.isfinite(layer_bar.weight_hh_l0.numpy()).all()


@KIND
def test_gradients_of_both_orders_are_those_of_differences(kind, rng):
    layer = KINDS[kind][0](2, 2)
    x, state = rng.standard_normal((2, 2, 2)), state_of(kind, rng, 1, 2, 2)
    ob.testing.check_gradients(
        lambda layer, x, s: ob.tree_flatten(layer(x, s, lengths=[2, 1]))[0], layer, x, state
    )


@KIND
def test_gradients_of_a_cell_are_those_of_differences(kind, rng):
    cell, x, state = KINDS[kind][1](2, 3), rng.standard_normal((2, 2)), state_of(kind, rng, 2, 3)
    ob.testing.check_gradients(lambda cell, x, s: ob.tree_flatten(cell(x, s))[0], cell, x, state)


def test_every_layer_direction_and_bias_has_its_name():
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    shapes = {name: p.shape for name, p in layer.named_parameters()}
    assert list(shapes)[:4] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    assert shapes["weight_ih_l0_reverse"] == (16, 3)
    assert shapes["weight_ih_l1"] == (16, 8)
    assert len(shapes) == 16
    assert [n for n, _ in nn.GRU(3, 4, bias=False).named_parameters()] == [
        "weight_ih_l0",
        "weight_hh_l0",
    ]


def test_batch_first_only_swaps_axes(rng):
    one, two = nn.GRU(3, 4), nn.GRU(3, 4, batch_first=True)
    two.load_state_dict(one.state_dict())
    x = rng.standard_normal((5, 2, 3))
    y, h = one(x, lengths=[5, 2])
    y_first, h_first = two(x.swapaxes(0, 1), lengths=[5, 2])
    close(y_first, ob.swapaxes(y, 0, 1))
    close(h_first, h)


def test_dropout_is_between_layers_and_in_training_only(rng):
    layer, x = nn.RNN(3, 4, num_layers=2, dropout=0.5), rng.standard_normal((5, 2, 3))
    assert (layer(x)[0].numpy() != layer(x)[0].numpy()).any()
    close(layer.eval()(x)[0], layer(x)[0])


def test_a_gradient_is_a_module_with_every_parameter_though_two_biases_get_the_same():
    layer, x = nn.LSTM(3, 4), np.ones((5, 2, 3))
    for f in (ob.grad(lambda m: m(x)[0].sum()), ob.jit(ob.grad(lambda m: m(x)[0].sum()))):
        slopes = f(layer)
        assert [n for n, _ in slopes.named_parameters()] == [n for n, _ in layer.named_parameters()]
        close(slopes.bias_ih_l0, slopes.bias_hh_l0)


def test_the_projection_of_all_inputs_is_one_product_outside_the_loop():
    layer = nn.LSTM(3, 4)
    g = ob.trace(lambda x: layer(x)[0])(np.ones((5, 2, 3)))
    names = [node.op.name for node in g.nodes]
    assert names.count("scan") == 1
    assert names.count("matmul") == 1
    body = next(node for node in g.nodes if node.op.name == "scan").params["body"]
    assert [node.op.name for node in body.nodes].count("matmul") == 1


WRONG = {
    "features": (
        lambda: nn.LSTM(3, 4)(np.ones((5, 2, 6))), ShapeError, "LSTM: the weights take 3 features",
    ),
    "axes": (lambda: nn.GRU(3, 4)(np.ones(3)), ShapeError, r"x: \(T, N, d\) or \(T, d\)"),
    "no state of this shape": (
        lambda: nn.RNN(3, 4)(np.ones((5, 2, 3)), np.ones((1, 3, 4))), ShapeError, "does not fit",
    ),
    "half a state": (
        lambda: nn.LSTM(3, 4)(np.ones((5, 2, 3)), np.ones((1, 2, 4))), ShapeError,
        r"its state is \(h, c\)",
    ),
    "how many lengths": (
        lambda: nn.RNN(3, 4)(np.ones((5, 2, 3)), lengths=[5, 4, 3]), ShapeError,
        "one length per sequence",
    ),
    "too long": (
        lambda: nn.RNN(3, 4)(np.ones((5, 2, 3)), lengths=[5, 6]), DomainError, "from 0 to 5",
    ),
    "lengths that are no numbers of steps": (
        lambda: nn.RNN(3, 4)(np.ones((5, 2, 3)), lengths=[5.0, 4.0]), DTypeError, "whole numbers",
    ),
    "nonlinearity": (
        lambda: nn.RNN(3, 4, nonlinearity="sin"), DomainError, "'sin' is not a choice",
    ),
    "no layers": (lambda: nn.GRU(3, 4, num_layers=0), ShapeError, "at least one layer"),
    "dropout": (lambda: nn.GRU(3, 4, dropout=2.0), DomainError, "no probability"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "said"), WRONG.values(), ids=WRONG)
def test_misuse_is_named(call, kind, said):
    with pytest.raises(kind, match=said):
        call()
