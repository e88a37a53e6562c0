"""A Neural Turing Machine learns to copy: it sees a sequence of random bits, then a sign, then
nothing, and has to say the sequence again. It is trained on lengths up to 20 and tried on longer.

python examples/copy_ntm.py
"""

import math

import numpy as np

import overbar as ob

F = ob.nn.functional


def task(rng, length, batch, bits):
    """What it sees (2 length + 1, batch, bits + 1), and what it should say at the end."""
    t = rng.integers(0, 2, (length, batch, bits)).astype(np.float32)
    x = np.zeros((2 * length + 1, batch, bits + 1), np.float32)
    x[:length, :, :bits] = t
    x[length, :, bits] = 1  # the sign
    return x, t


def main(steps=6000, longest=20, bits=8, batch=16, rows=128, width=20, hidden=100, lr=1e-3, seed=0):
    """Bits per sequence that it gets wrong in the last 100 steps; who guesses gets all wrong."""
    model = ob.nn.NTM(bits + 1, bits, hidden, rows, width, rng=ob.random.default_rng(seed))
    optimizer = ob.optim.RMSprop(model.parameters(), lr=lr, momentum=0.9)
    rng = np.random.default_rng(seed)

    def error(x, t):
        """Nats per entry of what is said after the sign."""
        z, _ = model(x)
        return F.binary_cross_entropy_with_logits(z[len(t) + 1 :], t)

    @ob.jit
    def step(x, t):
        L = error(x, t)
        L.backward()
        ob.optim.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        return L

    recent = []
    for i in range(1, steps + 1):
        length = int(rng.integers(1, longest + 1))
        L = float(step(*task(rng, length, batch, bits)))
        recent.append(L * length * bits / math.log(2))
        if i % 500 == 0 or i == steps:
            print(f"step {i:6}   {np.mean(recent[-500:]):.4f} bits per sequence")
    with ob.no_grad():
        for length in (longest // 2, longest, 2 * longest, 4 * longest):
            x, t = task(rng, length, batch, bits)
            wrong = float(error(x, t)) * length * bits / math.log(2)
            print(f"length {length:3}   {wrong:.4f} bits per sequence")
    return np.mean(recent[-100:])


if __name__ == "__main__":
    main()
