"""The workshop of one engine: where market actors get their pipelines, their connections and their tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from structlog.typing import FilteringBoundLogger

from actors.alarm import Alarm
from actors.clock import Clock
from actors.dial import dial, shared_tls_context
from actors.limiter import ConnectLimiter
from actors.market import MarketTools
from actors.ports import Ports
from actors.reconnect import Listener, Reconnector
from actors.seat import Seat
from actors.taps import Taps
from actors.transport import need_transport
from engine.pipeline import MarketPipeline, stamp_of
from engine.presets import choose_preset
from engine.scoring import ScorerFactory, build_scorer
from engine.settings import Settings


class Workshop:
    """Makes what market actors work with.

    Raises ``PresetError`` for an unknown preset, scorer or option, ``SettingsError`` for a transport that is not
    installed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        ports: Ports,
        clock: Clock,
        alarm: Alarm,
        scorers: Mapping[str, ScorerFactory],
        log: FilteringBoundLogger,
    ) -> None:
        feed = settings.feed
        need_transport(feed.transport)
        self._settings = settings
        self._clock = clock
        self._alarm = alarm
        self._log = log
        self._preset = choose_preset(settings.scoring, scorers)
        self._new_scorer = partial(build_scorer, self._preset, scorers)
        self._new_scorer()  # an unknown scorer or option is told at once, not at the first deadline
        self.stamp = stamp_of(self._preset, settings.scoring)
        self._reconnector = partial(
            Reconnector,
            url=settings.venue.websocket_url,
            feed=feed,
            user_agent=settings.venue.user_agent,
            dial=ports.dial or partial(dial, ssl_context=shared_tls_context(settings.venue.ca_file)),
            limiter=ConnectLimiter(clock, rate_per_s=feed.connects_per_s, burst=feed.connects_burst),
            rng=ports.rng,
        )

    def tools(self, *, taps: Taps, refresh: Callable[[str], None]) -> MarketTools:
        """The tools of every market actor; ``refresh`` has a market's metadata asked for again."""
        return MarketTools(
            clock=self._clock,
            alarm=self._alarm,
            new_pipeline=self._new_pipeline,
            new_reconnector=self._new_reconnector,
            refresh=refresh,
            feed=self._settings.feed,
            log=self._log,
            tape=taps,
        )

    def _new_reconnector(self, seat: Seat, listener: Listener) -> Reconnector:
        return self._reconnector(listener=listener, log=self._log.bind(market=seat.target.key))

    def _new_pipeline(self, seat: Seat, followed_ns: int) -> MarketPipeline:
        return MarketPipeline(
            seat.target,
            followed_ns=followed_ns,
            scoring=self._settings.scoring,
            preset=self._preset,
            scorer=self._new_scorer(),
        )
