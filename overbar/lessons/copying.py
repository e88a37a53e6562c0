"""The copy task, for `ntm`: sequences of random bits, to be said again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TextIO

import numpy as np

import overbar as ob
from overbar.errors import DataError
from overbar.terminal import Row

from .plan import Lesson, Plan

COPY = "copy"

_STEPS = 100  # an epoch


def task(rng: Any, length: int, batch: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """What it sees: bits, a sign, nothing; and what it should say after the sign.

    Shapes:  (2 length + 1, batch, bits + 1), (length, batch, bits)
    """
    t = rng.integers(0, 2, (length, batch, bits)).astype(np.float32)
    x = np.zeros((2 * length + 1, batch, bits + 1), np.float32)
    x[:length, :, :bits] = t
    x[length, :, bits] = 1
    return x, t


def lesson(plan: Plan, rng: Any) -> Lesson:
    """Sequences of all lengths up to the longest, new ones in each step."""
    if plan.data != COPY:
        raise DataError(f"{plan.data}: a Neural Turing Machine learns to copy", want="copy")
    sizes = dict(plan.sizes)
    longest, bits = sizes.pop("longest"), sizes.pop("bits")

    def drawn(rng: Any, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return task(rng, int(rng.integers(1, longest + 1)), len(row), bits)

    model = ob.models.NTM(bits + 1, bits, **sizes, rng=rng)
    rows = np.zeros(_STEPS * plan.batch)
    test = [task(np.random.default_rng([plan.seed, 1]), longest, plan.batch, bits)]
    return Lesson(
        model,
        loss,
        ob.data.DataLoader((rows,), plan.batch, rng=rng, transform=drawn, prefetch=2),
        test,
        {},
        f"new sequences of 1 to {longest} times {bits} bits in each step",
        {"longest": longest, "bits": bits},
    )


def loss(y: Any, t: Any) -> Any:
    """Nats per bit of what is said after the sign."""
    z, _ = y
    return ob.nn.functional.binary_cross_entropy_with_logits(z[len(t) + 1 :], t)


def scores(trainer: Any, found: Mapping[str, float], lesson: Lesson) -> list[Row]:
    """Bits per sequence of the longest length, and of twice that."""
    longest, bits = lesson.facts["longest"], lesson.facts["bits"]
    rng = np.random.default_rng(0)
    return [
        (f"length {n}", f"{wrong(lesson.model, rng, n, bits):.3f}", f"bits of {n * bits} wrong")
        for n in (longest, 2 * longest)
    ]


def wrong(model: Any, rng: Any, length: int, bits: int) -> float:
    """Bits per sequence that are wrong, on 16 new ones."""
    x, t = task(rng, length, 16, bits)
    with ob.no_grad():
        return loss(model(x), t).item() * length * bits / math.log(2)


def predicted(saved: Mapping[str, Any], data: str, out: TextIO, ask: Any) -> None:
    """One new sequence of the length `data`: what was shown, what it says."""
    facts, model = saved["facts"], saved["model"]
    data = data or str(facts["longest"])
    if not data.isdecimal() or not 1 <= int(data) <= 10_000:
        raise DataError(f"{data!r} is no length of a sequence", want="a whole number from 1")
    rng, length, bits = np.random.default_rng(ask.seed), int(data), facts["bits"]
    x, t = task(rng, length, 1, bits)
    with ob.no_grad():
        z, _ = model(x)
    said = z.numpy()[length + 1 :, 0] > 0
    for name, sequence in (("shown", t[:, 0] > 0), ("said ", said)):
        rows = ("".join("█" if row[i] else "·" for row in sequence) for i in range(bits))
        out.writelines(f"{name if i == 0 else '     '}  {row}\n" for i, row in enumerate(rows))
    right = int((said == (t[:, 0] > 0)).sum())
    out.write(f"{right} of {length * bits} bits right\n")
