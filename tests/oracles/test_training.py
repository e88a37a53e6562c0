"""The Trainer beside a loop written for torch: losses and weights, step by step."""

import numpy as np
import pytest
import torch

import overbar as ob
from overbar.nn import functional as F  # noqa: N812


@pytest.mark.parametrize("compiled", [False, True])
def test_the_steps_of_a_trainer_are_torchs_with_schedule_and_clipping(compiled, rng):
    model = ob.models.MLP((5, 6, 3), "tanh", rng=ob.random.default_rng(0), dtype=np.float64)
    x = rng.standard_normal((46, 5))
    data = x, (x[:, 0] > x[:, 1]).astype(np.int64) + (x[:, 2] > 1)
    twin = torch.nn.Sequential(
        torch.nn.Linear(5, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)
    ).double()
    for p, q in zip(twin.parameters(), model.parameters(), strict=True):
        p.data = torch.tensor(q.numpy().copy())
    theirs = torch.optim.SGD(twin.parameters(), 0.5, momentum=0.9)
    rates = torch.optim.lr_scheduler.ExponentialLR(theirs, 0.9)
    optimizer = ob.optim.SGD(model.parameters(), 0.5, momentum=0.9)
    one = ob.Trainer(
        model, F.cross_entropy, optimizer, ob.data.DataLoader(data, 10),
        schedule=ob.optim.lr_scheduler.ExponentialLR(optimizer, 0.9), clip=0.2, compiled=compiled,
    )  # fmt: skip
    losses = []
    for _ in one.epochs(2, after_step=losses.append):
        pass
    x, t = map(torch.tensor, data)
    for i, loss in enumerate(losses):
        k = 10 * (i % 5)
        theirs.zero_grad()
        want = torch.nn.functional.cross_entropy(twin(x[k : k + 10]), t[k : k + 10])
        want.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.2)
        theirs.step()
        rates.step()
        assert loss == pytest.approx(want.item(), rel=1e-12)
    for p, q in zip(twin.parameters(), model.parameters(), strict=True):
        np.testing.assert_allclose(q.numpy(), p.detach().numpy(), rtol=1e-11, atol=1e-13)
