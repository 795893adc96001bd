"""``updown serve``: the stand-in venue by itself, for any bot in any language."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import trio
from attrs import frozen

from actors import logs
from actors.captures import find_captures
from actors.cli.ending import STOPPING, GiveUp, LastResort, Stop
from actors.cli.failures import BadUsage, CommandFailed, Exit
from actors.cli.options import add_log_options, log_settings, logs_in_color, port_number, positive_number
from actors.clock import Clock
from actors.crash import unwrapped
from actors.venue import RecordedSource, Source, Venue, VenueOptions
from engine.series import SERIES, slot_of_slug

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
    parser.add_argument(
        "--captures", type=Path, metavar="FOLDER", help="play recorded markets instead of generated ones"
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
                recordings=None if arguments.captures is None else Recordings(arguments.captures, arguments.speed),
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


async def serve(
    options: VenueOptions,
    host: str,
    port: int,
    *,
    announce: Announce,
    give_up: GiveUp,
    recordings: Recordings | None = None,
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


async def _run(venue: Venue, task_status: trio.TaskStatus[None]) -> None:
    await venue.run(task_status=task_status)


def _announce(urls: Mapping[str, str]) -> None:
    """For people on stderr, for scripts on stdout."""
    sys.stderr.write(_ANNOUNCEMENT.format(**urls))
    sys.stderr.flush()
    sys.stdout.write(json.dumps(urls) + "\n")
    sys.stdout.flush()
