"""Eager mode beside the others: time per operation, and a small training step.

    python -m benchmarks.eager            # all
    python -m benchmarks.eager --quick    # fewer rounds

The floor first. A chain of 200 operations (h ← tanh(h w + b)) on one element does 200 NumPy calls
forward, about 0.17 µs each here, and some 2.3 per operation backward: 0.5 µs per operation, forward
and backward together, is what NumPy itself costs. The rest is what an engine adds to remember and
to walk back. Goal: 0.6 of PyTorch's time per operation, forward and backward; floor: 0.8.

All run in one process on one thread, take turns, and agree on their results to 1e-4.
"""

from __future__ import annotations

import argparse
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import numpy as np

import overbar as ob
from overbar import nn, optim

from .measure import interleave, ratios, show

LENGTH = 67  # loops of three operations: mul, add, tanh


def chain(h, w, b, tanh):
    """201 operations."""
    for _ in range(LENGTH):
        h = tanh(h * w + b)
    return h


def chains(shape: tuple[int, ...], rivals: bool) -> tuple[dict, dict]:
    """The contestants on arrays of this shape: forward, and forward + backward."""
    rng = np.random.default_rng(0)
    X, W, B = (rng.normal(size=shape).astype(np.float32) for _ in range(3))
    ones = np.ones(shape, np.float32)
    forward, both, results = {}, {}, {}

    x, w, b = (ob.tensor(a, requires_grad=True) for a in (X, W, B))

    def ours() -> None:
        x.grad = w.grad = b.grad = None
        chain(x, w, b, ob.tanh).backward(ones)
        results["overbar"] = w.grad.numpy()

    forward["overbar"], both["overbar"] = (lambda: chain(x, w, b, ob.tanh)), ours
    forward["numpy, no history"] = lambda: chain(X, W, B, np.tanh)
    if rivals:
        import torch

        torch.set_num_threads(1)
        tx, tw, tb = (torch.from_numpy(a.copy()).requires_grad_() for a in (X, W, B))
        seed = torch.from_numpy(ones)

        def theirs() -> None:
            tx.grad = tw.grad = tb.grad = None
            chain(tx, tw, tb, torch.tanh).backward(seed)
            results["torch"] = tw.grad.numpy()

        forward["torch"], both["torch"] = (lambda: chain(tx, tw, tb, torch.tanh)), theirs

        import autograd
        import autograd.numpy as anp

        slope = autograd.grad(lambda args: anp.sum(chain(*args, anp.tanh)))

        def autograds() -> None:
            results["autograd"] = slope((X, W, B))[1]

        forward["autograd"], both["autograd"] = (lambda: chain(X, W, B, anp.tanh)), autograds

        import jax
        import jax.numpy as jnp

        jx, jw, jb = (jnp.asarray(a) for a in (X, W, B))
        jslope = jax.grad(lambda args: jnp.sum(chain(*args, jnp.tanh)))

        def jaxs() -> None:
            results["jax, no jit"] = np.asarray(jslope((jx, jw, jb))[1].block_until_ready())

        forward["jax, no jit"] = lambda: chain(jx, jw, jb, jnp.tanh).block_until_ready()
        both["jax, no jit"] = jaxs
    for run in both.values():
        run()
    for who, result in results.items():
        np.testing.assert_allclose(result, results["overbar"], rtol=1e-4, atol=1e-5, err_msg=who)
    return forward, both


def steps(rivals: bool) -> dict:
    """A training step of the 64-32-10 network, batch 32, tanh, cross-entropy, gradient descent."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(32, 64)).astype(np.float32)
    y = rng.integers(0, 10, 32)
    model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    start = {name: p.numpy().copy() for name, p in model.named_parameters()}
    losses = {}
    contestants = {"overbar": _ours(model, X, y, losses, "overbar", jit=False)}
    twin = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    twin.load_state_dict(start)
    name = "overbar, jit"
    contestants[name] = _ours(twin, X, y, losses, name, jit=True)
    if rivals:
        import torch

        tnn = torch.nn
        tmodel = tnn.Sequential(tnn.Linear(64, 32), tnn.Tanh(), tnn.Linear(32, 10))
        tmodel.load_state_dict({name: torch.from_numpy(value) for name, value in start.items()})
        topt = torch.optim.SGD(tmodel.parameters(), lr=0.1)
        tX, ty = torch.from_numpy(X), torch.from_numpy(y)

        def torchs() -> None:
            topt.zero_grad()
            loss = tnn.functional.cross_entropy(tmodel(tX), ty)
            loss.backward()
            topt.step()
            losses.setdefault("torch", []).append(float(loss.detach()))

        contestants["torch"] = torchs
        import jax
        import jax.numpy as jnp

        params = [jnp.asarray(v) for v in start.values()]

        def jloss(params, X, y):
            w1, b1, w2, b2 = params
            logits = jnp.tanh(X @ w1.T + b1) @ w2.T + b2
            return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(32), y])

        value_and_grad = jax.value_and_grad(jloss)

        def jaxs() -> None:
            nonlocal params
            loss, grads = value_and_grad(params, X, y)
            params = [p - 0.1 * g for p, g in zip(params, grads, strict=True)]
            losses.setdefault("jax, no jit", []).append(float(loss))

        contestants["jax, no jit"] = jaxs
    for run in contestants.values():
        for _ in range(3):
            run()
    for who, taken in losses.items():
        np.testing.assert_allclose(taken[:3], losses["overbar"][:3], rtol=1e-4, err_msg=who)
    return contestants


def _ours(model, X, y, losses: dict, who: str, *, jit: bool):
    """One training step of our own, eager or traced."""
    opt = optim.SGD(model.parameters(), lr=0.1)

    def step() -> ob.Tensor:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(X), y)
        loss.backward()
        opt.step()
        return loss

    step = ob.jit(step) if jit else step
    return lambda: losses.setdefault(who, []).append(float(step()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--alone", action="store_true", help="without the rivals")
    asked = parser.parse_args()
    rounds = 5 if asked.quick else 21
    base = "overbar" if asked.alone else "torch"
    summary = []
    for shape in ((1,), (32, 32)):
        forward, both = chains(shape, not asked.alone)
        what = "1 element" if shape == (1,) else "32 x 32"
        for title, contestants in (("forward", forward), ("forward + backward", both)):
            timings = interleave(contestants, rounds=rounds)
            show(timings, base=base, title=f"201 operations on {what}, {title}")
            if not asked.alone:
                r = ratios(timings, "torch")["overbar"]
                per = timings["overbar"].median / 201 * 1e6
                summary.append(
                    f"| {what}, {title} | {per:.2f} µs per operation | "
                    f"{r.median:.2f} ({r.low:.2f} to {r.high:.2f}) |"
                )
    timings = interleave(steps(not asked.alone), rounds=rounds)
    show(timings, base=base, title="64-32-10 training step, batch 32")
    if not asked.alone:
        for who, what in (
            ("overbar", "64-32-10 training step"),
            ("overbar, jit", "the same under `ob.jit`"),
        ):
            r = ratios(timings, "torch")[who]
            summary.append(
                f"| {what} | {timings[who].median * 1e6:.0f} µs | "
                f"{r.median:.2f} ({r.low:.2f} to {r.high:.2f}) |"
            )
        print("| | overbar | times PyTorch eager |\n|---|---|---|")
        print("\n".join(summary))


if __name__ == "__main__":
    main()
