"""``updown serve``: the stand-in venue by itself, for any bot in any language."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import trio
from attrs import frozen

from actors import logs
from actors.captures import find_captures
from actors.cli.ending import STOPPING, GiveUp, LastResort, Stop
from actors.cli.failures import BadUsage, CommandFailed, Exit
from actors.cli.options import add_log_options, log_settings, logs_in_color, port_number, positive_number
from actors.clock import Clock
from actors.crash import unwrapped
from actors.venue import RecordedSource, Source, TapedSource, Venue, VenueOptions
from engine.errors import TapeError
from engine.series import SERIES, slot_of_slug
from engine.units import NS_PER_S

Announce = Callable[[Mapping[str, str]], object]
"""Is told the URLs by the names that the configuration has for them."""

_ANNOUNCEMENT = """\
The stand-in venue listens. For updown:

[venue]
websocket_url = "{websocket_url}"
gamma_url = "{gamma_url}"
clob_url = "{clob_url}"

"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen and what to play."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=port_number, default=8765, help="port to listen on, 0: any (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7, help="fixes everything that is generated (default: %(default)s)")
    parser.add_argument(
        "--rate", type=positive_number, default=15.0, help="messages a second of each market (default: %(default)s)"
    )
    recorded = parser.add_mutually_exclusive_group()
    recorded.add_argument(
        "--tape",
        type=Path,
        nargs="+",
        action="extend",
        metavar="PATH",
        help="play tapes (files, days or whole folders) instead of generated markets, at their recorded pace",
    )
    recorded.add_argument(
        "--captures", type=Path, metavar="FOLDER", help="play older recordings (.jsonl.gz) instead of generated markets"
    )
    parser.add_argument(
        "--speed",
        type=positive_number,
        default=1.0,
        help="how fast recordings are played; other than 1, under their recorded slugs (default: %(default)s)",
    )
    add_log_options(parser)


def main(arguments: argparse.Namespace) -> int:
    """Serve until a signal; raises ``CommandFailed`` when the port is taken."""
    logs.configure(log_settings(arguments), colors=logs_in_color(arguments))
    try:
        options = VenueOptions(seed=arguments.seed, message_rate=arguments.rate)
    except ValueError as error:
        raise BadUsage(f"--rate: {error}") from error
    last_resort = LastResort()
    try:
        return trio.run(
            partial(
                serve,
                options,
                arguments.host,
                arguments.port,
                announce=_announce,
                recordings=_recordings(arguments),
                give_up=last_resort.arm,
            )
        )
    except BaseExceptionGroup as group:
        raise unwrapped(group) from None
    finally:
        last_resort.disarm()


@frozen
class Recordings:
    """Recorded markets to be played: the earliest begins with the current slot of its series, or now if sped up."""

    folder: Path
    speed: float = 1.0

    def source(self, options: VenueOptions, now_ns: int) -> Source:
        """The recordings as markets of a venue; raises ``CaptureError``, and ``BadUsage`` for an impossible speed."""
        first = min((slot_of_slug(capture.slug) for capture in find_captures(self.folder)), key=lambda s: s.start_ns)
        begin_ns = SERIES[first.series].slot_at(now_ns).start_ns if self.speed == 1.0 else now_ns
        try:
            return RecordedSource(self.folder, options, begin_ns=begin_ns, speed=self.speed)
        except ValueError as error:
            raise BadUsage(f"--captures: {error}") from error


@frozen
class Tapes:
    """Tapes to be played, in the current slot or, where that would be too late, in the next; or now if sped up."""

    paths: Sequence[Path]
    speed: float = 1.0

    def source(self, options: VenueOptions, now_ns: int) -> Source:
        """The tapes as markets of a venue, told in the log; raises ``TapeError``, ``BadUsage`` for a bad speed."""
        try:
            source = TapedSource(self.paths, options, now_ns=now_ns, speed=self.speed)
        except TapeError:
            raise
        except ValueError as error:
            raise BadUsage(f"--tape: {error}") from error
        log = logs.default_logger()
        for problem in source.problems:
            log.warning("venue.tape_left_out", problem=problem)
        for listing in source.markets:
            begins_s = round((source.begins_ns(listing) - now_ns) / NS_PER_S)
            outcome = source.known_winner(listing)
            log.info("venue.plays", slug=listing.slug, begins_in_s=begins_s, outcome=outcome and outcome.value)
        return source


class Playable(Protocol):
    """What is played instead of generated markets."""

    def source(self, options: VenueOptions, now_ns: int) -> Source:
        """It as markets of a venue."""


async def serve(
    options: VenueOptions,
    host: str,
    port: int,
    *,
    announce: Announce,
    give_up: GiveUp,
    recordings: Playable | None = None,
) -> Exit:
    """Listen, ``announce`` it, and serve until SIGTERM or SIGINT; raises ``CommandFailed`` when the port is taken."""
    clock = Clock.anchored()
    source = None if recordings is None else recordings.source(options, clock.now_ns())
    venue = Venue(clock, options, source=source)
    stop = Stop(give_up, log=logs.default_logger())
    with trio.open_signal_receiver(*STOPPING) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(_run, venue)
            try:
                websocket_url, http_url = await venue.listen(host, port)
            except OSError as error:
                raise CommandFailed(f"cannot listen on {host}:{port}: {error}") from error
            announce({"websocket_url": websocket_url, "gamma_url": http_url, "clob_url": http_url})
            nursery.start_soon(stop.obey, signals, lambda: None)
            await stop.wished.wait()
            nursery.cancel_scope.cancel()
    return Exit.DONE


def _recordings(arguments: argparse.Namespace) -> Playable | None:
    if arguments.tape is not None:
        return Tapes(arguments.tape, arguments.speed)
    return None if arguments.captures is None else Recordings(arguments.captures, arguments.speed)


async def _run(venue: Venue, task_status: trio.TaskStatus[None]) -> None:
    await venue.run(task_status=task_status)


def _announce(urls: Mapping[str, str]) -> None:
    """For people on stderr, for scripts on stdout."""
    sys.stderr.write(_ANNOUNCEMENT.format(**urls))
    sys.stderr.flush()
    sys.stdout.write(json.dumps(urls) + "\n")
    sys.stdout.flush()
