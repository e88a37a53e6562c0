"""Leaves inside a traced function: what eager does with them, `jit` does, at every call."""

import numpy as np
import pytest

import overbar as ob
from overbar.errors import NonFiniteError, RebindError
from tests.rules.cases import assert_same_bits

W = [0.5, -1.0]


def leaf(x=W):
    return ob.tensor(x, requires_grad=True)


def both(make, *calls):
    """What eager and jit give and leave behind: `make() -> (function, tensors to look at)`."""
    seen = []
    for jitted in (False, True):
        f, watched = make()
        f = ob.jit(f) if jitted else f
        found = []
        for x in calls:
            y = f(x)
            found.append(None if y is None else y.numpy())
            for t in watched:
                found += [t.numpy(), None if t.grad is None else t.grad.numpy()]
                found.append((t.requires_grad, t.is_leaf))
        seen.append(found)
    for a, b in zip(*seen, strict=True):
        if isinstance(a, np.ndarray):
            np.testing.assert_allclose(b, a, rtol=1e-14)
        else:
            assert a == b


def writes(p, x):
    p[...] = ob.clip(p, -x, x)


def moves(p, x):
    p -= x


def is_rebound(p, x):
    p.rebind(p - x)


def writes_one(p, x):
    p[0] = x


@pytest.mark.parametrize("change", [writes, moves, is_rebound, writes_one])
def test_a_leaf_that_is_changed_without_a_gradient_stays_a_leaf(change):
    def make():
        p, q = leaf(), leaf([1.0, 2.0])

        def f(x):
            with ob.no_grad():
                change(p, x)
            (p * p * q).sum().backward()

        return f, (p, q)

    both(make, 0.25, 0.125)


def test_a_leaf_may_stop_asking_for_a_while():
    def make():
        p = leaf()

        def f(x):
            p.requires_grad_(False)
            p.rebind(p - x)
            p.requires_grad_(True)
            (p * p).sum().backward()

        return f, (p,)

    both(make, 0.25, 0.125)


def test_updates_by_hand_go_on_within_one_call():
    def make():
        p = leaf()

        def f(x):
            for _ in range(3):
                (p * p * x).sum().backward()
                with ob.no_grad():
                    p.rebind(p - 0.1 * p.grad)
                p.grad = None
            return (p * p).sum().detach()

        return f, (p,)

    both(make, 1.0, 2.0)


def test_asking_for_good_inside_is_refused():
    w = leaf()

    @ob.jit
    def f(x):
        w.requires_grad_(False)
        return w * x

    with pytest.raises(RebindError, match="requires_grad is changed inside"):
        f(2.0)
    assert w.requires_grad


def test_a_leaf_made_inside_begins_anew_at_every_call():
    def make():
        def f(x):
            v = ob.zeros(2).requires_grad_(True)
            with ob.no_grad():
                v += x
            (v * v * x).sum().backward()
            return v.grad * v

        return f, ()

    both(make, 1.0, 2.0, 2.0)


def test_an_optimiser_made_inside_begins_anew_at_every_call():
    def make():
        def f(x):
            v = ob.zeros(2).requires_grad_(True)
            opt = ob.optim.Adam([v], lr=0.1)
            for _ in range(3):
                opt.zero_grad()
                ((v - x) ** 2).sum().backward()
                opt.step()
            return v.detach()

        return f, ()

    both(make, ob.tensor([1.0, 2.0]), ob.tensor([1.0, 2.0]), ob.tensor([3.0, 2.0]))


@pytest.mark.parametrize(
    "of",
    [
        lambda x: x.detach().requires_grad_(),
        lambda x: ob.tensor(x, requires_grad=True),
        lambda x: x.copy().requires_grad_(),
        lambda x: (2 * x).detach().requires_grad_(),
        ob.nn.Parameter,
    ],
)
def test_a_leaf_made_of_an_argument_gets_its_gradient(of):
    def make():
        w = leaf()

        def f(x):
            x = of(x)
            assert x.is_leaf
            (w * x * x).sum().backward()
            return x.grad

        return f, (w,)

    both(make, ob.tensor([1.0, 2.0]), ob.tensor([3.0, -1.0]))


def test_a_layer_made_inside_is_trained_inside():
    @ob.jit
    def f(x):
        layer = ob.nn.Linear(2, 1)
        layer(x).sum().backward()
        return layer.weight.grad

    for n in (3, 5):
        assert_same_bits(f(np.ones((n, 2), "f")).numpy(), np.full((1, 2), n, "f"))


def test_a_result_beside_a_backward_keeps_the_history_that_was_not_taken():
    def make():
        w, u = leaf(), leaf([1.0, 2.0])

        def step(x):
            w.grad = None
            (w * x).sum().backward()
            return 2 * u * x

        traced = []

        def f(x):
            step_ = traced[0] if traced else step
            y = step_(x)
            (y + u).sum().backward()
            assert not w.grad.requires_grad
            return y.detach()

        f.step = step
        f.use = traced.append
        return f, (w, u)

    eager, watched = make()
    jitted, others = make()
    jitted.use(ob.jit(jitted.step))
    for x in (3.0, 4.0):
        assert_same_bits(jitted(x).numpy(), eager(x).numpy())
        for a, b in zip(watched, others, strict=True):
            assert_same_bits(b.grad.numpy(), a.grad.numpy())


def test_the_loss_of_a_training_step_has_no_history_and_stays_on_the_quick_path():
    w = leaf()
    opt = ob.optim.SGD([w], lr=0.1)

    @ob.jit
    def step(x):
        opt.zero_grad()
        loss = (w * w * x).sum()
        loss.backward()
        opt.step()
        return loss

    assert not step(1.0).requires_grad
    assert not step(1.0).requires_grad


@pytest.mark.parametrize("around", ["scan", "checkpoint"])
def test_a_leaf_may_be_changed_in_an_inner_body(around):
    def make():
        p = leaf()

        def body(c, _=None):
            with ob.no_grad():
                p.rebind(p * 2)
            return (c + p.sum(), None) if around == "scan" else c + p.sum()

        def f(x):
            if around == "scan":
                return ob.scan(body, x, length=3)[0].detach()
            return ob.checkpoint(body)(x).detach()

        return f, (p,)

    both(make, ob.tensor(0.0), ob.tensor(1.0))


def scales(w, x):
    w.grad *= x


def scales_by_another_name(w, x):
    g = w.grad
    g *= x
    return g * 2


def overwrites_one(w, x):
    w.grad[0] = x


def scales_and_adds(w, x):
    w.grad *= x
    (w * 3.0).sum().backward()


def scales_and_uses(w, x):
    w.grad *= x
    w.rebind(w.detach() - w.grad)


@pytest.mark.parametrize(
    "change", [scales, scales_by_another_name, overwrites_one, scales_and_adds, scales_and_uses]
)
def test_a_gradient_from_before_may_be_changed_inside(change):
    def make():
        w = leaf()
        (w * w).sum().backward()
        return lambda x: change(w, x), (w,)

    both(make, 2.0, 3.0, 0.5)


def test_adjoint_in_a_jitted_body():
    def make():
        w = leaf()

        def f(x):
            u = w * x
            loss = (u * u).sum()
            return ob.adjoint(loss, w) + ob.adjoint(loss, u) + ob.adjoint(loss, w, hold=[u])

        return f, ()

    both(make, 2.0, 3.0)


def test_a_call_that_nan_guard_refuses_has_changed_nothing():
    w, count = leaf([1.0]), ob.zeros(())
    opt = ob.optim.SGD([w], lr=0.1)

    @ob.jit
    def step(x):
        count.rebind(count + 1.0)
        opt.zero_grad()
        (w * x).sum().backward()
        opt.step()
        return ob.log(x)

    with ob.nan_guard():
        step(1.0)
        before = [t.numpy().copy() for t in (w, w.grad, count)]
        with pytest.raises(NonFiniteError):
            step(-1.0)
    for t, a in zip((w, w.grad, count), before, strict=True):
        assert_same_bits(t.numpy(), a)
