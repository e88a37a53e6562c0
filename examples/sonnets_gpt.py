"""A small Transformer learns to write like Shakespeare, one character at a time.

Its goal is less than one bit per character; the letters' frequencies alone need 4.4.

python examples/sonnets_gpt.py
"""

import math

import numpy as np

import overbar as ob

F = ob.nn.functional


def main(steps=600, context=64, width=96, heads=4, layers=3, batch=16, goal=1.0, seed=0):
    """The loss of the last 50 steps, in bits per character."""
    rng = ob.random.default_rng(seed)
    text, characters = ob.data.sonnets()
    model = ob.models.GPT(len(characters), context, width, heads, layers, rng=rng)
    optimizer = ob.optim.AdamW(model.parameters(), lr=2e-3)
    draw = np.random.default_rng(seed)

    @ob.jit
    def step(rows):
        L = F.cross_entropy(model(rows[:, :-1]), rows[:, 1:], axis=-1)
        L.backward()
        ob.optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return L

    losses = []
    for i in range(1, steps + 1):
        starts = draw.integers(0, len(text) - context - 1, batch)
        losses.append(float(step(np.stack([text[s : s + context + 1] for s in starts]))))
        if i % 100 == 0 or i == steps:
            bits = np.mean(losses[-50:]) / math.log(2)
            begin = np.array([[characters.index(c) for c in "Shall I "]])
            more = model.generate(begin, context - 8, temperature=0.5, rng=rng)[0]
            print(f"step {i:4}   {bits:.3f} bits   Shall I " + "".join(characters[j] for j in more))
    print(f"the goal of {goal} bits is", "reached" if bits < goal else "missed")
    return bits


if __name__ == "__main__":
    main()
