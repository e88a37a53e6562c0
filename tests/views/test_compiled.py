"""compiled: the passes, the kernels, and which line became what, as they really are."""

import itertools
import json
import re

import numpy as np
import pytest

import overbar as ob
from overbar.compile.access import is_view
from overbar.compile.passes import PASSES, lowered
from overbar.errors import DTypeError, FileError, file_name
from overbar.replay import interpret
from overbar.views import compiled as module
from overbar.views.compiled import compiled
from overbar.views.page import HERE


def training():
    """A step of training, and its arguments; a part of it has no native form."""
    ob.random.seed(0)
    net = ob.nn.Sequential(ob.nn.Linear(3, 8), ob.nn.Tanh(), ob.nn.Linear(8, 2))
    opt = ob.optim.SGD(net.parameters(), 0.1, momentum=0.9)

    @ob.jit
    def step(x, t):
        opt.zero_grad()
        y = net(x)
        loss = ob.nn.functional.mse_loss(y, t)
        trace = ob.linalg.pinv(ob.eye(2) + y.T @ y).sum()
        loss.backward()
        opt.step()
        return loss, trace

    return step, (np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32))


def recurrent():
    """A loop whose body is native, and one whose body is not."""

    @ob.jit
    def run(w, xs):
        def cell(h, x):
            h = ob.tanh(h @ w + x)
            return h, ob.sum(h)

        def hard(h, x):
            return ob.linalg.pinv(h * h + ob.eye(3)) + x, x

        last, sums = ob.scan(cell, ob.zeros(3), xs)
        again, _ = ob.scan(hard, ob.outer(last, last), xs)
        return ob.sum(sums), again

    return run, (np.eye(3), np.ones((5, 3)))


def attention():
    """What is written with simpler operations first."""

    def f(q, k, v):
        scores = q @ k.mT / 2.0
        weights = ob.softmax(scores, axis=-1)
        return weights @ v, ob.sum(weights, axis=-1)

    return ob.jit(f), tuple(np.ones((2, 5, 4), np.float32) for _ in range(3))


def plain():
    """What goes in comes out: nothing is computed."""
    return ob.jit(lambda x: x), (np.ones(3),)


def spectrum():
    """Numbers that have no native form."""
    return ob.jit(lambda x: ob.abs(ob.fft.fft(x)) * 2.0), (np.ones(8),)


PROGRAMS = (training, recurrent, attention, plain, spectrum)


@pytest.fixture(params=PROGRAMS, ids=lambda f: f.__name__)
def answer(request):
    step, args = request.param()
    return compiled(step, *args)


def test_the_passes_are_the_compilers_own(answer):
    assert [p.name for p in answer.passes] == ["trace", *(name for name, _ in PASSES)]
    again = []
    first = answer.passes[0].graph
    lowered(ob.Graph(first.inputs, first.outputs), show=lambda _, graph: again.append(str(graph)))
    assert [str(p.graph) for p in answer.passes[1:]] == again


def test_the_numbers_of_nodes_are_those_of_the_graphs(answer):
    last = None
    for p, told in zip(answer.passes, answer.data["passes"], strict=True):
        last = told["nodes"] or last
        assert len(last) == len(p.graph.nodes)
        assert [n["inputs"] for n in last] == [
            [] if n in p.graph.inputs else [p.graph.nodes.index(x) for x in n.inputs]
            for n in p.graph.nodes
        ]
    for before, p in itertools.pairwise(answer.passes):
        change = sum(p.came.values()) - sum(p.gone.values())
        assert change == len(p.graph.nodes) - len(before.graph.nodes)


def test_every_node_of_the_last_graph_belongs_to_one_kernel(answer):
    graph = answer.passes[-1].graph
    for node in graph.nodes:
        computes = node.inputs and node not in graph.inputs and not is_view(node)
        if computes or node.op.name == "nest":
            assert len(answer.homes(node)) == 1, node
    owned = {i for node in graph.nodes for i in answer.homes(node)}
    assert owned == set(range(len(answer.kernels)))


def test_every_node_that_is_needed_is_computed_somewhere(answer):
    for p in answer.passes:
        needed = set(p.graph.outputs)
        for node in reversed(p.graph.nodes):
            if node in needed and node not in p.graph.inputs:
                needed.update(node.inputs)
        given = set(p.graph.inputs)
        lost = [n for n in needed - given if n.inputs and not answer.homes(n)]
        assert all(answer.passes[-1].name != p.name and is_view(n) for n in lost), (p.name, lost)


def test_every_kernel_names_a_line_and_every_line_is_accounted_for(answer):
    for i, kernel in enumerate(answer.kernels):
        assert kernel.lines
        assert all(i in answer.lines[k].kernels for k in kernel.lines)
    for k, line in enumerate(answer.lines):
        assert line.source
        assert all(k in answer.kernels[i].lines for i in line.kernels)


def test_the_graph_of_kernels_computes_what_was_traced():
    step, args = attention()
    answer = compiled(step, *args)
    first, last = answer.passes[0].graph, answer.passes[-1].graph
    wanted = interpret(first, args)
    found = interpret(last, args)
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_lines_are_the_users(answer):
    files = {line.file for line in answer.lines}
    assert files == {__file__}


def test_a_line_leads_to_its_kernels_and_back():
    step, args = training()
    answer = compiled(step, *args)
    by_source = {line.source: line for line in answer.lines}
    inverse = next(k for k in answer.kernels if k.operations == ("pinv",))
    assert not inverse.native
    assert inverse.why == "pinv has no native form"
    (line,) = (answer.lines[k] for k in inverse.lines)
    assert line.source.startswith("trace = ob.linalg.pinv")
    forward = by_source["y = net(x)"]
    made = [answer.kernels[k].operations for k in forward.kernels]
    assert [operations[0] for operations in made[:3]] == ["einsum", "tanh", "einsum"]
    assert "add" in made[0]  # the bias, while the product is at hand
    assert forward.nodes["trace"] == 9
    update = set(by_source["opt.step()"].kernels)
    back = set(by_source["loss.backward()"].kernels)
    assert update < back  # the gradients update their parameters while they are at hand


def test_loops_say_what_is_in_their_body():
    run, args = recurrent()
    answer = compiled(run, *args)
    loops = [k for k in answer.kernels if "scan" in k.operations]
    assert {k.native for k in loops} == {True, False}
    refused = next(k for k in loops if not k.native)
    assert refused.why == "pinv in its body"
    sources = {answer.lines[k].source for k in refused.lines}
    assert "return ob.linalg.pinv(h * h + ob.eye(3)) + x, x" in sources
    native = next(k for k in loops if k.native)
    assert "h = ob.tanh(h @ w + x)" in {answer.lines[k].source for k in native.lines}


def test_what_is_no_number_of_a_register_is_said():
    step, args = spectrum()
    whys = [k.why for k in compiled(step, *args).kernels if not k.native]
    assert whys
    assert all(why == "complex128 has no native form" for why in whys)


def test_the_counts_are_the_compilers():
    step, args = training()
    answer = compiled(step, *args)
    step(*args)
    said = step.report()
    kernels, threads = (int(re.search(rf"(\d+) {word}", said)[1]) for word in ("kernel", "thread"))
    assert sum(k.native for k in answer.kernels) == kernels
    assert answer.threads == threads


def test_work_and_bytes_are_those_of_the_formula():
    layer = ob.jit(lambda x, w, b: ob.tanh(x @ w + b))
    (kernel,) = compiled(layer, np.ones((4, 3)), np.ones((3, 8)), np.ones(8)).kernels
    assert kernel.operations == ("einsum", "broadcast", "add", "tanh")
    assert kernel.flops == 2 * 4 * 8 * 3 + 2 * 4 * 8
    assert kernel.bytes == 8 * (4 * 3 + 3 * 8 + 8 + 4 * 8)


def test_nothing_is_run_and_the_last_call_is_asked_about():
    step, args = training()
    answer = compiled(step, *args)
    loss = float(step(*args)[0])
    assert str(compiled(step).passes[0].graph) == str(answer.passes[0].graph)
    fresh, _ = training()
    assert float(fresh(*args)[0]) == loss


def test_without_native_code_everything_before_it_is_shown():
    step, args = training()
    native = compiled(step, *args)
    with ob.config(jit="interpret"):
        answer = compiled(step, *args)
    assert [str(p.graph) for p in answer.passes] == [str(p.graph) for p in native.passes]
    assert [k.operations for k in answer.kernels] == [k.operations for k in native.kernels]
    assert not any(k.native for k in answer.kernels)
    assert {k.why for k in answer.kernels} == {"ob.config(jit='interpret')"}
    assert "with NumPy (ob.config(jit='interpret'))" in answer.summary


def test_a_function_that_is_not_jitted_says_what_to_do():
    with pytest.raises(DTypeError, match=r"ob\.jit\(f\)"):
        ob.compiled(lambda x: x, 1.0)


def test_it_is_saved_as_page_text_and_data(tmp_path):
    step, args = attention()
    answer = compiled(step, *args)
    for name in ("a.html", "a.txt", "a.json"):
        answer.save(tmp_path / name)
    page = (tmp_path / "a.html").read_text()
    tag = '<script id="record" type="application/json">'
    held = page.partition(tag)[2].partition("</script>")[0]
    data = json.loads(json.dumps(answer.data))
    assert json.loads(held) == data == json.loads((tmp_path / "a.json").read_text())
    assert (tmp_path / "a.txt").read_text() == answer.text() + "\n"
    assert answer.text() in page.replace("&#x27;", "'").replace("&lt;", "<")
    with pytest.raises(FileError):
        answer.save(tmp_path / "a.png")


def test_the_text_fits_its_columns(answer):
    for columns in (80, 160):
        assert max(map(len, answer.text(columns=columns).split("\n"))) <= columns
    assert answer.text(ascii=True).isascii()


def test_the_page_asks_for_nothing(answer):
    page = answer.html()
    assert "default-src 'none'" in page
    assert len(module.skeleton().encode()) <= 24 * 1024
    for name in module.CODE:
        code = (HERE / name).read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[^\s'\"`)]+", code)) <= {"http://www.w3.org/2000/svg"}
    assert 'sandbox="allow-scripts"' in answer._repr_html_()


def test_a_notebooks_cell_is_called_so():
    assert file_name("/run/ipykernel_77/1151418213.py") == "cell"
    assert file_name("<stdin>") == "<stdin>"
    assert file_name("/home/me/train.py") == file_name(r"C:\me\train.py") == "train.py"
