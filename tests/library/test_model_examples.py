"""The examples, made smaller: each trains its model on its data, and it learns."""

import importlib.util
from pathlib import Path

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
    assert example("sonnets_gpt").main(steps=300, context=32, width=48, layers=1) < 3.4


def test_a_turing_machine_learns_to_copy_one_or_two_numbers():
    """Guessing gets 4.5 bits wrong on average."""
    sizes = {"longest": 2, "bits": 3, "rows": 8, "width": 6, "hidden": 24}
    assert example("copy_ntm").main(steps=300, lr=3e-3, **sizes) < 1.5


def test_every_example_of_a_model_is_run_here():
    text = Path(__file__).read_text(encoding="utf-8")
    here = {path.stem for path in EXAMPLES.glob("*.py")}
    mine = {name for name in here if name.split("_")[0] in ("digits", "sonnets", "copy")}
    assert all(f'example("{name}")' in text for name in mine)
