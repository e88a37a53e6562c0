"""One text as several: each compiles alone, and together they are the program."""

import ctypes
import hashlib
import threading

import numpy as np
import pytest

import overbar as ob
from overbar import nn, optim
from overbar.compile import divide, native
from overbar.compile.divide import divided
from overbar.compile.holes import General, Hole, Text, kind_of

pytest.importorskip("llvmlite")
pytestmark = pytest.mark.native

PROGRAM = """
@table = internal constant [2 x i64] [i64 10, i64 20]
declare i64 @llvm.smax.i64(i64, i64)
define internal i64 @twice(i64 %x) alwaysinline nounwind {
  %y = call i64 @once(i64 %x)
  %z = add i64 %y, %y
  ret i64 %z
}
define internal i64 @once(i64 %x) noinline nounwind {
  %y = call i64 @llvm.smax.i64(i64 %x, i64 3)
  ret i64 %y
}
define internal i64 @loose(i64 %x) nounwind {
  %y = mul i64 %x, 7
  ret i64 %y
}
define internal i64 @left_out(i64 %x) noinline nounwind { ret i64 %x }
define internal i64 @looked_up(i64 %x) noinline nounwind {
  %place = getelementptr [2 x i64], ptr @table, i64 0, i64 %x
  %y = load i64, ptr %place
  ret i64 %y
}
define internal i64 @first(i64 %x) noinline nounwind {
  %a = call i64 @twice(i64 %x)
  %b = call i64 @loose(i64 %a)
  %c = call i64 @looked_up(i64 1)
  %d = add i64 %b, %c
  ret i64 %d
}
define internal i64 @second(i64 %x,
    ptr %chosen) noinline nounwind {
  %a = call i64 @twice(i64 %x)
  %b = call i64 %chosen(i64 %a)
  ret i64 %b
}
define i64 @all(i64 %x) nounwind noinline optnone {
  %a = call i64 @first(i64 %x)
  %b = call i64 @second(i64 %a, ptr @looked_up_at_zero)
  %c = add i64 %a, %b
  ret i64 %c
}
define internal i64 @looked_up_at_zero(i64 %x) noinline nounwind {
  %y = call i64 @looked_up(i64 0)
  %z = add i64 %x, %y
  ret i64 %z
}
"""


def expected(x):
    first = 7 * 2 * max(x, 3) + 20
    return first + 2 * max(first, 3) + 10


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setenv("OVERBAR_CACHE", "")
    monkeypatch.setattr(divide, "LINES", 10)


def where(parts, name):
    return [k for k, part in enumerate(parts) if f"define i64 @{name}(" in part
            or f"define internal i64 @{name}(" in part]  # fmt: skip


def test_a_short_text_stays_as_it_is():
    assert divided(PROGRAM) == [PROGRAM]


@pytest.mark.parametrize("lines", [10, 20, 1])
def test_the_parts_are_the_program(lines, small, monkeypatch):
    monkeypatch.setattr(divide, "LINES", lines)
    parts = divided(PROGRAM)
    assert len(parts) == min(PROGRAM.count("\n") // lines, divide.MOST)
    library = native.load(PROGRAM)
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("all"))
    assert [run(x) for x in (-5, 3, 40)] == [expected(x) for x in (-5, 3, 40)]


def test_each_function_is_in_one_part_unless_it_is_copied(small):
    parts = divided(PROGRAM)
    for name in ("once", "loose", "first", "second", "all", "looked_up", "looked_up_at_zero"):
        assert len(where(parts, name)) == 1, name
    assert where(parts, "left_out") == []
    assert where(parts, "twice") == sorted({*where(parts, "first"), *where(parts, "second")})
    assert where(parts, "loose") == where(parts, "first")  # it is inlined there
    # One whose address is taken stays with whoever takes it: addresses of others may be far away.
    assert where(parts, "looked_up_at_zero") == where(parts, "all")
    assert divided(PROGRAM) == parts


def test_another_way_to_divide_has_another_number(small):
    """Else machine code would be taken from the disk that was made of other parts."""
    made = hashlib.sha256("".join(divided(PROGRAM)).encode()).hexdigest()[:16]
    assert (divide.RULES, made) == (2, "210f2911b7445fd0")


def test_a_function_stays_with_the_vector_variants_of_what_it_calls(small):
    """A call names them in an attribute; without them its loop would be one of single numbers."""
    variants = ",".join(f"_ZGV_LLVM_N{n}v_looked_up(looked_up.{n})" for n in (2, 4))
    text = PROGRAM.replace(
        "@looked_up(i64 1)", f'@looked_up(i64 1) "vector-function-abi-variant"="{variants}"'
    )
    for n in (2, 4):
        text += f"define <{n} x i64> @looked_up.{n}(<{n} x i64> %x) noinline nounwind {{\n"
        text += f"  ret <{n} x i64> %x\n}}\n"
    parts = divided(text)
    assert len(parts) > 3
    (home,) = where(parts, "first")
    for n in (2, 4):
        found = [k for k, part in enumerate(parts) if f"define <{n} x i64> @looked_up.{n}(" in part]
        assert found == [home]


def test_a_function_that_nobody_has_is_found_in_a_part_as_well(small):
    broken = PROGRAM.replace("call i64 @looked_up(i64 0)", "call i64 @nowhere(i64 0)")
    with pytest.raises(native.InternalError, match="nowhere"):
        native.load("declare i64 @nowhere(i64)\n" + broken)


def test_every_part_has_the_holes(small):
    text = Text.of(PROGRAM)
    kinds = [(kind_of(text, i), i) for i in range(len(text.numbers))]
    form = General((text,), [Hole(*each) for each in kinds if each[0] is not None])
    parts = divided(form.text)
    assert len(parts) > 2
    library = native.load(form.text)
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("all"))
    for text_of_one in (PROGRAM, PROGRAM.replace("i64 %x, 7", "i64 %x, 9")):
        library.fill(form.filled(Text.of(text_of_one)))
        first = (9 if "i64 %x, 9" in text_of_one else 7) * 2 * 5 + 20
        assert run(5) == first + 2 * first + 10


def test_a_training_step_in_many_parts_has_the_same_bits(monkeypatch):
    monkeypatch.setenv("OVERBAR_CACHE", "")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 64)).astype(np.float32), rng.integers(0, 10, 32)

    def trained():
        ob.random.seed(0)
        model = nn.Sequential(nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 10))
        opt = optim.Adam(model.parameters())

        @ob.jit
        def step():
            opt.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
            return loss

        return [step().item() for _ in range(3)], [p.numpy().copy() for p in model.parameters()]

    results = []
    for lines in (10**9, 150):
        monkeypatch.setattr(divide, "LINES", lines)
        results.append(trained())
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_several_threads_may_compile_at_once(small):
    found = {}

    def work(k):
        library = native.load(PROGRAM.replace("i64 %x, 7", f"i64 %x, {k}"))
        run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("all"))
        found[k] = run(5)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: 3 * (10 * k + 20) + 10 for k in range(6)}
