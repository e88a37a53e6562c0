"""Leading sizes: the second one generalises, a third one runs without LLVM, and all are right."""

import ctypes
import itertools
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import overbar as ob
from overbar.compile.assemble import assemble
from overbar.compile.family import Family, Made
from overbar.compile.holes import General, Hole, Text, general, kind_of
from overbar.compile.microkernel import covering

pytest.importorskip("llvmlite")
from overbar.compile import cache, native
from tests.compile.test_random_programs import assert_close, gradient, results

pytestmark = pytest.mark.native
F = ob.nn.functional


@pytest.fixture(autouse=True)
def nothing_on_disk(monkeypatch):
    monkeypatch.setenv("OVERBAR_CACHE", "")


def compilations(call):
    """How often LLVM worked in a call, and what the call gave."""
    before = native.counts["compiled"]
    result = call()
    return native.counts["compiled"] - before, result


def numbers(n, *rest, dtype=np.float64):
    return np.random.default_rng(n).standard_normal((n, *rest)).astype(dtype)


def trainer(sizes=(6, 16, 12, 3), optimizer=ob.optim.Adam):
    """A network, a step that trains it, and data for a batch."""
    ob.random.seed(0)
    layers = [m for a, b in itertools.pairwise(sizes) for m in (ob.nn.Linear(a, b), ob.nn.ReLU())]
    net = ob.nn.Sequential(*layers[:-1])
    opt = optimizer(net.parameters(), 0.01)

    @ob.jit
    def step(x, t):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), t)
        loss.backward()
        opt.step()
        return loss.detach()

    def batch(n):
        r = np.random.default_rng(n)
        return r.standard_normal((n, sizes[0]), dtype=np.float32), r.integers(0, sizes[-1], n)

    return net, step, batch


FUNCTIONS = {
    "vector": (lambda x: ob.sum(ob.exp(-x * x)) / x.shape[0], ()),
    "gradient": (ob.grad(lambda x: ob.mean(ob.sin(x) * x)), ()),
    "softmax": (lambda x: ob.exp(x - ob.logsumexp(x, axis=-1, keepdims=True)), (5,)),
    "columns": (lambda x: (x - ob.mean(x, axis=0)) / (1.0 + ob.std(x, axis=0)), (7,)),
    "gram": (lambda x: x.T @ x, (20,)),
    "rows": (
        lambda x: ob.tanh(x @ np.linspace(-1, 1, 35 * 6).reshape(35, 6)) @ np.ones((6, 40)),
        (35,),
    ),
    "stacked": (
        lambda x: ob.cumsum(ob.concat([x, 2.0 * x], axis=1), axis=1).max(axis=1),
        (3,),
    ),
    "cube": (lambda x: ob.einsum("nij,njk->nik", x, x).sum(axis=0), (4, 4)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_third_size_is_not_compiled_and_every_size_is_right(name, threads):
    f, rest = FUNCTIONS[name]
    step = ob.jit(f)
    with ob.config(threads=threads):
        for n in (32, 64):
            step(numbers(n, *rest))
        for n in (77, 100, 33, 50):
            made, y = compilations(lambda n=n: step(numbers(n, *rest)))
            assert made == 0, (n, step.why_compiled())
            with ob.config(jit="off"):
                np.testing.assert_allclose(
                    y, f(ob.tensor(numbers(n, *rest))), rtol=1e-12, atol=1e-12
                )
        for n in (1, 2, 3, 7, 31, 129, 1000):
            with ob.config(jit="off"):
                wanted = f(ob.tensor(numbers(n, *rest)))
            np.testing.assert_allclose(step(numbers(n, *rest)), wanted, rtol=1e-12, atol=1e-12)


def test_nothing_at_all_is_a_size():
    f = ob.jit(lambda x: ob.exp(x) * 2.0)
    for n in (4, 8, 0, 12, 1, 0):
        np.testing.assert_allclose(f(numbers(n)), np.exp(numbers(n)) * 2.0, rtol=1e-14)


@pytest.mark.parametrize("sizes", [(6, 16, 12, 3), (64, 32, 10)])
def test_training_with_batches_of_many_sizes(sizes):
    net, step, batch = trainer(sizes)
    twin, eager, _ = trainer(sizes)
    compiled = []
    for n in (32, 64, 77, 100, 45, 32, 64, 9, 33, 1):
        made, loss = compilations(lambda n=n: step(*batch(n)))
        compiled.append(made)
        with ob.config(jit="off"):
            wanted = eager(*batch(n))
        np.testing.assert_allclose(loss, wanted, rtol=2e-5)
    assert compiled[2:7] == [0] * 5, compiled
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.detach(), q.detach(), rtol=1e-3, atol=1e-5)


def test_the_last_smaller_batch_of_an_epoch_is_compiled_once():
    _, step, batch = trainer()
    data = batch(150)
    for _ in range(2):
        for start in range(0, 150, 64):
            step(*(a[start : start + 64] for a in data))
    made, _ = compilations(lambda: step(*(a[:40] for a in data)))
    assert made == 0


def test_reports_say_so():
    f = ob.jit(lambda x: ob.sum(x * x))
    for n in (5, 6, 7):
        f(numbers(n))
    first, second, third = f.why_compiled().splitlines()
    assert "generalised" not in first
    assert second.endswith("generalised over the leading size")
    assert "float64[6] -> float64[7]" in third
    assert third.endswith("nothing was compiled: the code of other sizes serves")
    assert "generalised over the leading size" in f.report()


def test_another_structure_is_compiled_for_itself():
    def f(x):  # the number of operations depends on the size
        for _ in range(x.shape[0]):
            x = ob.sin(x)
        return x

    step = ob.jit(f)
    for n in (2, 3, 4, 5):
        made, y = compilations(lambda n=n: step(numbers(n)))
        wanted = numbers(n)
        for _ in range(n):
            wanted = np.sin(wanted)
        assert made == 1
        np.testing.assert_allclose(y, wanted, rtol=1e-14)


def test_a_number_that_varies_only_later_makes_it_more_general():
    step = ob.jit(lambda x: x * float(max(x.shape[0], 10)))
    counts = []
    for n in (4, 6, 20, 30, 40):
        made, y = compilations(lambda n=n: step(numbers(n)))
        counts.append(made)
        np.testing.assert_allclose(y, numbers(n) * max(n, 10))
    assert counts == [1, 1, 1, 0, 0]


def test_two_sizes_at_once_and_two_arguments():
    f = ob.jit(lambda x, y: ob.outer(x, y) @ y)
    for m, n in ((8, 9), (12, 20), (31, 17), (40, 33)):
        x, y = numbers(m), numbers(n)
        made, z = compilations(lambda x=x, y=y: f(x, y))
        np.testing.assert_allclose(z, np.outer(x, y) @ y, rtol=1e-12)
    assert made == 0


def test_code_for_other_sizes_comes_from_the_disk(tmp_path):
    program = textwrap.dedent("""
        import numpy as np, overbar as ob
        from overbar.compile import native
        f = ob.jit(lambda x: ob.sum(ob.tanh(x @ x.T)))
        for n in (16, 24, 20, 31):
            x = np.linspace(-1, 1, n * 3).reshape(n, 3)
            assert abs(float(f(x)) - np.tanh(x @ x.T).sum()) < 1e-9
        print(native.counts["compiled"], native.counts["reloaded"])
    """)
    said = []
    for _ in range(2):
        found = subprocess.run(
            [sys.executable, "-c", program],
            env={"OVERBAR_CACHE": str(tmp_path), "PATH": "", "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        said.append([int(n) for n in found.stdout.split()])
    (first, none), (again, found) = said
    assert first >= 2
    assert (none, again, found) == (0, 0, first)


def test_a_broken_object_is_made_again(monkeypatch, tmp_path):
    monkeypatch.setenv("OVERBAR_CACHE", str(tmp_path))

    def run():
        f = ob.jit(lambda x: ob.sum(ob.cos(x) * 3.0))
        for n in (10, 20, 30):
            assert np.isclose(f(numbers(n)), np.sum(np.cos(numbers(n)) * 3.0))

    run()
    for path in cache.folder().glob("*.object"):
        path.write_bytes(path.read_bytes()[:-9])
    assert compilations(run)[0] >= 2


# -- holes ------------------------------------------------------------------------------------

LINE = """define i64 @f(i64 %x, ptr %p) nounwind {{
entry:
  %t1 = mul nsw i64 %x, {0}
  %t2 = call i64 @llvm.smin.i64(i64 %t1, i64 {1})
  store double {2}, ptr %p, align 8
  ret i64 %t2
}}
declare i64 @llvm.smin.i64(i64, i64)
"""
HALF, THIRD = "0x3FE0000000000000", "0x3FD5555555555555"


def test_a_text_with_holes_is_each_of_the_texts_it_was_made_of():
    texts = [Text.of(LINE.format(*v)) for v in ((3, 9, HALF), (5, 9, THIRD))]
    assert [str(t) for t in texts] == [LINE.format(3, 9, HALF), LINE.format(5, 9, THIRD)]
    made = general(*texts)
    assert [hole.kind for hole in made.holes] == ["i64", "double"]
    library = native.load(made.text)
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(library.address("f"))
    place = np.zeros(1)
    for values in ((3, 9, HALF), (5, 9, THIRD), (-7, 9, HALF)):
        library.fill(made.filled(Text.of(LINE.format(*values))))
        assert run(4, place.ctypes.data) == min(4 * values[0], 9)
        assert place[0] == {HALF: 0.5, THIRD: 1 / 3}[values[2]]
    assert made.filled(Text.of(LINE.format(3, 8, HALF))) is None


@pytest.mark.parametrize("start", [0, 10])
def test_a_random_gradient_is_the_same_if_all_its_numbers_are_holes(start, monkeypatch):
    holes = []

    def made(self, graph, donated, threads):
        machine = native.host()
        assembled = assemble(graph, donated, machine=machine, threads=threads, habits={})
        text = Text.of(assembled.text)
        kinds = [(kind_of(text, i), i) for i in range(len(text.numbers))]
        form = General((text,), [Hole(*each) for each in kinds if each[0] is not None])
        library = native.load(form.text)
        library.fill(form.filled(text))
        holes.append(len(form.holes))
        return Made(assembled, library, len(form.holes))

    monkeypatch.setattr(Family, "made", made)
    for seed in range(start, start + 10):
        drawn, f = gradient(seed)
        wanted = results(f, drawn.xs, "interpret")
        assert_close(results(f, drawn.xs, "native"), wanted, f"seed {seed}\n{drawn}")
    assert max(holes) > 100


def test_what_an_instruction_wants_known_is_no_hole():
    for line in (
        "  %t1 = alloca i64, align {}",
        "  %t1 = extractelement <4 x float> %x, i64 {}",
        "  %t1 = add <2 x i64> %x, <i64 1, i64 {}>",
        "  call void @llvm.prefetch.p0(ptr %x, i32 {}, i32 3, i32 1)",
    ):
        texts = [
            Text.of(f"define void @f() {{\nentry:\n{line.format(n)}\n  ret void\n}}\n")
            for n in (1, 2)
        ]
        assert texts[0] != texts[1]
        assert general(*texts) is None, line


def test_another_frame_cannot_be_filled():
    made = general(*(Text.of(LINE.format(n, 9, HALF)) for n in (3, 5)))
    assert made.filled(Text.of(LINE.format(3, 9, HALF).replace("mul", "add"))) is None
    assert general(Text.of("  ret i64 3\n"), Text.of("  ret i32 3\n")) is None


@pytest.mark.parametrize("full", [12, 6])
def test_tiles_cover_all_rows_and_little_more(full):
    for rows in range(1, 200):
        high, low = covering(rows, full)
        size = high * full + low * (2 * full // 3)
        assert rows <= size < rows + (2 * full // 3 if rows < full else full // 3 + 1), rows
        assert size - rows < 2 * full // 3  # the last tile is not empty
