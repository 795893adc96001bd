"""What is played to every engine: a seeded corpus in the venue's format, or recorded markets.

The corpus of ``generated`` has per thousand messages about 897 level changes, 52 books and 51 trades: trades come in
pairs, as when two takers meet one resting order, and after each pair the venue sends the book of both tokens. Each
level change names both tokens, with the same level seen from either side. ``VENUE`` has the shares of real traffic
instead, where nine of ten messages are level changes as well, but trades and books are three times rarer and changes
of the top are announced.

Levels lie on the grid of 0.001, 35 to 85 a side. Books are consistent: a snapshot says what the changes before it led
to. Only the hashes are noise, since computing them is the venue's work and nobody's here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from attrs import frozen

from actors.captures import find_captures, read_capture
from actors.venue.orderbook import OrderBook, own_price, spell_price, up_side
from engine.markets import Market, Outcome, Side
from engine.records import Frame, MarketUpdated
from engine.units import NS_PER_MS, PRICE_SCALE, size_text

START_NS: Final = 1_790_000_000_000_000_000
TICK: Final = 10
STEP_MS: Final = 25
"""From one message of a market to the next: forty a second, or two thousand of fifty markets."""

OUTCOMES: Final = (Outcome.UP, Outcome.DOWN)
SIDES: Final = (Side.BUY, Side.SELL)
LOWEST, HIGHEST = 1_500, 8_500


@frozen(kw_only=True)
class Mix:
    """How the messages are made up: shares of the steps that are a pair of trades, or a change of the top alone."""

    name: str
    trading: float
    topping: float = 0.0
    trades: int = 2


REFERENCE: Final = Mix(name="reference", trading=0.0282)
VENUE: Final = Mix(name="venue", trading=0.0084, topping=0.0228, trades=1)


class Line(NamedTuple):
    """One message: which market's (an index), when it comes (epoch ns) and its text."""

    market: int
    at_ns: int
    text: str


@frozen(kw_only=True)
class Corpus:
    """Markets, what each says first (the books of both tokens in one array), and all messages in the order of time."""

    name: str
    markets: tuple[Market, ...]
    openings: tuple[str, ...]
    lines: tuple[Line, ...]

    def of(self, market: int) -> list[str]:
        """The texts of one market, in order, without its opening."""
        return [line.text for line in self.lines if line.market == market]


def generated(markets: int = 50, messages: int = 1000, *, seed: int = 1, mix: Mix = REFERENCE) -> Corpus:
    """``messages`` of each of so many markets, the same for the same arguments."""
    sources = [_Source(Random(f"{seed}-{index}"), mix) for index in range(markets)]
    openings = tuple([source.opening() for source in sources])
    columns = [list(source.messages(messages)) for source in sources]
    lines = [
        Line(index, at_ns + index * STEP_MS * NS_PER_MS // markets, text)
        for index, column in enumerate(columns)
        for at_ns, text in column
    ]
    lines.sort(key=lambda line: line.at_ns)
    listed = tuple([source.market for source in sources])
    return Corpus(name=mix.name, markets=listed, openings=openings, lines=tuple(lines))


def captured(folder: Path) -> Corpus:
    """Recorded markets, played as if they had begun at the same time; ``CaptureError`` if there are none."""
    markets, openings, lines = [], [], []
    for index, capture in enumerate(find_captures(folder)):
        began_ns: int | None = None
        for _, record in read_capture(capture):
            if isinstance(record, MarketUpdated) and record.market is not None:
                markets.append(record.market)
            elif isinstance(record, Frame) and began_ns is None:
                began_ns = record.at_ns
                openings.append(record.text)
            elif isinstance(record, Frame):
                lines.append(Line(index, START_NS + record.at_ns - (began_ns or 0), record.text))
    lines.sort(key=lambda line: line.at_ns)
    return Corpus(name="captures", markets=tuple(markets), openings=tuple(openings), lines=tuple(lines))


class _Source:
    """One market and its book, and what the venue says of it."""

    def __init__(self, random: Random, mix: Mix) -> None:
        self._random = random
        self._mix = mix
        self._assets = {outcome: str(random.getrandbits(255) | 1 << 254) for outcome in OUTCOMES}
        self.market = Market(
            condition_id=f"0x{random.getrandbits(256):064x}",
            up_asset_id=self._assets[Outcome.UP],
            down_asset_id=self._assets[Outcome.DOWN],
            tick=TICK,
        )
        self._book = OrderBook(TICK)
        self._stamp_ms = START_NS // NS_PER_MS
        self._depth = random.randint(35, 85)
        for level in range(1, self._depth + 1):
            self._book.bids.set(PRICE_SCALE // 2 - level * TICK, self._size())
            self._book.asks.set(PRICE_SCALE // 2 + level * TICK, self._size())

    def opening(self) -> str:
        both = ",".join([self._snapshot(outcome, ',"tick_size":"0.001"') for outcome in OUTCOMES])
        return f"[{both}]"

    def messages(self, count: int) -> Iterator[tuple[int, str]]:
        """Time of arrival (epoch ns) and text."""
        told = 0
        while told < count:
            self._stamp_ms += STEP_MS
            texts = self._step()[: count - told]
            told += len(texts)
            # Arrival is a little later than the venue's stamp, and later for each of several messages of one stamp.
            yield from ((self._stamp_ms * NS_PER_MS + place + 1, text) for place, text in enumerate(texts))

    def _step(self) -> list[str]:
        kind = self._random.random()
        if kind < self._mix.trading:
            return self._trades()
        if kind < self._mix.trading + self._mix.topping:
            return [self._top(outcome) for outcome in OUTCOMES] + [self._change()]
        return [self._change()]

    def _trades(self) -> list[str]:
        """Takers meet the touch, and the book of both tokens follows."""
        side = self._random.choice(SIDES)
        touch = self._book.side(side.other)
        assert touch.best is not None
        price = touch.best
        texts = [self._trade(self._random.choice(OUTCOMES), side, price) for _ in range(self._mix.trades)]
        touch.set(price, self._size())
        return texts + [self._snapshot(outcome) for outcome in OUTCOMES]

    def _trade(self, outcome: Outcome, side: Side, price: int) -> str:
        return (
            f'{{"market":"{self.market.condition_id}","asset_id":"{self._assets[outcome]}",'
            f'"price":"{spell_price(own_price(outcome, price))}","size":"{size_text(self._size())}",'
            f'"fee_rate_bps":"0","side":"{up_side(outcome, side)}","timestamp":"{self._stamp_ms}",'
            f'"event_type":"last_trade_price","transaction_hash":"0x{self._random.getrandbits(256):064x}"}}'
        )

    def _change(self) -> str:
        """A new size somewhere near the touch; sometimes a better price, sometimes none left."""
        side = self._random.choice(SIDES)
        ladder, opposite = self._book.side(side), self._book.side(side.other).best
        assert ladder.best is not None
        assert opposite is not None
        step = -TICK if side is Side.BUY else TICK
        levels = int(self._random.expovariate(1 / 6))
        price = ladder.best + step * levels
        better = ladder.best - step
        if levels == 0 and better != opposite and LOWEST < better < HIGHEST and self._random.random() < 0.3:
            price = better
        gone = ladder[price] and len(ladder) > self._depth and self._random.random() < 0.6
        size = 0 if gone else self._size()
        ladder.set(price, size)
        first = self._random.choice(OUTCOMES)
        entries = ",".join([self._entry(outcome, side, price, size) for outcome in (first, first.other)])
        return (
            f'{{"market":"{self.market.condition_id}","price_changes":[{entries}],"timestamp":"{self._stamp_ms}",'
            '"event_type":"price_change"}'
        )

    def _entry(self, outcome: Outcome, side: Side, price: int, size: int) -> str:
        bid, ask = self._top_texts(outcome)
        return (
            f'{{"asset_id":"{self._assets[outcome]}","price":"{spell_price(own_price(outcome, price))}",'
            f'"size":"{size_text(size)}","side":"{up_side(outcome, side)}","hash":"{self._hash()}",'
            f'"best_bid":"{bid}","best_ask":"{ask}"}}'
        )

    def _top(self, outcome: Outcome) -> str:
        bid, ask = self._top_texts(outcome)
        return (
            f'{{"market":"{self.market.condition_id}","asset_id":"{self._assets[outcome]}","best_bid":"{bid}",'
            f'"best_ask":"{ask}","spread":"0.001","timestamp":"{self._stamp_ms}","event_type":"best_bid_ask"}}'
        )

    def _snapshot(self, outcome: Outcome, more: str = "") -> str:
        bids, asks = self._book.texts(outcome)
        return (
            f'{{"market":"{self.market.condition_id}","asset_id":"{self._assets[outcome]}",'
            f'"timestamp":"{self._stamp_ms}","hash":"{self._hash()}","bids":[{bids}],"asks":[{asks}]{more},'
            '"event_type":"book"}'
        )

    def _top_texts(self, outcome: Outcome) -> tuple[str, str]:
        bid, ask = self._book.top(outcome)
        assert bid is not None
        assert ask is not None
        return spell_price(bid), spell_price(ask)

    def _hash(self) -> str:
        return f"{self._random.getrandbits(160):040x}"

    def _size(self) -> int:
        """Micro-shares: mostly tens to hundreds of shares, a tail of thousands, half of them whole."""
        shares = self._random.lognormvariate(4.0, 1.5) + 1.0
        return round(shares) * 1_000_000 if self._random.random() < 0.5 else round(shares * 100) * 10_000
