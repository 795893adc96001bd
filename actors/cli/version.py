"""``updown version``."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import PackageNotFoundError, version

from actors.cli.failures import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def main(_: argparse.Namespace) -> int:
    """Print the version of the installed distribution."""
    try:
        number = version("updown")
    except PackageNotFoundError:  # run from a source tree that is not installed
        number = "unknown"
    sys.stdout.write(f"updown {number}\n")
    return Exit.DONE
