"""One market is flooded as fast as TCP allows, beside another one: what the others notice of it, in real time.

The venue is a process of its own, so that the two share no interpreter. How late somebody woke says how busy the
machine is, too; how long a turn of a task took is CPU time of the thread, which does not.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

import structlog
import trio
from attrs import define, evolve, field, frozen

from actors.alarm import Alarm
from actors.clock import Clock
from actors.market import MarketActor
from actors.ports import Ports
from actors.seat import Seat
from actors.taps import Taps
from actors.workshop import Workshop
from engine.records import Connected, Frame, Record
from engine.settings import ScoringSettings, Settings
from engine.signals import MarketSignals
from tests.actors.raw_server import text
from tests.engine.wire_texts import MARKET, TARGET, at

QUIET = evolve(MARKET, condition_id="0x" + "cd" * 32, up_asset_id="3" * 77, down_asset_id="4" * 77)

CONNECT_S = 20.0

STEP_S = 0.005
"""A bystander wants to wake up this often."""

VENUE = """
import base64, hashlib, socket, sys
flood = sys.stdin.buffer.read()
socket.setdefaulttimeout(20)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
peers = []
while len(peers) < 2:
    peer, _ = listener.accept()
    peers.append(peer)
    head = b""
    while b"\\r\\n\\r\\n" not in head:
        head += peer.recv(4096) or sys.exit("no request")
    key = next(line.split()[1] for line in head.split(b"\\r\\n") if line.lower().startswith(b"sec-websocket-key:"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    upgrade = (b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade")
    peer.sendall(b"\\r\\n".join((*upgrade, b"Sec-WebSocket-Accept: " + accept, b"", b"")))
    peer.recv(4096)
try:
    while flood:
        peers[0].sendall(flood)
    peers[0].recv(4096)
except OSError:
    pass
"""
"""The first of two who subscribe gets all it can take, the other one nothing; without a flood, so does the first."""


@frozen(kw_only=True)
class Fairness:
    """What was noticed. ``late_s`` is how late a bystander woke, each time; ``signals`` those of the quiet market."""

    messages: int
    late_s: Sequence[float]
    signals: Sequence[MarketSignals]
    longest_turn_cpu_s: float

    @property
    def usually_late_s(self) -> float:
        """The median: a machine that is busy otherwise has a tail of its own."""
        return median(self.late_s)


@define(eq=False)
class _Turns(trio.abc.Instrument):
    """The longest turn of any task, in seconds of the thread's CPU time."""

    longest_s: float = 0.0
    _began_s: float = field(factory=time.thread_time, init=False)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began_s = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.longest_s = max(self.longest_s, time.thread_time() - self._began_s)


async def fairness(flood: Sequence[str], *, seconds: float) -> Fairness:
    """Let one market get these messages of ``MARKET``, over and over, and see how its neighbours fare."""
    clock = Clock.anchored(at(0))
    count = 0
    up = {market.condition_id: trio.Event() for market in (MARKET, QUIET)}

    def tap(key: str, record: Record) -> None:
        nonlocal count
        count += isinstance(record, Frame)
        if isinstance(record, Connected):
            up[key].set()

    with _venue(flood) as port:
        settings = Settings(scoring=ScoringSettings(cadence_s=0.25))
        settings = evolve(settings, venue=evolve(settings.venue, websocket_url=f"ws://127.0.0.1:{port}/ws/market"))
        log = structlog.get_logger()
        alarm = Alarm(clock)
        workshop = Workshop(settings, ports=Ports(clock=clock), clock=clock, alarm=alarm, scorers={}, log=log)
        tools = workshop.tools(taps=Taps(tap), refresh=lambda key: None)
        signals: list[MarketSignals] = []
        async with trio.open_nursery() as nursery:
            await nursery.start(alarm.run)
            for market, heard in ((MARKET, []), (QUIET, signals)):
                seat = Seat(
                    evolve(TARGET, key=market.condition_id),
                    followed_ns=clock.now_ns(),
                    clock=clock,
                    scoring=settings.scoring,
                    stamp=workshop.stamp,
                    publish=heard.append,
                )
                actor = MarketActor(seat, tools)
                await nursery.start(actor.run)
                actor.learn(market)
                with trio.fail_after(CONNECT_S):
                    await up[market.condition_id].wait()
            turns = _Turns()
            trio.lowlevel.add_instrument(turns)
            late_s = await _look_on(seconds)
            trio.lowlevel.remove_instrument(turns)
            nursery.cancel_scope.cancel()
    return Fairness(messages=count, late_s=late_s, signals=signals, longest_turn_cpu_s=turns.longest_s)


async def _look_on(seconds: float) -> list[float]:
    late_s: list[float] = []
    ends = trio.current_time() + seconds
    while (due := trio.current_time() + STEP_S) < ends:
        await trio.sleep_until(due)
        late_s.append(trio.current_time() - due)
    return late_s


@contextmanager
def _venue(flood: Sequence[str]) -> Iterator[int]:
    program = subprocess.Popen([sys.executable, "-c", VENUE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        with program.stdin as stdin:
            stdin.write(b"".join(map(text, flood)))
        yield int(program.stdout.readline())
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
