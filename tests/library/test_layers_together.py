"""Layers together: embeddings, residuals, tied weights, foreign states, and what compiles."""

import numpy as np
import pytest

import overbar as ob
from overbar import nn
from overbar.errors import IndexingError, ShapeError, StructureError

F = nn.functional


# -- embeddings -------------------------------------------------------------------------------


def test_an_embedding_gathers_rows_and_sums_what_they_receive():
    layer = nn.Embedding(4, 2, dtype=np.float64)
    index = np.array([[1, 1], [3, 1]])
    assert (layer(index).numpy() == layer.weight.numpy()[index]).all()
    slopes = ob.grad(lambda layer: layer(index).sum())(layer)
    assert slopes.weight.numpy()[:, 0].tolist() == [0.0, 3.0, 0.0, 1.0]


@pytest.mark.parametrize("padding", [1, -3])
def test_the_row_of_padding_starts_at_zero_and_stays_there(padding):
    layer = nn.Embedding(4, 2, padding_idx=padding)
    assert not layer(1).numpy().any()
    slopes = ob.grad(lambda layer: layer([0, 1, 1]).sum())(layer)
    assert slopes.weight.numpy()[:, 0].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_an_embedding_names_a_row_that_does_not_exist():
    with pytest.raises(IndexingError, match="position 4"):
        nn.Embedding(4, 2)([0, 4])
    with pytest.raises(IndexingError, match="padding_idx=4"):
        nn.Embedding(4, 2, padding_idx=4)
    with pytest.raises(ShapeError, match="numbers from 0"):
        nn.Embedding(-1, 2)


# -- composition ------------------------------------------------------------------------------


def test_a_residual_adds_what_goes_in(rng):
    inner = nn.Linear(3, 3, dtype=np.float64)
    x = rng.standard_normal((2, 3))
    y = nn.Residual(inner, ob.tanh)(x)
    np.testing.assert_allclose(y.numpy(), x + np.tanh(inner(x).numpy()), rtol=1e-12)
    with pytest.raises(ShapeError, match="does not broadcast"):
        nn.Residual(nn.Linear(3, 1))(x)
    ob.testing.check_gradients(lambda m, x: m(x), nn.Residual(inner, ob.tanh), x)


# -- tied weights -----------------------------------------------------------------------------


class Tied(nn.Module):
    def __init__(self):
        self.encoder = nn.Embedding(5, 3)
        self.decoder = nn.Linear(3, 5, bias=False)
        self.decoder.weight = self.encoder.weight

    def forward(self, index):
        return self.decoder(self.encoder(index))


def test_a_tied_parameter_is_listed_once_and_saved_under_each_name():
    model = Tied()
    assert [name for name, _ in model.named_parameters()] == ["encoder.weight"]
    assert set(model.state_dict()) == {"encoder.weight", "decoder.weight"}
    both = ob.grad(lambda m: m([0, 1]).sum())(model).encoder.weight.numpy()
    free = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    for layer in free:
        layer.weight = model.encoder.weight.numpy()
    apart = ob.grad(lambda m: m([0, 1]).sum())(free)
    np.testing.assert_allclose(both, sum(p.numpy() for p in apart.parameters()), rtol=1e-6)


def test_a_state_of_tied_weights_needs_one_name_and_may_not_contradict_itself():
    model, w = Tied(), np.arange(15.0).reshape(5, 3)
    for names in (["encoder.weight"], ["decoder.weight"], ["encoder.weight", "decoder.weight"]):
        model.encoder.weight = np.zeros((5, 3))
        model.load_state_dict(dict.fromkeys(names, w))
        assert model.decoder.weight is model.encoder.weight
        assert model.decoder.weight.tolist() == w.tolist()
    with pytest.raises(StructureError, match="are one tensor here, but differ"):
        model.load_state_dict({"encoder.weight": w, "decoder.weight": w + 1})
    with pytest.raises(StructureError, match=r"encoder\.weight is missing"):
        model.load_state_dict({})
    assert model.decoder.weight.tolist() == w.tolist()


def test_a_layer_in_two_places_is_saved_under_both():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    model.load_state_dict(model.state_dict())
    assert len(list(model.parameters())) == 2


# -- compiled ---------------------------------------------------------------------------------

IMAGES, SEQUENCES = np.ones((2, 4, 8, 8), np.float32), np.ones((6, 2, 4), np.float32)
STEPS = {
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=2), ob.relu),
        IMAGES,
    ),
    "transposed": (lambda: nn.ConvTranspose2d(4, 2, 2, stride=2), IMAGES),
    "pooling": (
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(2)),
        IMAGES,
    ),
    "means": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.AvgPool2d(3, 2, 1)), IMAGES),
    "batch norm": (lambda: nn.BatchNorm2d(4), IMAGES),
    "layer norm": (lambda: nn.Sequential(nn.LayerNorm(4), nn.RMSNorm(4)), SEQUENCES),
    "group norm": (lambda: nn.GroupNorm(2, 4), IMAGES),
    "response norm": (lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.LocalResponseNorm(3)), IMAGES),
    "dropout": (lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), SEQUENCES),
    "embedding": (lambda: nn.Embedding(7, 3, padding_idx=0), np.ones((2, 5), int)),
    "rnn": (lambda: nn.RNN(4, 3), SEQUENCES),
    "lstm": (lambda: nn.LSTM(4, 3, 2, bidirectional=True), SEQUENCES),
    "gru": (lambda: nn.GRU(4, 3), SEQUENCES),
    "encoder": (lambda: nn.TransformerEncoderLayer(4, 2, 8), SEQUENCES),
}


@pytest.mark.native
@pytest.mark.parametrize(("made", "x"), STEPS.values(), ids=STEPS)
def test_a_training_step_is_machine_code_throughout(made, x):
    pytest.importorskip("llvmlite")
    model = made()
    optimizer = ob.optim.Adam(model.parameters(), lr=1e-2)

    @ob.jit
    def step(x):
        y = model(x)
        y = y[0] if isinstance(y, tuple) else y  # recurrent layers give their state too
        L = ((y - 1.0) ** 2).mean()
        L.backward()
        optimizer.step()
        optimizer.zero_grad()
        return L

    losses = [float(step(x)) for _ in range(5)]
    assert "native:" in str(step.report())
    assert "NumPy" not in str(step.report())
    assert np.isfinite(losses).all()
