"""The examples, made smaller: each trains its model on its data, and it learns."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def example(name):
    found = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_an_mlp_reads_digits():
    assert example("digits_mlp").main(epochs=5) > 0.93


@pytest.mark.slow
def test_lenet_reads_digits():
    assert example("digits_lenet").main(epochs=3, samples=600) > 0.8


@pytest.mark.slow
def test_alexnet_trains():
    losses = example("digits_alexnet").main(steps=3, images=2)
    assert losses[-1] < losses[0]


def test_an_lstm_learns_from_the_sonnets():
    """The letters' frequencies alone need 4.4 bits each."""
    assert example("sonnets_lstm").main(epochs=8, hidden=48, chunk=32) < 3.2


def test_a_transformer_learns_from_the_sonnets():
    sizes = {"steps": 300, "context": 32, "width": 48, "layers": 1}
    assert example("sonnets_gpt").main(goal=3.3, **sizes) < 3.3


def test_a_turing_machine_learns_to_copy_one_or_two_numbers():
    """Guessing gets as many bits wrong as there are."""
    sizes = {"longest": 2, "bits": 3, "rows": 8, "width": 6, "hidden": 24}
    wrong = example("copy_ntm").main(steps=400, lr=2e-2, **sizes)
    assert wrong[1] < 0.1
    assert wrong[2] < 1.5


def test_gradients_vanish_in_an_rnn_and_an_lstm_told_to_remember_knows_what_came_first():
    """The gradient falls by the same factor at each step; guessing is right in a quarter."""
    sizes = {"steps": 400, "lag": 40, "letters": 4, "batch": 32, "hidden": 16, "lr": 5e-3}
    found = example("long_lag").main(**sizes)
    norms, right = found["RNN"]
    assert norms[0] < 1e-8 * norms[-1]
    assert np.corrcoef(np.arange(len(norms)), np.log(norms))[0, 1] > 0.995
    kept, told = found["LSTM told to remember"]
    assert kept[0] > 0.1 * kept[-1]
    assert right < 0.4
    assert told > 0.9


def test_every_example_of_a_model_is_run_here():
    text = Path(__file__).read_text(encoding="utf-8")
    here = {path.stem for path in EXAMPLES.glob("*.py")}
    mine = {name for name in here if name.split("_")[0] in ("digits", "sonnets", "copy", "long")}
    assert all(f'example("{name}")' in text for name in mine)
