"""Models that compute their blocks again on the way back: the same numbers, in less memory."""

import numpy as np
import pytest

import overbar as ob
from overbar import models, nn

F = nn.functional


def text(checkpoint, *, layers=12, dropout=0.2, dtype=np.float32):
    """A model of text and its loss."""
    model = models.GPT(
        20, context=16, width=16, heads=2, layers=layers, dropout=dropout, checkpoint=checkpoint,
        rng=ob.random.default_rng(0), dtype=dtype,
    )  # fmt: skip
    index = np.random.default_rng(0).integers(0, 20, (4, 17))
    return model, lambda: F.cross_entropy(
        model(index[:, :-1]).reshape(-1, 20), index[:, 1:].ravel()
    )


def encoder(checkpoint, *, layers=12, dropout=0.2, dtype=np.float32):
    """A stack of encoder layers with masks, and a loss."""
    how = {"rng": ob.random.default_rng(0), "dtype": dtype, "batch_first": True}
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout, **how)
    model = nn.TransformerEncoder(
        layer, layers, nn.LayerNorm(8, dtype=dtype), checkpoint=checkpoint
    )
    x = np.random.default_rng(0).standard_normal((3, 5, 8)).astype(dtype)
    late = np.arange(5) > np.array([2, 4, 3])[:, None]
    return model, lambda: F.mse_loss(model(x, src_key_padding_mask=late, is_causal=True), x)


def images(checkpoint, *, dropout=0.2, dtype=np.float32, shape=(1, 3, 64, 64)):
    """The convolutions of AlexNet and a loss; its 58 million weights further on play no part."""
    how = {"rng": ob.random.default_rng(0), "dtype": dtype}
    model = models.AlexNet(1, dropout, checkpoint=checkpoint, **how)
    seen = 256 * ((shape[-1] - 31) // 32) ** 2
    model.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(seen, 2, **how))
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    return model, lambda: F.cross_entropy(model(x), np.ones(len(x), int))


def step_of(make, checkpoint, **how):
    model, loss = make(checkpoint, **how)

    def step():
        L = loss()
        L.backward()
        grads = [p.grad for p in model.parameters()]
        model.zero_grad()
        return L, grads

    return step


def after(step):
    """Its loss and gradients, and the next ones: what was drawn counts once."""
    ob.random.seed(3)
    found = [step(), step()]
    return [x.detach().numpy() for L, grads in found for x in (L, *grads)]


@pytest.mark.parametrize("make", [text, encoder, images])
def test_values_gradients_and_what_is_dropped_are_the_same(make):
    plain, again = (step_of(make, c) for c in (False, True))
    expected = after(plain)
    assert not np.array_equal(expected[0], expected[len(expected) // 2])  # other draws
    for x, y in zip(after(again), expected, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.native
@pytest.mark.parametrize("make", [text, encoder])
def test_compiled_they_are_the_same_and_the_memory_planned_is_a_fraction(make):
    how = {"dtype": np.float64}
    plain, again = (ob.jit(step_of(make, c, **how)) for c in (False, True))
    expected = after(step_of(make, False, **how))
    for run in (plain, again):
        for x, y in zip(after(run), expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)
    assert again.memory().arena < 0.4 * plain.memory().arena


@pytest.mark.native
def test_the_plan_of_alexnet_on_eight_images_is_smaller_too():
    kept, again = (planned(step_of(images, c, shape=(8, 3, 224, 224))) for c in (False, True))
    assert again < 0.9 * kept


def planned(step):
    """Bytes of the arena; nothing is compiled or run."""
    from overbar.compile import assemble, native, passes
    from tests.compile.test_passes import traced

    graph = passes.lowered(traced(step))
    return assemble.assemble(graph, {}, machine=native.host(), threads=1).plan.arena


@pytest.mark.parametrize("make", [text, encoder])
def test_run_one_by_one_the_peak_is_smaller(make):
    plain, again = (ob.memory(make(c)[1]) for c in (False, True))
    assert again.bytes < 0.2 * plain.bytes
    assert again.peak.bytes < 0.5 * plain.peak.bytes


def test_out_of_training_nothing_is_computed_again():
    for mode in (True, False):
        model, loss = text(True, layers=2)
        model.train(mode)
        run = ob.jit(lambda: ob.value_and_grad(lambda _: loss())(model)[0])  # noqa: B023
        run()
        assert ("call" in {n.op.name for n in run.lower("trace").nodes}) == mode


def test_the_choice_is_saved_with_the_model(tmp_path):
    model, _ = text(True, layers=1)
    ob.save(model, tmp_path / "model")
    assert ob.load(tmp_path / "model").checkpoint is True
