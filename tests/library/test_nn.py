"""Modules: the tree, state, names, tracing; layers and where they start."""

import copy
import math

import numpy as np
import pytest

import overbar as ob
from overbar import nn
from overbar.errors import DomainError, DTypeError, RebindError, ShapeError, StructureError
from overbar.nn import init


class Block(nn.Module):
    """A bit of everything: a tied layer, a list, a dict, a buffer, a plain setting."""

    def __init__(self, n=3):
        self.n = n
        self.first = nn.Linear(n, n)
        self.again = self.first
        self.scale = nn.Parameter(np.ones(n))
        self.many = [nn.Linear(n, n, bias=False), {"odd": nn.Linear(n, 1)}]
        self.seen = nn.Buffer(0.0)
        self.table = ob.tensor(np.arange(n))

    def forward(self, x):
        self.seen = self.seen + 1.0
        return self.many[1]["odd"](self.again(self.first(x)) * self.scale)


NAMES = [
    "scale",
    "first.weight",
    "first.bias",
    "many.0.weight",
    "many.1.odd.weight",
    "many.1.odd.bias",
]


def mlp(seed=0):
    rng = ob.random.default_rng(seed)
    return nn.Sequential(nn.Linear(4, 5, rng=rng), nn.Tanh(), nn.Linear(5, 2, rng=rng))


# -- the tree ---------------------------------------------------------------------------------


def test_parameters_are_found_once_each_wherever_they_are():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == NAMES
    assert [name for name, _ in block.named_buffers()] == ["seen"]
    assert [p is q for p, q in zip(block.parameters(), block.parameters(), strict=True)] == [
        True
    ] * 6
    assert [name for name, _ in block.named_modules()] == ["", "first", "many.0", "many.1.odd"]


def test_modules_that_know_each_other_do_not_loop():
    a, b = Block(), Block()
    a.partner, b.partner = b, a
    assert len(list(a.modules())) == 8
    twin = ob.tree_map(lambda p: p, a)
    assert twin.partner.partner is twin


def test_parameters_bear_their_paths_as_names():
    outer = nn.Sequential(Block(), nn.Linear(1, 1))
    inner = outer[0]
    list(inner.parameters())
    assert inner.first.weight.name == "first.weight"
    outer(np.ones((2, 3)))
    assert inner.first.weight.name == "0.first.weight"
    assert inner.first.weight.node.name == "0.first.weight"
    assert outer[1].bias.name == "1.bias"


def test_a_name_that_was_given_stays():
    layer = nn.Linear(2, 2)
    layer.weight.name = "W"
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert layer.weight.name == "W"


def test_transforms_take_modules_and_a_gradient_is_a_module():
    block, x = Block(), np.ones((2, 3))
    slopes = ob.grad(lambda block: block(x).sum())(block)
    assert isinstance(slopes, Block)
    assert slopes is not block
    assert [p.shape for p in slopes.parameters()] == [p.shape for p in block.parameters()]
    assert slopes.first is slopes.again
    block(x).sum().backward()
    for mine, (name, p) in zip(slopes.parameters(), block.named_parameters(), strict=True):
        if p.grad is None:
            assert name == "many.0.weight"
            assert not mine.numpy().any()
        else:
            np.testing.assert_allclose(mine.numpy(), p.grad.numpy(), rtol=1e-6)


def test_a_tied_layer_is_one_leaf_that_sums_what_both_uses_send():
    layer = nn.Linear(2, 2, bias=False, dtype=np.float64)
    both = nn.Sequential(layer, layer)
    x = np.array([[1.0, 2.0]])
    leaves, _ = ob.tree_flatten(both)
    assert [leaf is layer.weight for leaf in leaves] == [True]
    slope = ob.grad(lambda m: m(x).sum())(both)[0].weight
    free = ob.grad(lambda a, b: (x @ a.mT @ b.mT).sum(), argnums=(0, 1))(layer.weight, layer.weight)
    np.testing.assert_allclose(slope.numpy(), (free[0] + free[1]).numpy(), rtol=1e-14)


def test_tree_map_gives_a_twin_and_leaves_the_module_alone():
    model = mlp()
    before = model.state_dict()
    half = ob.tree_map(lambda p: p * 0.5, model)
    x = np.ones((1, 4))
    assert half(x).shape == (1, 2)
    np.testing.assert_array_equal(half[0].weight.numpy(), 0.5 * model[0].weight.numpy())
    assert all((model.state_dict()[k].numpy() == v.numpy()).all() for k, v in before.items())


def test_vmap_over_modules_is_an_ensemble():
    models = [mlp(seed) for seed in range(3)]
    stacked = ob.tree_map(lambda *ps: ob.stack(ps), *models)
    x = np.ones((5, 4), np.float32)
    y = ob.vmap(lambda m: m(x))(stacked)
    for i, model in enumerate(models):
        np.testing.assert_allclose(y[i].numpy(), model(x).numpy(), rtol=1e-6)


def test_a_copy_is_independent_and_keeps_ties_and_roles():
    block = Block()
    twin = copy.deepcopy(block)
    assert twin.first is twin.again
    assert [name for name, _ in twin.named_parameters()] == NAMES
    twin.scale = np.zeros(3)
    assert block.scale.numpy().all()
    assert not set(map(id, twin.parameters())) & set(map(id, block.parameters()))


# -- state ------------------------------------------------------------------------------------


def test_state_goes_into_another_module_by_rebinding():
    one, two = mlp(1), mlp(2)
    handles = list(two.parameters())
    two.load_state_dict(one.state_dict())
    assert all(p is q for p, q in zip(two.parameters(), handles, strict=True))
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
        assert q.requires_grad
        assert q.is_leaf


def test_a_state_dict_does_not_change_with_the_training():
    model = mlp()
    state = model.state_dict()
    before = state["0.weight"].numpy()
    model[0].weight = model[0].weight * 0
    np.testing.assert_array_equal(state["0.weight"].numpy(), before)
    assert before.any()


def test_a_wrong_state_lists_everything_that_is_wrong_and_changes_nothing():
    model = mlp()
    state = model.state_dict()
    del state["0.bias"]
    state["2.weight"] = ob.zeros((2, 4))
    state["3.weight"] = ob.zeros((1,))
    state["0.weight"] = ob.zeros((5, 4))
    with pytest.raises(StructureError) as caught:
        model.load_state_dict(state)
    for said in (
        "0.bias is missing",
        "3.weight is not known here",
        "2.weight is [2, 4], here it is [2, 5]",
    ):
        assert said in str(caught.value)
    assert model[0].weight.numpy().any()


def test_a_state_of_another_float_is_cast_to_the_parameters():
    model = mlp()
    model.load_state_dict(
        {name: p.numpy().astype(np.float64) for name, p in model.named_parameters()}
    )
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_train_eval_and_zero_grad_reach_everything():
    model = nn.Sequential(nn.Dropout(0.9), mlp())
    x = np.ones((3, 4))
    assert model.eval() is model
    assert {m.training for m in model.modules()} == {False}
    np.testing.assert_array_equal(model(x).numpy(), model[1](x).numpy())
    assert {m.training for m in model.train().modules()} == {True}
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_a_frozen_module_receives_no_gradients():
    model = mlp()
    model[0].requires_grad_(False)
    model(np.ones((1, 4))).sum().backward()
    assert [p.grad is not None for p in model.parameters()] == [False, False, True, True]


# -- attributes -------------------------------------------------------------------------------


def test_assigning_to_a_parameter_rebinds_it():
    layer = nn.Linear(3, 2)
    handle = layer.weight
    layer.weight = np.ones((2, 3))
    assert layer.weight is handle
    assert handle.requires_grad
    assert handle.dtype == np.float32
    np.testing.assert_array_equal(handle.numpy(), np.ones((2, 3)))
    with pytest.raises(ShapeError, match="keeps its shape"):
        layer.weight = np.ones((3, 2))
    with pytest.raises(DTypeError, match="is real"):
        layer.weight = 1j * np.ones((2, 3))


def test_a_new_parameter_takes_the_old_ones_place():
    layer = nn.Linear(3, 2)
    layer.weight = mine = nn.Parameter(np.zeros((4, 3)))
    assert layer.weight is mine
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer(np.ones(3)).shape == (4,)


def test_a_buffer_counts_also_in_a_compiled_function():
    block = Block()
    f = ob.jit(lambda x: block(x).sum())
    for _ in range(3):
        f(np.ones((2, 3)))
    assert float(block.seen) == 3.0
    assert block.seen.is_leaf


def test_an_attribute_that_is_no_tensor_cannot_be_written_while_tracing():
    class Counter(nn.Module):
        def __init__(self):
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return x * 2.0

    counter = Counter()
    counter(1.0)
    assert counter.calls == 1
    with pytest.raises(RebindError, match=r"Counter.calls is written while tracing"):
        ob.jit(counter.forward)(1.0)
    with pytest.raises(RebindError, match=r"training is written(.|\n)*eval\(\) outside"):
        ob.jit(lambda x: counter.eval()(x) + 1.0)(1.0)


def test_a_module_made_inside_a_trace_may_be_set_up_there():
    def f(x):
        layer = nn.LeakyReLU(0.1)
        layer.slope = 0.5
        return layer(x)

    assert float(ob.jit(f)(-2.0)) == -1.0


def test_a_compiled_function_notices_eval_and_other_changes():
    model = nn.Sequential(nn.Dropout(1.0), nn.LeakyReLU(0.5))
    f = ob.jit(model)
    x = np.array([-2.0, 2.0])
    assert f(x).tolist() == [0.0, 0.0]
    model.eval()
    assert f(x).tolist() == [-1.0, 2.0]
    model[1].slope = 0.25
    assert f(x).tolist() == [-0.5, 2.0]


# -- layers -----------------------------------------------------------------------------------


def test_linear_is_what_its_formula_says(rng):
    layer = nn.Linear(3, 2)
    x = rng.standard_normal((4, 5, 3))
    y = layer(x)
    assert y.dtype == np.float32
    want = x.astype(np.float32) @ layer.weight.numpy().T + layer.bias.numpy()
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-5, atol=1e-6)
    assert nn.Linear(3, 2, bias=False).bias is None


def test_linear_says_how_many_features_it_takes():
    with pytest.raises(ShapeError, match="takes 3 features, x has 4"):
        nn.Linear(3, 2)(np.ones((5, 4)))
    with pytest.raises(ShapeError, match=r"x\[:, None\]"):
        nn.Linear(1, 2)(np.ones(5))


def test_the_dtype_of_parameters_is_float32_unless_asked_or_configured():
    assert nn.Linear(2, 2).weight.dtype == np.float32
    assert nn.Linear(2, 2, dtype=np.float64).bias.dtype == np.float64
    with ob.config(dtype=np.float64):
        layer = nn.Linear(2, 2)
    assert layer.weight.dtype == np.float64
    assert nn.Parameter([1.0]).dtype == np.float64


def test_the_cast_of_the_inputs_is_a_visible_node():
    layer = nn.Linear(2, 2)
    g = ob.trace(layer)(np.ones((1, 2)))
    assert "cast" in {node.op.name for node in g.nodes}
    slope = ob.grad(lambda x: layer(x).sum())(np.ones((1, 2)))
    assert slope.dtype == np.float64


def test_the_same_seed_gives_the_same_layer():
    a, b = mlp(3), mlp(3)
    assert all(
        (p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), b.parameters(), strict=True)
    )
    ob.random.seed(5)
    c = nn.Linear(2, 2)
    ob.random.seed(5)
    assert (nn.Linear(2, 2).weight.numpy() == c.weight.numpy()).all()


def test_containers_are_sequences():
    model = mlp()
    assert len(model) == 3
    assert model[-1] is model[2]
    assert isinstance(model[:2], nn.Sequential)
    assert [type(layer).__name__ for layer in model] == ["Linear", "Tanh", "Linear"]
    assert len(model.append(nn.ReLU())) == 4
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    assert len(layers[1:]) == 2
    assert [name for name, _ in layers.named_parameters()][:2] == ["0.weight", "0.bias"]
    with pytest.raises(ShapeError, match="is no layer"):
        nn.Sequential(3)
    assert nn.Sequential(ob.tanh, np.float64(2).__mul__)(0.0) == 0


def test_a_module_is_shown_as_its_tree():
    class Outer(nn.Module):
        def __init__(self):
            self.body = nn.Sequential(nn.Linear(2, 3, bias=False), nn.LeakyReLU())
            self.drop = nn.Dropout(0.1)

    assert repr(Outer()) == (
        "Outer(\n  (body): Sequential(\n"
        "    (0): Linear(in_features=2, out_features=3, bias=False)\n"
        "    (1): LeakyReLU(slope=0.01)\n  )\n  (drop): Dropout(p=0.1)\n)"
    )


def test_flatten_joins_axes():
    x = np.zeros((2, 3, 4, 5))
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert nn.Flatten(-2)(x).shape == (2, 3, 20)
    with pytest.raises(ShapeError, match="no axes from 1 to -1"):
        nn.Flatten()(np.zeros(3))


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(1.0)


# -- dropout ----------------------------------------------------------------------------------


def test_dropout_keeps_the_mean_and_drops_the_share(rng):
    x = np.ones((200, 200), np.float32)
    y = nn.Dropout(0.3, rng=ob.random.default_rng(1))(x).numpy()
    assert y.dtype == np.float32
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-6)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_the_gradient_of_dropout_is_its_mask(p):
    layer = nn.Dropout(p, rng=ob.random.default_rng(2))
    x = ob.tensor(np.linspace(1, 2, 50), requires_grad=True)
    y = layer(x)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy() * x.numpy(), y.numpy(), rtol=1e-12)


def test_what_dropout_drops_does_not_leak_even_if_it_is_infinite():
    x = ob.tensor([np.inf, np.nan], requires_grad=True)
    y = nn.functional.dropout(x, 1.0)
    y.sum().backward()
    assert y.tolist() == [0.0, 0.0]
    assert x.grad.tolist() == [0.0, 0.0]


def test_dropout_draws_anew_each_time_compiled_too_and_from_its_own_generator():
    layer = nn.Dropout(0.5, rng=ob.random.default_rng(7))
    f = ob.jit(layer)
    x = np.ones(64)
    compiled = [f(x).numpy() for _ in range(2)]
    layer.rng = ob.random.default_rng(7)
    eager = [layer(x).numpy() for _ in range(2)]
    assert (compiled[0] != compiled[1]).any()
    np.testing.assert_array_equal(compiled, eager)
    with pytest.raises(DomainError, match="is no probability"):
        nn.Dropout(1.5)


# -- where parameters start -------------------------------------------------------------------

SPREADS = {
    "uniform": (lambda **k: init.uniform((200, 100), 0.5, **k), 0.5 / math.sqrt(3)),
    "normal": (lambda **k: init.normal((200, 100), 0.5, **k), 0.5),
    "xavier_uniform": (lambda **k: init.xavier_uniform((200, 100), **k), math.sqrt(2 / 300)),
    "xavier_normal": (
        lambda **k: init.xavier_normal((200, 100), 5 / 3, **k),
        5 / 3 * math.sqrt(2 / 300),
    ),
    "kaiming_uniform": (lambda **k: init.kaiming_uniform((200, 100), **k), math.sqrt(2 / 100)),
    "kaiming_normal": (lambda **k: init.kaiming_normal((200, 100), 1.0, **k), math.sqrt(1 / 100)),
}


@pytest.mark.parametrize(("draw", "std"), SPREADS.values(), ids=SPREADS)
def test_an_initial_value_has_the_spread_it_says(draw, std):
    w = draw(rng=ob.random.default_rng(3))
    assert w.dtype == np.float32
    assert w.numpy().std() == pytest.approx(std, rel=0.03)
    assert w.numpy().mean() == pytest.approx(0, abs=0.03 * std)
    assert draw(dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (4, 3, 2, 2)])
def test_an_orthogonal_start_has_orthonormal_rows_or_columns(shape):
    w = init.orthogonal(shape, 2.0, dtype=np.float64).numpy().reshape(shape[0], -1) / 2
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_constants_and_faults_of_init():
    assert init.constant((2,), 3).tolist() == [3.0, 3.0]
    assert init.zeros((2,)).tolist() == [0.0, 0.0]
    assert init.ones((2,)).dtype == np.float32
    with pytest.raises(ShapeError, match="at least two axes"):
        init.xavier_normal((3,))
    with pytest.raises(DomainError, match="nothing is known of 'swish'"):
        init.gain("swish")


def test_a_layer_starts_within_one_over_the_root_of_its_inputs():
    layer = nn.Linear(100, 50)
    reach = np.abs(layer.weight.numpy()).max()
    assert 0.095 < reach <= 0.1


# -- penalties --------------------------------------------------------------------------------


def test_penalties_sum_over_a_module_and_differentiate():
    model = mlp()
    model[0].weight = model[0].weight * np.sign(np.arange(20).reshape(5, 4) - 3)
    w = np.concatenate([p.numpy().ravel() for p in model.parameters()]).astype(np.float64)
    assert float(nn.penalty.l1(model)) == pytest.approx(np.abs(w).sum(), rel=1e-6)
    assert float(nn.penalty.l2(model.parameters())) == pytest.approx((w**2).sum(), rel=1e-6)
    slopes = ob.grad(lambda m: nn.penalty.elastic(m, 0.3, 0.2))(model)
    for p, p_bar in zip(model.parameters(), slopes.parameters(), strict=True):
        want = 0.6 * p.numpy() + 0.2 * np.sign(p.numpy())  # 0 at 0
        np.testing.assert_allclose(p_bar.numpy(), want, rtol=1e-5)
    assert float(nn.penalty.l1([])) == 0.0
