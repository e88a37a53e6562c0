"""Constructors of the library refuse arguments of the wrong kind, and say which."""

import contextlib
import inspect
import itertools

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DTypeError, OverbarError

NN, OPTIM, RATES = ob.nn, ob.optim, ob.optim.lr_scheduler
WRONG = ["word", None, -1, 1.5, float("nan"), [1], (1, 2, 3, 4), {}, object(), np.ones(2)]
NET = NN.Linear(2, 2)
SGD = OPTIM.SGD(NET.parameters(), lr=0.1)
LOADER = ob.data.DataLoader((np.ones((4, 2)), np.ones((4, 2))), batch_size=2)
PARAMETERS = list(NET.parameters())
MADE = [
    (NN.Linear, (2, 3)), (NN.Conv2d, (2, 3, 3)), (NN.ConvTranspose1d, (2, 3, 3)),
    (NN.Embedding, (5, 3)), (NN.LSTM, (2, 3)), (NN.GRUCell, (2, 3)), (NN.LayerNorm, (3,)),
    (NN.BatchNorm1d, (3,)), (NN.GroupNorm, (2, 4)), (NN.MultiheadAttention, (4, 2)),
    (NN.TransformerEncoderLayer, (4, 2)), (NN.Dropout, ()), (NN.MaxPool2d, (2,)), (NN.ELU, ()),
    (OPTIM.SGD, (PARAMETERS,)), (OPTIM.Adam, (PARAMETERS,)), (OPTIM.RMSprop, (PARAMETERS,)),
    (OPTIM.LBFGS, (PARAMETERS,)), (RATES.StepLR, (SGD, 3)), (RATES.MultiStepLR, (SGD, [3, 4])),
    (RATES.CosineAnnealingLR, (SGD, 5)), (RATES.LinearLR, (SGD,)),
    (RATES.LambdaLR, (SGD, lambda n: 1.0)), (RATES.ReduceLROnPlateau, (SGD,)),
    (ob.Trainer, (NET, NN.functional.mse_loss, SGD, LOADER)),
]  # fmt: skip


@pytest.mark.parametrize(("made", "args"), MADE, ids=[made.__name__ for made, _ in MADE])
def test_nothing_but_overbars_errors_comes_of_a_wrong_argument(made, args):
    made(*args)
    names = [n for n in inspect.signature(made).parameters if n not in ("rng", "settings")]
    for (i, name), wrong in itertools.product(enumerate(names), WRONG):
        given, words = list(args), {}
        if i < len(args):
            given[i] = wrong
        else:
            words[name] = wrong
        with contextlib.suppress(OverbarError):
            made(*given, **words)


def test_the_argument_is_named():
    with pytest.raises(DTypeError, match=r"Linear: in_features is 'a'\nwanted a whole number"):
        NN.Linear("a", 2)
    with pytest.raises(DTypeError, match=r"SGD: lr is 'a'\nwanted a number"):
        OPTIM.SGD(PARAMETERS, "a")
    with pytest.raises(DTypeError, match=r"StepLR: optimizer is None\nwanted an optimiser"):
        RATES.StepLR(None, 3)
    with pytest.raises(TypeError, match=r"missing 1 required positional argument"):
        NN.Linear(2)


def test_numbers_of_numpys_are_numbers():
    assert NN.Linear(np.int64(2), np.int32(3)).weight.shape == (3, 2)
    assert float(OPTIM.SGD(PARAMETERS, np.float32(0.5)).lr) == 0.5
    assert float(OPTIM.SGD(PARAMETERS, ob.tensor(0.5)).lr) == 0.5
