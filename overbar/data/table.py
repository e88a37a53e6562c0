"""People's own data: a CSV or `.npz` file as named columns, or an error that names the cell.

`read_table` gives a `Table`. What stands in the file is kept as it is; whether a column is
numbers is decided when it is asked for. What a network makes of a table is in `recipe`.
"""

from __future__ import annotations

import csv
import io
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from pathlib import Path

import numpy as np

from overbar.errors import DataError

_BLANK = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "?", "-"})
"""What stands for a number that is not there, in any mixture of capitals."""

_DELIMITERS = ",;\t|"
_CSV = {".csv", ".tsv", ".txt"}


@dataclass(frozen=True)
class Table:
    """Named columns of equal length, as they stand in the file.

    `columns` has a list of text for each column of a CSV file, an array for each of an `.npz`;
    `labels` is what the file's owner calls each row: the row of the spreadsheet (the header is
    row 1), or the index in the array. `says` tells what was done to the file while reading.
    """

    source: str
    columns: dict[str, list[str] | np.ndarray]
    labels: Sequence[int]
    decimal_comma: bool = False
    says: list[str] = field(default_factory=list, compare=False)
    _known: dict[str, list] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def rows(self) -> int:
        """How many rows there are, the header not counted."""
        return len(self.labels)

    def column(self, name: str) -> list[str] | np.ndarray:
        """The cells of one column as they are; DataError, with a guess, if there is none."""
        if name in self.columns:
            return self.columns[name]
        raise missing([name], self)

    def numbers(self, name: str) -> np.ndarray:
        """One column as float64 (rows,), NaN where a cell is blank.

        Raises:  DataError naming row and column if a cell is text, or infinite.
        """
        values = self._values(name)
        if None in values:
            i = values.index(None)
            raise DataError(
                f"{self.place(i, name)}: {self.texts(name)[i]!r:.60} is not a number",
                want="a number, or nothing",
            )
        numbers = np.array(values, np.float64)
        if np.isinf(numbers).any():
            i = int(np.argmax(np.isinf(numbers)))
            raise DataError(
                f"{self.place(i, name)}: {self.texts(name)[i]} is not a finite number",
                hint="leave the cell blank if the number is not known",
            )
        return numbers

    def texts(self, name: str) -> list[str]:
        """One column as text, "" where a cell is blank."""
        cells = self.column(name)
        return cells if isinstance(cells, list) else [str(cell).strip() for cell in cells]

    def first_text(self, name: str) -> int | None:
        """The index of the first cell that is no number; None if the column is numbers.

        A text column without a single number is text, even if its cells all stand for nothing.
        """
        values = self._values(name)
        if None in values:
            return values.index(None)
        return 0 if self.holds_text(name) and self.is_blank(name) else None

    def holds_text(self, name: str) -> bool:
        """Whether the column came as text, as every column of a CSV file does."""
        cells = self.column(name)
        return not isinstance(cells, np.ndarray) or cells.dtype.kind == "U"

    def is_blank(self, name: str) -> bool:
        """Whether nothing at all stands in the column."""
        return all(value is not None and isnan(value) for value in self._values(name))

    def count_numbers(self, name: str) -> int:
        """How many cells of the column hold a number."""
        return sum(value is not None and not isnan(value) for value in self._values(name))

    def take(self, rows: Sequence[int] | np.ndarray) -> Table:
        """The table with some of its rows, by index from 0: for training, for testing."""
        return Table(
            self.source,
            {
                name: cells[rows] if isinstance(cells, np.ndarray) else [cells[i] for i in rows]
                for name, cells in self.columns.items()
            },
            [self.labels[i] for i in rows],
            self.decimal_comma,
        )

    def place(self, i: int, name: str) -> str:
        """Where a cell is, as the file's owner would say it."""
        return f"{self.source}, row {self.labels[i]}, column {name!r}"

    def _values(self, name: str) -> list[float | None]:
        """Each cell as a number, NaN for nothing, None for text; worked out once."""
        if name not in self._known:
            if self.holds_text(name):
                self._known[name] = [self._number(cell) for cell in self.texts(name)]
            else:
                self._known[name] = np.asarray(self.columns[name], np.float64).tolist()
        return self._known[name]

    def _number(self, cell: str) -> float | None:
        if cell.lower() in _BLANK:
            return nan
        if "_" in cell:  # 1_000 is a number in Python only
            return None
        if self.decimal_comma:
            cell = cell.replace(",", ".", 1)
        try:
            return float(cell)
        except ValueError:
            return None


def missing(names: Sequence[str], table: Table) -> DataError:
    """The error for columns that a table does not have, with the most similar ones it has."""
    import difflib

    near = {
        name: difflib.get_close_matches(name.lower(), [c.lower() for c in table.columns], n=1)
        for name in names
    }
    spelled = {column.lower(): column for column in table.columns}
    hints = [f"{spelled[match[0]]!r} for {name!r}?" for name, match in near.items() if match]
    return DataError(
        f"{table.source} has no column {', '.join(map(repr, names))}",
        got={"columns": listed(map(repr, table.columns), 20)},
        hint=f"perhaps {' '.join(hints)}" if hints else None,
    )


def listed(things, most: int = 5) -> str:
    """The first few of them, and how many more there are.

    Example:
        >>> listed(range(10), 3)
        '0, 1, 2 and 7 more'
    """
    words = [str(thing) for thing in things]
    more = f" and {len(words) - most:,} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def counted(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"


def read_table(path: str | os.PathLike) -> Table:
    r"""The columns of a CSV file with a header, or of an `.npz` file.

    CSV:     separated by comma, semicolon, tab or | (found out), UTF-8, quoted fields; beside
             semicolons and tabs a number may have a decimal comma. Rows with nothing in them
             are left out.
    npz:     one-dimensional arrays are columns; a two-dimensional `X` gives the columns X0, X1,
             ... No pickles.
    Raises:  DataError for everything that is not such a table, with row and column; OSError if
             the file cannot be opened.
    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "plants.csv")
        >>> _ = path.write_text("height;colour\n1,5;red\n;blue\n")
        >>> table = read_table(path)
        >>> table.numbers("height"), table.texts("colour")
        (array([1.5, nan]), ['red', 'blue'])
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _checked(_read_npz(path))
    if suffix in _CSV:
        return _checked(_read_csv(path))
    raise DataError(
        f"{path.name} is of a kind that cannot be read",
        want="a .csv file (or .tsv, .txt), or .npz",
        hint="a spreadsheet program can save a table as CSV",
    )


def _checked(table: Table) -> Table:
    if not table.columns:
        raise DataError(f"{table.source} has no columns")
    if not table.rows:
        raise DataError(f"{table.source} has columns, but no rows", hint="is the data in it?")
    return table


# --- CSV ------------------------------------------------------------------------------------


def _read_csv(path: Path) -> Table:
    text = _decoded(path)
    delimiter = max(_DELIMITERS, key=lambda mark: _fit(text, mark))
    records = _records(path.name, text, delimiter)
    filled = [(row, cells) for row, cells in records if any(cells)]
    if not filled:
        raise DataError(f"{path.name} is empty", want="a header and rows under it")
    says = []
    if skipped := sum(len(cells) > 1 for row, cells in records if not any(cells)):
        says.append(f"{path.name}: {counted(skipped, 'row')} without anything, left out.")
    (header_row, header), *body = filled
    for row, cells in body:
        if len(cells) != len(header):
            raise DataError(
                f"{path.name}, row {row} has another number of cells than the header",
                got={
                    "the header": counted(len(header), "cell"),
                    f"row {row}": counted(len(cells), "cell"),
                },
                hint="text that contains the delimiter goes in double quotes",
            )
    columns = dict(zip(range(len(header)), map(list, zip(*(cells for _, cells in body)))))
    names = _names(path.name, header, header_row, columns, says)
    return Table(
        source=path.name,
        columns={name: columns.get(i, []) for i, name in names.items()},
        labels=[row for row, _ in body],
        decimal_comma=delimiter != ",",
        says=says,
    )


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    if (
        raw.startswith((b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"))
        or b"\0" in raw
    ):
        raise DataError(
            f"{path.name} is not a text file in UTF-8",
            hint="open it in a spreadsheet program and save it as 'CSV UTF-8'",
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path.name}, line {line}: the byte 0x{raw[error.start]:02x} is not UTF-8",
            got={"near": repr(raw[max(0, error.start - 12) : error.start + 12].decode("latin-1"))},
            hint="save it as 'CSV UTF-8', or convert it: iconv -f latin1 -t utf-8",
        ) from None


def _fit(text: str, delimiter: str) -> tuple[bool, int]:
    """How well a delimiter suits the first rows: the same number of cells, then many of them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    widths = []
    try:
        for cells in reader:
            widths += [len(cells)] if cells else []
            if len(widths) == 50:
                break
    except csv.Error:
        return False, 0
    return len(set(widths)) == 1 and widths[0] > 1, max(widths[:1], default=0)


def _records(source: str, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """(row, stripped cells), rows counted as a spreadsheet does: from 1, blank ones too."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    records = []
    try:
        for cells in reader:
            records.append((len(records) + 1, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise DataError(
            f"{source}, row {len(records) + 1}: {error}",
            hint="a double quote inside quoted text is written twice",
        ) from None
    return records


def _names(source: str, header: list[str], row: int, columns: dict, says: list[str]) -> dict:
    """Index -> name. A column without a name and without cells is left out."""
    names = {}
    for i, name in enumerate(header):
        if name:
            names[i] = name
        elif any(columns.get(i, [])):
            names[i] = f"column {i + 1}"
            says.append(f"Column {i + 1} of {source} has no name; it is called {names[i]!r}.")
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise DataError(f"{source}, row {row}: two columns are called {listed(map(repr, twice))}")
    if columns and all(_is_number(name) for name in names.values()):
        raise DataError(
            f"{source}, row {row}: the header has numbers where names should be",
            got={"header": listed(names.values())},
            hint="add a first row with the names of the columns",
        )
    return names


def _is_number(text: str) -> bool:
    try:
        return not isnan(float(text))
    except ValueError:
        return False


# --- npz ------------------------------------------------------------------------------------


def _read_npz(path: Path) -> Table:
    arrays = _arrays(path)
    columns: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "biufU":
            raise DataError(
                f"{path.name}: the array {name!r} holds what no column can",
                got={name: array},
                want="integers, floats, bools or text (dtype U)",
            )
        if array.ndim == 2 and name == "X":
            found = {f"X{j}": column for j, column in enumerate(array.T)}
        elif array.ndim == 1:
            found = {name: array}
        else:
            raise DataError(
                f"{path.name}: the array {name!r} is no column",
                got={name: array},
                want="one-dimensional arrays, and a two-dimensional X (rows, columns)",
                hint="X = X.reshape(len(X), -1)" if name == "X" and array.ndim > 2 else None,
            )
        if twice := sorted(found.keys() & columns.keys()):
            raise DataError(f"{path.name}: two columns are called {listed(map(repr, twice))}")
        columns |= found
    lengths = {name: len(array) for name, array in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{path.name}: the arrays do not have the same number of rows", got=arrays)
    return Table(path.name, dict(columns), range(max(lengths.values(), default=0)))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except (ValueError, TypeError, AttributeError, EOFError, KeyError, OSError, SyntaxError,
                NotImplementedError, RuntimeError, MemoryError,
                zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
            raise DataError(
                f"{path.name} is not an .npz file of plain arrays",
                got={"NumPy says": f"{error!s:.200}"},
                hint="write it with np.savez; arrays of Python objects cannot be read",
            ) from None
