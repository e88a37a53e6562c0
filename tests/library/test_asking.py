"""`overbar explain`: every view of a function in a script, and how mistakes are answered."""

import pytest

import overbar as ob
from overbar import asking, cli

LESSON = """\
import numpy as np
import overbar as ob

x2 = 5.0

def f(x1, x2):
    v1 = x1 * x2
    return v1 + ob.sin(x2)

W = ob.tensor(np.eye(3), requires_grad=True)

def loss(x=np.ones((4, 3))):
    return ob.sum(ob.tanh(x @ W))

class Net(ob.nn.Module):
    def __init__(self):
        self.layer = ob.nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x)

net, x = Net(), np.ones((4, 3))
L = loss()
count = 3

if __name__ == "__main__":
    raise SystemExit("run as a program")
"""


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lesson.py").write_text(LESSON, encoding="utf-8")
    return tmp_path


def run(*arguments, capsys):
    try:
        status = cli.main(list(arguments))
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("view", [v for v in asking.VIEWS if v != "html"])
def test_every_view_is_what_the_function_of_that_name_says(lesson, capsys, view):
    status, out, err = run("explain", "lesson.py:loss", "--view", view, capsys=capsys)
    assert (status, err) == (0, "")
    module = asking.loaded(lesson / "lesson.py")
    loss = ob.jit(module.loss) if view == "compiled" else module.loss
    wanted = str(getattr(ob, asking.VIEWS[view])(loss, vars(module)["x"]))
    assert out.split() == wanted.split()


def test_the_story_is_the_default(lesson, capsys):
    _, story, _ = run("explain", "lesson.py:loss", capsys=capsys)
    _, same, _ = run("explain", "lesson.py:loss", "--view", "story", capsys=capsys)
    assert story == same
    assert "L = Σ" in story


def test_arguments_come_from_the_command_the_script_or_the_default(lesson, capsys):
    _, out, _ = run("explain", "lesson.py:f", "--set", "x1=2", "--view", "table", capsys=capsys)
    assert "= 10.0" in out
    out = run("explain", "lesson.py:f", "--set", "x1=2", "--set", "x2=3.0", capsys=capsys)[1]
    assert "6.00" in out
    assert run("explain", "lesson.py:loss", capsys=capsys)[0] == 0


def test_a_model_and_a_result_can_be_asked_too(lesson, capsys):
    status, out, _ = run("explain", "lesson.py:net", "--view", "health", capsys=capsys)
    assert (status, "layer" in out) == (0, True)
    assert run("explain", "lesson.py:L", capsys=capsys)[0] == 0


def test_one_variable(lesson, capsys):
    command = ["explain", "lesson.py:f", "--set", "x1=2", "--view", "derive", "--wrt", "x1"]
    out = run(*command, capsys=capsys)[1]
    assert "x̄1 = v̄1 x2" in out
    assert "x̄2" not in out


def test_a_page_is_written_and_said_where(lesson, capsys):
    status, out, _ = run("explain", "lesson.py:loss", "--view", "html", capsys=capsys)
    assert (status, out) == (0, "loss.html: written\n")
    assert "<html" in (lesson / "loss.html").read_text(encoding="utf-8")
    run("explain", "lesson.py:loss", "--view", "draw", "-o", "a.svg", capsys=capsys)
    assert "<svg" in (lesson / "a.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lesson.py"], "which function?"),
        (["lesson.py:g"], "hint: there are f, W, loss, L"),
        (["lesson.py:count"], "of the kind int"),
        (["nothing.py:f"], "there is no such file"),
        (["lesson.py:f"], "f(x1): which value?"),
        (["lesson.py:f", "--set", "y=3"], "f has no such argument"),
        (["lesson.py:f", "--set", "x1"], "this is no value"),
        (["lesson.py:f", "--set", "x1=2", "--view", "film"], "there are story, table"),
        (["lesson.py:f", "--set", "x1=2", "--wrt", "z"], "nothing here is called 'z'"),
        (["lesson.py:f", "--set", "x1=2", "--view", "cost", "--wrt", "x1"], "all parameters"),
        (["lesson.py:f", "--set", "x1=2", "-o", "a.xyz"], "ends in nothing that can be written"),
        (["broken.py:f"], "broken.py: line 2: ZeroDivisionError"),
        (["wrong.py:f"], "wrong.py: line 1: SyntaxError"),
    ],
)
def test_a_mistake_is_answered_in_words(lesson, capsys, arguments, said):
    (lesson / "broken.py").write_text("x = 1\ny = x / 0\n", encoding="utf-8")
    (lesson / "wrong.py").write_text("def f(:\n", encoding="utf-8")
    status, out, err = run("explain", *arguments, capsys=capsys)
    assert (status, out) == (2, "")
    assert err.startswith("overbar: ")
    assert said in err
    assert "Traceback" not in err


def test_a_view_that_is_not_there_is_said_to_be_missing(lesson, capsys, monkeypatch):
    monkeypatch.setitem(asking.VIEWS, "story", "explain_in_verse")
    status, _, err = run("explain", "lesson.py:loss", capsys=capsys)
    assert status == 2
    assert "this overbar has no ob.explain_in_verse" in err
