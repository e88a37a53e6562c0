"""People's own tables: read as they are, learnt from once, or refused with row and column."""

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overbar.data.recipe import MOST_LEVELS, Recipe
from overbar.data.table import Table, counted, listed, read_table
from overbar.errors import DataError, OverbarError


@pytest.fixture
def saved(tmp_path):
    """Writes a CSV file and gives its path."""

    def save(text, name="t.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return save


def table_of(**columns):
    """A table as a CSV file would give it: cells of text, rows counted from 2."""
    cells = {name: [str(cell) for cell in column] for name, column in columns.items()}
    return Table("t.csv", cells, range(2, 2 + len(next(iter(cells.values())))))


def fitted(target="y", **columns):
    table = table_of(**columns)
    return Recipe.fit(table, target), table


def a_column_of(recipe, table, feature):
    return recipe.apply(table)[:, recipe.features.index(feature)]


# ------------------------------------------------------------------------------ reading CSV


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(saved, mark):
    table = read_table(saved(f"a{mark}b{mark}c\n1{mark}x{mark}2.5\n3{mark}y{mark}4\n"))
    assert table.columns == {"a": ["1", "3"], "b": ["x", "y"], "c": ["2.5", "4"]}


def test_the_delimiter_that_fits_every_row_wins(saved):
    table = read_table(saved("name;a, b\nAnn, Dr;1\nBob;2\n"))
    assert table.columns == {"name": ["Ann, Dr", "Bob"], "a, b": ["1", "2"]}


def test_one_column_is_a_table(saved):
    assert read_table(saved("a\n1\n2\n")).columns == {"a": ["1", "2"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_line_is_understood(saved, end):
    assert read_table(saved(f"a,b{end}1,2{end}3,4")).columns == {"a": ["1", "3"], "b": ["2", "4"]}


def test_a_byte_order_mark_is_no_part_of_the_first_name(saved):
    assert list(read_table(saved("é,b\n1,2\n", encoding="utf-8-sig")).columns) == ["é", "b"]


def test_quoted_cells_keep_delimiters_line_ends_and_quotes(saved):
    table = read_table(saved('a,b\n"x, y","1\n2"\n"say ""hi""",z\n'))
    assert table.columns == {"a": ["x, y", 'say "hi"'], "b": ["1\n2", "z"]}
    assert list(table.labels) == [2, 3]


def test_blanks_around_cells_are_no_part_of_them(saved):
    assert read_table(saved('a , b\n 1,  "x"\n2 ,y \n')).columns == {
        "a": ["1", "2"],
        "b": ["x", "y"],
    }


def test_rows_are_counted_as_a_spreadsheet_does(saved):
    table = read_table(saved("a,b\n\n1,2\n,\n3,4\n"))
    assert list(table.labels) == [3, 5]
    assert table.says == ["t.csv: 1 row without anything, left out."]


def test_a_decimal_comma_is_a_comma_only_beside_another_delimiter(saved):
    table = read_table(saved("a;b;c;d\n1,5;1.5;x;1.234,5\n-2,25e1;2;y,z;1,234.5\n"))
    assert table.first_text("d") == 0
    assert table.numbers("a").tolist() == [1.5, -22.5]
    assert table.numbers("b").tolist() == [1.5, 2]
    assert table.first_text("c") == 0
    assert read_table(saved('a,b\n"1,5",2\n')).first_text("a") == 0


@pytest.mark.parametrize("blank", ["", "NA", "n/a", "NaN", "null", "None", "?", "-", "#N/A"])
def test_what_stands_for_nothing_is_nan_among_numbers(blank):
    x = table_of(x=[1, blank, 3]).numbers("x")
    assert np.array_equal(x, [1, np.nan, 3], equal_nan=True)


@pytest.mark.parametrize("cell", ["1_000", "1,000", "0x10", "1 2", "one", "--1", "1e", "$5"])
def test_what_is_no_number_is_refused_with_its_place(cell):
    table = table_of(x=[1, cell])
    assert table.first_text("x") == 1
    with pytest.raises(DataError, match=r"t\.csv, row 3, column 'x': .* is not a number"):
        table.numbers("x")


def test_a_column_without_a_name_gets_one_and_an_empty_one_goes(saved):
    table = read_table(saved(",a,\n0,5,\n1,6,\n"))
    assert table.columns == {"column 1": ["0", "1"], "a": ["5", "6"]}
    assert table.says == ["Column 1 of t.csv has no name; it is called 'column 1'."]


REFUSED = {
    "empty": ("", "t.csv is empty"),
    "blank": ("\n\n  \n", "t.csv is empty"),
    "header only": ("a,b\n", "columns, but no rows"),
    "too few cells": ("a,b,c\n1,2,3\n4,5\n", r"row 3 .*\n.*header: 3 cells\n.*row 3: 2 cells"),
    "too many cells": ("a,b\n1,2\n\n3,4,5\n", r"row 4 .*\n.*header: 2 cells\n.*row 4: 3 cells"),
    "two columns of one name": ("a,b, a\n1,2,3\n", "row 1: two columns are called 'a'"),
    "no header": ("1,2.5\n3,4\n", "numbers where names should be"),
    "a quote that never ends": ('a,b\n1,2\n"3,4\n', "row 3: unexpected end of data"),
    "text after a quote": ('a,b\n"1"2,3\n', "row 2: .* expected after"),
    "a cell without end": ("a,b\n" + "x" * 200_000 + ",1\n", "row 2: field larger"),
    "Latin-1": ("a,b\nx,1\nMüller,2\n".encode("latin-1"), "line 3: the byte 0xfc is not UTF-8"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "not a text file"),
    "UTF-16 without a mark": ("a,b\n1,2\n".encode("utf-16-le"), "not a text file"),
    "a spreadsheet": (b"PK\x03\x04rest", "save it as 'CSV UTF-8'"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_no_table_is_refused(saved, text, said):
    with pytest.raises(DataError, match=said) as caught:
        read_table(saved(text))
    assert "t.csv" in str(caught.value)
    assert isinstance(caught.value, OverbarError)
    assert isinstance(caught.value, ValueError)


def test_another_kind_of_file_is_refused(saved):
    with pytest.raises(DataError, match=r"wanted a \.csv file"):
        read_table(saved("a", name="t.xlsx"))


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "nothing.csv")


@given(text=st.text(max_size=60), header=st.sampled_from(["a,b\n", "", "a;b\n"]))
def test_any_text_is_a_table_or_a_data_error(text, header, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes((header + text).encode("utf-8", "surrogatepass"))
    try:
        table = read_table(path)
    except DataError:
        return
    assert table.rows > 0
    assert {len(cells) for cells in table.columns.values()} == {table.rows}


# ------------------------------------------------------------------------------ reading npz


def test_arrays_are_columns(tmp_path):
    np.savez(tmp_path / "t.npz", x=[1.5, np.nan], n=[1, 2], word=["a", "b"], flag=[True, False])
    table = read_table(tmp_path / "t.npz")
    assert np.array_equal(table.numbers("x"), [1.5, np.nan], equal_nan=True)
    assert table.numbers("flag").tolist() == [1, 0]
    assert table.texts("word") == ["a", "b"]
    assert [table.first_text(name) for name in ("x", "n", "word", "flag")] == [None, None, 0, None]
    assert list(table.labels) == [0, 1]


def test_a_matrix_gives_its_columns(tmp_path):
    X = np.arange(6.0).reshape(3, 2)
    np.savez_compressed(tmp_path / "t.npz", X=X, y=[0, 1, 0])
    table = read_table(tmp_path / "t.npz")
    assert list(table.columns) == ["X0", "X1", "y"]
    assert np.array_equal(table.numbers("X1"), X[:, 1])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"X": np.zeros((2, 3, 4))}, r"reshape\(len\(X\), -1\)"),
        ({"A": np.zeros((2, 3))}, "'A' is no column"),
        ({"a": 3.0}, "'a' is no column"),
        ({"a": [1, 2], "b": [1, 2, 3]}, "same number of rows"),
        ({"a": [1j, 2]}, "holds what no column can"),
        ({"a": np.array(["2020"], "M8[Y]")}, "holds what no column can"),
        ({"X": np.zeros((2, 2)), "X0": [1, 2]}, "two columns are called 'X0'"),
        ({"a": np.array([])}, "no rows"),
        ({}, "no columns"),
    ],
)
def test_arrays_that_are_no_table_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match=said):
        read_table(tmp_path / "t.npz")


def test_python_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    np.savez(tmp_path / "t.npz", a=np.array([Trap()], dtype=object))
    with pytest.raises(DataError, match=r"not an \.npz file of plain arrays"):
        read_table(tmp_path / "t.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_archive_is_a_data_error(tmp_path):
    path = tmp_path / "t.npz"
    np.savez_compressed(path, a=np.arange(50.0), b=np.arange(50))
    raw, rng, refused = path.read_bytes(), np.random.default_rng(3), 0
    for _ in range(400):
        spoiled = bytearray(raw[: rng.integers(len(raw))] if rng.random() < 0.3 else raw)
        for at in rng.integers(len(spoiled), size=3) if spoiled else ():
            spoiled[at] = rng.integers(256)
        path.write_bytes(spoiled)
        try:
            read_table(path)
        except DataError:
            refused += 1
    assert refused > 200


# ----------------------------------------------------------------------------- the target


@pytest.mark.parametrize(
    ("y", "task", "classes"),
    [
        (["b", "a"] * 5, "classification", ["a", "b"]),
        (["x", "7", "8"] * 4, "classification", ["7", "8", "x"]),
        ([1, 0] * 5, "classification", [0, 1]),
        (["1.0", "3"] * 5, "classification", [1, 3]),
        ([10, 9, 2] * 5, "classification", [2, 9, 10]),
        (list(range(20)) * 5, "classification", list(range(20))),
        (list(range(21)) * 5, "regression", []),
        (list(range(10)), "regression", []),
        ([0.5, 1.5] * 5, "regression", []),
    ],
)
def test_the_task_is_guessed_from_the_target_and_said(y, task, classes):
    recipe, _ = fitted(x=np.arange(len(y)) / 3, y=y)
    assert recipe.task == task
    assert recipe.classes == classes
    assert task in recipe.says[0]
    assert "'y'" in recipe.says[0]


def test_the_guess_can_be_overruled():
    table = table_of(x=np.arange(10) / 3, y=[0, 1] * 5)
    assert Recipe.fit(table, "y", task="regression").task == "regression"
    table = table_of(x=np.arange(10) / 3, y=range(10))
    assert Recipe.fit(table, "y", task="classification").classes == list(range(10))
    with pytest.raises(DataError, match="no task 'clustering'"):
        Recipe.fit(table, "y", task="clustering")


def test_classes_become_numbers_in_their_order():
    recipe, table = fitted(x=np.arange(6) / 3, y=["b", "a", "c"] * 2)
    y = recipe.targets(table)
    assert y.dtype == np.int64
    assert y.tolist() == [1, 0, 2, 1, 0, 2]


def test_integers_are_matched_as_numbers():
    recipe, _ = fitted(x=np.arange(10) / 3, y=[0, 1] * 5)
    assert recipe.targets(table_of(y=["1.0", "00"])).tolist() == [1, 0]


def test_quantities_stay_as_they_are_and_their_spread_is_known():
    values = np.arange(12) ** 2 / 7
    recipe, table = fitted(x=np.arange(12) / 3, y=values)
    y = recipe.targets(table)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, values, rtol=1e-6)
    assert recipe.target_mean == pytest.approx(values.mean(), rel=1e-6)
    assert recipe.target_scale == pytest.approx(values.std(), rel=1e-6)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (["a", "", "b", ""], r"blank in 2 rows\n.*rows: 3, 5"),
        (["1", "NA", "2.5", "4"], r"blank in 1 row\n.*rows: 3"),
        ([""] * 4, "blank in 4 rows"),
        (["NA"] * 4, "blank in 4 rows"),
        (["a"] * 4, "'y' is a in every row"),
        ([2] * 4, r"'y' is 2\.0 in every row"),
        (["1", "inf", "2.5", "4"], "row 3, column 'y': inf is not a finite number"),
        (["1", "2.5", "1e60", "4"], "row 4, column 'y': the number is too large for float32"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused(y, said):
    with pytest.raises(DataError, match=said):
        fitted(x=[0.5, 1.5, 2.5, 4], y=y)


def test_a_target_that_differs_in_every_row_is_refused():
    with pytest.raises(DataError, match="every row has its own 'y'"):
        fitted(x=np.arange(12) / 3, y=[f"name {i}" for i in range(12)])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("Species", r"columns: 'sepal', 'species'\n.*perhaps 'species' for 'Species'\?"),
        ("specie", "perhaps 'species' for 'specie'"),
        ("colour", r"has no column 'colour'\n    columns: 'sepal', 'species'"),
    ],
)
def test_a_target_that_is_not_there_is_refused_with_a_guess(asked, said):
    with pytest.raises(DataError, match=said) as caught:
        Recipe.fit(table_of(sepal=[1, 2], species=["a", "b"]), asked)
    assert ("hint" in str(caught.value)) is (asked != "colour")


def test_a_class_unknown_to_training_is_refused_with_its_row():
    recipe, _ = fitted(x=np.arange(4) / 3, y=["a", "b"] * 2)
    with pytest.raises(DataError, match=r"row 3, column 'y': 'c' is no class.*\n.*: 3, 5\n.*a, b"):
        recipe.targets(table_of(y=["a", "c", "b", "d"]))


# -------------------------------------------------------------------------- numeric columns


def test_numbers_are_standardised_by_the_training_rows():
    x = np.array([1.0, 2, 4, 9])
    recipe, table = fitted(x=x, y=["a", "b"] * 2)
    X = recipe.apply(table)
    assert X.dtype == np.float32
    assert X.shape == (4, 1)
    np.testing.assert_allclose(X[:, 0], (x - x.mean()) / x.std(), rtol=1e-6)
    new = recipe.apply(table_of(x=[100, -100]))[:, 0]
    np.testing.assert_allclose(new, (np.array([100, -100]) - x.mean()) / x.std(), rtol=1e-6)


def test_blanks_become_the_median_and_a_column_says_where():
    recipe, table = fitted(x=[1, "", 3, 100, "NA", 5.5], y=["a", "b"] * 3)
    assert recipe.features == ["x", "x is blank"]
    filled = np.array([1, 4.25, 3, 100, 4.25, 5.5])
    X = recipe.apply(table)
    np.testing.assert_allclose(X[:, 0], (filled - filled.mean()) / filled.std(), rtol=1e-5)
    assert X[:, 1].tolist() == [0, 1, 0, 0, 1, 0]
    assert any("'x': 2 blanks filled with the median, 4.25" in said for said in recipe.says)


def test_blanks_that_training_did_not_have_are_filled_and_said():
    recipe, _ = fitted(x=[1, 2, 4, 9], y=["a", "b"] * 2)
    X = recipe.apply(table_of(x=["", 3]))
    assert X.shape == (2, 1)
    assert X[0, 0] == X[1, 0]  # 3 is the median
    assert "'x': 1 blank filled with the median, 3." in recipe.says


def test_one_value_and_blanks_is_a_column_that_says_where():
    recipe, table = fitted(x=["yes", "no"] * 2, z=[7, "", "", 7], y=["a", "b"] * 2)
    assert a_column_of(recipe, table, "z is blank").tolist() == [0, 1, 1, 0]
    assert np.isfinite(recipe.apply(table)).all()


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e300])
def test_numbers_of_any_size_are_standardised(size):
    x = np.array([1.0, 2, 4, 9])
    recipe, table = fitted(x=[repr(float(v)) for v in x * size], y=["a", "b"] * 2)
    np.testing.assert_allclose(recipe.apply(table)[:, 0], (x - x.mean()) / x.std(), rtol=1e-5)


def test_a_number_far_from_training_is_refused_with_its_place():
    recipe, _ = fitted(x=[1, 2, 4, 9], y=["a", "b"] * 2)
    with pytest.raises(DataError, match=r"row 3, column 'x': the number is too far"):
        recipe.apply(table_of(x=[1, "1e300"]))


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999"])
def test_an_infinite_number_is_refused_with_its_place(cell):
    with pytest.raises(DataError, match=r"row 4, column 'x': .* is not a finite number"):
        fitted(x=[1, 2, cell, 3], y=["a", "b"] * 2)


def test_text_where_training_had_numbers_is_refused_with_its_place():
    recipe, _ = fitted(x=[1, 2, 4, 9], y=["a", "b"] * 2)
    with pytest.raises(DataError, match="row 3, column 'x': 'tall' is not a number"):
        recipe.apply(table_of(x=[1, "tall"]))


# ------------------------------------------------------------------------------ text columns


def test_each_text_becomes_a_column():
    recipe, table = fitted(x=["red", "blue", "", "red"], y=["a", "b"] * 2)
    assert recipe.features == ["x = blank", "x = blue", "x = red"]
    assert recipe.apply(table).tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_texts_that_training_did_not_have_are_zeros_and_said_once():
    recipe, _ = fitted(x=["red", "blue"] * 2, y=["a", "b"] * 2)
    new = table_of(x=["green", "red"])
    assert recipe.apply(new).tolist() == [[0, 0], [0, 1]]
    recipe.apply(new)
    assert recipe.says.count("'x' has texts that training did not: 'green'.") == 1


def test_fifty_texts_are_kept_and_more_are_left_out_aloud():
    def texts(count):
        return [f"t{i % count}" for i in range(200)]

    y = ["a", "b"] * 100
    assert len(fitted(x=texts(MOST_LEVELS), y=y)[0].features) == 50
    recipe, _ = fitted(x=texts(MOST_LEVELS + 1), z=["u", "v"] * 100, y=y)
    assert recipe.features == ["z = u", "z = v"]
    assert "'x' is left out: it has 51 different texts, more than 50." in recipe.says


def test_a_wrong_cell_among_numbers_is_said():
    recipe, _ = fitted(x=[1, 2, "3..5", 1, 2], y=["a", "b", "a", "b", "a"])
    assert (
        "'x' is taken as text: 1 cell of 5 without a number, first '3..5' in row 4." in recipe.says
    )
    many = [*range(99), "3..5"]
    recipe, _ = fitted(x=many, z=["u", "v"] * 50, y=["a", "b"] * 50)
    assert any("left out" in said and "first '3..5' in row 101" in said for said in recipe.says)


# ------------------------------------------------------------------------- columns left out

N = 12


@pytest.mark.parametrize(
    ("name", "cells", "why"),
    [
        ("x", ["same"] * N, "it is 'same' in every row"),
        ("x", [3] * N, "it is 3 in every row"),
        ("x", [f"name {i}" for i in range(N)], "differs in every row"),
        ("x", range(N), "counts the rows"),
        ("x", range(1, N + 1), "counts the rows"),
        ("customer_id", range(700, 700 + 3 * N, 3), "identifier"),
        ("ID", range(700, 700 + 3 * N, 3), "identifier"),
        ("orderId", range(700, 700 + 3 * N, 3), "identifier"),
    ],
)
def test_a_column_that_says_nothing_is_left_out_aloud(name, cells, why):
    z = np.arange(N) / 3
    recipe, table = fitted(**{name: cells}, z=z, y=["a", "b"] * (N // 2))
    assert recipe.features == ["z"]
    assert recipe.dropped == [name]
    assert any(repr(name) in said and why in said for said in recipe.says)
    before = list(recipe.says)
    recipe.apply(table)
    assert recipe.says == before  # it is known, so it is no extra column


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("year", range(1990, 1990 + N)),
        ("paid", range(700, 700 + 3 * N, 3)),
        ("grid", range(700, 700 + 3 * N, 3)),
        ("id", [1, 1, *range(2, N)]),
    ],
)
def test_a_column_that_may_say_something_is_kept(name, cells):
    recipe, _ = fitted(**{name: cells}, y=["a", "b"] * (N // 2))
    assert recipe.features == [name]


def test_a_column_of_nothing_is_refused():
    with pytest.raises(DataError, match="the column 'x' has nothing in it"):
        fitted(x=["", "NA", ""], z=[1, 2, 3], y=["a", "b", "a"])


def test_a_table_with_nothing_to_predict_from_is_refused():
    with pytest.raises(DataError, match=r"no column to predict 'y' from\n.*'x'"):
        fitted(x=[5] * 4, y=["a", "b"] * 2)


# ------------------------------------------------------------------------- applied elsewhere

MIXED = {
    "size": [1, 2, "", 4, 7, 3],
    "colour": ["red", "blue", "red", "", "red", "blue"],
    "same": [1] * 6,
    "y": ["a", "b", "c"] * 2,
}


def test_order_and_extra_columns_make_no_difference_but_are_said():
    recipe, table = fitted(**MIXED)
    wanted = recipe.apply(table)
    columns = {name: table.columns[name] for name in ("colour", "size")}
    other = Table("t.csv", {"new": ["?"] * 6, **columns}, table.labels)
    assert np.array_equal(recipe.apply(other), wanted)
    assert recipe.says[-1] == "Not used, because training did not have them: 'new'."


def test_missing_columns_are_named():
    recipe, _ = fitted(**MIXED)
    with pytest.raises(DataError, match=r"no column 'size', 'colour'\n.*columns: 'Size'") as caught:
        recipe.apply(table_of(Size=[1, 2]))
    assert "perhaps 'Size' for 'size'?" in str(caught.value)


def test_a_recipe_is_plain_data_and_comes_back_the_same():
    for target in ("y", "size"):
        columns = MIXED | {"size": [1.5, 2, 8, 4, 7, 3]} if target == "size" else MIXED
        recipe, table = fitted(target, **columns)
        again = Recipe.from_json(json.loads(json.dumps(recipe.to_json(), allow_nan=False)))
        assert again == recipe
        assert again.says == []
        assert np.array_equal(again.apply(table), recipe.apply(table))
        assert np.array_equal(again.targets(table), recipe.targets(table))


def spoil(plain, path, value):
    """A copy of `plain` with another value, or none, at a path of keys."""
    plain = json.loads(json.dumps(plain))
    inner = plain
    for key in path[:-1]:
        inner = inner[key]
    if value is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return plain


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["columns"], KeyError),
        (["columns"], []),
        (["columns"], 3),
        (["columns", 0], "size"),
        (["columns", 0, "mean"], KeyError),
        (["columns", 0, "mean"], "0"),
        (["columns", 0, "mean"], float("nan")),
        (["columns", 0, "fill"], 10**400),
        (["columns", 0, "scale"], 0),
        (["columns", 0, "blanks"], 1),
        (["columns", 0, "name"], ["size"]),
        (["columns", 0, "name"], "colour"),
        (["columns", 0, "more"], 1),
        (["columns", 1, "levels"], "red"),
        (["columns", 1, "levels"], [1]),
        (["classes"], []),
        (["classes"], "abc"),
        (["classes"], [1.5, 2]),
        (["task"], "clustering"),
        (["target"], None),
        (["dropped"], [0]),
        (["target_scale"], -1),
        (["more"], 1),
    ],
)
def test_a_damaged_recipe_is_refused(path, value):
    recipe, _ = fitted(**MIXED)
    with pytest.raises(DataError, match="this is not a recipe"):
        Recipe.from_json(spoil(recipe.to_json(), path, value))


@pytest.mark.parametrize("thing", [None, [], "recipe", 3])
def test_something_else_is_no_recipe(thing):
    with pytest.raises(DataError, match="this is not a recipe"):
        Recipe.from_json(thing)


def test_the_same_recipe_serves_both_kinds_of_file(saved, tmp_path):
    text = "a,b,y\n" + "".join(f"{i / 7!r},{'uv'[i % 2]},{i % 3}\n" for i in range(30))
    from_csv = read_table(saved(text))
    arrays = {
        "a": np.arange(30) / 7,
        "b": np.array(list("uv" * 15)),
        "y": np.arange(30) % 3,
    }
    np.savez(tmp_path / "t.npz", **arrays)
    from_npz = read_table(tmp_path / "t.npz")
    recipe = Recipe.fit(from_csv, "y")
    assert recipe == Recipe.fit(from_npz, "y")
    assert np.array_equal(recipe.apply(from_csv), recipe.apply(from_npz))
    assert np.array_equal(recipe.targets(from_csv), recipe.targets(from_npz))


def test_some_rows_of_a_table_are_a_table_with_the_same_labels():
    table = table_of(x=[1, 2, 4, "bad"], y=["a", "b", "a", "b"])
    some = table.take(np.array([3, 0]))
    assert some.texts("x") == ["bad", "1"]
    assert list(some.labels) == [5, 2]
    with pytest.raises(DataError, match="row 5, column 'x'"):
        some.numbers("x")
    recipe = Recipe.fit(table.take([0, 1, 2]), "y")
    assert recipe.apply(table.take(range(3))).shape == (3, 1)


cells = st.sampled_from(["", "NA", "1", "2.5", "-3", "1e3", "red", "blue", "inf", "x y"])


@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=25))
def test_any_table_gives_finite_numbers_or_a_data_error(rows):
    a, b, y = zip(*rows, strict=True)
    table = table_of(a=a, b=b, y=y)
    try:
        recipe = Recipe.fit(table, "y")
        X, targets = recipe.apply(table), recipe.targets(table)
    except DataError:
        return
    assert X.shape == (len(rows), len(recipe.features))
    assert X.dtype == np.float32
    assert np.isfinite(X).all()
    assert len(targets) == len(rows)
    if recipe.task == "classification":
        assert set(targets.tolist()) == set(range(len(recipe.classes)))


# -------------------------------------------------------------------------------- the rest


def test_lists_and_counts_are_said_as_people_do():
    assert listed([1, 2, 3]) == "1, 2, 3"
    assert listed(range(7)) == "0, 1, 2, 3, 4 and 2 more"
    assert counted(1, "row") == "1 row"
    assert counted(2000, "row") == "2,000 rows"


def test_a_large_table_takes_seconds_not_minutes(saved):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20_000, 10)).round(4).tolist()
    text = "\n".join([",".join(f"c{i}" for i in range(10)), *(",".join(map(str, r)) for r in rows)])
    path = saved(text)
    start = time.perf_counter()
    table = read_table(path)
    recipe = Recipe.fit(table, "c9")
    assert recipe.apply(table).shape == (20_000, 9)
    assert time.perf_counter() - start < 5
