"""Optimisers, schedules, clipping and losses against torch: the same numbers, step by step."""

import numpy as np
import pytest
import torch
import torch.nn.functional as theirs

import overbar as ob
from overbar import optim
from overbar.nn import functional as ours

STEPS = 20
EXACT = {"rtol": 1e-10, "atol": 1e-12}

OPTIMISERS = {
    "SGD": ("SGD", {"lr": 0.1}),
    "SGD weight decay": ("SGD", {"lr": 0.1, "weight_decay": 0.03}),
    "SGD momentum": ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}),
    "SGD Nesterov": ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    "Adam": ("Adam", {"lr": 0.03}),
    "Adam settings": ("Adam", {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "AdamW": ("AdamW", {"lr": 0.03, "weight_decay": 0.2}),
    "RMSprop": ("RMSprop", {"lr": 0.01}),
    "RMSprop momentum": (
        "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "momentum": 0.7, "weight_decay": 0.1},
    ),
    "Adagrad": ("Adagrad", {"lr": 0.1}),
    "Adagrad settings": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.05, "weight_decay": 0.1, "initial_accumulator_value": 0.5},
    ),
}  # fmt: skip


def loss_of(xp, w, b, u, x, t, with_u):
    y = xp.tanh(x @ w + b)
    L = ((y - t) ** 2).mean()
    return L + (u * u).sum() if with_u else L


@pytest.mark.parametrize(("name", "settings"), OPTIMISERS.values(), ids=OPTIMISERS)
def test_an_optimiser_moves_as_torchs_does(name, settings, rng):
    """Twenty steps, in half of which one parameter has no gradient."""
    start = [rng.standard_normal(shape) for shape in ((4, 3), (3,), (2,))]
    x, t = rng.standard_normal((8, 4)), rng.standard_normal((8, 3))
    mine = [ob.tensor(a, requires_grad=True) for a in start]
    other = [torch.tensor(a, requires_grad=True) for a in start]
    opt, their_opt = (
        getattr(optim, name)(mine, **settings),
        getattr(torch.optim, name)(other, **settings),
    )
    xs = torch.tensor(x), torch.tensor(t)
    for step in range(STEPS):
        with_u = step % 4 in (1, 2)
        opt.zero_grad()
        their_opt.zero_grad()
        loss_of(ob, *mine, x, t, with_u).backward()
        loss_of(torch, *other, *xs, with_u).backward()
        opt.step()
        their_opt.step()
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(a.numpy(), b.detach().numpy(), **EXACT)


SCHEDULES = {
    "StepLR": ("StepLR", {"step_size": 4, "gamma": 0.5}),
    "MultiStepLR": ("MultiStepLR", {"milestones": [3, 7, 7, 12], "gamma": 0.3}),
    "ExponentialLR": ("ExponentialLR", {"gamma": 0.9}),
    "CosineAnnealingLR": ("CosineAnnealingLR", {"T_max": 15, "eta_min": 0.01}),
    "LinearLR": ("LinearLR", {"start_factor": 0.25, "end_factor": 0.9, "total_iters": 6}),
    "LambdaLR": ("LambdaLR", {"lr_lambda": lambda n: 1 / (1 + 0.1 * n)}),
}


@pytest.mark.parametrize(("name", "settings"), SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_sets_the_rates_of_torch(name, settings):
    mine = optim.SGD([ob.tensor(1.0, requires_grad=True)], lr=0.4)
    other = torch.optim.SGD([torch.tensor(1.0, requires_grad=True)], lr=0.4)
    schedule = getattr(optim.lr_scheduler, name)(mine, **settings)
    their_schedule = getattr(torch.optim.lr_scheduler, name)(other, **settings)
    for _ in range(STEPS):
        assert float(mine.lr) == pytest.approx(other.param_groups[0]["lr"], rel=1e-12)
        other.step()
        schedule.step()
        their_schedule.step()


@pytest.mark.parametrize("mode", ["min", "max"])
def test_reducing_on_a_plateau_reduces_when_torch_does(mode, rng):
    mine = optim.SGD([ob.tensor(1.0, requires_grad=True)], lr=0.4)
    other = torch.optim.SGD([torch.tensor(1.0, requires_grad=True)], lr=0.4)
    settings = {"mode": mode, "factor": 0.5, "patience": 2, "cooldown": 1, "min_lr": 0.01}
    schedule = optim.lr_scheduler.ReduceLROnPlateau(mine, **settings)
    their_schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **settings)
    for metric in rng.uniform(0.5, 1.5, 40):
        schedule.step(metric)
        their_schedule.step(metric)
        assert float(mine.lr) == pytest.approx(other.param_groups[0]["lr"], rel=1e-12)
    assert float(mine.lr) < 0.1


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("max_norm", [0.1, 100.0])
def test_clipping_the_norm_agrees_with_torch(norm_type, max_norm, rng):
    grads = [rng.standard_normal(shape) for shape in ((4, 3), (3,))]
    mine = [ob.tensor(np.zeros_like(g), requires_grad=True) for g in grads]
    other = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in grads]
    for p, q, g in zip(mine, other, grads, strict=True):
        p.grad, q.grad = g, torch.tensor(g)
    norm = optim.clip_grad_norm_(mine, max_norm, norm_type)
    their_norm = torch.nn.utils.clip_grad_norm_(other, max_norm, norm_type)
    assert float(norm) == pytest.approx(float(their_norm), rel=1e-12)
    for p, q in zip(mine, other, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), **EXACT)


def both(f, g, y, t):
    """(value, gradient by y) of our loss and of theirs."""
    value, slope = ob.value_and_grad(f)(y, t)
    z = torch.tensor(y, requires_grad=True)
    their_value = g(z, torch.tensor(t))
    their_value.backward()
    np.testing.assert_allclose(value, their_value.detach().numpy(), **EXACT)
    np.testing.assert_allclose(slope, z.grad.numpy(), **EXACT)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    "name",
    ["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits"],
)
def test_a_loss_of_pairs_agrees_with_torch(name, reduction, rng):
    y, t = 2 * rng.standard_normal((5, 3)), rng.uniform(size=(5, 3))
    f, g = getattr(ours, name), getattr(theirs, name)
    both(lambda y, t: f(y, t, reduction=reduction), lambda y, t: g(y, t, reduction=reduction), y, t)


def test_binary_cross_entropy_agrees_with_torch(rng):
    y, t = rng.uniform(0.01, 0.99, size=(5, 3)), rng.uniform(size=(5, 3))
    both(ours.binary_cross_entropy, theirs.binary_cross_entropy, y, t)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (5, 4, 3), (2, 4, 3, 2)])
def test_cross_entropy_agrees_with_torch(shape, rng):
    axis = min(1, len(shape) - 1)
    z = 3 * rng.standard_normal(shape)
    labels = rng.integers(0, 4, size=shape[:axis] + shape[axis + 1 :])
    both(ours.cross_entropy, theirs.cross_entropy, z, labels)
    log_p = np.asarray(ob.log_softmax(z, axis=axis))
    both(ours.nll_loss, theirs.nll_loss, log_p, labels)
    shares = np.exp(np.asarray(ob.log_softmax(rng.standard_normal(shape), axis=axis)))
    both(ours.cross_entropy, theirs.cross_entropy, z, shares)


@pytest.mark.parametrize(
    "name", ["ReLU", "LeakyReLU", "ELU", "Sigmoid", "Tanh", "Softplus", "GELU", "SiLU"]
)
def test_an_activation_agrees_with_torch(name, rng):
    x = 3 * rng.standard_normal((4, 5))
    layer, their_layer = getattr(ob.nn, name)(), getattr(torch.nn, name)()
    value, slope = ob.value_and_grad(lambda x: (layer(x) ** 2).sum())(x)
    z = torch.tensor(x, requires_grad=True)
    out = (their_layer(z) ** 2).sum()
    out.backward()
    np.testing.assert_allclose(value, out.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(slope, z.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_a_saved_network_is_read_by_safetensors_and_by_torch(tmp_path, rng):
    from safetensors.torch import load_file

    model = ob.nn.Sequential(ob.nn.Linear(4, 6), ob.nn.Tanh(), ob.nn.Linear(6, 2))
    twin = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))
    ob.save(model, tmp_path / "model.safetensors")
    twin.load_state_dict(load_file(tmp_path / "model.safetensors"))
    x = rng.standard_normal((3, 4)).astype(np.float32)
    y = twin(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(model(x).numpy(), y, rtol=1e-5, atol=1e-6)


def test_a_network_of_torch_is_taken_over(tmp_path, rng):
    from safetensors.torch import save_file

    model = ob.nn.Sequential(ob.nn.Linear(4, 6), ob.nn.Tanh(), ob.nn.Linear(6, 2))
    twin = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))
    save_file(twin.state_dict(), tmp_path / "theirs.safetensors")
    ob.load(tmp_path / "theirs.safetensors", into=model)
    x = rng.standard_normal((3, 4)).astype(np.float32)
    y = twin(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(model(x).numpy(), y, rtol=1e-5, atol=1e-6)
