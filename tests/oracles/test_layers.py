"""Every layer beside PyTorch's: a state_dict taken over from there, then equal results, running
statistics, first and second derivatives, in training and evaluation, eager and compiled.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

import overbar as ob
from overbar import nn

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-10}
TORCH = {np.float32: torch.float32, np.float64: torch.float64}


@dataclasses.dataclass
class Case:
    """ours and theirs make the layers; inputs draws what they are called with, floats or not."""

    ours: Callable
    theirs: Callable
    inputs: Callable
    call: dict = dataclasses.field(default_factory=dict)  # keywords of both calls


def normal(*shape):
    return lambda rng: (rng.standard_normal(shape),)


def both(name, *args, **kwargs):
    """The same arguments for our class and theirs."""
    return {
        "ours": lambda **dtype: getattr(nn, name)(*args, **kwargs, **dtype),
        "theirs": lambda **dtype: getattr(torch.nn, name)(*args, **kwargs, **dtype),
    }


def bare(name, *args, **kwargs):
    """As `both`, for layers without parameters, which take no dtype."""
    return {
        "ours": lambda **_: getattr(nn, name)(*args, **kwargs),
        "theirs": lambda **_: getattr(torch.nn, name)(*args, **kwargs),
    }


def indices(*shape, below=7):
    return lambda rng: (rng.integers(0, below, shape),)


def sequence(states, layers, shape, hidden):
    """x and a state to begin with."""

    def draw(rng):
        x = rng.standard_normal(shape)
        rest = shape[1:-1]
        state = tuple(rng.standard_normal((layers, *rest, hidden)) for _ in range(states))
        return x, state if states == 2 else state[0]

    return draw


def step(states, shape, hidden):
    def draw(rng):
        state = tuple(rng.standard_normal((*shape[:-1], hidden)) for _ in range(states))
        return rng.standard_normal(shape), state if states == 2 else state[0]

    return draw


def attention(q, k, v):
    return lambda rng: tuple(rng.standard_normal(shape) for shape in (q, k, v))


CAUSAL = np.triu(np.ones((5, 5), bool), 1)
PADDED = np.array(
    [[False, False, False, False, True], [False] * 5, [False, False, True, True, True]]
)

CASES = {
    "Linear": Case(**both("Linear", 3, 2), inputs=normal(4, 5, 3)),
    "Conv1d": Case(**both("Conv1d", 4, 6, 3), inputs=normal(2, 4, 9)),
    "Conv1d same": Case(
        **both("Conv1d", 4, 6, 4, padding="same", dilation=2, groups=2), inputs=normal(2, 4, 9)
    ),
    "Conv1d one sample": Case(**both("Conv1d", 4, 6, 3, padding=1), inputs=normal(4, 9)),
    "Conv2d": Case(**both("Conv2d", 3, 4, 3), inputs=normal(2, 3, 7, 6)),
    "Conv2d everything": Case(
        **both("Conv2d", 4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        inputs=normal(2, 4, 9, 7),
    ),
    "Conv2d depthwise": Case(
        **both("Conv2d", 4, 8, 3, padding="valid", groups=4, bias=False), inputs=normal(2, 4, 6, 5)
    ),
    **{
        f"Conv2d {mode}": Case(
            **both("Conv2d", 2, 3, 3, padding=(2, 1), padding_mode=mode), inputs=normal(2, 2, 5, 6)
        )
        for mode in ("reflect", "replicate", "circular")
    },
    "Conv2d circular same": Case(
        **both("Conv2d", 2, 3, (4, 3), padding="same", padding_mode="circular"),
        inputs=normal(2, 2, 5, 6),
    ),
    "ConvTranspose1d": Case(
        **both("ConvTranspose1d", 4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        inputs=normal(2, 4, 5),
    ),
    "ConvTranspose2d": Case(
        **both("ConvTranspose2d", 3, 2, (3, 4), stride=(2, 3), dilation=(2, 1), bias=False),
        inputs=normal(2, 3, 4, 3),
    ),
    "MaxPool1d": Case(**bare("MaxPool1d", 3, stride=2, padding=1), inputs=normal(2, 3, 9)),
    "MaxPool2d": Case(**bare("MaxPool2d", 2), inputs=normal(2, 3, 6, 7)),
    "MaxPool2d overlapping": Case(**bare("MaxPool2d", 3, 2), inputs=normal(2, 3, 7, 9)),
    "MaxPool2d uneven": Case(
        **bare("MaxPool2d", (3, 2), (1, 2), (1, 0)), inputs=normal(3, 6, 7)
    ),
    "AvgPool1d": Case(**bare("AvgPool1d", 3, 2, 1), inputs=normal(2, 3, 9)),
    "AvgPool2d": Case(**bare("AvgPool2d", 3, 2, 1), inputs=normal(2, 3, 7, 8)),
    "AvgPool2d without the border": Case(
        **bare("AvgPool2d", 3, 2, 1, count_include_pad=False), inputs=normal(2, 3, 7, 8)
    ),
    "AdaptiveAvgPool1d": Case(**bare("AdaptiveAvgPool1d", 4), inputs=normal(2, 3, 10)),
    "AdaptiveAvgPool2d": Case(**bare("AdaptiveAvgPool2d", (3, 4)), inputs=normal(2, 3, 7, 9)),
    "AdaptiveAvgPool2d even": Case(
        **bare("AdaptiveAvgPool2d", (2, None)), inputs=normal(2, 3, 6, 5)
    ),
    "AdaptiveAvgPool2d of all": Case(**bare("AdaptiveAvgPool2d", 1), inputs=normal(3, 6, 5)),
    "LocalResponseNorm": Case(
        **bare("LocalResponseNorm", 5, alpha=0.3, beta=0.75, k=2.0), inputs=normal(2, 7, 4, 3)
    ),
    "LocalResponseNorm even": Case(
        **bare("LocalResponseNorm", 4, alpha=0.3), inputs=normal(2, 7, 4)
    ),
    "BatchNorm1d": Case(**both("BatchNorm1d", 3), inputs=normal(6, 3)),
    "BatchNorm1d of sequences": Case(
        **both("BatchNorm1d", 3, momentum=None, eps=1e-3), inputs=normal(4, 3, 5)
    ),
    "BatchNorm2d": Case(**both("BatchNorm2d", 3, momentum=0.3), inputs=normal(4, 3, 2, 5)),
    "BatchNorm2d bare": Case(
        **both("BatchNorm2d", 3, affine=False, track_running_stats=False),
        inputs=normal(4, 3, 2, 5),
    ),
    "LayerNorm": Case(**both("LayerNorm", 6), inputs=normal(4, 3, 6)),
    "LayerNorm of two axes": Case(**both("LayerNorm", (3, 6), bias=False), inputs=normal(4, 3, 6)),
    "LayerNorm bare": Case(
        **both("LayerNorm", 6, eps=0.1, elementwise_affine=False), inputs=normal(4, 6)
    ),
    "RMSNorm": Case(**both("RMSNorm", 6), inputs=normal(4, 3, 6)),
    "RMSNorm of two axes": Case(**both("RMSNorm", (3, 6), eps=1e-2), inputs=normal(4, 3, 6)),
    "GroupNorm": Case(**both("GroupNorm", 2, 6), inputs=normal(3, 6, 2, 4)),
    "Embedding": Case(**both("Embedding", 7, 3), inputs=indices(4, 5)),
    "Embedding with padding": Case(**both("Embedding", 7, 3, padding_idx=2), inputs=indices(4, 5)),
    "RNN": Case(**both("RNN", 3, 4), inputs=normal(5, 2, 3)),
    "RNN relu": Case(
        **both("RNN", 3, 4, 2, nonlinearity="relu", bias=False), inputs=sequence(1, 2, (5, 2, 3), 4)
    ),
    "RNN both ways": Case(
        **both("RNN", 3, 4, 2, bidirectional=True), inputs=sequence(1, 4, (5, 2, 3), 4)
    ),
    "LSTM": Case(**both("LSTM", 3, 4), inputs=sequence(2, 1, (5, 2, 3), 4)),
    "LSTM both ways": Case(
        **both("LSTM", 3, 4, 2, bidirectional=True, batch_first=True), inputs=normal(2, 5, 3)
    ),
    "LSTM one sample": Case(**both("LSTM", 3, 4, bias=False), inputs=sequence(2, 1, (5, 3), 4)),
    "GRU": Case(**both("GRU", 3, 4), inputs=sequence(1, 1, (5, 2, 3), 4)),
    "GRU both ways": Case(
        **both("GRU", 3, 4, 2, bidirectional=True), inputs=sequence(1, 4, (5, 2, 3), 4)
    ),
    "RNNCell": Case(**both("RNNCell", 3, 4), inputs=step(1, (2, 3), 4)),
    "RNNCell relu": Case(**both("RNNCell", 3, 4, nonlinearity="relu"), inputs=normal(2, 3)),
    "LSTMCell": Case(**both("LSTMCell", 3, 4), inputs=step(2, (2, 3), 4)),
    "GRUCell": Case(**both("GRUCell", 3, 4, bias=False), inputs=step(1, (3,), 4)),
    "MultiheadAttention": Case(
        **both("MultiheadAttention", 6, 2), inputs=attention((4, 3, 6), (5, 3, 6), (5, 3, 6))
    ),
    "MultiheadAttention masked": Case(
        **both("MultiheadAttention", 6, 2, batch_first=True),
        inputs=attention((3, 5, 6), (3, 5, 6), (3, 5, 6)),
        call={"attn_mask": CAUSAL, "key_padding_mask": PADDED, "average_attn_weights": False},
    ),
    "MultiheadAttention of other sizes": Case(
        **both("MultiheadAttention", 6, 3, kdim=4, vdim=5, bias=False),
        inputs=attention((4, 3, 6), (5, 3, 4), (5, 3, 5)),
    ),
    "MultiheadAttention one sample": Case(
        **both("MultiheadAttention", 6, 2),
        inputs=attention((4, 6), (5, 6), (5, 6)),
        call={"key_padding_mask": PADDED[0]},
    ),
    **{
        f"TransformerEncoderLayer {activation}{' norm first' * first}": Case(
            **both(
                "TransformerEncoderLayer", 6, 2, 8, dropout=0.0, activation=activation,
                norm_first=first, batch_first=first,
            ),
            inputs=normal(*((3, 5, 6) if first else (5, 3, 6))),
            call={"src_mask": CAUSAL, "src_key_padding_mask": PADDED},
        )
        for activation, first in (("relu", False), ("gelu", True))
    },
    "TransformerEncoder": Case(
        ours=lambda **d: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True, **d), 2, nn.LayerNorm(6, **d)
        ),
        theirs=lambda **d: torch.nn.TransformerEncoder(
            torch.nn.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True, **d),
            2,
            torch.nn.LayerNorm(6, **d),
            enable_nested_tensor=False,
        ),
        inputs=normal(3, 5, 6),
        call={"mask": CAUSAL},
    ),
}  # fmt: skip


def made(case, dtype, *, training):
    """Our layer with the state of theirs, theirs, and the inputs of both."""
    torch.manual_seed(0)
    theirs = case.theirs(dtype=TORCH[dtype]).train(training)
    with torch.no_grad():
        for p in theirs.parameters():  # biases and the weights of norms start at 0 and 1
            p += 0.1 * torch.randn_like(p)
        for name, b in theirs.named_buffers():
            if name.endswith(("mean", "var")):
                b += torch.rand_like(b)
    ours = case.ours(dtype=dtype).train(training)
    ours.load_state_dict(theirs.state_dict())
    rng = np.random.default_rng(1)
    given = case.inputs(rng)
    given = ob.tree_map(lambda x: x.astype(dtype) if x.dtype.kind == "f" else x, given)
    return ours, theirs, given


def leaves(result):
    """The tensors of a result, in order; a layer may give None among them."""
    if isinstance(result, tuple):
        return [leaf for part in result for leaf in leaves(part)]
    return [] if result is None else [result]


def loss_of(outputs, weights):
    """A number whose derivatives of both orders depend on every output."""
    return sum((w * y + 0.5 * y * y).sum() for w, y in zip(weights, outputs, strict=True))


def weights_of(outputs):
    rng = np.random.default_rng(2)
    return [rng.standard_normal(tuple(y.shape)) for y in outputs]


# -- theirs: outputs, then x̄ of inputs by position and of parameters by name, then those of
#    Σ cos(s) s over all of these first derivatives s, with cos(s) held fixed


def of_torch(case, layer, given, *, second):
    given = ob.tree_map(lambda x: torch.tensor(x, requires_grad=x.dtype.kind == "f"), given)
    call = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in case.call.items()}
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # twice differentiable
        outputs = leaves(layer(*given, **call))
    weights = [
        torch.tensor(w, dtype=y.dtype) for w, y in zip(weights_of(outputs), outputs, strict=True)
    ]
    floats = [x for x in ob.tree_flatten(given)[0] if x.requires_grad]
    wanted = dict(enumerate(floats)) | dict(layer.named_parameters())
    first = _slopes(loss_of(outputs, weights), wanted, create_graph=second)
    if not second:
        return outputs, first, {}
    along = sum((torch.cos(s.detach()) * s).sum() for s in first.values())
    return outputs, first, _slopes(along, wanted)


def _slopes(loss, wanted, **how):
    if not loss.requires_grad:
        return {name: torch.zeros_like(x) for name, x in wanted.items()}
    bars = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True, **how)
    return {
        name: torch.zeros_like(x) if bar is None else bar
        for (name, x), bar in zip(wanted.items(), bars, strict=True)
    }


# -- ours -------------------------------------------------------------------------------------


def of_overbar(case, layer, given, *, compiled, second):
    flat, structure = ob.tree_flatten(given)
    floats = {i: x for i, x in enumerate(flat) if x.dtype.kind == "f"}

    def loss(xs, layer):
        mixed = flat if not floats else [
            xs[list(floats).index(i)] if i in floats else x for i, x in enumerate(flat)
        ]  # fmt: skip
        outputs = leaves(layer(*ob.tree_unflatten(structure, mixed), **case.call))
        weights = [w.astype(y.dtype) for w, y in zip(weights_of(outputs), outputs, strict=True)]
        return loss_of(outputs, weights), outputs

    def first(xs, layer):
        return ob.grad(loss, argnums=(0, 1), has_aux=True)(xs, layer)

    def along(xs, layer):
        bars = named(first(xs, layer)[0])
        return sum((ob.cos(ob.stop_gradient(s)) * s).sum() for s in bars.values())

    f = ob.grad(along, argnums=(0, 1)) if second else first
    result = (ob.jit(f) if compiled else f)(list(floats.values()), layer)
    return named(result) if second else (result[1], named(result[0]))


def named(bars):
    return dict(enumerate(bars[0])) | dict(bars[1].named_parameters())


# -- side by side -----------------------------------------------------------------------------


def agree(ours, theirs, dtype):
    assert set(ours) == set(theirs)
    for name, theirs_now in theirs.items():
        np.testing.assert_allclose(
            ob.asarray(ours[name]).detach().numpy(),
            theirs_now.detach().numpy(),
            rtol=TOLERANCE[dtype],
            atol=TOLERANCE[dtype],
            err_msg=str(name),
        )


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_layer_gives_what_pytorchs_gives(case, dtype, training, compiled):
    ours, theirs, given = made(case, dtype, training=training)
    outputs, slopes = of_overbar(case, ours, given, compiled=compiled, second=False)
    wanted, wanted_slopes, _ = of_torch(case, theirs, given, second=False)
    assert all(y.dtype == dtype for y in outputs)
    agree(dict(enumerate(outputs)), dict(enumerate(wanted)), dtype)
    agree(slopes, wanted_slopes, dtype)
    agree(ours.state_dict(), theirs.state_dict(), dtype)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_second_derivatives_are_pytorchs(case, training, compiled):
    ours, theirs, given = made(case, np.float64, training=training)
    slopes = of_overbar(case, ours, given, compiled=compiled, second=True)
    agree(slopes, of_torch(case, theirs, given, second=True)[2], np.float64)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_lengths_do_what_pytorchs_packed_sequences_do(name):
    rng, lengths = np.random.default_rng(3), [6, 2, 5]
    theirs = getattr(torch.nn, name)(3, 4, 2, bidirectional=True, dtype=torch.float64)
    ours = getattr(nn, name)(3, 4, 2, bidirectional=True, dtype=np.float64)
    ours.load_state_dict(theirs.state_dict())
    x = rng.standard_normal((6, 3, 3))
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), lengths, enforce_sorted=False)
    y, state = theirs(packed)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y)
    weights = [torch.tensor(w) for w in weights_of([y])]
    slopes = _slopes(loss_of([y], weights), dict(theirs.named_parameters()))

    def loss(layer):
        y_ours, state_ours = layer(x, lengths=lengths)
        return loss_of([y_ours], weights_of([y_ours])), (y_ours, state_ours)

    bars, (y_ours, state_ours) = ob.grad(loss, has_aux=True)(ours)
    agree(dict(bars.named_parameters()), slopes, np.float64)
    agree({"y": y_ours}, {"y": y}, np.float64)
    agree(dict(enumerate(leaves(state_ours))), dict(enumerate(leaves(state))), np.float64)


def test_attention_by_itself_is_pytorchs():
    rng = np.random.default_rng(4)
    q, k, v = (rng.standard_normal(shape) for shape in ((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 2)))
    seen = rng.random((5, 6)) < 0.7
    seen[:, 0] = True
    for how in ({}, {"attn_mask": seen}, {"attn_mask": np.log(0.1 + seen)}, {"scale": 0.3}):
        theirs = {key: torch.tensor(m) if key == "attn_mask" else m for key, m in how.items()}
        y = torch.nn.functional.scaled_dot_product_attention(
            *map(torch.tensor, (q, k, v)), **theirs
        )
        ours = nn.functional.scaled_dot_product_attention(q, k, v, **how)
        agree({"y": ours}, {"y": y}, np.float64)


def test_a_state_that_asks_for_gradients_there_is_taken_over_too():
    theirs = torch.nn.Linear(3, 2)
    ours = nn.Linear(3, 2)
    ours.load_state_dict(dict(theirs.named_parameters()))
    agree(ours.state_dict(), theirs.state_dict(), np.float32)


def test_tied_weights_are_saved_under_pytorchs_names():
    theirs = torch.nn.Sequential(torch.nn.Embedding(5, 3), torch.nn.Linear(3, 5, bias=False))
    theirs[1].weight = theirs[0].weight
    ours = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    ours[1].weight = ours[0].weight
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    agree(ours.state_dict(), theirs.state_dict(), np.float32)
    assert len(list(ours.parameters())) == len(list(theirs.parameters())) == 1


@pytest.mark.parametrize("name", CASES)
def test_parameters_start_as_pytorchs_do(name):
    """What is constant is equal; what is drawn has the same mean and spread."""
    case = CASES[name]
    torch.manual_seed(0)
    theirs = [case.theirs(dtype=torch.float64) for _ in range(20)]
    ob.random.seed(0)
    ours = [case.ours(dtype=np.float64) for _ in range(20)]
    for key in theirs[0].state_dict():
        a = np.stack([np.asarray(t.state_dict()[key]) for t in theirs]).astype(float)
        b = np.stack([o.state_dict()[key].numpy() for o in ours]).astype(float)
        error = 5 / np.sqrt(a.size)
        assert a.std() == pytest.approx(b.std(), rel=error, abs=1e-12), key
        assert a.mean() == pytest.approx(b.mean(), abs=error * a.std() + 1e-12), key
