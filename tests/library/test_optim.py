"""Optimisers: what a step is and is not, state, refusals, schedules. The numbers: tests/oracles."""

import gc
import math
import signal
import time

import numpy as np
import pytest

import overbar as ob
from overbar import nn, optim
from overbar.errors import DomainError, DTypeError, StructureError
from overbar.trees import tree_flatten

ALL = {
    "SGD": lambda params: optim.SGD(params, lr=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda params: optim.Adam(params, lr=0.1),
    "AdamW": lambda params: optim.AdamW(params, lr=0.1),
    "RMSprop": lambda params: optim.RMSprop(params, lr=0.1, momentum=0.5),
    "Adagrad": lambda params: optim.Adagrad(params, lr=0.1, initial_accumulator_value=0.1),
    "ProximalSGD": lambda params: optim.ProximalSGD(params, lr=0.1, l1=0.01),
}
every = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def leaf(value, dtype=np.float64):
    return ob.tensor(value, dtype=dtype, requires_grad=True)


def squares(*params):
    ob.backward([(p * p).sum() for p in params])


# -- what a step is ---------------------------------------------------------------------------


@every
def test_a_step_goes_downhill_and_leaves_leaves(make):
    w = leaf([3.0, -2.0])
    optimizer = make([w])
    before = float((w * w).sum())
    for _ in range(5):
        optimizer.zero_grad()
        squares(w)
        optimizer.step()
        assert w.is_leaf
        assert w.requires_grad
    assert float((w * w).sum()) < before
    assert all(
        t.is_leaf and not t.requires_grad for state in optimizer.state for t in state.values()
    )


@every
def test_the_dtype_of_a_parameter_stays(make):
    w = leaf([3.0, -2.0], np.float32)
    optimizer = make([w])
    squares(w)
    optimizer.step()
    assert w.dtype == np.float32
    assert {t.dtype for name, t in optimizer.state[0].items() if name != "t"} <= {
        np.dtype(np.float32)
    }


@every
def test_a_parameter_without_a_gradient_is_left_alone_with_its_state(make):
    used, idle = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    optimizer = make([used, idle])
    squares(used)
    before = {name: t.numpy() for name, t in optimizer.state[1].items()}
    optimizer.step()
    assert idle.tolist() == [1.0, 2.0]
    assert used.tolist() != [1.0, 2.0]
    for name, t in optimizer.state[1].items():
        np.testing.assert_array_equal(t.numpy(), before[name])


@every
def test_a_compiled_step_gives_the_same_numbers(make, rng):
    start, x = rng.standard_normal((4, 3)), rng.standard_normal((5, 4))

    def trained(compiled):
        w = leaf(start)
        optimizer = make([w])

        def step(x):
            L = (ob.tanh(x @ w) ** 2).mean()
            optimizer.zero_grad()
            L.backward()
            optimizer.step()
            return L

        run = ob.jit(step) if compiled else step
        losses = [float(run(x)) for _ in range(4)]
        optimizer.lr = 0.01  # an input of the program: nothing is traced anew
        losses += [float(run(x)) for _ in range(4)]
        if compiled:
            assert "1 trace" in run.report()
        return losses, w.tolist(), [{k: t.tolist() for k, t in s.items()} for s in optimizer.state]

    compiled, eager = (tree_flatten(trained(how))[0] for how in (True, False))
    np.testing.assert_allclose(compiled, eager, rtol=1e-12)


def test_two_steps_in_one_compiled_call_are_two_steps():
    def trained(compiled):
        w = leaf([3.0, -2.0])
        optimizer = optim.Adam([w], lr=0.1)

        def step():
            for _ in range(2):
                optimizer.zero_grad()
                (w * w).sum().backward()
                optimizer.step()

        (ob.jit(step) if compiled else step)()
        return w.tolist()

    compiled, eager = (tree_flatten(trained(how))[0] for how in (True, False))
    np.testing.assert_allclose(compiled, eager, rtol=1e-12)


def test_a_step_inside_a_recording_or_a_gradient_leaves_leaves():
    w = leaf([3.0, -2.0])
    optimizer = optim.SGD([w], lr=0.1)
    with ob.record():
        squares(w)
        optimizer.step()
    assert w.is_leaf
    squares(w)
    assert w.grad is not None


def test_graphs_that_used_the_old_parameter_keep_it():
    w = leaf(3.0)
    y = w * w
    y.backward(retain_graph=True)
    optim.SGD([w], lr=0.1).step()
    w.grad = None
    y.backward()
    assert float(w.grad) == 6.0


def test_momentum_accumulates_as_its_formula_says():
    w = leaf(0.0)
    optimizer = optim.SGD([w], lr=0.1, momentum=0.5)
    positions = []
    for _ in range(3):
        w.grad = 1.0
        optimizer.step()
        positions.append(float(w))
    assert positions == pytest.approx([-0.1, -0.25, -0.425])


def test_the_first_step_of_adam_is_the_learning_rate():
    w = leaf([5.0, -0.001])
    optimizer = optim.Adam([w], lr=0.25)
    w.grad = [100.0, -1e-3]
    optimizer.step()
    np.testing.assert_allclose(w.numpy(), [4.75, 0.249], rtol=1e-4)


def test_complex_parameters_descend_with_sgd_and_are_refused_elsewhere():
    z = leaf([1.0 + 2.0j], np.complex128)
    optimizer = optim.SGD([z], lr=0.1)
    (ob.real(z) ** 2 + ob.imag(z) ** 2).sum().backward()
    optimizer.step()
    np.testing.assert_allclose(z.numpy(), [0.8 + 1.6j])
    with pytest.raises(DTypeError, match="of a kind that it cannot train"):
        optim.Adam([z])


# -- a step is not divided --------------------------------------------------------------------

signals = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that signal")


@pytest.fixture
def interrupted():
    """run(f, delay): f, into which after so many seconds a signal strikes; whether it did."""

    def strike(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, strike)
    gc.disable()  # hypothesis has a callback of its own in the collector, which would swallow it

    def run(f, delay):
        try:
            signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-6))
            f()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            return True
        return False

    yield run
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    gc.enable()


def seconds_of(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def divided(handles):
    return len({t.item() for t in handles}) > 1


def one_by_one(handles, values):
    for handle, value in zip(handles, values, strict=True):
        handle.rebind(value)


def strikes_that_divide(rebind, interrupted, strikes):
    """How many of so many signals struck, and how many of these left some handles old."""
    handles = [ob.tensor(0.0) for _ in range(8_000)]
    sets = [[ob.tensor(float(k)) for _ in handles] for k in range(2)]
    whole = min(seconds_of(lambda k=k: rebind(handles, sets[k])) for k in (0, 1, 0))
    chance, struck, halves = np.random.default_rng(0), 0, 0
    for i in range(strikes):
        one_by_one(handles, sets[i % 2])
        struck += interrupted(
            lambda i=i: rebind(handles, sets[1 - i % 2]), chance.uniform(0, 1.2 * whole)
        )
        halves += divided(handles)
    return struck, halves


@signals
def test_rebinding_many_handles_is_never_half_done(interrupted):
    struck, halves = strikes_that_divide(ob.rebind, interrupted, 100)
    assert struck > 20
    assert halves == 0


@signals
def test_rebinding_one_by_one_would_be_half_done(interrupted):
    """The test above has teeth."""
    struck, halves = strikes_that_divide(one_by_one, interrupted, 30)
    assert struck > 10
    assert halves > 5


@signals
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_an_interrupted_step_happened_or_did_not(compiled, interrupted):
    """Every parameter takes the same walk, so any difference between them would be half a step."""
    params = [leaf(0.0) for _ in range(60)]
    optimizer = optim.SGD(params, lr=1.0, momentum=0.5)
    for p in params:
        p.grad = 1.0
    step = ob.jit(optimizer.step) if compiled else optimizer.step
    step()
    whole = min(seconds_of(step) for _ in range(5))
    chance, struck = np.random.default_rng(1), 0
    for _ in range(300):
        struck += interrupted(step, chance.uniform(0, 1.3 * whole))
        assert not divided(params)
        assert not divided([state["v"] for state in optimizer.state])
        steps = (
            1 - math.log2(2 - optimizer.state[0]["v"].item())
            if optimizer.state[0]["v"].item() < 2
            else None
        )
        if steps is not None and steps < 20:  # v and p tell of the same number of steps
            assert params[0].item() == pytest.approx(-2 * steps + 2 * (1 - 0.5**steps), abs=1e-6)
        assert (leaf(1.0) * 2).requires_grad  # no `no_grad` is left behind
    assert struck > 60
    assert all(p.is_leaf and p.requires_grad for p in params)


@signals
def test_a_real_ctrl_c_leaves_whole_steps_behind(tmp_path):
    import subprocess
    import sys

    program = tmp_path / "loop.py"
    program.write_text(
        "import overbar as ob\n"
        "params = [ob.tensor(0.0, requires_grad=True) for _ in range(100)]\n"
        "optimizer = ob.optim.SGD(params, lr=1.0)\n"
        "for p in params: p.grad = 1.0\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    while True: optimizer.step()\n"
        "except KeyboardInterrupt:\n"
        "    print(len({p.item() for p in params}), int(-params[0].item()), flush=True)\n"
    )
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        kinds, steps = process.stdout.read().split()
    assert kinds == "1"
    assert int(steps) > 0


def test_rebinding_keeps_wishes_names_and_gradients():
    a, b = leaf(1.0), ob.tensor(2.0)
    a.name, a.grad = "a", 7.0
    ob.rebind([a, b], [ob.tensor(3.0), ob.tensor(4.0)])
    assert (float(a), float(b), float(a.grad), a.name) == (3.0, 4.0, 7.0, "a")
    a.grad = None
    (a * b).backward()
    assert float(a.grad) == 4.0
    assert not b.requires_grad
    with pytest.raises(StructureError, match="2 handles for 1 tensors"):
        ob.rebind([a, b], [a])


# -- state ------------------------------------------------------------------------------------


@every
def test_training_goes_on_from_a_saved_state_with_the_same_bits(make):
    def steps(optimizer, params, n):
        for _ in range(n):
            optimizer.zero_grad()
            squares(*params)
            optimizer.step()

    a = [leaf([3.0, -2.0]), leaf(1.0)]
    one = make(a)
    steps(one, a, 3)
    b = [leaf(p.numpy()) for p in a]
    two = make(b)
    two.load_state_dict(one.state_dict())
    steps(one, a, 3)
    steps(two, b, 3)
    assert [p.tolist() for p in a] == [p.tolist() for p in b]


def test_loading_a_state_rebinds_the_handles_there_are():
    w = leaf([1.0, 2.0])
    optimizer = optim.Adam([w])
    handles = [optimizer.lr, *optimizer.state[0].values()]
    state = optimizer.state_dict()
    state["lr"] = 0.5
    optimizer.load_state_dict(state)
    now = [optimizer.lr, *optimizer.state[0].values()]
    assert all(a is b for a, b in zip(now, handles, strict=True))
    assert float(optimizer.lr) == 0.5


def test_the_state_of_another_optimiser_is_refused():
    adam, sgd = optim.Adam([leaf([1.0, 2.0])]), optim.SGD([leaf([1.0, 2.0])], momentum=0.9)
    with pytest.raises(StructureError, match=r"0\.m is missing") as caught:
        adam.load_state_dict(sgd.state_dict())
    assert "0.t is missing" in str(caught.value)
    with pytest.raises(StructureError, match=r"0.m is \[3\], here it is \[2\]"):
        adam.load_state_dict(optim.Adam([leaf([1.0, 2.0, 3.0])]).state_dict())


def test_what_cannot_be_trained_is_refused():
    w = leaf([1.0])
    w.name = "w"
    with pytest.raises(StructureError, match=r"parameter 1 \(w\) comes twice"):
        optim.SGD([w, w])
    with pytest.raises(DTypeError, match="parameter 1 is no tensor but a list"):
        optim.SGD([w, [1.0]])
    with pytest.raises(DTypeError, match="in a list"):
        optim.SGD(w)
    with pytest.raises(StructureError, match="no parameters"):
        optim.SGD([])
    with pytest.raises(StructureError, match="was computed"):
        optim.SGD([w * 2])
    with pytest.raises(StructureError, match="groups"):
        optim.SGD([{"params": [w]}])
    with pytest.raises(DTypeError, match="of a kind that it cannot train"):
        optim.SGD([ob.tensor([1, 2])])


@pytest.mark.parametrize("lr", [-1.0, math.nan, math.inf])
def test_a_learning_rate_is_a_finite_number_from_0(lr):
    with pytest.raises(DomainError, match="is no learning rate"):
        optim.SGD([leaf(1.0)], lr=lr)
    optimizer = optim.SGD([leaf(1.0)], lr=0.1)
    with pytest.raises(DomainError, match="is no learning rate"):
        optimizer.lr = lr
    assert float(optimizer.lr) == 0.1


def test_settings_out_of_range_are_refused():
    w = leaf(1.0)
    for wrong in (
        lambda: optim.Adam([w], betas=(0.9, 1.0)),
        lambda: optim.SGD([w], momentum=-1.0),
        lambda: optim.SGD([w], nesterov=True),
        lambda: optim.AdamW([w], weight_decay=-0.1),
        lambda: optim.RMSprop([w], alpha=1.5),
        lambda: optim.ProximalSGD([w], l1=math.nan),
        lambda: optim.lr_scheduler.StepLR(optim.SGD([w]), 0),
        lambda: optim.clip_grad_norm_([w], 0.0),
        lambda: optim.clip_grad_value_([w], -1.0),
    ):
        with pytest.raises(DomainError):
            wrong()


def test_the_learning_rate_is_one_handle():
    optimizer = optim.SGD([leaf(1.0)], lr=0.4)
    handle = optimizer.lr
    optimizer.lr = 0.2
    assert optimizer.lr is handle
    optimizer.lr *= 0.5
    assert optimizer.lr is handle
    assert float(handle) == 0.1
    optimizer.lr = optimizer.lr * 0.5
    assert float(handle) == 0.05
    assert f"{optimizer.lr:.3f}" == "0.050"
    assert repr(optimizer) == "SGD(1 tensors, 1 numbers, lr=0.05, decay=0.0)"


# -- schedules and clipping -------------------------------------------------------------------


def test_a_schedule_runs_inside_a_compiled_step():
    def rates(compiled):
        w = leaf(1.0)
        optimizer = optim.SGD([w], lr=0.5)
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)

        def step():
            (w * w).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            return optimizer.lr * 1.0

        run = ob.jit(step) if compiled else step
        return [float(run()) for _ in range(6)] + [
            float(optimizer.lr),
            float(w),
            float(schedule.count),
        ]

    assert rates(True) == rates(False)
    assert rates(False)[5] == pytest.approx(0.0, abs=1e-12)


def test_a_schedule_goes_on_from_its_state():
    def fresh():
        optimizer = optim.SGD([leaf(1.0)], lr=0.5)
        return optimizer, optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    (one, a), (two, b) = fresh(), fresh()
    a.step()
    a.step()
    two.load_state_dict(one.state_dict())
    b.load_state_dict(a.state_dict())
    a.step()
    b.step()
    assert float(one.lr) == float(two.lr) == 0.0625
    with pytest.raises(StructureError, match="no state of a ExponentialLR"):
        b.load_state_dict({"count": 1})


def test_a_warm_up_is_followed_by_another_schedule():
    optimizer = optim.SGD([leaf(1.0)], lr=0.4)
    S = optim.lr_scheduler
    warm, down = S.LinearLR(optimizer, 0.25, total_iters=3), S.CosineAnnealingLR(optimizer, T_max=4)
    schedule = S.SequentialLR(optimizer, [warm, down], milestones=[3])
    rates = [float(optimizer.lr)]
    for _ in range(7):
        schedule.step()
        rates.append(float(optimizer.lr))
    np.testing.assert_allclose(rates[:4], [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(
        rates[3:], [0.2 * (1 + math.cos(math.pi * k / 4)) for k in range(5)], atol=1e-15
    )
    with pytest.raises(StructureError, match="one milestone fewer"):
        S.SequentialLR(optimizer, [warm, down], milestones=[])


def test_a_plateau_is_left_after_patience_runs_out():
    optimizer = optim.SGD([leaf(1.0)], lr=1.0)
    schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, factor=0.5)
    for metric in (3.0, 2.0, 2.0, 2.0):
        schedule.step(metric)
    assert float(optimizer.lr) == 0.5
    twin = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, factor=0.5)
    twin.load_state_dict(schedule.state_dict())
    assert twin.state_dict() == schedule.state_dict()


def test_clipping_scales_all_gradients_together_and_only_if_too_large():
    a, b = leaf([3.0]), leaf([4.0])
    a.grad, b.grad = [3.0], [4.0]
    assert float(optim.clip_grad_norm_([a, b], 10.0)) == 5.0
    assert (a.grad.tolist(), b.grad.tolist()) == ([3.0], [4.0])
    optim.clip_grad_norm_([a, b, leaf(1.0)], 1.0)
    np.testing.assert_allclose([a.grad.item(), b.grad.item()], [0.6, 0.8], rtol=1e-6)
    optim.clip_grad_value_([a, b], 0.7)
    np.testing.assert_allclose([a.grad.item(), b.grad.item()], [0.6, 0.7], rtol=1e-6)
    assert float(optim.clip_grad_norm_([leaf(1.0)], 1.0)) == 0.0


def test_clipping_takes_a_module_and_runs_compiled():
    layer = nn.Linear(2, 2)

    def step(x):
        layer(x).sum().backward()
        return optim.clip_grad_norm_(layer, 0.5)

    norm = ob.jit(step)(np.ones((3, 2), np.float32))
    assert float(norm) == pytest.approx(math.sqrt(6 * 9), rel=1e-6)
    total = math.sqrt(sum(float((p.grad * p.grad).sum()) for p in layer.parameters()))
    assert total == pytest.approx(0.5, rel=1e-5)
