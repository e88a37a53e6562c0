"""Names and keywords of other libraries raise, and the message says what we write."""

import copy
import inspect
import re

import numpy as np
import pytest

import overbar as ob
from overbar.errors import OverbarError, SpellingError
from overbar.ops import spellings
from overbar.primitive import PUBLIC

SPACES = {"linalg", "fft", "special"}


def names_in(text):
    """The dotted names of overbar in a piece of code."""
    return re.findall(r"\bob((?:\.\w+)+)", text)


def is_ours(dotted):
    first, *rest = dotted.strip(".").split(".")
    if first in SPACES:
        return not rest or rest[0] in PUBLIC[first]
    if not hasattr(ob, first):
        return False
    return (
        not rest
        or hasattr(getattr(ob, first), rest[0])
        or hasattr(ob.random.default_rng(0), rest[0])
    )


@pytest.mark.parametrize("table", ["NAMES", "METHODS", "KEYWORDS"])
def test_what_the_messages_recommend_exists(table):
    recommended = {d for text in getattr(spellings, table).values() for d in names_in(text)}
    assert {d for d in recommended if not is_ours(d)} == set()
    methods = {m for text in spellings.METHODS.values() for m in re.findall(r"\bx\.(\w+)", text)}
    assert {m for m in methods if not hasattr(ob.Tensor, m)} == set()


def test_the_tables_name_only_what_we_lack():
    assert {name for name in spellings.NAMES if name in PUBLIC[""]} == set()
    assert {name for name in spellings.METHODS if hasattr(ob.Tensor, name)} == set()
    assert len(spellings.NAMES) + len(spellings.METHODS) + len(spellings.KEYWORDS) > 80


@pytest.mark.parametrize("name", spellings.NAMES)
def test_a_function_of_another_library_names_ours(name):
    with pytest.raises(SpellingError, match=re.escape(spellings.NAMES[name])):
        spellings.spelled(name)


@pytest.mark.parametrize("name", spellings.METHODS)
def test_a_method_of_another_library_names_ours(name):
    with pytest.raises(SpellingError, match=re.escape(spellings.METHODS[name])):
        getattr(ob.tensor([1.0]), name)


def test_the_module_asks_the_table():
    with pytest.raises(SpellingError, match=r"ob\.concat\(\[a, b\], axis=0\)"):
        ob.cat
    with pytest.raises(AttributeError, match=r"but ob\.softplus"):
        ob.softpluss
    with pytest.raises(AttributeError, match="no 'entirely_unknown'"):
        ob.entirely_unknown
    assert not hasattr(ob, "concatenate")


def test_a_function_is_no_method_unless_it_says_so():
    x = ob.tensor([1.0, 2.0])
    with pytest.raises(SpellingError, match=r"ob\.exp\(x\)"):
        x.exp()
    with pytest.raises(SpellingError, match=r"x\[\.\.\.\] = ob\.add\(x, \.\.\.\)"):
        x.add_(1)
    with pytest.raises(SpellingError, match=r"ob\.concat"):
        x.concatenate(x)
    with pytest.raises(AttributeError, match=r"but \.requires_grad"):
        x.require_grad
    with pytest.raises(AttributeError):
        x._hidden


def test_a_missing_method_is_missing_for_hasattr_too():
    x = ob.tensor([1.0])
    assert not hasattr(x, "view")
    assert getattr(x, "cuda", None) is None
    assert copy.copy(x).tolist() == copy.deepcopy(x).tolist() == [1.0]


KEYWORDS = {
    "dim": (lambda x: ob.sum(x, dim=0), "say axis="),
    "dim of a method": (lambda x: x.sum(dim=0), "say axis="),
    "keepdim": (lambda x: x.mean(axis=0, keepdim=True), "say keepdims="),
    "unbiased": (lambda x: ob.std(x, unbiased=True), "say correction"),
    "ddof": (lambda x: x.var(ddof=1), "say correction="),
    "out": (lambda x: ob.sum(x, out=x), "always new"),
    "kernel_size": (lambda x: ob.max_pool(x, kernel_size=2), "size, the second argument"),
    "reps": (lambda x: ob.tile(x, reps=2), "without a keyword"),
    "unknown": (lambda x: ob.sum(x, nonsense=1), r"wanted ob\.sum\(x, axis=None, keepdims=False"),
    "positional": (lambda x: ob.reshape(x=x, shape=4), r"x goes without a keyword"),
    "missing": (ob.reshape, r"missing 1 required positional argument: 'shape'"),
    "too many": (lambda x: ob.squeeze(x, 0, 1, 2), "takes"),
    "shape in pieces": (lambda x: ob.zeros(2, 3), r"ob\.zeros\(\(2, 3\)"),
    "shape in pieces, with dtype": (
        lambda x: ob.ones(2, 3, dtype=ob.float32),
        "the shape is one argument",
    ),
    "requires_grad": (lambda x: ob.zeros((2,), requires_grad=True), r"requires_grad_\(\)"),
}


@pytest.mark.parametrize(("call", "says"), KEYWORDS.values(), ids=KEYWORDS)
def test_a_keyword_of_another_library_names_ours(call, says):
    with pytest.raises(SpellingError, match=says) as caught:
        call(ob.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert "test_spellings.py" in str(caught.value)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("keyword", ["dim", "keepdim", "axes", "out", "nonsense"])
def test_every_function_with_keywords_explains_itself(keyword):
    for name, function in PUBLIC[""].items():
        if not inspect.isfunction(function) or hasattr(function, "primitive"):
            continue
        parameters = inspect.signature(function).parameters
        required = [
            p
            for p in parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        if keyword in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            continue
        with pytest.raises(OverbarError):
            function(*(1.0,) * len(required), **{keyword: 0})
        assert name


def test_an_error_inside_a_function_is_not_explained_away():
    class Odd:
        def __array__(self, dtype=None, copy=None):
            raise TypeError("an error of its own")

    with pytest.raises(TypeError, match="an error of its own") as caught:
        ob.sum(Odd())
    assert not isinstance(caught.value, SpellingError)


def test_signatures_and_texts_are_those_of_the_functions():
    assert list(inspect.signature(ob.sum).parameters)[:3] == ["x", "axis", "keepdims"]
    assert ob.sum.__name__ == "sum"
    assert "sum over" in ob.sum.__doc__
    assert ob.sum(np.ones(3)).item() == 3.0
