"""What commands print: handsome on a terminal, plain lines that scripts can read everywhere else."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import TextIO, TypeVar, cast

from django.core.management.base import CommandError, OutputWrapper
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table
from rich.text import Text

from northstar.errors import NorthstarError

Item = TypeVar("Item")

GOOD, BAD, WARN = "green", "bold red", "yellow"


class Out:
    """Prints to one stream of a command. Text is shown as it is: square brackets in it are never markup."""

    def __init__(self, stream: OutputWrapper) -> None:
        stream.ending = ""  # else it ends the line after each piece of a progress bar
        stream.style_func = None  # else it paints standard error red
        self._console = Console(file=cast("TextIO", stream), highlight=False, soft_wrap=True)

    @property
    def on_terminal(self) -> bool:
        """Whether a person watches."""
        return self._console.is_terminal

    def line(self, text: str = "", style: str = "") -> None:
        """Print one line, never wrapped, so that it can be copied and pasted."""
        if self.on_terminal:
            self._console.print(Text(text, style=style))
        else:
            self._console.file.write(f"{text}\n")

    def heading(self, text: str) -> None:
        """Print the title of a part."""
        if self.on_terminal:
            self._console.print()
            self._console.rule(Text(text, style="bold cyan"), align="left")
        else:
            self.line(f"== {text}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], styles: Sequence[str] = ()) -> None:
        """Print rows under their columns; off a terminal, one line per row with tabs between the cells."""
        if not self.on_terminal:
            for row in rows:
                self.line("\t".join(row))
            return
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for position, row in enumerate(rows):
            style = styles[position] if styles else ""
            table.add_row(*(Text(cell, style=style if index == 0 else "") for index, cell in enumerate(row)))
        self._console.print(table, soft_wrap=False)

    def each(self, title: str, items: Iterable[Item], total: int | None = None) -> Iterator[Item]:
        """Yield the items under a progress bar; off a terminal, under one line that says how many there are, if that is known."""
        if isinstance(items, Sized):
            total = len(items)
        if not self.on_terminal:
            self.line(title if total is None else f"{title}: {total}")
            yield from items
            return
        yield from track(items, description=title, total=total, console=self._console, transient=True)

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Give a function to tell how much of `total` is done: a bar shows it; off a terminal, one line says what is done."""
        if not self.on_terminal:
            self.line(f"{title}: {total}")
            yield lambda _done: None
            return
        with Progress(console=self._console, transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)


def refused(error: NorthstarError) -> CommandError:
    """Return an error as a command tells it: what happened, which fields, what to do."""
    return CommandError(f"{error.told()} {error.fix}".strip())
