"""The training step of every model: each gives (the step, its arguments, the model)."""

import numpy as np

import overbar as ob

F = ob.nn.functional


def rng():
    return ob.random.default_rng(0)


def training(model, error, *args):
    """A step that moves the parameters of a model against an error of it."""
    optimizer = ob.optim.SGD(model.parameters(), lr=1e-3)

    def step(x, t):
        L = error(x, t)
        L.backward()
        optimizer.step()
        optimizer.zero_grad()
        return L

    return step, args, model


def images(model, *shape):
    """A classifier of two images, or of two rows."""
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    return training(model, lambda x, t: F.cross_entropy(model(x), t), x, np.arange(2))


def text(model, length, logits):
    """A model of what comes next, on two pieces of a text."""
    rows = np.random.default_rng(0).integers(0, 27, (2, length + 1))
    args = rows[:, :-1], rows[:, 1:]
    return training(model, lambda x, t: F.cross_entropy(logits(x), t, axis=-1), *args)


def copying(length, said):
    """The copy task: `said(model, x)` is what a Neural Turing Machine says."""
    model = ob.nn.NTM(5, 4, 8, 6, 3, rng=rng())
    t = np.random.default_rng(0).integers(0, 2, (length, 2, 4)).astype(np.float32)
    x = np.zeros((2 * length + 1, 2, 5), np.float32)
    x[:length, :, :4] = t
    x[length, :, 4] = 1

    def error(x, t):
        return F.binary_cross_entropy_with_logits(said(model, x)[-len(t) :], t)

    return training(model, error, x, t)


def written_out(model, x):
    """The machine's loop, in Python."""
    state, said = model.start(x.shape[1]), []
    for t in range(len(x)):
        y, state = model.step(x[t], state)
        said.append(y)
    return ob.stack(said)


def alexnet():
    return images(ob.models.AlexNet(rng=rng()), 3, 224, 224)


def charlstm(length=6):
    model = ob.models.CharLSTM(27, 8, rng=rng())
    return text(model, length, lambda x: model(x)[0])


def ntm(length=2):
    return copying(length, lambda model, x: model(x)[0])


def ntm_written_out(length=2):
    return copying(length, written_out)


def gpt(layers=2):
    model = ob.models.GPT(27, 8, 8, 2, layers, rng=rng())
    return text(model, 6, model)


SMALL = {
    "mlp": lambda: images(ob.models.MLP((8, 6, 4), rng=rng()), 8),
    "lenet": lambda: images(ob.models.LeNet(rng=rng()), 1, 28, 28),
    "charlstm": charlstm, "ntm": ntm, "ntm written out": ntm_written_out, "gpt": gpt,
}  # fmt: skip
