"""How far files have been read: a bar on stderr with the rate and the time left, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text


@contextmanager
def reading(name: str, total_bytes: int) -> Iterator[Callable[[int, int], None]]:
    """A bar for files to be read; what it gives is told how many more bytes and messages are done."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), _Rate(), TimeRemainingColumn())
    read = 0
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total_bytes, messages=0)

        def watch(size_bytes: int, messages: int) -> None:
            nonlocal read
            read += messages
            progress.update(task, advance=size_bytes, messages=read)

        yield watch


class _Rate(ProgressColumn):
    """Messages a second."""

    def render(self, task: Task) -> Text:
        """The mean since the beginning."""
        return Text(f"{task.fields['messages'] / task.elapsed:,.0f} messages/s" if task.elapsed else "")
