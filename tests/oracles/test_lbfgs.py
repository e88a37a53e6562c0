"""L-BFGS against torch: the same parameters after the same number of steps."""

import numpy as np
import pytest
import torch

import overbar as ob
from overbar import optim

SETTINGS = {
    "plain": {"lr": 1e-3},
    "a short memory": {"lr": 0.1, "history_size": 2},
    "line search": {"line_search_fn": "strong_wolfe"},
    "line search, few steps": {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 7},
    "few runs": {"line_search_fn": "strong_wolfe", "max_eval": 6},
    "a rough tolerance": {"line_search_fn": "strong_wolfe", "tolerance_change": 1e-2},
}


def chain(xp, x, y):
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2) + xp.sum(xp.cos(y) * y * y)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_lbfgs_moves_as_torchs_does(settings):
    start = [np.array([-1.2, 1.0, 0.5, 0.3]), np.array([[0.4, 0.2]])]
    mine = [ob.tensor(a, requires_grad=True) for a in start]
    other = [torch.tensor(a, requires_grad=True) for a in start]
    opt, their_opt = optim.LBFGS(mine, **settings), torch.optim.LBFGS(other, **settings)

    def closure():
        opt.zero_grad()
        loss = chain(ob, *mine)
        loss.backward()
        return loss

    def their_closure():
        their_opt.zero_grad()
        loss = chain(torch, *other)
        loss.backward()
        return loss

    for _ in range(4):
        loss, theirs = opt.step(closure), their_opt.step(their_closure)
        assert float(loss) == pytest.approx(float(theirs.detach()), rel=1e-9)
    for p, q in zip(mine, other, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-7, atol=1e-9)
