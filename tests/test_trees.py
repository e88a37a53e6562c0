"""Trees: what is a leaf, what comes back, and what is refused."""

import collections
import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import overbar as ob
from overbar.errors import StructureError
from overbar.trees import same_structure, tree_paths


class Point(NamedTuple):
    x: object
    y: object


@dataclasses.dataclass
class Layer:
    w: object
    b: object = None


class Box:
    def __init__(self, inside, note="kept"):
        self.inside, self.note = inside, note

    def tree_children(self):
        return ("inside",), [self.inside]

    def tree_rebuild(self, children):
        return Box(children[0], self.note)


trees = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Layer, inner, inner)
    ),
    max_leaves=12,
)


@given(trees)
def test_a_tree_comes_back_from_its_leaves(tree):
    leaves, structure = ob.tree_flatten(tree)
    assert ob.tree_unflatten(structure, leaves) == tree
    assert structure.leaves == len(leaves)
    assert None not in leaves
    assert ob.tree_flatten(tree)[1] == structure
    assert hash(ob.tree_flatten(tree)[1]) == hash(structure)


@given(trees)
def test_a_map_keeps_the_structure(tree):
    seen = []
    mapped = ob.tree_map(lambda leaf: seen.append(leaf) or (len(seen),), tree)
    leaves, _structure = ob.tree_flatten(tree)
    assert seen == leaves
    again = ob.tree_map(lambda a, b: (a, b), tree, tree)
    assert ob.tree_flatten(again)[0] == [
        e for leaf in leaves for e in (leaf, leaf) if e is not None
    ]
    if not any(isinstance(leaf, tuple) for leaf in leaves):
        assert ob.tree_flatten(mapped)[0] == list(range(1, len(leaves) + 1))


def test_dicts_are_equal_trees_in_any_order_and_keys_that_do_not_sort_stay():
    assert ob.tree_flatten({"b": 1, "a": 2}) == ob.tree_flatten({"a": 2, "b": 1})
    assert ob.tree_flatten({"b": 1, "a": 2})[0] == [2, 1]
    mixed = {1: "one", "two": 2}
    assert ob.tree_unflatten(ob.tree_flatten(mixed)[1], ["x", "y"]) == {1: "x", "two": "y"}


def test_ordered_and_default_dicts_are_dicts():
    ordered = collections.OrderedDict(b=1, a=2)
    mapped = ob.tree_map(lambda n: n + 1, ordered)
    assert type(mapped) is collections.OrderedDict
    assert mapped == collections.OrderedDict(b=2, a=3)
    default = ob.tree_map(lambda n: n + 1, collections.defaultdict(list, b=1))
    assert default == {"b": 2}
    assert default["new"] == []
    runs = []
    f = ob.jit(lambda d: runs.append(1) or d["a"] * d["b"])
    for k in (1.0, 2.0):
        x = ob.tensor(k)
        assert float(f(collections.OrderedDict(a=x, b=x))) == k * k
        assert float(ob.grad(lambda d: d["a"] * d["b"])({"a": x, "b": x})["a"]) == k
    assert len(runs) == 1


def test_a_dict_is_rebuilt_in_its_order():
    assert list(ob.tree_map(lambda n: n + 1, {"b": 1, "a": 2}).items()) == [("b", 2), ("a", 3)]
    grads = ob.grad(lambda p: p["w"] * p["b"])({"w": 2.0, "b": 3.0})
    assert list(grads.items()) == [("w", 3.0), ("b", 2.0)]


def test_leaves_are_everything_else():
    for leaf in (1.0, "word", np.ones(2), ob.tensor(1.0), {1, 2}, object(), range(3), b"bytes"):
        leaves, structure = ob.tree_flatten(leaf)
        assert leaves[0] is leaf
        assert structure.leaves == 1


def test_a_class_joins_in_with_two_methods():
    box = Box([1, {"a": 2}], note="mine")
    leaves, structure = ob.tree_flatten(box)
    assert leaves == [1, 2]
    again = ob.tree_unflatten(structure, [10, 20])
    assert (again.inside, again.note) == ([10, {"a": 20}], "mine")
    assert (box.inside, type(again)) == ([1, {"a": 2}], Box)


def test_subclasses_of_dict_and_list_are_leaves_and_named_tuples_are_not():
    counter = collections.Counter("aab")
    assert ob.tree_flatten(counter)[0] == [counter]
    assert ob.tree_flatten(Point(1, [2]))[0] == [1, 2]
    assert ob.tree_map(lambda x: -x, Point(1, [2])) == Point(-1, [-2])


def test_unequal_structures_are_told_apart_and_the_place_is_named():
    one, other = {"a": [1, (2, 3)]}, {"a": [1, (2,)]}
    with pytest.raises(StructureError, match=r"\['a'\]\[1\]") as caught:
        ob.tree_map(lambda a, b: a, one, other)
    assert "a tuple of 2" in str(caught.value)
    for a, b in [
        ([1], (1,)),
        ({"a": 1}, {"b": 1}),
        (None, 1),
        (Point(1, 2), (1, 2)),
        (Layer(1), Point(1, None)),
    ]:
        with pytest.raises(StructureError):
            same_structure("here", ob.tree_flatten(a)[1], ob.tree_flatten(b)[1])


def test_a_wrong_number_of_leaves_is_refused():
    structure = ob.tree_flatten([1, 2])[1]
    for leaves in ([1], [1, 2, 3]):
        with pytest.raises(StructureError, match="leaves for a structure of 2"):
            ob.tree_unflatten(structure, leaves)


def test_paths_read_like_code():
    tree = {"layers": [Layer(1, 2), Box(3)], "p": Point(4, None), "n": 5}
    for path, leaf in tree_paths(tree):
        assert eval("tree" + path, {"tree": tree}) == leaf  # noqa: S307
    assert [leaf for _, leaf in tree_paths(tree)] == ob.tree_flatten(tree)[0]


def test_objects_may_be_leaves_themselves():
    layer = Layer([1], 2)
    leaves, structure = ob.tree_flatten([layer, 3], objects=False)
    assert leaves == [layer, 3]
    assert structure.leaves == 2


def test_tensors_are_found_in_modules_of_any_depth():
    tree = {"a": [ob.tensor(1.0), Layer(ob.tensor(2.0), (ob.tensor(3.0),))]}
    assert [float(t) for t in ob.tree_flatten(tree)[0]] == [1.0, 2.0, 3.0]
    doubled = ob.tree_map(lambda t: t * 2, tree)
    assert float(doubled["a"][1].b[0]) == 6.0
