"""What one process of a client is asked to do, and what it tells of it.

Every row of a live table is a process of its own: it opens so many connections, each to one market, and once all have
heard something and some time has gone by, counts messages and its own processor time. What it does with a message is
its listener: count it, take it into the pipeline, or hand it to the original design.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from attrs import define, field, frozen

from engine.markets import Market, Target
from engine.pipeline import MarketPipeline
from engine.presets import choose_preset
from engine.records import Connected, Followed, Frame, MarketUpdated
from engine.scoring import build_scorer
from engine.settings import ScoringSettings
from tests.bench.speed.original import Original
from tests.bench.speed.stamps import Stamps

TRADE: Final = '"last_trade_price"'
PATIENCE_S: Final = 40.0
LOOK_S: Final = 0.02

Listener = Callable[[str], None]
NewListener = Callable[[int], Listener]


@frozen(kw_only=True)
class Job:
    """One measurement: ``path`` is what the load generator is to play, ``aging`` whether every trade is to be scored.

    ``told`` is what the load generator said of itself.
    """

    row: str
    told: Mapping[str, Any]
    scheme: str
    path: str
    connections: int
    cadence_s: float
    warm_s: float
    seconds: float
    aging: bool = False

    @classmethod
    def read(cls, text: str) -> Self:
        """As ``live`` wrote it."""
        return cls(**json.loads(text))

    @property
    def port(self) -> int:
        """Where the load generator listens for this scheme."""
        return int(self.told["ports"][self.scheme])

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.scheme}://localhost:{self.port}{self.path}"

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """What trusts the load generator; ``None`` without TLS."""
        return ssl.create_default_context(cafile=self.told["ca_file"]) if self.scheme == "wss" else None

    def markets(self) -> list[Market]:
        """One for each connection."""
        return [
            Market(condition_id=name, up_asset_id=ids[0], down_asset_id=ids[1] if ids[1:] else None, tick=tick)
            for name, ids, tick in self.told["markets"][: self.connections]
        ]

    def scoring(self) -> ScoringSettings:
        """The original's formulas, so that all rows compute the same."""
        return ScoringSettings(cadence_s=self.cadence_s)


@define
class Meter:
    """What a process has done."""

    job: Job
    counts: list[int] = field(factory=list)
    signals: int = 0
    ages: list[int] = field(factory=list)
    stamps: Stamps = field(init=False)
    began: Mapping[str, float] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * self.job.connections
        self.stamps = Stamps(Path(self.job.told["stamps"]))

    @property
    def all_heard(self) -> bool:
        """Whether every connection has had its opening."""
        return all(self.counts)

    def age(self, market: int) -> None:
        """Note how long ago the last message of a market was sent."""
        self.ages.append(self.stamps.age_ns(market, self.counts[market] - 1))

    def begin(self) -> None:
        """From now on it counts."""
        self.ages.clear()
        self.began = self._now()

    def end(self, **more: float | None) -> dict[str, Any]:
        """What happened since."""
        now = self._now()
        since = {name: now[name] - self.began[name] for name in now}
        messages = since["messages"]
        return {
            **since,
            "us": since["cpu_s"] / messages * 1e6 if messages else None,
            "rate": messages / since["wall_s"],
            "load": since["cpu_s"] / since["wall_s"],
            "wakeups": since["wakeups"] / messages if messages else None,
            "signals_per_trade": since["signals"] / (messages * self.job.told["trading"] or math.inf),
            **({f"age_{name}_us": value for name, value in quantiles(self.ages).items()} if self.ages else {}),
            **more,
        }

    def _now(self) -> dict[str, float]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "messages": sum(self.counts),
            "signals": self.signals,
            "cpu_s": used.ru_utime + used.ru_stime,
            "wall_s": time.monotonic(),
            "wakeups": used.ru_nvcsw,
        }


def quantiles(ages_ns: list[int]) -> dict[str, float]:
    """Median, 99th percentile and highest, in microseconds."""
    ordered = sorted(ages_ns)
    return {
        "p50": ordered[len(ordered) // 2] / 1000,
        "p99": ordered[math.ceil(len(ordered) * 0.99) - 1] / 1000,
        "max": ordered[-1] / 1000,
    }


def watch(meter: Meter) -> None:
    """Let it begin, measure it and tell, by a timer of the system: a loop that is saturated may not come to its own."""
    give_up = time.monotonic() + PATIENCE_S

    def begin(*_: object) -> None:
        _at_alarm(end, meter.job.seconds)
        meter.begin()

    def end(*_: object) -> None:
        tell(meter.end())

    def look(*_: object) -> None:
        if meter.all_heard:
            _at_alarm(begin, meter.job.warm_s)
        elif time.monotonic() > give_up:
            tell({"skipped": f"{sum(map(bool, meter.counts))} of {meter.job.connections} connected"})
        else:
            _at_alarm(look, LOOK_S)

    _at_alarm(look, LOOK_S)


def _at_alarm(handler: Callable[..., None], seconds: float) -> None:
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def tell(figures: Mapping[str, Any]) -> None:
    """Print them and end at once: nobody wants to wait for five hundred farewells."""
    sys.stdout.write(json.dumps(dict(figures)) + "\n")
    sys.stdout.flush()
    os._exit(0)


# Listeners.


def counting(meter: Meter) -> NewListener:
    """Nothing but counting."""
    counts = meter.counts

    def listen_to(market: int) -> Listener:
        def listener(text: str) -> None:
            counts[market] += 1

        return listener

    return listen_to


def scoring(meter: Meter) -> NewListener:
    """The pipeline of this project, as the actor drives it."""
    markets, settings, aging = meter.job.markets(), meter.job.scoring(), meter.job.aging
    preset = choose_preset(settings)
    counts, epoch_ns = meter.counts, time.time_ns() - time.monotonic_ns()
    monotonic_ns = time.monotonic_ns

    def listen_to(index: int) -> Listener:
        market, now_ns = markets[index], time.monotonic_ns() + epoch_ns
        target = Target(key=market.condition_id, condition_id=market.condition_id)
        pipeline = MarketPipeline(
            target, followed_ns=now_ns, scoring=settings, preset=preset, scorer=build_scorer(preset, {})
        )
        pipeline.receive(Followed(at_ns=now_ns, target=target))
        pipeline.receive(MarketUpdated(at_ns=now_ns, market=market))
        pipeline.receive(Connected(at_ns=now_ns, epoch=1))
        receive = pipeline.receive

        def listener(text: str) -> None:
            counts[index] += 1
            meter.signals += len(receive(Frame(at_ns=monotonic_ns() + epoch_ns, text=text)))

        def aging_listener(text: str) -> None:
            counts[index] += 1
            at_ns = monotonic_ns() + epoch_ns
            receive(Frame(at_ns=at_ns, text=text))
            if TRADE in text:
                pipeline.evaluate(at_ns)
                meter.signals += 1
                meter.age(index)

        return aging_listener if aging else listener

    return listen_to


def original(meter: Meter) -> NewListener:
    """The original design's lists, scored at each trade."""
    markets, aging, counts = meter.job.markets(), meter.job.aging, meter.counts

    def listen_to(index: int) -> Listener:
        market = Original(markets[index])

        def listener(text: str) -> None:
            counts[index] += 1
            if market.message(text):
                market.score()
                meter.signals += 1
                if aging:
                    meter.age(index)

        return listener

    return listen_to


LISTENERS: Final[Mapping[str, Callable[[Meter], NewListener]]] = {
    "counting": counting,
    "scoring": scoring,
    "original": original,
}
