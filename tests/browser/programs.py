"""The computations that the explorer's tests look at, in three sizes."""

import numpy as np

import overbar as ob
from overbar import nn


def logistic(w, b, x, t, lam):
    """The regularised logistic example of the lecture notes."""
    z = w * x + b
    y = ob.sigmoid(z)
    L = (y - t) ** 2 / 2
    R = w**2 / 2
    return L + lam * R


class MLP(nn.Module):
    """Three layers."""

    def __init__(self, rng):
        self.fc1 = nn.Linear(4, 8, rng=rng, dtype=np.float64)
        self.fc2 = nn.Linear(8, 8, rng=rng, dtype=np.float64)
        self.fc3 = nn.Linear(8, 3, rng=rng, dtype=np.float64)

    def forward(self, x):
        h1 = ob.tanh(self.fc1(x))
        h2 = ob.tanh(self.fc2(h1))
        return self.fc3(h2)


def mlp():
    """A loss with a penalty, so that every weight is used twice; and its argument."""
    model = MLP(ob.random.default_rng(0))
    draw = np.random.default_rng(0)
    X, T = draw.normal(size=(5, 4)), draw.normal(size=(5, 3))

    def loss(x):
        y = model(x)
        fit = ob.mean((y - T) ** 2)
        penalty = 0.01 * sum(ob.sum(p**2) for p in model.parameters() if p.ndim == 2)
        return fit + penalty

    return loss, (X,)


class Block(nn.Module):
    """Attention and a feed-forward part, each with a residual around it."""

    def __init__(self, n, rng):
        self.q = nn.Linear(n, n, rng=rng, dtype=np.float64)
        self.k = nn.Linear(n, n, rng=rng, dtype=np.float64)
        self.v = nn.Linear(n, n, rng=rng, dtype=np.float64)
        self.o = nn.Linear(n, n, rng=rng, dtype=np.float64)
        self.up = nn.Linear(n, 4 * n, rng=rng, dtype=np.float64)
        self.down = nn.Linear(4 * n, n, rng=rng, dtype=np.float64)
        self.g1, self.g2 = nn.Parameter(np.ones(n)), nn.Parameter(np.ones(n))

    def scaled(self, x, g):
        return x / ob.sqrt(ob.mean(x * x, axis=-1, keepdims=True) + 1e-5) * g

    def forward(self, x):
        h = self.scaled(x, self.g1)
        q, k, v = self.q(h), self.k(h), self.v(h)
        scores = q @ k.mT / np.sqrt(q.shape[-1])
        weights = ob.softmax(scores, axis=-1)
        x = x + self.o(weights @ v)
        h = self.scaled(x, self.g2)
        return x + self.down(ob.relu(self.up(h)))


class Net(nn.Module):
    """Blocks between two linear maps."""

    def __init__(self, n, count, rng):
        self.embed = nn.Linear(n, n, rng=rng, dtype=np.float64)
        self.blocks = nn.ModuleList([Block(n, rng) for _ in range(count)])
        self.head = nn.Linear(n, 5, rng=rng, dtype=np.float64)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def blocks(count, rng=None):
    """A network of so many blocks."""
    return Net(16, count, rng or ob.random.default_rng(0))


def transformer(count):
    """Its loss."""
    model = blocks(count)
    X, T = np.random.default_rng(0).normal(size=(6, 16)), np.arange(6) % 5

    def loss():
        return nn.functional.cross_entropy(model(X), T)

    return loss, ()


def training(count):
    """A compiled step that trains a network of so many blocks, and its arguments."""
    model = blocks(count)
    optimizer = ob.optim.SGD(model.parameters(), lr=0.1)

    @ob.jit
    def step(x, t):
        y = model(x)
        loss = nn.functional.cross_entropy(y, t)
        size = ob.linalg.pinv(y.mT @ y + ob.eye(5)).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss, size

    return step, np.random.default_rng(0).normal(size=(6, 16)), np.arange(6) % 5


def cancels(x):
    """What goes back to x adds up to nothing."""
    y = 3.0 * x
    return y * y - 9.0 * x * x


def broken(x):
    """A logarithm of what is not positive."""
    with np.errstate(all="ignore"):
        return ob.sum(ob.log(x) * 2.0)
