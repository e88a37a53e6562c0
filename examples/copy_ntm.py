"""A Neural Turing Machine learns to copy: it sees a sequence of random bits, then a sign, then
nothing, and has to say the sequence again. It is trained on lengths up to 20 and tried on longer.

Gradients are tiny once it copies, and then one comes that is a thousand times larger. Three things
keep that from undoing what was learnt: gradients are clipped at the size that they have late; with
β₂ = 0.99, Adam moves nothing by much more than the rate, however large a gradient is beside those
before it; and the rate falls to zero.

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


def error(model, x, t):
    """Nats per bit of what is said after the sign."""
    z, _ = model(x)
    return F.binary_cross_entropy_with_logits(z[len(t) + 1 :], t)


def wrong(model, length, bits, batch=64):
    """Bits per sequence that it gets wrong, on new ones; who guesses gets all wrong."""
    with ob.no_grad():
        L = error(model, *task(np.random.default_rng(length), length, batch, bits))
    return float(L) * length * bits / math.log(2)


def picture(model, length, bits):
    """The rows of the memory, downwards, that are written while it sees and read while it says."""
    x, _ = task(np.random.default_rng(0), length, 1, bits)
    state, at = model.start(1), []
    with ob.no_grad():
        for row in x:
            _, state = model.step(row, state)
            at.append(state.at.numpy()[0])
    read, write = np.array(at).transpose(1, 2, 0)  # (rows, steps) each
    panels = write[:, :length], read[:, length + 1 :]
    seen = [i for i in range(len(read)) if max(panel[i].max() for panel in panels) > 0.1]
    shades = np.array(list(" ░▒▓█"))
    lines = ("   ".join("".join(shades[np.rint(4 * panel[i]).astype(int)]) for panel in panels)
             for i in seen)  # fmt: skip
    return "\n".join([f"{'written':{length}}   read", *lines])


def main(steps=3000, longest=20, bits=8, batch=16, rows=128, width=20, hidden=100, lr=3e-3, seed=0):
    """Bits per sequence that it gets wrong, by length: all it was trained on, and longer ones."""
    model = ob.nn.NTM(bits + 1, bits, hidden, rows, width, rng=ob.random.default_rng(seed))
    optimizer = ob.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.99))
    falling = ob.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: ob.minimum(1.0, 1.5 * (1 - n / steps))
    )
    rng = np.random.default_rng(seed)

    @ob.jit
    def step(x, t):
        L = error(model, x, t)
        L.backward()
        ob.optim.clip_grad_norm_(model.parameters(), 0.01)
        optimizer.step()
        falling.step()
        optimizer.zero_grad()
        return L

    recent = []
    for i in range(1, steps + 1):
        length = int(rng.integers(1, longest + 1))
        L = float(step(*task(rng, length, batch, bits)))
        recent.append(L * length * bits / math.log(2))
        if i % 500 == 0 or i == steps:
            last = recent[-500:]
            print(f"step {i:6}   {np.mean(last):8.4f} bits per sequence, {max(last):8.4f} at worst")
    longer = [round(longest * times) for times in (1.5, 2, 3, 4, 6)]
    found = {n: wrong(model, n, bits) for n in [*range(1, longest + 1), *longer]}
    for n in (longest // 2, longest, *longer):
        print(f"length {n:4}   {found[n]:8.4f} bits per sequence")
    print(f"at worst {max(found[n] for n in range(1, longest + 1)):.4f} up to length {longest}")
    print(picture(model, longest, bits))
    return found


if __name__ == "__main__":
    main()
