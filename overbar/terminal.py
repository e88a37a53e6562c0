"""What the commands show: with colours and a moving bar on a terminal, as plain lines elsewhere.

rich is imported on a terminal only. Everything is written through a `Screen`, so that a pipe or a
log file gets text that reads well, in whatever encoding it has.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

Row = tuple[str, str, str]
"""A name, a value, a remark."""


class Screen:
    """A place to write to: `rich` is a console on a terminal, else None."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.rich = file, None
        if file.isatty():
            from rich.console import Console

            self.rich = Console(file=file, highlight=False, soft_wrap=True)

    def line(self, text: str = "", style: str = "") -> None:
        """One line of text, styled as a whole."""
        if self.rich is not None:
            from rich.text import Text

            self.rich.print(Text(text, style))
        else:
            encoding = self.file.encoding or "utf-8"
            self.file.write(text.encode(encoding, "replace").decode(encoding) + "\n")

    def plain(self, text: str) -> None:
        """Text that keeps its lines and columns, such as a table that is there already."""
        for part in text.splitlines() or [""]:
            self.line(part)

    def styled(self, text: str, styles: Mapping[str, str]) -> None:
        """Text in which the first group of each pattern has a style."""
        if self.rich is None:
            self.plain(text)
            return
        from rich.text import Text

        shown = Text(text)
        for pattern, style in styles.items():
            for match in re.finditer(pattern, text, re.MULTILINE):
                shown.stylize(style, *match.span(1))
        self.rich.print(shown)

    def title(self, command: str, text: str) -> None:
        """The first line of a command."""
        if self.rich is not None:
            from rich.text import Text

            name = Text.assemble(
                ("overbar ", "bold"), (command, "bold cyan"), ("   " + text, "dim")
            )
            self.rich.print(name)
        else:
            self.line(f"overbar {command}: {text}")
        self.line()

    def head(self, text: str) -> None:
        """The title of a part."""
        self.line(text, "bold")

    def table(self, rows: Sequence[Row]) -> None:
        """Names, values to the right, remarks; and an empty line."""
        names, values = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
        for name, value, remark in rows:
            if self.rich is not None:
                from rich.text import Text

                shown = Text.assemble(
                    f"  {name:<{names}}  ",
                    (f"{value:>{values}}", "bold cyan"),
                    "  " if values else "",
                    (remark, "dim"),
                )
                self.rich.print(shown)
            else:
                self.line(
                    f"  {name:<{names}}  {value:>{values}}{'  ' if values else ''}{remark}".rstrip()
                )
        self.line()


def screen() -> Screen:
    """Standard output."""
    return Screen(sys.stdout)


def complain(text: str) -> None:
    """Standard error: the first line says what is wrong."""
    first, *rest = text.splitlines()
    errors = Screen(sys.stderr)
    errors.line(f"overbar: {first}", "bold red")
    for part in rest:
        errors.line(part)


# -- progress ---------------------------------------------------------------------------------


class Progress:
    """How far a training is: told of steps and epochs. This one writes a line now and then."""

    def __init__(self, to: Screen, epochs: int) -> None:
        self.to, self.epochs = to, epochs

    def step(self, loss: float) -> None:
        """One step is done."""

    def epoch(self, number: int, text: str) -> None:
        """One epoch is done."""
        if number in (1, self.epochs) or number % max(1, self.epochs // 10) == 0:
            self.to.line(f"  epoch {number:>{len(str(self.epochs))}} of {self.epochs}   {text}")


class _Moving(Progress):
    def __init__(self, to: Screen, epochs: int, bar: Any, steps: int, done: int) -> None:
        super().__init__(to, epochs)
        self.bar = bar
        each = max(1, steps // max(1, epochs))
        self.task = bar.add_task(
            "", total=steps, completed=done, epoch=done // each, epochs=epochs, text=""
        )

    def step(self, loss: float) -> None:
        self.bar.advance(self.task)

    def epoch(self, number: int, text: str) -> None:
        self.bar.update(self.task, epoch=number, text=text)


@contextlib.contextmanager
def progress(to: Screen, epochs: int, steps: int, done: int = 0) -> Iterator[Progress]:
    """While it lasts, a bar on the terminal, or lines; `done` of all steps were made before."""
    if to.rich is None:
        yield Progress(to, epochs)
    else:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        columns = (
            TextColumn("  epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=32, complete_style="cyan", finished_style="cyan"),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(compact=True),
        )
        with Rich(*columns, console=to.rich, refresh_per_second=12) as bar:
            yield _Moving(to, epochs, bar, steps, done)
    to.line()
