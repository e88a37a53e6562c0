"""Which letter came first? A hundred letters later a tanh RNN cannot say, and an LSTM can.

The gradient of the loss by the state after a letter shrinks with every step that it goes back
through an RNN, so that nothing is learnt of what came first. An LSTM carries its cell as far as its
forget gate is open. As layers begin the gate is half open, and the gradient vanishes as fast: so it
is told to remember, and begins with a forget gate of σ(5), almost open, and an input gate of σ(−2),
almost shut, because most letters are of no use.

python examples/long_lag.py
"""

import numpy as np

import overbar as ob

F = ob.nn.functional


class Reader(ob.nn.Module):
    """A recurrent layer, and a guess from the state it is left in."""

    def __init__(self, layer, letters, rng):
        self.layer = layer
        self.guess = ob.nn.Linear(layer.hidden_size, letters, rng=rng)

    def forward(self, x, state=None):
        _, state = self.layer(x, state)
        h = state[0] if isinstance(state, tuple) else state
        return self.guess(h[-1]), state


def task(rng, lag, batch, letters):
    """Random letters (lag + 1, batch, letters), one-hot, and which of them came first."""
    drawn = rng.integers(0, letters, (lag + 1, batch))
    return np.eye(letters, dtype=np.float32)[drawn], drawn[0]


def remembering(lstm):
    """The same LSTM with a forget gate almost open and an input gate almost shut."""
    bias = np.zeros((4, lstm.hidden_size), np.float32)  # the rows of i, f, g, o
    bias[0], bias[1] = -2, 5
    lstm.bias_ih_l0 = ob.nn.Parameter(ob.tensor(bias.ravel()))
    lstm.bias_hh_l0 = ob.nn.Parameter(ob.zeros_like(lstm.bias_hh_l0))
    return lstm


def flow(model, x, t):
    """‖∂L/∂state‖ after each letter but the last."""
    state, states = None, []
    for letter in x:
        z, state = model(letter[None], state)
        states.append(state)
    bars = ob.adjoint(F.cross_entropy(z, t), states[:-1])
    parts = [[np.float64(b.numpy()) for b in ob.tree_flatten(bar)[0]] for bar in bars]
    return np.array([np.linalg.norm(np.stack(each)) for each in parts])


def trained(model, rng, steps, sizes, lr):
    """How often it is right in the last tenth of the steps, each on new sequences."""
    optimizer = ob.optim.Adam(model.parameters(), lr=lr)

    @ob.jit
    def step(x, t):
        z, _ = model(x)
        L = F.cross_entropy(z, t)
        L.backward()
        ob.optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return z

    right = []
    for _ in range(steps):
        x, t = task(rng, *sizes)
        right.append((step(x, t).numpy().argmax(1) == t).mean())
    return np.mean(right[-(steps // 10) :])


def main(steps=1500, lag=100, letters=8, batch=64, hidden=32, lr=3e-3, seed=0):
    """By name: ‖∂L/∂state‖ after each letter, before training; how often it is right, after."""
    sizes, found = (lag, batch, letters), {}
    marks = [lag * fifth // 5 for fifth in range(5)] + [lag - 1]
    print(f"‖∂L/∂state‖ after letter{'':8}" + "".join(f"{t:8}" for t in marks) + "     right")
    for name in ("RNN", "LSTM", "LSTM told to remember"):
        weights, rng = ob.random.default_rng(seed), np.random.default_rng(seed)
        kind = ob.nn.RNN if name == "RNN" else ob.nn.LSTM
        layer = kind(letters, hidden, rng=weights)
        model = Reader(remembering(layer) if "told" in name else layer, letters, weights)
        norms = flow(model, *task(rng, *sizes))
        right = trained(model, rng, steps, sizes, lr)
        found[name] = norms, right
        print(f"{name:32}" + "".join(f"{norms[t]:8.0e}" for t in marks) + f"{right:10.1%}")
    print(f"{'a guess':80}{1 / letters:10.1%}")
    return found


if __name__ == "__main__":
    main()
