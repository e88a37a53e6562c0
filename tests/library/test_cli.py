"""The command line: demo, train, predict, and how mistakes are answered."""

import csv
import io
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import overbar as ob
from overbar import cli, demo, store, tabular, terminal
from overbar.data.recipe import Recipe
from overbar.data.table import read_table

PICTURE = Path(__file__).parents[2] / "docs" / "network.svg"
QUICK = ["--epochs", "3", "--hidden", "8"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def flowers(here):
    """Two numbers, one of them with blanks, and a colour decide the kind."""
    draw = np.random.default_rng(0)
    with (here / "flowers.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["height", "width", "colour", "kind"])
        for i in range(300):
            height, width, colour = draw.normal(), draw.uniform(0, 10), draw.choice(["red", "blue"])
            kind = "rose" if height + (colour == "red") > 0.5 else "daisy"
            out.writerow(["" if i % 29 == 5 else f"{height:.3f}", f"{width:.2f}", colour, kind])
    return "flowers.csv"


@pytest.fixture
def houses(here):
    draw = np.random.default_rng(1)
    a, b = draw.normal(size=300), draw.uniform(-2, 2, 300)
    price = 1000 + 50 * a + 80 * b * b + 5 * draw.normal(size=300)
    np.savez(here / "houses.npz", X=np.stack([a, b], 1), price=price)
    return "houses.npz"


def run(*arguments, capsys=None):
    """(exit status, standard output, standard error)"""
    try:
        status = cli.main([str(a) for a in arguments])
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


def value_of(name, out):
    """What stands behind a name in a table of the output."""
    return next(line for line in out.splitlines() if line.startswith(f"  {name} ")).split()[1:]


# -- help and version -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["train", "--help"], ["predict", "-h"], ["demo", "-h"]]
)
def test_help_is_given(arguments, capsys):
    status, out, err = run(*arguments, capsys=capsys)
    assert (status, err) == (0, "")
    assert out.startswith("usage: overbar")
    assert max(map(len, out.splitlines())) <= 96


def test_the_version_says_what_it_runs_on(capsys):
    status, out, _ = run("--version", capsys=capsys)
    assert status == 0
    assert out.startswith(f"overbar {ob.__version__} (Python 3.")


def test_python_dash_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "overbar", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("overbar ")


def test_neither_help_nor_version_imports_rich():
    code = (
        "import sys; from overbar import cli; cli.main(['--version']); print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


WRONG = {
    "an unknown command": ["fly"],
    "no target": ["train", "x.csv"],
    "an unknown option": ["demo", "--speed", "3"],
    "no epochs": ["demo", "--epochs", "0"],
    "half an epoch": ["train", "x.csv", "--target", "y", "--epochs", "1.5"],
    "a negative rate": ["train", "x.csv", "--target", "y", "--lr", "-1"],
    "no size": ["train", "x.csv", "--target", "y", "--hidden", "64,x"],
    "an unknown activation": ["train", "x.csv", "--target", "y", "--activation", "swish"],
    "an unknown optimizer": ["train", "x.csv", "--target", "y", "--optimizer", "lion"],
    "no such file": ["train", "x.csv", "--target", "y"],
    "no such model": ["predict", "m.safetensors", "x.csv"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_answered_in_words_with_status_2(arguments, here, capsys):
    status, out, err = run(*arguments, capsys=capsys)
    assert (status, out) == (2, "")
    assert err.startswith("overbar: ")
    assert "Traceback" not in err
    assert list(here.iterdir()) == []


# -- demo -------------------------------------------------------------------------------------


def test_the_demo_recognises_97_of_100_digits_and_tells_a_story(here):
    start = time.perf_counter()
    utf8 = dict(os.environ, PYTHONIOENCODING="utf-8")
    command = [sys.executable, "-m", "overbar", "demo"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=utf8, check=False)
    out = done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert time.perf_counter() - start < 30
    accuracy = float(value_of("accuracy", out)[0].rstrip("%"))
    assert accuracy >= 97
    for said in ("epoch 30 of 30", "per epoch", "W̄1 = z̄ᵀ x", "tanh z", "L̄ = 1", "2,410 numbers"):
        assert said in out
    model = ob.load(here / "overbar-demo" / "digits.safetensors")
    _, _, X, y = ob.data.digits()
    assert f"{(model(X).numpy().argmax(1) == y).mean():.1%}" == f"{accuracy}%"
    for page in ("story.html", "explorer.html"):
        assert "<html" in (here / "overbar-demo" / page).read_text(encoding="utf-8")
        assert page in out
    drawn = (here / "overbar-demo" / "network.svg").read_text(encoding="utf-8")
    kept = PICTURE.read_text(encoding="utf-8")
    number = re.compile(r"line \d+:")  # of lines of the demo
    assert number.sub("", drawn) == number.sub("", kept), f"cp overbar-demo/network.svg {PICTURE}"


def test_the_picture_of_the_readme_is_shown_there_and_suits_light_and_dark_pages():
    readme = (PICTURE.parent.parent / "README.md").read_text(encoding="utf-8")
    assert readme.index("](docs/network.svg)") < readme.index("## A tour")
    text = PICTURE.read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314  (ours)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert float(root.get("width")) > float(root.get("height")) > 100
    assert "prefers-color-scheme:dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_demo_is_the_same_for_the_same_seed(here, capsys):
    weights = []
    for seed in (5, 5, 6):
        run("demo", "--epochs", 1, "--seed", seed, "--out", "d", capsys=capsys)
        weights.append(store.read("d/digits.safetensors")[0]["0.weight"].tobytes())
    assert weights[0] == weights[1] != weights[2]


def test_the_picture_shows_each_digit_with_its_label():
    _, _, X, y = ob.data.digits()
    rows = demo.picture(X[:2], y[:2])
    assert len(rows) == 9
    assert [int(label) for label in rows[8].split()] == y[:2].tolist()
    assert {len(row) for row in rows} <= set(range(35))


# -- train and predict ------------------------------------------------------------------------


def test_classes_are_learnt_saved_and_predicted(flowers, here, capsys):
    status, out, err = run("train", flowers, "--target", "kind", "--epochs", 60, capsys=capsys)
    assert (status, err) == (0, "")
    assert "'kind' has the texts 'daisy', 'rose': classification." in out
    assert "blanks become the median" in out
    assert "one column of 0 and 1 for each of 'blue', 'red'" in out
    accuracy, guess = value_of("accuracy", out)[:2]
    assert float(accuracy.rstrip("%")) > 85 > float(guess.rstrip("%"))
    status, out, err = run("predict", "flowers-model.safetensors", flowers, capsys=capsys)
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["row"] for row in rows[:2]] == ["2", "3"]
    truth = read_table(flowers).texts("kind")
    right = sum(row["kind"] == kind for row, kind in zip(rows, truth, strict=True))
    assert right > 0.85 * len(rows)
    assert all(0.5 <= float(row["probability"]) <= 1 for row in rows)
    assert f"right {right} of 300" in err


def test_quantities_are_learnt_saved_and_predicted(houses, here, capsys):
    status, out, _ = run(
        "train",
        houses,
        "--target",
        "price",
        "--epochs",
        80,
        "--out",
        "m.safetensors",
        capsys=capsys,
    )
    assert status == 0
    assert "regression" in out
    ours, mean = map(float, value_of("R²", out))
    assert ours > 0.9
    assert abs(mean) < 0.1
    status, out, err = run("predict", "m.safetensors", houses, "--out", "p.csv", capsys=capsys)
    assert (status, out) == (0, "")
    assert "300 predictions written: p.csv" in err
    with (here / "p.csv").open(encoding="utf-8") as file:
        got = np.array([float(row["price"]) for row in csv.DictReader(file)])
    want = np.load(houses)["price"]
    assert 1 - ((got - want) ** 2).sum() / ((want - want.mean()) ** 2).sum() > 0.9


def test_the_predictions_in_the_file_are_those_of_the_model(flowers, capsys):
    """By hand: recipe, network, softmax."""
    run("train", flowers, "--target", "kind", *QUICK, capsys=capsys)
    saved = ob.load("flowers-model.safetensors")
    recipe = Recipe.from_json(saved["recipe"])
    p = ob.softmax(saved["model"].eval()(recipe.apply(read_table(flowers)))).numpy()
    _, out, _ = run("predict", "flowers-model.safetensors", flowers, capsys=capsys)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["kind"] for row in rows] == [recipe.classes[k] for k in p.argmax(1)]
    np.testing.assert_allclose([float(row["probability"]) for row in rows], p.max(1), atol=1e-4)


def test_the_same_seed_trains_the_same_model(flowers, capsys):
    models = []
    for seed in (1, 1, 2):
        run(
            "train",
            flowers,
            "--target",
            "kind",
            *QUICK,
            "--seed",
            seed,
            "--out",
            "m.safetensors",
            capsys=capsys,
        )
        models.append(store.read("m.safetensors")[0]["model.0.weight"].tobytes())
    assert models[0] == models[1] != models[2]


@pytest.mark.parametrize("optimizer", tabular.OPTIMIZERS)
def test_every_optimizer_and_activation_can_be_asked_for(optimizer, flowers, capsys):
    activation = list(tabular.ACTIVATIONS)[list(tabular.OPTIMIZERS).index(optimizer)]
    asked = [
        "--optimizer",
        optimizer,
        "--activation",
        activation,
        "--batch-size",
        "64",
        "--lr",
        "0.01",
    ]
    status, out, err = run("train", flowers, "--target", "kind", *QUICK, *asked, capsys=capsys)
    assert (status, err) == (0, "")
    assert tabular.ACTIVATIONS[activation].__name__ in out


def test_training_stops_when_validation_gets_no_better(flowers, capsys):
    asked = ["--epochs", "500", "--patience", "3", "--lr", "0.05"]
    _, out, _ = run("train", flowers, "--target", "kind", *asked, capsys=capsys)
    assert "3 more brought nothing better" in out


def test_the_best_epoch_is_kept_and_not_the_last(flowers, capsys):
    run(
        "train",
        flowers,
        "--target",
        "kind",
        "--epochs",
        40,
        "--patience",
        40,
        "--lr",
        "0.05",
        capsys=capsys,
    )
    model, recipe = tabular.opened("flowers-model.safetensors")
    table = read_table(flowers)
    rng = ob.random.default_rng(0)
    rows = tabular.split(recipe.targets(table), recipe.task, rng)["validation"]
    part = table.take(rows)
    kept = tabular.scores(recipe, tabular.outputs(model, recipe.apply(part)), recipe.targets(part))
    assert float(kept["cross-entropy"]) < 0.35


def test_a_small_table_is_trained_on_whole_and_that_is_said(here, capsys):
    (here / "xor.csv").write_text("a,b,t\n0,1,1\n1,1,0\n0,0,0\n1,0,1\n")
    asked = ["--target", "t", "--task", "classification", "--activation", "tanh", "--hidden", "8"]
    status, out, _ = run(
        "train", "xor.csv", *asked, "--lr", "0.05", "--batch-size", "4", capsys=capsys
    )
    assert status == 0
    assert "none is left to judge with" in out
    assert "on the rows it was trained on" in out
    assert "4 of 4" in out


def test_no_hidden_layer_is_a_linear_model(houses, capsys):
    _, out, _ = run(
        "train", houses, "--target", "price", "--hidden", 0, "--epochs", 2, capsys=capsys
    )
    assert "(0): Linear(in_features=2, out_features=1, bias=True)\n)" in out


@pytest.mark.parametrize(
    ("counts", "task"),
    [
        ((97, 2, 1), "classification"),
        ((40, 60), "classification"),
        ((2,) * 50, "classification"),
        ((100,), "regression"),
    ],
)
def test_a_split_deals_every_row_once_and_each_class_its_share(counts, task):
    y = np.repeat(np.arange(len(counts)), counts)
    parts = tabular.split(y, task, ob.random.default_rng(3))
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(100))
    assert [len(rows) for rows in parts.values()] == pytest.approx([65, 15, 20], abs=1)
    assert set(y[parts["train"]]) == set(range(len(counts)))
    share = (y[parts["test"]] == 0).mean()
    assert share == pytest.approx(counts[0] / 100, abs=0.05)


# -- mistakes in the data ---------------------------------------------------------------------

FAULTS = {
    "no such column": ("a,b\n1,2\n3,4\n", "c", "no column 'c'"),
    "an empty file": ("", "b", "is empty"),
    "a header only": ("a,b\n", "b", "no rows"),
    "ragged rows": ("a,b\n1,2\n3\n5,6\n", "b", "row 3"),
    "a column of nothing": ("a,b,c\n1,,2\n3,,4\n", "c", "'b' has nothing in it"),
    "a blank target": ("a,b\n1,2\n3,\n5,6\n", "b", "blank in 1 row"),
    "one class": ("a,b\n1,x\n2,x\n", "b", "in every row"),
    "no other column": ("b\n1\n2\n", "b", "no column to predict"),
    "infinity": ("a,b\n1,2\ninf,3\n4,5\n", "b", "row 3, column 'a'"),
}


@pytest.mark.parametrize(("text", "target", "said"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_table_is_refused_with_its_place_and_nothing_is_written(
    text, target, said, here, capsys
):
    (here / "t.csv").write_text(text)
    (here / "t-model.safetensors").write_bytes(b"precious")
    status, out, err = run("train", "t.csv", "--target", target, capsys=capsys)
    assert (status, out) == (2, "")
    assert said in err
    assert "t.csv" in err
    assert "in cli.py" not in err
    assert (here / "t-model.safetensors").read_bytes() == b"precious"
    assert len(list(here.iterdir())) == 2


def test_what_is_read_is_not_written_over(flowers, here, capsys):
    before = (here / flowers).read_bytes()
    status, _, err = run("train", flowers, "--target", "kind", "--out", flowers, capsys=capsys)
    assert status == 2
    assert "would overwrite what is read" in err
    run("train", flowers, "--target", "kind", *QUICK, capsys=capsys)
    for out in (flowers, "flowers-model.safetensors", str(here)):
        status, _, _ = run(
            "predict", "flowers-model.safetensors", flowers, "--out", out, capsys=capsys
        )
        assert status == 2
    assert (here / flowers).read_bytes() == before
    status, _, err = run(
        "train", flowers, "--target", "kind", "--out", "nowhere/m.safetensors", capsys=capsys
    )
    assert status == 2
    assert "there is no folder nowhere" in err


def test_predicting_checks_the_columns(flowers, here, capsys):
    run("train", flowers, "--target", "kind", *QUICK, capsys=capsys)
    (here / "new.csv").write_text("height,colour\n1,red\n")
    status, out, err = run("predict", "flowers-model.safetensors", "new.csv", capsys=capsys)
    assert (status, out) == (2, "")
    assert "new.csv has no column 'width'" in err
    (here / "new.csv").write_text("height,width,colour,extra\n1,2,red,3\ntall,2,green,3\n")
    status, out, err = run("predict", "flowers-model.safetensors", "new.csv", capsys=capsys)
    assert status == 2
    assert "row 3, column 'height'" in err
    (here / "new.csv").write_text("height,width,colour,extra\n1,2,red,3\n,2,green,3\n")
    status, out, err = run("predict", "flowers-model.safetensors", "new.csv", capsys=capsys)
    assert status == 0
    assert len(out.splitlines()) == 3
    assert "'extra'" in err
    assert "'green'" in err


def test_another_file_is_no_model(flowers, here, capsys):
    ob.save(ob.nn.Linear(2, 2), here / "m.safetensors")
    status, _, err = run("predict", "m.safetensors", flowers, capsys=capsys)
    assert status == 2
    assert "is not a model for tables" in err
    (here / "m.safetensors").write_bytes(b"garbage, and nothing else than that")
    status, _, err = run("predict", "m.safetensors", flowers, capsys=capsys)
    assert status == 2


def test_a_rate_that_explodes_is_said(houses, here, capsys):
    asked = ["--optimizer", "sgd", "--lr", "1e30"]
    status, _, err = run("train", houses, "--target", "price", *asked, capsys=capsys)
    assert status == 1
    assert "--lr 1e+29" in err
    assert not list(here.glob("*.safetensors"))


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_ctrl_c_keeps_the_best_so_far(flowers, here):
    asked = ["train", flowers, "--target", "kind", "--epochs", "100000", "--patience", "100000"]
    at_once = dict(os.environ, PYTHONUNBUFFERED="1")
    command = [sys.executable, "-m", "overbar", *asked]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=at_once) as process:
        for line in process.stdout:
            if "epoch" in line:
                break
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
    assert process.returncode == 0
    assert "when you stopped it" in out
    tabular.opened(str(here / "flowers-model.safetensors"))


def test_a_reader_that_has_seen_enough_is_no_error(flowers, here, capsys):
    run("train", flowers, "--target", "kind", *QUICK, capsys=capsys)
    command = [sys.executable, "-m", "overbar", "predict", "flowers-model.safetensors", flowers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        err = process.stderr.read().decode()
    assert "Traceback" not in err
    assert "Exception" not in err


# -- on a terminal ----------------------------------------------------------------------------


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_terminal_sees_colours_and_a_moving_bar(flowers, monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Tty())
    assert cli.main(["train", flowers, "--target", "kind", *QUICK]) == 0
    shown = sys.stdout.getvalue()
    assert "\x1b[1m" in shown
    assert "━" in shown
    assert "epoch 3/3" in shown
    assert cli.main([]) == 0
    assert "\x1b[1mcommands:" in sys.stdout.getvalue()
    assert cli.main(["predict", "flowers-model.safetensors", flowers]) == 0
    assert "probability" in sys.stdout.getvalue().splitlines()[-13]


def test_text_that_looks_like_markup_is_shown_as_it_is():
    to = terminal.Screen(Tty())
    to.line("[bold]W[/bold] [0:3] :smile:")
    to.table([("[red]", "[1]", "[/]")])
    shown = to.file.getvalue()
    for said in ("[bold]W[/bold] [0:3] :smile:", "[red]", "[1]", "[/]"):
        assert said in shown


def test_a_stream_that_knows_ascii_only_gets_ascii():
    class Ascii(io.StringIO):
        encoding = "ascii"

    to = terminal.Screen(Ascii())
    to.plain("L̄ = 1 █")
    assert to.file.getvalue() == "L? = 1 ?\n"


def test_scores_are_those_of_their_definitions(rng):
    y = rng.standard_normal(50).astype(np.float32)
    recipe = Recipe("y", "regression", [], [], [], 2.0, 3.0)
    z = rng.standard_normal((50, 1))
    found = tabular.scores(recipe, z, y)
    e = z[:, 0] * 3 + 2 - y
    assert found["RMSE"] == f"{math.sqrt((e**2).mean()):.4g}"
    assert float(found["R²"]) == pytest.approx(
        1 - (e**2).sum() / ((y - y.mean()) ** 2).sum(), abs=6e-4
    )
