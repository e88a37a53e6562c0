"""Attention and the Transformer's encoder: masks, causality, gradients, misuse."""

import numpy as np
import pytest

import overbar as ob
from overbar import nn
from overbar.errors import DomainError, DTypeError, ShapeError

attend = nn.functional.scaled_dot_product_attention


@pytest.fixture(autouse=True)
def _in_double_precision():
    ob.random.seed(0)
    with ob.config(dtype=np.float64):
        yield


def encoder(**how):
    return nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, batch_first=True, **how)


def test_attention_is_what_its_formula_says(rng):
    q, k, v = (rng.standard_normal(shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6)))
    scores = np.exp(q @ k.swapaxes(1, 2) / 2)
    want = scores / scores.sum(-1, keepdims=True) @ v
    np.testing.assert_allclose(attend(q, k, v).numpy(), want, rtol=1e-12)


def test_true_marks_what_may_be_looked_at_and_numbers_are_added(rng):
    q = rng.standard_normal((3, 4))
    seen = np.array([[True, True, False], [True, False, False], [True, True, True]])
    y = attend(q, q, q, attn_mask=seen).numpy()
    np.testing.assert_allclose(y[1], q[0], rtol=1e-12)
    added = np.where(seen, 0.0, -np.inf)
    np.testing.assert_allclose(attend(q, q, q, attn_mask=added).numpy(), y, rtol=1e-12)


def test_who_may_look_nowhere_gets_zeros_and_no_gradient_is_nan(rng):
    q = rng.standard_normal((2, 3))
    seen = np.array([[False, False], [True, True]])
    f = lambda q: attend(q, q, q, attn_mask=seen)
    assert not f(q)[0].numpy().any()
    slopes = ob.grad(lambda q: f(q).sum())(q)
    assert np.isfinite(slopes).all()


def test_a_causal_model_does_not_see_what_comes(rng):
    layer, x = encoder(norm_first=True, activation="gelu"), rng.standard_normal((2, 5, 4))
    slopes = ob.grad(lambda x: layer(x, is_causal=True)[:, 2].sum())(x)
    assert slopes[:, :3].all()
    assert not slopes[:, 3:].any()


def test_a_key_that_is_padding_changes_nothing(rng):
    layer, x = nn.MultiheadAttention(4, 2, batch_first=True), rng.standard_normal((2, 5, 4))
    padded = np.array([[False] * 3 + [True] * 2] * 2)
    y, weights = layer(x[:, :3], x, x, key_padding_mask=padded)
    alone, _ = layer(x[:, :3], x[:, :3], x[:, :3])
    np.testing.assert_allclose(y.numpy(), alone.numpy(), rtol=1e-12)
    assert not weights[..., 3:].numpy().any()
    np.testing.assert_allclose(weights.sum(-1).numpy(), 1, rtol=1e-12)


def test_is_causal_is_the_mask_above_the_diagonal(rng):
    layer, x = nn.MultiheadAttention(4, 2), rng.standard_normal((5, 2, 4))
    above = np.triu(np.ones((5, 5), bool), 1)
    y, weights = layer(x, x, x, attn_mask=above)
    same, none = layer(x, x, x, is_causal=True, need_weights=False)
    np.testing.assert_allclose(same.numpy(), y.numpy(), rtol=1e-12)
    assert none is None
    per_head = np.broadcast_to(above, (4, 5, 5))
    _, heads = layer(x, x, x, attn_mask=per_head, average_attn_weights=False)
    assert heads.shape == (2, 2, 5, 5)
    np.testing.assert_allclose(heads.mean(1).numpy(), weights.numpy(), rtol=1e-12)


def test_one_product_projects_queries_keys_and_values_of_self_attention():
    layer, x = nn.MultiheadAttention(4, 2), ob.tensor(np.ones((5, 2, 4)))
    y = np.ones((5, 2, 4))
    of_self = ob.trace(lambda x: layer(x, x, x)[0])(x)
    of_two = ob.trace(lambda x, y: layer(x, y, y)[0])(x, y)
    count = lambda g: [node.op.name for node in g.nodes].count("matmul")
    assert (count(of_self), count(of_two)) == (4, 6)


SMOOTH = {
    "attention": (
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=2),
        lambda layer, q, k, v: layer(q, k, v)[0], ((2, 1, 4), (3, 1, 3), (3, 1, 2)),
    ),
    "causal": (
        lambda: nn.MultiheadAttention(4, 2, bias=False),
        lambda layer, x: layer(x, x, x, is_causal=True)[0], ((3, 1, 4),),
    ),
    "encoder": (
        lambda: nn.TransformerEncoderLayer(3, 1, 2, 0.0, activation="gelu"),
        lambda layer, x: ob.sin(layer(x)), ((2, 1, 3),),
    ),
    "encoder, norm first": (
        lambda: nn.TransformerEncoderLayer(
            3, 1, 2, 0.0, activation=ob.tanh, norm_first=True, bias=False
        ),
        lambda layer, x: layer(x, is_causal=True), ((2, 1, 3),),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("made", "f", "shapes"), SMOOTH.values(), ids=SMOOTH)
def test_gradients_of_both_orders_are_those_of_differences(rng, made, f, shapes):
    layer = made()
    for p in layer.parameters():  # those that start at 0 too
        p.rebind(ob.tensor(0.5 * rng.standard_normal(p.shape)))
    ob.testing.check_gradients(f, layer, *(rng.standard_normal(shape) for shape in shapes))


def test_an_encoder_is_copies_of_its_layer_one_after_the_other(rng):
    layer = encoder()
    model = nn.TransformerEncoder(layer, 3, nn.LayerNorm(4))
    x = rng.standard_normal((2, 5, 4))
    want = nn.LayerNorm(4)(layer(layer(layer(x))))
    np.testing.assert_allclose(model(x).numpy(), want.numpy(), rtol=1e-12)
    names = [name for name, _ in model.named_parameters()]
    assert len(names) == 3 * 12 + 2
    assert names[:2] == ["layers.0.self_attn.in_proj_weight", "layers.0.self_attn.in_proj_bias"]
    assert names[-2:] == ["norm.weight", "norm.bias"]
    assert not set(map(id, model.parameters())) & set(map(id, layer.parameters()))


def test_dropout_acts_in_training_only(rng):
    layer, x = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5), rng.standard_normal((5, 2, 4))
    assert (layer(x).numpy() != layer(x).numpy()).any()
    layer.eval()
    np.testing.assert_array_equal(layer(x).numpy(), layer(x).numpy())


X = np.ones((2, 5, 4))
WRONG = {
    "heads": (lambda: nn.MultiheadAttention(5, 2), ShapeError, "5 features in 2 heads"),
    "features": (
        lambda: nn.MultiheadAttention(6, 2)(X, X, X), ShapeError, r"\(N, L, 6\)",
    ),
    "keys and values": (
        lambda: nn.MultiheadAttention(4, 2, batch_first=True)(X, X, X[:, :3]), ShapeError,
        "query, key and value do not fit",
    ),
    "axes": (
        lambda: nn.MultiheadAttention(4, 2)(X, X[0], X[0]), ShapeError, "numbers of axes",
    ),
    "a mask of another shape": (
        lambda: nn.MultiheadAttention(4, 2)(X, X, X, attn_mask=np.ones((3, 3), bool)), ShapeError,
        r"attn_mask: \[2, 2\] or \[10, 2, 2\]",
    ),
    "a padding of another shape": (
        lambda: nn.MultiheadAttention(4, 2)(X, X, X, key_padding_mask=np.ones((2, 5), bool)),
        ShapeError, r"key_padding_mask: \[5, 2\]",
    ),
    "a mask of integers": (
        lambda: nn.MultiheadAttention(4, 2)(X, X, X, attn_mask=np.ones((2, 2), int)), DTypeError,
        "True: do not look",
    ),
    "queries and keys": (lambda: attend(X, X[..., :3], X), ShapeError, "queries and keys"),
    "values": (lambda: attend(X, X, X[:, :3]), ShapeError, "5 keys, 3 values"),
    "dropout": (lambda: nn.MultiheadAttention(4, 2, 1.5), DomainError, "no probability"),
    "activation": (lambda: encoder(activation="swish"), DomainError, "'swish' is not a choice"),
    "what an encoder takes": (lambda: encoder()(X[..., :3]), ShapeError, "takes 4 features"),
    "no layers": (lambda: nn.TransformerEncoder(encoder(), 0), ShapeError, "at least one"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "said"), WRONG.values(), ids=WRONG)
def test_misuse_is_named(call, kind, said):
    with pytest.raises(kind, match=said):
        call()
