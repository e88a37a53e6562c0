"""`overbar train --model`: each model learns what it is for, goes on exactly, and can be asked."""

import csv
import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import overbar as ob
from overbar import cli, lessons, nn
from overbar.lessons import pictures

TINY = {
    "mlp": ["digits", "--hidden", "12", "--batch", "256"],
    "lenet": ["digits", "--batch", "256"],
    "alexnet": ["digits", "--batch", "256"],
    "charlstm": ["sonnets", "--set", "hidden_size=16", "--set", "context=12", "--batch", "256"],
    "gpt": ["sonnets", "--set", "width=16", "--set", "layers=1", "--set", "heads=2",
            "--set", "context=12", "--set", "dropout=0.1", "--batch", "64"],
    "ntm": ["copy", "--set", "longest=2", "--set", "bits=3", "--set", "rows=8", "--set", "width=6",
            "--set", "hidden_size=16"],
}  # fmt: skip


class AlexNet(nn.Module):
    """In the place of 57 million numbers: the same call, and one of its layers."""

    def __init__(self, classes=1000, dropout=0.5, *, rng=None, dtype=None):
        self.classes, self.dropout = classes, dropout
        self.layers = nn.Sequential(
            nn.AvgPool2d(8), nn.Flatten(), nn.Dropout(dropout), nn.Linear(48, classes, rng=rng)
        )

    def forward(self, x):
        assert x.shape[1:] == (3, 32, 32)
        return self.layers(x)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ob.models, "AlexNet", AlexNet)
    monkeypatch.setitem(pictures.SHAPES, "alexnet", (3, 32, 32))
    return tmp_path


def run(*arguments, capsys):
    """(exit status, standard output, standard error)"""
    try:
        status = cli.main([str(a) for a in arguments])
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


def rows_of(path):
    with open(path, newline="") as file:  # noqa: PTH123
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def arrays(path):
    """Weights, optimiser state, generators: everything but the seconds."""
    return {name: a.tobytes() for name, a in ob.store.read(path)[0].items()}


@pytest.mark.parametrize("model", TINY)
def test_a_model_is_trained_gone_on_with_exactly_and_asked(model, capsys):
    asked = ["train", *TINY[model], "--model", model, "--seed", 3]
    status, out, err = run(*asked, "--steps", 5, "--out", "whole", "--log", "w", capsys=capsys)
    assert (status, err) == (0, "")
    assert "Written: whole" in out
    assert run(*asked, "--steps", 2, "--out", "half", capsys=capsys)[0] == 0
    again = ["--resume", "half", "--steps", 5, "--out", "rest", "--log", "r"]
    status, out, err = run("train", *again, capsys=capsys)
    assert (status, err) == (0, "")
    assert "2 of them done before" in out
    assert arrays("rest") == arrays("whole") != arrays("half")
    assert rows_of("r") == rows_of("w")


def test_without_out_a_training_goes_on_in_its_file(capsys):
    run("train", *TINY["mlp"], "--model", "mlp", "--steps", 2, "--out", "m", capsys=capsys)
    assert run("train", "--resume", "m", "--steps", 3, capsys=capsys)[0] == 0
    assert ob.load("m")["trainer"]["record"]["steps"] == 3


def test_digits_are_enlarged_for_alexnet_as_in_the_example(rng):
    X = rng.uniform(size=(2, 1, 8, 8)).astype(np.float32)
    facts = {"shape": [3, 224, 224], "mean": 0.25, "std": 0.5}
    want = np.repeat((X - 0.25) / 0.5, 3, 1).repeat(28, 2).repeat(28, 3)
    np.testing.assert_allclose(pictures.ready(X, facts, "alexnet"), want, rtol=1e-6)
    small = pictures.ready(X, {**facts, "shape": [1, 28, 28]}, "lenet")
    assert (small[:, :, :2] == -0.5).all()
    np.testing.assert_allclose(small[:, :, 2:26:3, 3:26:3], (X - 0.25) / 0.5, rtol=1e-6)


def test_what_is_saved_is_the_model(capsys):
    run("train", *TINY["mlp"], "--model", "mlp", "--epochs", 4, "--lr", 0.02, capsys=capsys)
    model = ob.load("digits-mlp.safetensors")["model"]
    assert isinstance(model, ob.models.MLP)
    assert model.sizes == (64, 12, 10)
    status, out, err = run("predict", "digits-mlp.safetensors", "digits", capsys=capsys)
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    _, _, X, y = ob.data.digits()
    train = ob.data.digits()[0]
    z = model((X - train.mean()) / train.std()).numpy()
    assert [int(row["class"]) for row in rows] == z.argmax(1).tolist()
    right = (z.argmax(1) == y).sum()
    assert f"{right} of 360 right" in err
    assert right > 180


def test_a_text_of_ones_own_is_learnt_and_gone_on_with(here, capsys):
    (here / "song.txt").write_text("tra la la – " * 200, encoding="utf-8")
    asked = ["--set", "hidden_size=24", "--set", "context=24", "--steps", 60, "--lr", "0.02"]
    status, out, _ = run("train", "song.txt", "--model", "charlstm", *asked, capsys=capsys)
    assert status == 0
    assert "2,400 characters, 6 different ones" in out
    ask = ["predict", "song-charlstm.safetensors", "tra la", "--length", 30, "--temperature", "0"]
    status, out, err = run(*ask, capsys=capsys)
    assert (status, err) == (0, "")
    assert out == ("tra la la – " * 4)[:36] + "\n"
    assert run(*ask, "--out", "a.txt", capsys=capsys) == (0, "", "")
    assert (here / "a.txt").read_text(encoding="utf-8") == out


def test_a_transformer_writes_more_than_its_context(capsys):
    run("train", *TINY["gpt"], "--model", "gpt", "--steps", 1, capsys=capsys)
    texts = []
    for seed in (1, 1, 2):
        ask = ["sonnets-gpt.safetensors", "From", "--length", 50, "--seed", seed]
        texts.append(run("predict", *ask, capsys=capsys)[1])
    assert len(texts[0]) == 55
    assert texts[0] == texts[1] != texts[2]


def test_a_turing_machine_is_asked_for_a_length(capsys):
    run("train", *TINY["ntm"], "--model", "ntm", "--steps", 1, capsys=capsys)
    status, out, _ = run("predict", "copy-ntm.safetensors", 4, capsys=capsys)
    assert status == 0
    assert out.endswith(" of 12 bits right\n")
    assert len(out.splitlines()) == 7


def test_a_folder_of_pictures_is_learnt(here, capsys):
    Image = pytest.importorskip("PIL.Image")
    draw = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 190)):
        (here / "photos" / name).mkdir(parents=True)
        for i in range(15):
            pixels = draw.integers(level - 50, level + 50, (9, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(here / "photos" / name / f"{i:02}.png")
    status, out, _ = run("train", "photos", "--model", "lenet", "--epochs", 8, capsys=capsys)
    assert status == 0
    assert "24 pictures of 2 classes, 6 kept for the test" in out
    status, out, err = run("predict", "photos-lenet.safetensors", "photos", capsys=capsys)
    assert status == 0
    assert "30 of 30 right" in err
    one = here / "photos" / "light" / "03.png"
    _, out, _ = run("predict", "photos-lenet.safetensors", one, capsys=capsys)
    assert out.splitlines()[1].split(",")[:2] == [str(one), "light"]
    (here / "photos" / "green").mkdir()
    Image.fromarray(pixels).save(here / "photos" / "green" / "a.png")
    status, _, err = run("predict", "photos-lenet.safetensors", "photos", capsys=capsys)
    assert status == 2
    assert "no class 'green'" in err


# -- mistakes ---------------------------------------------------------------------------------

WRONG = {
    "an unknown model": (["digits", "--model", "vgg"], "--model vgg: not known"),
    "an unknown size": (["digits", "--model", "lenet", "--set", "rows=3"], "no such size"),
    "no size": (["sonnets", "--model", "gpt", "--set", "width"], "wanted NAME=VALUE"),
    "a wrong size": (["sonnets", "--model", "gpt", "--set", "width=big"], "something like"),
    "a size of 0": (["sonnets", "--model", "gpt", "--set", "width=0"], "something like"),
    "heads that do not divide": (["sonnets", "--model", "gpt", "--set", "heads=7"], "multiple"),
    "an option of tables": (["digits", "--model", "lenet", "--target", "y"], "--target has no"),
    "steps of a table": (["t.csv", "--target", "y", "--steps", "5"], "--steps has no place"),
    "no target": (["t.csv"], "--target COLUMN"),
    "nothing": ([], "--target COLUMN"),
    "no steps": (["digits", "--model", "mlp", "--steps", "0"], "no whole number from 1"),
    "half a seed": (["digits", "--model", "mlp", "--seed", "0.5"], "no whole number"),
    "no such text": (["nowhere.txt", "--model", "gpt"], "there is no such text"),
    "no such folder": (["nowhere", "--model", "lenet"], "there are no pictures"),
    "digits for a text": (["digits", "--model", "gpt"], "there is no such text"),
    "text for copying": (["sonnets", "--model", "ntm"], "learns to copy"),
    "no such training": (["--resume", "nowhere"], "No such file"),
    "another rate": (["--resume", "nowhere", "--lr", "1"], "--lr has no place"),
    "a folder for the log": (["digits", "--model", "mlp", "--log", "."], "--log .: this is a"),
    "no folder for it": (["digits", "--model", "mlp", "--out", "no/m"], "there is no folder no"),
    "a short text": (["short.txt", "--model", "gpt"], "too few"),
    "no text": (["bytes.txt", "--model", "gpt"], "is not text in UTF-8"),
    "the text itself": (["short.txt", "--model", "gpt", "--out", "short.txt"], "overwrite"),
}


@pytest.mark.parametrize(("asked", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_answered_in_words_and_nothing_is_written(asked, said, here, capsys):
    (here / "short.txt").write_text("abc")
    (here / "bytes.txt").write_bytes(b"\xff\xfe\xfa" * 100)
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    status, out, err = run("train", *asked, capsys=capsys)
    assert (status, out) == (2, "")
    assert err.startswith("overbar: ")
    assert said in err
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


def test_a_training_that_explodes_leaves_what_is_there(here, capsys):
    (here / "digits-mlp.safetensors").write_bytes(b"precious")
    asked = ["train", "digits", "--model", "mlp", "--lr", "1e30", "--steps", 20, "--log", "l.csv"]
    status, _, err = run(*asked, capsys=capsys)
    assert status == 1
    assert "--lr 1e+29" in err
    assert (here / "digits-mlp.safetensors").read_bytes() == b"precious"
    assert len(list(here.iterdir())) == 1


def test_a_finished_training_says_so(here, capsys):
    run("train", *TINY["mlp"], "--model", "mlp", "--steps", 2, capsys=capsys)
    before = (here / "digits-mlp.safetensors").read_bytes()
    status, out, err = run(
        "train", "--resume", "digits-mlp.safetensors", "--steps", 2, capsys=capsys
    )
    assert (status, out) == (2, "")
    assert "2 steps are done already" in err
    assert "--steps 4" in err
    assert (here / "digits-mlp.safetensors").read_bytes() == before


def test_other_data_than_it_began_with_is_refused(here, capsys):
    (here / "a.txt").write_text("one two three " * 30)
    asked = ["--set", "hidden_size=8", "--set", "context=8", "--steps", 2]
    run("train", "a.txt", "--model", "charlstm", *asked, capsys=capsys)
    (here / "a.txt").write_text("four five six " * 30)
    status, _, err = run("train", "--resume", "a-charlstm.safetensors", "--steps", 4, capsys=capsys)
    assert status == 2
    assert "cannot be gone on with" in err


@pytest.mark.parametrize("lost", ["plan", "facts", "model", "trainer"])
def test_a_file_without_a_part_is_refused(lost, here, capsys):
    run("train", *TINY["mlp"], "--model", "mlp", "--steps", 1, capsys=capsys)
    saved = ob.load("digits-mlp.safetensors")
    del saved[lost]
    ob.save(saved, "less")
    for command in (["predict", "less", "digits"], ["train", "--resume", "less"]):
        status, _, err = run(*command, capsys=capsys)
        assert status == 2
        assert "lacks a part" in err


def test_a_tables_model_is_no_training_to_go_on_with(here, capsys):
    draw = np.random.default_rng(0).normal(size=30)
    (here / "t.csv").write_text("a,b\n" + "".join(f"{x},{2 * x}\n" for x in draw))
    asked = ["--target", "b", "--epochs", 2, "--log", "l.csv"]
    assert run("train", "t.csv", *asked, capsys=capsys)[0] == 0
    assert [row["epoch"] for row in rows_of("l.csv")] == ["1", "2"]
    status, _, err = run("train", "--resume", "t-model.safetensors", capsys=capsys)
    assert status == 2
    assert "no training that could be gone on with" in err


@pytest.mark.parametrize("asked", ["Ünique", "a" * 5 + "\0"])
def test_a_character_never_seen_is_named(asked, capsys):
    run("train", *TINY["charlstm"], "--model", "charlstm", "--steps", 1, capsys=capsys)
    status, out, err = run("predict", "sonnets-charlstm.safetensors", asked, capsys=capsys)
    assert (status, out) == (2, "")
    assert "has never seen" in err


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_ctrl_c_ends_after_a_step_and_what_follows_is_exact(here, capsys):
    command = [sys.executable, "-m", "overbar", "train", *TINY["mlp"], "--model", "mlp"]
    at_once = dict(os.environ, PYTHONUNBUFFERED="1")
    with subprocess.Popen(
        [*command, "--epochs", "100000"], stdout=subprocess.PIPE, text=True, env=at_once
    ) as process:
        for line in process.stdout:
            if "epoch" in line:
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
    assert process.returncode == 0
    assert "when you stopped it" in out
    steps = ob.load("digits-mlp.safetensors")["trainer"]["record"]["steps"]
    run("train", "--resume", "digits-mlp.safetensors", "--steps", steps + 3, capsys=capsys)
    asked = [*TINY["mlp"], "--model", "mlp", "--steps", steps + 3, "--out", "straight"]
    run("train", *asked, capsys=capsys)
    assert arrays("straight") == arrays("digits-mlp.safetensors")


def test_every_model_has_a_habit_and_is_trained_here():
    assert set(TINY) == set(lessons.HABITS)
    assert {name.lower() for name in ob.models.__all__} == set(lessons.HABITS)
