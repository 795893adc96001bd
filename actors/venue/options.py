"""What the stand-in venue does, as validated values; every default resembles the real venue."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import ge, gt, le, optional


@frozen(kw_only=True)
class VenueOptions:
    """Figures of the stand-in venue. Times are seconds; out-of-range values raise ``ValueError``.

    ``seed`` fixes every id, price, trade and outcome. ``message_rate`` is the average number of messages a second of
    one market in its slot, without the custom messages; ``burst_share`` of the time runs ``burst_factor`` times
    faster than the average. ``informed`` is the share of takers who know the fair price 30 s ahead (0: flow is noise).
    ``hashes`` off sends empty hashes and saves most of the work. ``resolve_after_s`` is the time from a slot's end
    to its resolution, drawn from 82..151 s for each market when ``None``. ``price_change_on_trade`` adds a price_change
    for the level a trade consumed. ``send_queue`` messages may wait for a slow client before it is dropped.
    """

    seed: int = 7
    message_rate: float = field(default=15.0, validator=[gt(0), le(1000.0)])
    burst_factor: float = field(default=5.0, validator=[ge(1.0), le(10.0)])
    burst_share: float = field(default=0.1, validator=[ge(0.0), le(0.1)])
    informed: float = field(default=0.1, validator=[ge(0.0), le(1.0)])
    hashes: bool = True
    trade_before_s: float = field(default=86_400.0, validator=[ge(60.0), le(86_400.0)])
    resolve_after_s: float | None = field(default=None, validator=optional([ge(0.0), le(86_400.0)]))
    price_change_on_trade: bool = False
    frame_bytes: int = field(default=47_000, validator=[ge(1_000), le(1 << 20)])
    assets_per_connection: int = field(default=500, validator=ge(1))
    idle_drop_s: float = field(default=60.0, validator=gt(0))
    first_frame_s: float = field(default=60.0, validator=gt(0))
    close_s: float = field(default=1.0, validator=gt(0))
    max_connections: int | None = field(default=None, validator=optional(ge(0)))
    send_queue: int = field(default=4096, validator=ge(1))
    remember_s: float = field(default=3600.0, validator=ge(0.0))
    require_user_agent: bool = True
