"""backward(): several losses, seeds, twice, retained, differentiable again; what memory is kept."""

import gc

import numpy as np
import pytest

import overbar as ob
from overbar.graph import ancestors


def leaf(value, **how):
    return ob.tensor(value, requires_grad=True, **how)


def test_gradients_add_up_until_they_are_cleared():
    w = leaf(3.0)
    (w * w).backward()
    (w * w).backward()
    assert float(w.grad) == 12.0
    w.grad = None
    (w * w).backward()
    assert float(w.grad) == 6.0


def test_backward_twice_replays_what_was_let_go():
    w = leaf([1.0, 2.0])
    y = ob.sum(ob.tanh(ob.exp(w) * w))
    y.backward()
    first = w.grad.numpy().copy()
    w.grad = None
    y.backward()
    np.testing.assert_array_equal(w.grad.numpy(), first)


def test_retain_graph_keeps_values_and_backward_without_it_lets_go():
    w = leaf(np.linspace(-1, 1, 5))
    y = ob.sum(ob.tanh(w * w))
    y.backward(retain_graph=True)
    held = [n for n in ancestors([y.node]) if n.inputs and n.value is not None]
    y.backward()
    after = [n for n in ancestors([y.node]) if n.inputs and n.value is not None]
    assert held
    assert not after


def test_the_graph_can_be_extended_after_backward():
    """S1-23: compute gradients, add nodes, compute again."""
    w = leaf(2.0)
    y = ob.exp(w * w)
    y.backward()
    w.grad = None
    (y * w).backward()
    assert float(w.grad) == pytest.approx(np.exp(4.0) * (1 + 2 * 4.0), rel=1e-14)


def test_create_graph_makes_the_gradient_differentiable():
    w = leaf(3.0)
    (w**4).backward(create_graph=True)
    first = w.grad
    w.grad = None
    first.backward(create_graph=True)
    second = w.grad
    w.grad = None
    second.backward()
    assert (float(first), float(second), float(w.grad)) == (108.0, 108.0, 72.0)


def test_a_gradient_penalty_trains():
    """The norm of a gradient inside a loss: the double backward of every GAN."""
    w = leaf([0.5, -1.0])
    x = leaf([1.0, 2.0])
    y = ob.tanh(ob.sum(w * x))
    y.backward(create_graph=True)
    penalty = ob.sum(x.grad * x.grad)
    w.grad = None
    penalty.backward()

    def by_transforms(w):
        g = ob.grad(lambda x: ob.tanh(ob.sum(w * x)))(np.array([1.0, 2.0]))
        return ob.sum(g * g)

    np.testing.assert_allclose(
        w.grad.numpy(), ob.grad(by_transforms)(np.array([0.5, -1.0])), rtol=1e-13
    )


def test_two_losses_at_once_equal_one_after_the_other():
    """S0-10: accumulate at ŷ, then go on: the shared trunk is traversed once."""
    w, x = leaf(np.linspace(0.1, 1, 6).reshape(2, 3)), np.ones((4, 2))
    trunk = ob.tanh(ob.matmul(x, w))
    l1, l2 = ob.sum(trunk * trunk), ob.sum(ob.exp(trunk))
    ob.backward([l1, l2], retain_graph=True)
    both = w.grad.numpy().copy()
    w.grad = None
    l1.backward(retain_graph=True)
    l2.backward()
    np.testing.assert_allclose(both, w.grad.numpy(), rtol=1e-14)


def test_one_traversal_of_the_trunk_serves_both_losses():
    from overbar.calculus.backward import path_from_leaves
    from overbar.calculus.sweep import Raw, pullback_steps

    w = leaf(2.0)
    trunk = ob.exp(ob.sin(w))
    l1, l2 = trunk * 2.0, trunk * trunk
    outputs = [l1.node, l2.node]
    path = path_from_leaves(outputs)
    steps = pullback_steps(outputs, [w.node], [np.ones(()), np.ones(())], path, Raw())
    passed = [node.op.name for node, _, _ in steps]
    assert sorted(passed) == ["exp", "multiply", "multiply", "sin"]


def test_seeds_start_the_sweep_and_must_have_the_roots_shape():
    w = leaf([1.0, 2.0, 3.0])
    (w * w).backward(np.array([1.0, 0.0, 10.0]))
    np.testing.assert_array_equal(w.grad.numpy(), [2.0, 0.0, 60.0])
    with pytest.raises(ob.errors.ShapeError, match="seed"):
        (w * w).backward(np.ones((1, 3)))
    with pytest.raises(ob.errors.GradientError, match="scalar"):
        (w * w).backward()


def test_an_inner_result_used_as_root_and_as_operand_receives_both():
    x = leaf(3.0)
    u = 2 * x
    y = u * u
    ob.backward([y, u], [1.0, 1.0])
    assert float(x.grad) == 24.0 + 2.0


def test_a_tensor_used_twice_by_one_operation_sums_what_it_receives():
    x = leaf(3.0)
    (x * x).backward()
    assert float(x.grad) == 6.0
    y = leaf([1.0, 2.0])
    ob.sum(ob.concat([y, y, y])).backward()
    np.testing.assert_array_equal(y.grad.numpy(), [3.0, 3.0])


def test_changing_one_gradient_leaves_the_others():
    """x + y sends the same adjoint to both: two handles, whatever they hold."""
    a, b = leaf(np.zeros(3)), leaf(np.zeros(3))
    ob.sum(a + b).backward()
    a.grad *= 7.0
    a.grad[0] = 100.0
    np.testing.assert_array_equal(a.grad.numpy(), [100.0, 7.0, 7.0])
    np.testing.assert_array_equal(b.grad.numpy(), np.ones(3))


def test_a_gradient_has_its_variables_shape_and_dtype():
    w, b = leaf(np.ones((2, 3), np.float32)), leaf(np.ones((3,), np.float32))
    x = np.ones((5, 2), np.float64)
    ob.sum(ob.matmul(x, w) + b).backward()
    assert (w.grad.shape, w.grad.dtype) == ((2, 3), np.float32)
    assert (b.grad.shape, b.grad.dtype) == ((3,), np.float32)


def test_detach_and_no_grad_cut_and_say_so():
    w = leaf(3.0)
    (w * w.detach()).backward()
    assert float(w.grad) == 3.0
    with pytest.raises(ob.errors.GradientError, match="nothing to differentiate"):
        w.detach().backward()
    with ob.no_grad():
        y = w * w
    with pytest.raises(ob.errors.GradientError, match="nothing to differentiate"):
        y.backward()


def test_a_leaf_that_was_dropped_is_no_trouble():
    def made():
        return leaf(2.0) * 3.0

    w = leaf(5.0)
    y = made() * w
    gc.collect()
    y.backward()
    assert float(w.grad) == 6.0


def test_what_the_rules_do_not_need_is_not_kept():
    """Ten (mul, tanh) pairs on 8 MB keep the ten outputs of tanh: 80 MB, not 160."""
    x, entry = leaf(np.full(1_000_000, 0.5)), 8_000_000
    y = x
    for _ in range(10):
        y = ob.tanh(y * 1.01)
    kept = sum(n.value.nbytes for n in ancestors([y.node]) if n.inputs and n.value is not None)
    assert kept == 10 * entry
    loss = ob.sum(y)
    loss.backward()
    kept = sum(n.value.nbytes for n in ancestors([loss.node]) if n.inputs and n.value is not None)
    assert kept == 0
    wanted = ob.grad(_tower)(0.5)
    np.testing.assert_allclose(x.grad.numpy()[:3], wanted, rtol=1e-13)


def _tower(v):
    for _ in range(10):
        v = ob.tanh(v * 1.01)
    return v


@pytest.mark.parametrize(
    ("f", "kept"),
    [
        (lambda x: x + 1.0, 0),
        (lambda x: -x, 0),
        (lambda x: 3.0 * x, 0),
        (lambda x: ob.relu(x + 0.0), 1),
        (lambda x: ob.exp(x + 0.0), 1),
        (lambda x: ob.tanh(x + 0.0), 1),
        (lambda x: ob.sigmoid(x + 0.0), 1),
        (lambda x: ob.sin(x + 0.0), 1),
        (lambda x: ob.square(x + 0.0), 1),
        (lambda x: (x + 0.0) * (x + 1.0), 2),
        (lambda x: (x + 0.0) / 3.0, 0),
        (lambda x: ob.reshape(x + 0.0, (2, 4)), 0),
        (lambda x: ob.sum(x + 0.0), 0),
        (lambda x: (x + 0.0)[2:], 0),
    ],
)
def test_each_operation_keeps_what_its_rule_names(f, kept):
    y = f(leaf(np.linspace(0.1, 1.0, 8)))
    held = [n for n in ancestors([y.node]) if n.inputs and n.value is not None]
    assert len(held) == kept


def test_a_linear_layers_backward_never_forms_the_third_order_tensor():
    """S0-7: ∂L/∂W = (∂L/∂z) xᵀ, of W's size."""
    import tracemalloc

    w, x = leaf(np.ones((1000, 1000))), np.ones(1000)
    y = ob.sum(ob.matmul(w, x))
    tracemalloc.start()
    y.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * w.value.nbytes


def test_tied_weights_receive_from_every_use():
    w = leaf([[1.0, 2.0], [3.0, 4.0]])
    x = np.array([1.0, -1.0])
    ob.sum(ob.matmul(w, ob.matmul(w, x))).backward()
    by_two = ob.grad(lambda a, b: ob.sum(ob.matmul(a, ob.matmul(b, x))), argnums=(0, 1))(
        w.numpy(), w.numpy()
    )
    np.testing.assert_allclose(w.grad.numpy(), by_two[0] + by_two[1])
