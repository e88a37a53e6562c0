"""An LSTM learns to write like Shakespeare, one character at a time.

It reads the text in parallel lanes, each chunk going on with the state that the last one ended in.

python examples/sonnets_lstm.py
"""

import math

import numpy as np

import overbar as ob

F = ob.nn.functional


def main(epochs=40, hidden=128, lanes=8, chunk=64, seed=0):
    """The loss of the last epoch, in bits per character."""
    rng = ob.random.default_rng(seed)
    text, characters = ob.data.sonnets()
    model = ob.models.CharLSTM(len(characters), hidden, rng=rng)
    optimizer = ob.optim.Adam(model.parameters(), lr=4e-3)
    long = (len(text) - 1) // lanes
    x, t = (
        text[: lanes * long].reshape(lanes, long),
        text[1 : lanes * long + 1].reshape(lanes, long),
    )

    @ob.jit
    def step(x, t, state):
        z, state = model(x, state)
        L = F.cross_entropy(z, t, axis=-1)
        L.backward()
        ob.optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return L, ob.tree_map(ob.stop_gradient, state)

    for epoch in range(1, epochs + 1):
        losses, state = [], (np.zeros((1, lanes, hidden), np.float32),) * 2
        for start in range(0, long - chunk + 1, chunk):
            L, state = step(x[:, start : start + chunk], t[:, start : start + chunk], state)
            losses.append(float(L))
        bits = np.mean(losses) / math.log(2)
        if epoch % 10 == 0 or epoch == epochs:
            begin = np.array([[characters.index(c) for c in "Shall I "]])
            more = model.generate(begin, 60, temperature=0.5, rng=rng)[0]
            print(
                f"epoch {epoch:3}   {bits:.3f} bits   Shall I "
                + "".join(characters[i] for i in more)
            )
    return bits


if __name__ == "__main__":
    main()
