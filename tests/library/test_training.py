"""The Trainer: its step is the formula's, and an interrupted training goes on bit for bit."""

import csv
import io
import math
import sys

import numpy as np
import pytest

import overbar as ob
from overbar import metrics
from overbar.errors import DataError, DomainError, NonFiniteError, StructureError
from overbar.nn import functional as F  # noqa: N812
from overbar.training import fit, predict

S = ob.optim.lr_scheduler


@pytest.fixture
def data(rng):
    x = rng.standard_normal((46, 5))
    return x, (x[:, 0] > x[:, 1]).astype(np.int64) + (x[:, 2] > 1)


def vary(rng, x, t):
    return x + 0.01 * rng.standard_normal(x.shape), t


def trainer(data, *, seed=0, numpy=False, loader=None, schedule=None, **settings):
    """Everything that can be random is: weights, order, noise on the data, Dropout."""
    ob.random.seed(seed)
    rng = ob.random.default_rng(seed)
    model = ob.nn.Sequential(
        ob.nn.Linear(5, 8, rng=rng),
        ob.nn.Tanh(),
        ob.nn.Dropout(0.3),
        ob.nn.Dropout(0.1, rng=ob.random.default_rng(7)),
        ob.nn.BatchNorm1d(8),
        ob.nn.Linear(8, 3, rng=rng),
    )
    optimizer = ob.optim.Adam(model.parameters(), lr=0.01)
    if loader is None:
        draws = np.random.default_rng(seed) if numpy else rng
        how = {"shuffle": True, "rng": draws, "transform": vary, "prefetch": 2 * numpy}
        loader = ob.data.DataLoader(data, 8, **how)
    validation = ob.data.DataLoader(data, 20)
    schedule = schedule(optimizer) if schedule else S.CosineAnnealingLR(optimizer, 30)
    return ob.Trainer(
        model, F.cross_entropy, optimizer, loader, validation=validation,
        metrics=[metrics.accuracy], schedule=schedule, **settings,
    )  # fmt: skip


def weights(trainer):
    return [t.numpy() for t in trainer.model.state_dict().values()]


def same(one, other):
    """Every bit of the weights, the optimiser and the record, but for the seconds."""
    assert all(np.array_equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))
    states = [t.optimizer.state_dict()["state"] for t in (one, other)]
    assert all(np.array_equal(states[0][k].numpy(), states[1][k].numpy()) for k in states[0])
    rows = [[e._replace(seconds=0) for e in t.record.epochs] for t in (one, other)]
    assert rows[0] == rows[1]
    assert one.record.steps == other.record.steps
    return True


# -- exact resume -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole():
    """Trainings that nobody interrupted, made once."""
    found = {}

    def of(data, **settings):
        key = str(sorted(settings.items()))
        if key not in found:
            found[key] = trainer(data, **settings)
            found[key].fit(5)
        return found[key]

    return of


@pytest.fixture
def fixed():
    draw = np.random.default_rng(0)
    x = draw.standard_normal((46, 5))
    return x, (x[:, 0] > x[:, 1]).astype(np.int64) + (x[:, 2] > 1)


@pytest.mark.parametrize(
    ("stop", "numpy"), [(1, False), (5, False), (6, True), (9, True), (12, False), (29, False)]
)
def test_an_interrupted_training_goes_on_bit_for_bit(stop, numpy, fixed, whole, tmp_path):
    """At the first step, before a ragged batch, after it, in the middle, at the last.

    Before it: that batch is then the first to be compiled, and would get other code.
    """
    path = tmp_path / "run.safetensors"
    first = trainer(fixed, numpy=numpy, checkpoint=path, every=1)
    first.fit(steps=stop)
    assert first.record.steps == stop
    second = trainer(fixed, numpy=numpy, seed=9)
    ob.load(path, into=second)
    second.fit(5)
    assert same(second, whole(fixed, numpy=numpy))


def test_with_accumulation_clipping_and_patience_too(fixed, whole, tmp_path):
    settings = {"accumulate": 3, "clip": 0.5, "patience": 4}
    path = tmp_path / "run.safetensors"
    trainer(fixed, **settings, checkpoint=path, every=1).fit(steps=5)
    second = trainer(fixed, seed=9, **settings)
    ob.load(path, into=second)
    second.fit(5)
    assert same(second, whole(fixed, **settings))


def test_a_list_of_batches_is_gone_on_with_by_counting(fixed, tmp_path):
    batches = [(fixed[0][i : i + 9], fixed[1][i : i + 9]) for i in range(0, 45, 9)]
    straight = trainer(fixed, loader=batches)
    straight.fit(3)
    first = trainer(fixed, loader=batches)
    first.fit(steps=7)
    ob.save(first, tmp_path / "run.safetensors")
    second = trainer(fixed, loader=batches, seed=3)
    ob.load(tmp_path / "run.safetensors", into=second)
    second.fit(3)
    assert same(second, straight)


def test_going_on_in_the_same_process_is_the_same(fixed, whole):
    straight = whole(fixed)
    one = trainer(fixed)
    for steps in (4, 6, 17):
        one.fit(steps=steps)
    one.fit(5)
    assert same(one, straight)


@pytest.mark.parametrize("kind", [S.ReduceLROnPlateau, lambda o: S.StepLR(o, 2)])
def test_schedules_of_epochs_go_on_too(kind, fixed, tmp_path):
    settings = {"schedule": kind, "per": "epoch", "compiled": False}
    straight = trainer(fixed, **settings)
    straight.fit(4)
    first = trainer(fixed, **settings)  # made here, since both draw from the default generator
    first.fit(2)
    ob.save(first, tmp_path / "run.safetensors")
    second = trainer(fixed, seed=5, **settings)
    ob.load(tmp_path / "run.safetensors", into=second)
    second.fit(4)
    assert same(second, straight)


def test_a_checkpoint_of_another_training_is_refused_and_nothing_changes(fixed, tmp_path):
    path = tmp_path / "run.safetensors"
    other = ob.nn.Linear(5, 3)
    ob.save(
        ob.Trainer(other, F.cross_entropy, ob.optim.Adam(other.parameters()),
                   ob.data.DataLoader(fixed, 8)),
        path,
    )  # fmt: skip
    mine = trainer(fixed)
    before = weights(mine)
    with pytest.raises(StructureError):
        ob.load(path, into=mine)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(mine), strict=True))


def test_a_generator_that_cannot_be_saved_is_named(fixed):
    class Orders:
        def permutation(self, n):
            return np.arange(n)

    loader = ob.data.DataLoader(fixed, 8, shuffle=True, rng=Orders())
    with pytest.raises(DataError, match="generator of loader has no state"):
        trainer(fixed, loader=loader).state_dict()


def test_a_failure_while_writing_leaves_the_checkpoint(fixed, tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    one = trainer(fixed, checkpoint=path)
    one.fit(1)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        one.fit(2)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


# -- the step ---------------------------------------------------------------------------------


def linear(seed=0):
    return ob.models.MLP((5, 6, 3), "tanh", rng=ob.random.default_rng(seed), dtype=np.float64)


@pytest.mark.parametrize(("parts", "compiled"), [(2, True), (6, True), (3, False)])
def test_accumulating_is_the_large_batch(parts, compiled, data):
    """46 rows in batches of 8: the last step, and its last batch, are smaller."""
    found = []
    for batch, accumulate in ((8, parts), (8 * parts, 1)):
        model = linear()
        one = ob.Trainer(
            model, F.cross_entropy, ob.optim.Adam(model.parameters(), 0.05),
            ob.data.DataLoader(data, batch), accumulate=accumulate, clip=0.1, compiled=compiled,
        )  # fmt: skip
        history = one.fit(3)
        found.append(([p.numpy() for p in model.parameters()], [e.loss for e in history]))
        assert one.record.steps == 3 * math.ceil(46 / (8 * parts))
    for one, other in zip(*found, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_compiled_and_eager_train_alike(data):
    found = []
    for compiled in (True, False):
        one = trainer(data, compiled=compiled)
        found.append([e.loss for e in one.fit(3)])
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_neither_schedule_nor_batch_nor_epoch_compiles_anew(data):
    """Two traces: the whole batch, and the ragged one, which has the same code."""
    one = trainer(data)
    one.fit(1)
    after_one = one.step.why_compiled()
    one.fit(4)
    assert one.step.why_compiled() == after_one
    assert len(after_one.splitlines()) == 2
    assert "only the leading size" in after_one.splitlines()[1]
    assert "2 traces" in one.step.report()
    assert len(one.judge.why_compiled().splitlines()) == 2


def test_accumulating_compiles_the_first_an_inner_and_the_last_batch_once(data):
    x, t = data
    model = linear()
    one = ob.Trainer(
        model, F.cross_entropy, ob.optim.SGD(model.parameters(), 0.1),
        ob.data.DataLoader((x[:40], t[:40]), 5), accumulate=4,
    )  # fmt: skip
    one.fit(3)
    assert len(one.stepper.pour.why_compiled().splitlines()) == 2
    assert one.step.why_compiled() == "1. the first call"


def test_several_inputs_go_to_the_model(data):
    x, _ = data

    class Sum(ob.nn.Module):
        def __init__(self):
            self.w = ob.nn.Parameter(np.zeros(5))

        def forward(self, a, b):
            return (a + 2 * b) @ self.w

    model = Sum()
    loader = ob.data.DataLoader((x, x[::-1], (x + 2 * x[::-1]) @ np.arange(5.0)), 23)
    one = ob.Trainer(model, F.mse_loss, ob.optim.Adam(model.parameters(), 0.3), loader)
    assert one.fit(200)[-1].loss < 1e-2
    np.testing.assert_allclose(model.w.numpy(), np.arange(5.0), atol=0.2)


# -- judging and stopping ---------------------------------------------------------------------


def test_loss_and_metrics_are_those_of_the_whole_set(data):
    """Batches of 20, 20 and 6: their plain mean would be another number."""
    one = trainer(data)
    found = one.evaluate(one.validation)
    y = predict(one.model, data[0])
    assert found["accuracy"] == metrics.accuracy(y, data[1])
    assert found["loss"] == pytest.approx(F.cross_entropy(y, data[1]).item(), rel=1e-6)
    assert one.model.training


class Scripted(ob.nn.Module):
    """A model whose validation loss is what a list says, epoch by epoch."""

    def __init__(self, losses):
        self.losses, self.w = list(losses), ob.nn.Parameter(np.zeros(1))

    def forward(self, x):
        epoch = int(self.w.numpy()[0])
        return -self.w if self.training else 0 * self.w + self.losses[epoch - 1]


def scripted(losses, **settings):
    """Each epoch adds 1 to w."""
    model = Scripted(losses)
    loader = ob.data.DataLoader((np.zeros((1, 1)), np.zeros((1, 1))), 1)
    return ob.Trainer(
        model, lambda y, t: y.sum(), ob.optim.SGD(model.parameters(), 1.0), loader,
        validation=loader, compiled=False, metrics={"score": lambda y, t: float(y[0])}, **settings,
    )  # fmt: skip


STOPS = {
    "in the middle": ([5, 3, 4, 2, 9, 3, 2, 1], 3, 7, 4),
    "at once": ([1, 2, 3, 4], 1, 2, 1),
    "never": ([4, 3, 2, 1], 1, 4, 4),
    "equal is not better": ([2, 2, 2, 2], 2, 3, 1),
    "NaN is not better": ([math.nan, 3, math.nan, math.nan], 2, 4, 2),
}


@pytest.mark.parametrize(("losses", "patience", "epochs", "best"), STOPS.values(), ids=STOPS)
def test_it_stops_when_patience_ends_and_goes_back_to_the_best(losses, patience, epochs, best):
    one = scripted(losses, patience=patience)
    history = one.fit(len(losses))
    assert len(history) == epochs
    assert one.record.best == best
    assert one.model.w.numpy()[0] == best


def test_more_may_be_better():
    one = scripted([1, 5, 3, 4, 2], patience=2, monitor="score", mode="max")
    assert len(one.fit(5)) == 4
    assert one.record.best == 2


def test_after_stopping_there_is_nothing_to_do():
    one = scripted([1, 2, 3, 4, 5], patience=2)
    assert len(one.fit(5)) == 3
    assert one.stopped
    assert len(one.fit(5)) == 3


def test_without_patience_the_last_epoch_is_kept():
    one = scripted([1, 2, 3])
    one.fit(3)
    assert one.best is None
    assert one.model.w.numpy()[0] == 3


def test_a_loss_that_explodes_is_said_and_nothing_is_written(data, tmp_path):
    model = linear()
    one = ob.Trainer(
        model, lambda y, t: (y**2).sum() * np.inf, ob.optim.SGD(model.parameters(), 1.0),
        ob.data.DataLoader(data, 23), checkpoint=tmp_path / "c", log=tmp_path / "l",
    )  # fmt: skip
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match="epoch 1"):
        one.fit(3)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_never_holds_a_loss_that_exploded(data, tmp_path):
    """It happens in the fourth step of six; a checkpoint is due after each."""
    x = data[0].copy()
    x[30] = np.inf
    model = linear()
    one = ob.Trainer(
        model, F.cross_entropy, ob.optim.SGD(model.parameters(), 0.1),
        ob.data.DataLoader((x, data[1]), 8), checkpoint=tmp_path / "c", every=1, compiled=False,
    )  # fmt: skip
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError):
        one.fit(3)
    assert ob.load(tmp_path / "c")["record"]["steps"] == 3


# -- what is written and shown ----------------------------------------------------------------


def test_the_log_has_a_row_for_each_epoch_also_after_going_on(data, tmp_path):
    log = tmp_path / "log.csv"
    one = trainer(data, log=log)
    one.fit(2)
    ob.save(one, tmp_path / "run")
    two = trainer(data, log=log)
    ob.load(tmp_path / "run", into=two)
    history = two.fit(4)
    with log.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert [int(row["steps"]) for row in rows] == [6, 12, 18, 24]
    assert [float(row["loss"]) for row in rows] == [e.loss for e in history]
    assert [float(row["validation accuracy"]) for row in rows] == [
        e.validation["accuracy"] for e in history
    ]
    assert float(rows[1]["lr"]) == pytest.approx(0.005 * (1 + math.cos(math.pi * 12 / 30)))


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_terminal_sees_a_bar_and_a_pipe_nothing(data, monkeypatch, capsys):
    trainer(data).fit(2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("TERM", "xterm-256color")
    for show in (True, False):
        monkeypatch.setattr(sys, "stderr", Tty())
        trainer(data).fit(2, show=show)
        shown = sys.stderr.getvalue()
        assert ("epoch 2/2" in shown) == ("accuracy" in shown) == ("━" in shown) == show


def test_epochs_come_one_by_one_and_may_be_left(data):
    one = trainer(data)
    for epoch in one.epochs(100):
        if epoch.number == 3:
            break
    assert len(one.record.epochs) == 3
    assert str(epoch).startswith("loss ")


def test_fit_is_the_same_loop(data):
    losses = []
    for compiled in (False, True):
        model = linear()
        optimizer = ob.optim.SGD(model.parameters(), 0.1)
        loader = ob.data.DataLoader(data, 8)
        told = []
        epochs = list(
            fit(model, F.cross_entropy, optimizer, loader, epochs=2, compiled=compiled,
                schedule=S.StepLR(optimizer, 1), after_batch=told.append)
        )  # fmt: skip
        losses.append([e.loss for e in epochs])
        assert len(told) == 12
        assert float(optimizer.lr) == pytest.approx(1e-13)
    np.testing.assert_allclose(*losses, rtol=1e-12)


WRONG = {
    "no batches together": {"accumulate": 0},
    "no patience": {"patience": 0},
    "an unknown moment": {"per": "week"},
    "an unknown metric": {"monitor": "f1"},
    "an unknown direction": {"mode": "up"},
}


def test_a_plateau_is_told_how_epochs_are_judged_without_being_asked_to():
    """Training cannot get better here: after a second epoch that is no better the rate falls."""
    model = linear()
    optimizer = ob.optim.SGD(model.parameters(), 1.0)
    schedule = S.ReduceLROnPlateau(optimizer, "max", 0.5, patience=1)
    loader = ob.data.DataLoader((np.zeros((4, 5)), np.zeros(4, int)), 2)
    one = ob.Trainer(
        model, F.cross_entropy, optimizer, loader, schedule=schedule, validation=loader,
        metrics={"score": lambda y, t: 3.0}, monitor="score", mode="max",
    )  # fmt: skip
    assert [e.lr for e in one.fit(6)] == [1, 1, 1, 0.5, 0.5, 0.25]


def test_an_empty_loader_is_refused(data):
    with pytest.raises(DataError, match="no rows"):
        trainer(data, loader=[]).fit(2)


@pytest.mark.parametrize("settings", WRONG.values(), ids=WRONG)
def test_wrong_settings_are_refused(settings, data):
    with pytest.raises(DomainError, match=f"Trainer: {next(iter(settings))}="):
        trainer(data, **settings)


def test_it_must_be_said_for_how_long(data):
    with pytest.raises(DomainError, match="for how long"):
        trainer(data).fit()


def test_an_empty_validation_set_is_refused(data):
    one = trainer(data)
    with pytest.raises(DataError, match="no rows"):
        one.evaluate([])
