"""Einstein's summation: 60 specifications against NumPy, transposes, differences, and bad ones."""

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DTypeError, ShapeError
from overbar.testing import check_gradients

FORMS = [
    # one operand
    ("i->i", (3,)),
    ("i->", (3,)),
    ("i", (3,)),
    ("->", ()),
    ("ij->ji", (2, 3)),
    ("ba", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->j", (2, 3)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iii->", (2, 2, 2)),
    ("iii->i", (2, 2, 2)),
    ("iij->j", (2, 2, 3)),
    ("iji->ij", (2, 3, 2)),
    ("ijij->", (2, 3, 2, 3)),
    ("iijj->ij", (2, 2, 3, 3)),
    ("...", (2, 3)),
    ("...ij->...ji", (2, 3, 4)),
    ("i...->...", (2, 3)),
    ("i...i->...", (2, 3, 2)),
    ("ij...->...j", (2, 3, 4)),
    # two
    ("i,i", (3,), (3,)),
    ("i,j->ij", (2,), (3,)),
    ("i,i->i", (3,), (3,)),
    ("i,j->", (2,), (3,)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ij,jk->ki", (2, 3), (3, 4)),
    ("ij,kj->ik", (2, 3), (4, 3)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("ij,ij->i", (2, 3), (2, 3)),
    ("ij,ji->", (2, 3), (3, 2)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("bij,jk->bik", (2, 3, 4), (4, 2)),
    ("ij,->ij", (2, 3), ()),
    (",", (), ()),
    ("ij,k->i", (2, 3), (4,)),
    ("ii,ij->j", (3, 3), (3, 2)),
    ("ij,jj->i", (2, 3), (3, 3)),
    ("iij,ijk->k", (2, 2, 3), (2, 3, 4)),
    ("ijk,lkj->il", (2, 3, 4), (5, 4, 3)),
    ("...ij,...jk->...ik", (2, 3, 4), (2, 4, 2)),
    ("...ij,...jk", (5, 1, 2, 3), (4, 3, 2)),
    ("...i,...i->...", (2, 1, 3), (4, 3)),
    ("i...,i->...", (3, 2), (3,)),
    ("ij...,jk...->ik...", (2, 3, 2), (3, 4, 1)),
    ("...,...", (2, 3), (3,)),
    ("a...a,...b->b...", (2, 3, 2), (3, 2)),
    # three and more
    ("i,i,i", (3,), (3,), (3,)),
    ("i,j,k->kji", (2,), (3,), (4,)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("ij,jk,ki->", (2, 3), (3, 4), (4, 2)),
    ("ij,ik,il->jkl", (2, 3), (2, 2), (2, 4)),
    ("bi,ijk,bk->bj", (2, 3), (3, 4, 2), (2, 2)),
    ("ab,bc,cd,de->ae", (2, 3), (3, 4), (4, 2), (2, 3)),
    ("ij,j,k,kl->il", (2, 3), (3,), (4,), (4, 2)),
    ("a,ab,b,c,cd,d->", (2,), (2, 3), (3,), (2,), (2, 3), (3,)),
    ("aa,ab,bb->a", (2, 2), (2, 3), (3, 3)),
    ("...i,ij,...j->...", (2, 3), (3, 4), (2, 4)),
    ("ab,b,c,d,e,f->ac", (2, 3), (3,), (2,), (2,), (2,), (2,)),
    ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)),
    ("nchw,ochw->no", (2, 3, 2, 2), (4, 3, 2, 2)),
    # nothing in them
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 3)),
    ("i->", (0,)),
    ("i,j->ij", (0,), (2,)),
]

every_form = pytest.mark.parametrize(
    ("form", "shapes"), [(f, s) for f, *s in FORMS], ids=[" ".join(map(str, f)) for f in FORMS]
)


def drawn(rng, shapes, kind=float):
    xs = [rng.standard_normal(s) for s in shapes]
    return [x + 1j * rng.standard_normal(x.shape) if kind is complex else x for x in xs]


def test_there_are_more_than_fifty():
    assert len(FORMS) > 50


@every_form
@pytest.mark.parametrize("kind", [float, complex])
def test_values_are_those_of_numpy(form, shapes, kind, rng):
    xs = drawn(rng, shapes, kind)
    y, wanted = ob.einsum(form, *xs), np.asarray(np.einsum(form, *xs))
    assert (y.shape, y.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-12, atol=1e-13)


@every_form
def test_derivatives_are_right_to_second_order(form, shapes, rng):
    check_gradients(lambda *xs: ob.einsum(form, *xs), *drawn(rng, shapes), order=2)


@every_form
@pytest.mark.parametrize("kind", [float, complex])
def test_reverse_and_forward_are_transposes(form, shapes, kind, rng):
    xs, x_dots = drawn(rng, shapes, kind), drawn(rng, shapes, kind)
    y, pull = ob.vjp(lambda *xs: ob.einsum(form, *xs), *xs)
    _, y_dot = ob.jvp(lambda *xs: ob.einsum(form, *xs), tuple(xs), tuple(x_dots))
    (y_bar,) = drawn(rng, [np.shape(y)], kind)
    left = np.sum(y_bar * y_dot)
    right = sum(np.sum(b * d) for b, d in zip(pull(y_bar), x_dots, strict=True))
    np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-12)


@every_form
def test_vmap_equals_a_loop(form, shapes, rng):
    xs = drawn(rng, [(3, *s) for s in shapes])
    found = ob.vmap(lambda *xs: ob.einsum(form, *xs))(*xs)
    wanted = [np.einsum(form, *(x[i] for x in xs)) for i in range(3)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)


def test_vmap_over_one_operand_of_two(rng):
    a, b = rng.standard_normal((4, 2, 3)), rng.standard_normal((3, 5))
    found = ob.vmap(lambda a, b: ob.einsum("ij,jk->ki", a, b), in_axes=(0, None))(a, b)
    np.testing.assert_allclose(found, np.einsum("bij,jk->bki", a, b), rtol=1e-12)


def test_more_letters_than_the_alphabet_has_are_no_trouble():
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    x = np.ones((1,) * 52)
    y = ob.vmap(lambda x: ob.einsum(f"{letters},a->{letters}", x, np.ones(1)))(x[None])
    assert y.shape == (1,) * 53


def test_a_nan_off_the_diagonal_never_leaks():
    x = np.array([[1.0, np.nan], [np.nan, 2.0]])
    assert float(ob.einsum("ii,i->", x, np.ones(2))) == 3.0
    found = ob.grad(lambda x: ob.einsum("ii,i->", x, np.array([np.inf, 1.0])))(np.eye(2))
    assert found.tolist() == [[np.inf, 0.0], [0.0, 1.0]]


def test_one_operand_keeps_no_value():
    x = ob.tensor(np.ones((3, 3)), requires_grad=True)
    y = ob.einsum("ij->ji", x * 2.0)
    assert y.node.inputs[0].value is None


def test_dtypes_are_mixed_as_numpy_mixes_them():
    a = np.ones(2, np.float32)
    assert ob.einsum("i,i", a, a).dtype == np.float32
    assert ob.einsum("i,i", a, np.ones(2)).dtype == np.float64
    assert ob.einsum("i,", a, 2.0).dtype == np.float32
    assert ob.einsum("i,i", np.arange(2), np.arange(2)).tolist() == 1
    assert ob.einsum("i,i", a, np.ones(2, np.complex64)).dtype == np.complex64


def test_the_cheapest_order_is_taken(rng):
    """A chain that costs 300 times more from the wrong end finishes without the large middle."""
    a, b, c = (
        rng.standard_normal((1, 300)),
        rng.standard_normal((300, 300)),
        rng.standard_normal((300, 300)),
    )
    from overbar.ops.einsum import plan

    first = plan("ij,jk,kl->il", (a.shape, b.shape, c.shape))[0]
    assert first == (0, 1, "ik")
    np.testing.assert_allclose(ob.einsum("ij,jk,kl->il", a, b, c).numpy(), a @ b @ c, rtol=1e-10)


A, B, V = np.ones((2, 3)), np.ones((4, 5)), np.ones(3)
REFUSED = {
    "two sizes": ("ij,jk->ik", (A, B), "index j has size 3 in operand 0 and 4 in operand 1"),
    "two sizes in one": ("ii", (A,), "index i has size 2 in operand 0 and 3 in operand 0"),
    "size 1": ("ij,j->i", (A, np.ones(1)), "only axes behind ... are repeated"),
    "dots": ("...,...->...", (A, B), "an axis behind ... has size"),
    "output unknown": ("ij->k", (A,), "index k of the output occurs in no operand"),
    "output twice": ("i->ii", (V,), "index i occurs twice in the output"),
    "too few operands": ("ij,jk->ik", (A,), "the terms .* are 2, the operands 1"),
    "too many operands": ("ij->ij", (A, A), "the terms .* are 1, the operands 2"),
    "no operand": ("->", (), "the operands 0"),
    "axes not named": ("i->i", (A,), "names 1 axes, operand 0 has 2"),
    "axes too many": ("ijk->i", (A,), "names 3 axes, operand 0 has 2"),
    "axes too many beside dots": ("ijk...->i", (A,), "names 3 axes, operand 0 has 2"),
    "dots lost": ("...j->j", (A,), "the axes behind ... are lost"),
    "no letter": ("i1->i", (A,), "'1' .* is no index"),
    "two arrows": ("ij->i->j", (A,), "is no index"),
    "two dots": ("...i...->i", (A,), "is no index"),
    "one dot": (".ij->ij", (A,), "is no index"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_specification_is_refused_in_words(name):
    form, xs, said = REFUSED[name]
    with pytest.raises(ShapeError, match=said):
        ob.einsum(form, *xs)


def test_the_specification_comes_first():
    with pytest.raises(DTypeError, match="the specification comes first"):
        ob.einsum(A, "ij->ji")
