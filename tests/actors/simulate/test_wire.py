import math
from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from actors.simulate.design import Design, Habit
from actors.simulate.features import features
from actors.simulate.markets import Batch, SimulatedMarket, market_number
from actors.simulate.wire import label_of, listing_of, wire_records
from engine.bookhash import book_hash
from engine.events import Trade
from engine.markets import Outcome, Side
from engine.pipeline import MarketPipeline
from engine.presets import PRESETS
from engine.records import Connected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.scoring import build_scorer
from engine.settings import ScoringSettings
from engine.signals import BookState, FeedState, MarketSignals
from engine.units import NS_PER_S
from engine.wire import decode

SHORT = Design(series="btc-5m", habit=Habit.USD, rho=0.2)


def replayed(records: list[Record], preset: str) -> dict[float, MarketSignals]:
    """The signals of one preset, by seconds from the start of the market."""
    followed = records[0]
    assert isinstance(followed, Followed)
    start_ns = followed.target.start_ns
    assert start_ns is not None
    scoring, chosen = ScoringSettings(preset=preset, cadence_s=10.0), PRESETS[preset]
    pipeline = MarketPipeline(
        followed.target, followed_ns=followed.at_ns, scoring=scoring, preset=chosen, scorer=build_scorer(chosen)
    )
    signals = [signal for record in records for signal in pipeline.receive(record)]
    return {(signal.as_of_ns - start_ns) / NS_PER_S: signal for signal in signals}


def records_of(market: SimulatedMarket, *, hashes: bool = True) -> list[Record]:
    records = list(wire_records(market, hashes=hashes))
    assert {key for key, _ in records} == {market.slot.slug}
    return [record for _, record in records]


@pytest.mark.parametrize(
    ("design", "number"),
    [(Design(), 0), (Design(habit=Habit.USD, tick=100, spread_steps=1), 5), (SHORT, 2)],
    ids=["shares", "usd", "5m"],
)
def test_a_tape_replays_to_the_feature_stream(design: Design, number: int) -> None:
    market = market_number(design, number)
    records = records_of(market, hashes=False)
    batch = Batch.of([market])
    signals = {preset: replayed(records, preset) for preset in ("seed", "corrected")}
    for end_s in range(120, design.seconds, 60):
        table = features(batch, float(end_s), ahead_s=10.0)
        seed, corrected = signals["seed"][end_s], signals["corrected"][end_s]
        assert seed.market.mid == corrected.market.mid == pytest.approx(table.mid[0], abs=1e-12)
        assert seed.window.trades == corrected.window.trades == table.trades[0]
        for computed, expected in (
            (table.seed_score, seed.score),
            (table.seed_momentum, seed.components.momentum),
            (table.seed_flow, seed.components.volume_flow),
            (table.seed_whale, seed.components.whale),
            (table.score, corrected.score),
            (table.momentum, corrected.components.momentum),
            (table.flow, corrected.components.volume_flow),
            (table.whale, corrected.components.whale),
        ):
            value = float(computed[0])
            assert math.isnan(value) if expected is None else value == pytest.approx(expected, abs=1e-12)


def test_the_trades_on_the_tape_are_the_markets() -> None:
    market = market_number(SHORT, 1)
    listing = listing_of(market)
    printed = [
        (record.at_ns - market.slot.start_ns, event)
        for record in records_of(market)
        if isinstance(record, Frame)
        for event in decode(record.text)
        if isinstance(event, Trade)
    ]
    trades = market.trades
    assert [at_ns for at_ns, _ in printed] == trades.at_ns.tolist()
    assert [event.price for _, event in printed] == trades.price.tolist()
    assert [event.size for _, event in printed] == trades.units.tolist()
    assert [event.side is Side.BUY for _, event in printed] == trades.is_buy.tolist()
    assert [event.asset_id == listing.up_asset_id for _, event in printed] == trades.is_up.tolist()
    assert len({event.transaction_hash for _, event in printed}) == len(printed)
    assert all(abs(event.venue_ms * 10**6 - at_ns - market.slot.start_ns) < 10**6 for at_ns, event in printed)


def test_the_feed_of_a_tape_is_without_a_fault() -> None:
    market = market_number(Design(), 7)
    signals = replayed(records_of(market), "corrected")
    inside = [signal for at_s, signal in signals.items() if 0 <= at_s < 900]
    assert len(inside) == 90
    for signal in inside:
        quality = signal.quality
        assert (quality.feed_state, quality.book_state) == (FeedState.LIVE, BookState.CLEAN)
        assert not any((quality.malformed, quality.foreign, quality.unknown, quality.duplicates, quality.late))
        assert signal.market.mid is not None
    assert all(signal.window.coverage == 1.0 for at_s, signal in signals.items() if 120 <= at_s < 900)


def test_the_records_are_those_of_a_market_that_was_followed() -> None:
    market = market_number(SHORT, 0)
    records = records_of(market)
    assert [type(record) for record in records[:4]] == [Followed, MarketUpdated, Connected, Frame]
    assert isinstance(records[-1], Unfollowed)
    assert all(one.at_ns <= other.at_ns for one, other in pairwise(records))
    assert records[0].at_ns == market.slot.start_ns - 10 * NS_PER_S
    assert records[-1].at_ns == market.slot.end_ns + 15 * NS_PER_S
    told = records[1]
    assert isinstance(told, MarketUpdated)
    assert told.market is not None
    assert (told.market.start_ns, told.market.end_ns) == (market.slot.start_ns, market.slot.end_ns)
    assert (told.market.tick, told.market.winner, told.market.closed) == (10, None, False)


def test_the_texts_are_the_venues() -> None:
    market = market_number(SHORT, 0)
    texts = [record.text for record in records_of(market) if isinstance(record, Frame)]
    first = msgspec.json.decode(texts[0])
    assert [book["event_type"] for book in first] == ["book", "book"]
    assert all({"tick_size", "last_trade_price", "hash"} <= book.keys() for book in first)
    messages = [msgspec.json.decode(text) for text in texts[1:]]
    kinds = Counter(message["event_type"] for message in messages)
    assert kinds.keys() == {"book", "price_change", "last_trade_price"}
    assert kinds["last_trade_price"] == 100
    assert kinds["book"] == 200
    assert kinds["price_change"] >= 2 * 300
    for message in messages:
        if message["event_type"] == "price_change":
            assert len(message["price_changes"]) == 2
    after = [[each["event_type"] for each in messages[at + 1 : at + 3]] for at, _ in _trades(messages)]
    assert after == [["book", "book"]] * 100


def _trades(messages: list[dict[str, object]]) -> list[tuple[int, dict[str, object]]]:
    return [(at, each) for at, each in enumerate(messages) if each["event_type"] == "last_trade_price"]


def test_every_book_carries_its_checksum() -> None:
    market = market_number(SHORT, 0)
    texts = [record.text for record in records_of(market) if isinstance(record, Frame)]
    for book in msgspec.json.decode(texts[0]):
        levels = {side: [(level["price"], level["size"]) for level in book[side]] for side in ("bids", "asks")}
        assert book["hash"] == book_hash(
            market=book["market"],
            asset_id=book["asset_id"],
            timestamp=book["timestamp"],
            bids=levels["bids"],
            asks=levels["asks"],
            min_order_size="5",
            tick_size=book["tick_size"],
            neg_risk=False,
            last_trade_price="",
        )
    bare = [record.text for record in records_of(market, hashes=False) if isinstance(record, Frame)]
    assert '"hash":""' in bare[0]
    assert len(bare) == len(texts)


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_the_label_is_the_outcome_and_not_on_the_tape(number: int) -> None:
    market = market_number(SHORT, number)
    label, listing = label_of(market), listing_of(market)
    assert label.outcome is (Outcome.UP if market.fair[-1] else Outcome.DOWN)
    assert (label.slug, label.series) == (market.slot.slug, "btc-5m")
    assert label.condition_id == listing.condition_id
    assert label.at_ns > records_of(market, hashes=False)[-1].at_ns
    assert not any("market_resolved" in record.text for record in records_of(market) if isinstance(record, Frame))


def test_a_tape_is_the_same_every_time() -> None:
    assert records_of(market_number(SHORT, 3)) == records_of(market_number(SHORT, 3))
