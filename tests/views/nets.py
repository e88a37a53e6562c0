"""Programs that the tests of drawings draw: small and large, with and without modules."""

import numpy as np

import overbar as ob

nn = ob.nn


def draws(seed=0):
    return np.random.default_rng(seed)


def logistic():
    w = ob.tensor(0.5, requires_grad=True)
    b = ob.tensor(0.5, requires_grad=True)
    x, t, lam = 1.0, 1.0, 0.01
    z = w * x + b
    y = ob.sigmoid(z)
    L = (y - t) ** 2 / 2
    R = w**2 / 2
    Lr = L + lam * R
    return Lr  # noqa: RET504  (the name is what is drawn)


def shared():
    """S3-9: a = x y + z, b = a (x + x), w = a b + b."""
    x = ob.tensor(2.0, requires_grad=True)
    y = ob.tensor(3.0, requires_grad=True)
    z = ob.tensor(1.0, requires_grad=True)
    a = x * y + z
    b = a * (x + x)
    w = a * b + b
    return w  # noqa: RET504


def two_paths():
    """S0-2: l = h2 h3 with h2 = 2 h1², h3 = h1 + y, h1 = 2 x."""
    x = ob.tensor(3.0, requires_grad=True)
    y = ob.tensor(5.0)
    h1 = 2 * x
    h2 = 2 * h1**2
    h3 = h1 + y
    loss = h2 * h3
    return loss  # noqa: RET504


def mlp():
    r = draws()
    model = nn.Sequential(
        nn.Linear(4, 8, rng=ob.random.default_rng(0)),
        nn.Tanh(),
        nn.Linear(8, 8, rng=ob.random.default_rng(1)),
        nn.ReLU(),
        nn.Linear(8, 3, rng=ob.random.default_rng(2)),
    )
    x = r.normal(size=(5, 4)).astype(np.float32)
    return nn.functional.cross_entropy(model(x), np.array([0, 1, 2, 0, 1]))


class Block(nn.Module):
    """One block of a transformer, without its norms."""

    def __init__(self, d):
        self.q, self.k, self.v = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)
        self.o, self.fc1, self.fc2 = nn.Linear(d, d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.d = d

    def forward(self, x):
        z = x - ob.mean(x, axis=-1, keepdims=True)
        s = self.q(z) @ self.k(z).mT / self.d**0.5
        a = ob.softmax(s) @ self.v(z)
        x = x + self.o(a)
        h = ob.relu(self.fc1(x))
        return x + self.fc2(h)


class Transformer(nn.Module):
    def __init__(self, blocks, d=16):
        self.embed = nn.Linear(d, d)
        self.blocks = nn.ModuleList([Block(d) for _ in range(blocks)])
        self.head = nn.Linear(d, 4)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def transformer(blocks=12):
    ob.random.seed(0)
    model = Transformer(blocks)
    y = model(draws().normal(size=(8, 16)).astype(np.float32))
    loss = ob.mean(y * y)
    return loss  # noqa: RET504


def rnn(steps=64):
    r = draws()
    Wx = ob.tensor(r.normal(size=(3, 8)) * 0.5, requires_grad=True)
    Wh = ob.tensor(r.normal(size=(8, 8)) * 0.3, requires_grad=True)
    b = ob.tensor(np.zeros(8), requires_grad=True)
    h, L = ob.tensor(np.zeros((4, 8))), 0.0
    for x in r.normal(size=(steps, 4, 3)):
        h = ob.tanh(x @ Wx + h @ Wh + b)
        L = L + ob.sum(h * h)
    return L


def stacked_rnn(steps=12):
    """All losses meet in one sum: a wide fan-in of long edges."""
    r = draws()
    Wh = ob.tensor(r.normal(size=(4, 4)) * 0.3, requires_grad=True)
    h, losses = ob.tensor(np.ones(4)), []
    for x in r.normal(size=(steps, 4)):
        h = ob.tanh(x + h @ Wh)
        losses.append(ob.sum(h * h))
    return ob.sum(ob.stack(losses))


def lstm(steps=24, inputs=3, hidden=6):
    r = draws()
    W = ob.tensor(r.normal(size=(inputs + hidden, 4 * hidden)) * 0.3, requires_grad=True)
    b = ob.tensor(np.zeros(4 * hidden), requires_grad=True)
    h, c = ob.tensor(np.zeros((2, hidden))), ob.tensor(np.zeros((2, hidden)))
    for x in r.normal(size=(steps, 2, inputs)):
        a = ob.concat([ob.asarray(x), h], axis=1) @ W + b
        i, f, g, o = ob.split(a, 4, axis=1)
        c = ob.sigmoid(f) * c + ob.sigmoid(i) * ob.tanh(g)
        h = ob.sigmoid(o) * ob.tanh(c)
    return ob.sum(h * h)


class Convolution(nn.Module):
    def __init__(self, inputs, outputs, size, **how):
        r = draws(inputs * outputs)
        self.weight = nn.Parameter(r.normal(size=(outputs, inputs, size, size)) * 0.1)
        self.bias = nn.Parameter(np.zeros((outputs, 1, 1)))
        self.how = how

    def forward(self, x):
        return ob.conv(x, self.weight, **self.how) + self.bias


class Pooling(nn.Module):
    def forward(self, x):
        return ob.max_pool(x, 2, stride=2)


class LikeAlexNet(nn.Module):
    """Its layers, with fewer channels."""

    def __init__(self):
        self.features = nn.Sequential(
            Convolution(3, 8, 5, padding=2), nn.ReLU(), Pooling(),
            Convolution(8, 12, 5, padding=2), nn.ReLU(), Pooling(),
            Convolution(12, 16, 3, padding=1), nn.ReLU(),
            Convolution(16, 16, 3, padding=1), nn.ReLU(),
            Convolution(16, 12, 3, padding=1), nn.ReLU(), Pooling(),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(48, 32), nn.ReLU(),
            nn.Dropout(0.5), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10),
        )  # fmt: skip

    def forward(self, x):
        x = self.features(x)
        x = ob.reshape(x, (x.shape[0], -1))
        return self.classifier(x)


def alexnet():
    ob.random.seed(0)
    logits = LikeAlexNet()(draws().normal(size=(2, 3, 16, 16)))
    loss = nn.functional.cross_entropy(logits, np.array([1, 2]))
    return loss  # noqa: RET504


def diamonds(count=5):
    y = x = ob.tensor(0.7, requires_grad=True)
    del x
    for _ in range(count):
        a = ob.sin(y)
        b = ob.cos(y)
        y = a * b + a
    return y


def fan(count=24):
    ws = [ob.tensor(float(i + 1), requires_grad=True, name=f"w{i}") for i in range(count)]
    L = ob.sum(ob.stack([w * w for w in ws]))
    return L  # noqa: RET504


def newton(steps=6):
    a = ob.tensor(2.0, requires_grad=True)
    x = a
    for _ in range(steps):
        x = (x + a / x) / 2
    return x


def residual(layers=8):
    """Each layer is skipped once, and the first value is used at every third."""
    r = draws()
    h = first = ob.tanh(ob.tensor(r.normal(size=4), requires_grad=True))
    for i in range(layers):
        W = ob.tensor(r.normal(size=(4, 4)), requires_grad=True, name=f"W{i}")
        h = h + ob.tanh(h @ W)
        if i % 3 == 2:
            h = h * first
    return ob.sum(h)


def looped(length=20):
    r = draws()
    W = ob.tensor(r.normal(size=(4, 4)) * 0.3, requires_grad=True)

    def body(h, x):
        h = ob.tanh(h @ W + x)
        return h, h

    h, ys = ob.scan(body, ob.tensor(np.zeros(4)), r.normal(size=(length, 4)))
    L = ob.sum(ys**2) + ob.sum(h)
    return L  # noqa: RET504


def tied():
    """A parameter used in four places."""
    w = ob.tensor(1.5, requires_grad=True)
    a = ob.sin(w)
    b = ob.cos(w)
    c = ob.exp(w)
    d = ob.tanh(w)
    L = a * b + c * d
    return L  # noqa: RET504


def tangle(size, seed=1):
    """A long program without any structure."""
    r = np.random.default_rng(seed)
    made = [ob.tensor(r.normal(size=3), requires_grad=True)]
    rules = [ob.sin, ob.cos, ob.tanh, ob.sigmoid]
    for _ in range(size):
        early = made[max(0, len(made) - 1 - int(r.integers(0, 5)))]
        h = rules[int(r.integers(4))](early) * made[-1]
        made.append(h)
    return ob.sum(made[-1])


EVERY = {
    "logistic": logistic, "shared": shared, "two_paths": two_paths, "mlp": mlp,
    "transformer": lambda: transformer(3), "rnn": lambda: rnn(6), "lstm": lambda: lstm(4),
    "alexnet": alexnet, "diamonds": diamonds, "fan": fan, "residual": residual, "looped": looped,
    "tied": tied, "tangle": lambda: tangle(60),
}  # fmt: skip
LARGE = {
    "transformer": lambda: transformer(12), "rnn": rnn, "lstm": lstm, "tangle": lambda: tangle(700),
    "fan": lambda: fan(300),
}  # fmt: skip
