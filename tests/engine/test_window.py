"""The trade window against a naive one that keeps every print and recomputes everything."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from engine.events import Trade
from engine.markets import Outcome, Side
from engine.units import NS_PER_MS, NS_PER_S, PRICE_SCALE, SIZE_SCALE
from engine.window import REPEAT_MEMORY_NS, TradeWindow, WindowTrade

UP, DOWN = Outcome.UP, Outcome.DOWN
BUY, SELL = Side.BUY, Side.SELL
SHARES = SIZE_SCALE


def printed(
    outcome: Outcome = UP,
    side: Side | None = BUY,
    price: int = 5000,
    size: int = 10 * SHARES,
    *,
    venue_ms: int = 1000,
    hash_: str | None = None,
) -> tuple[Trade, Outcome]:
    trade = Trade(
        market="0x" + "ab" * 32,
        asset_id="1111" if outcome is UP else "2222",
        side=side,
        price=price,
        size=size,
        venue_ms=venue_ms,
        transaction_hash=hash_,
    )
    return trade, outcome


def complement(trade: Trade, outcome: Outcome) -> tuple[Trade, Outcome]:
    side = None if trade.side is None else trade.side.other
    return printed(
        outcome.other,
        side,
        PRICE_SCALE - trade.price,
        trade.size,
        venue_ms=trade.venue_ms,
        hash_=trade.transaction_hash,
    )


def facts(window: TradeWindow) -> dict[str, object]:
    names = (
        "count yes_count yes_units no_units notional first_yes last_yes whales_yes whales_no duplicates mirrored late"
    )
    return {name: getattr(window, name) for name in names.split()}


# ------------------------------------------------------------------------------------------ against a naive window


@frozen(kw_only=True)
class Step:
    kind: str
    pause_ns: int = 0
    trade: Trade | None = None
    outcome: Outcome = UP


@frozen(kw_only=True)
class Kept:
    at_ns: int
    session: int
    trade: Trade
    outcome: Outcome

    @property
    def direction(self) -> int:
        if self.trade.side is None:
            return 0
        return 1 if (self.outcome is UP) == (self.trade.side is BUY) else -1

    @property
    def yes_price(self) -> int:
        return self.trade.price if self.outcome is UP else PRICE_SCALE - self.trade.price

    @property
    def exact(self) -> tuple[object, ...]:
        trade = self.trade
        return trade.transaction_hash, self.outcome, trade.side, trade.price, trade.size, trade.venue_ms

    @property
    def hashed(self) -> tuple[object, ...]:
        return self.exact[:-1]

    @property
    def mirror(self) -> tuple[object, ...]:
        return self.trade.transaction_hash, self.yes_price, self.trade.size, self.direction


class NaiveWindow:
    """Remembers whole prints: a group of equal ones is forgotten when its first is too old."""

    def __init__(self) -> None:
        self.window: list[Kept] = []
        self.prints: list[Kept] = []
        self.session = self.duplicates = self.mirrored = self.late = 0
        self.stamps: list[int] = []

    def add(self, trade: Trade, outcome: Outcome, at_ns: int) -> bool:
        new = Kept(at_ns=at_ns, session=self.session, trade=trade, outcome=outcome)
        verdict = self.hashed_verdict(new) if trade.transaction_hash is not None else self.plain_verdict(new)
        self.prints.append(new)
        self.duplicates += verdict == "duplicate"
        self.mirrored += verdict == "mirrored"
        if verdict != "new":
            return False
        self.late += bool(trade.venue_ms) and any(trade.venue_ms + 1000 < stamp for stamp in self.stamps)
        if trade.venue_ms * NS_PER_MS <= at_ns + 10 * NS_PER_S:
            self.stamps.append(trade.venue_ms)
        self.window.append(new)
        return True

    def hashed_verdict(self, new: Kept) -> str:
        if any(old.hashed == new.hashed for old in self.prints):
            return "duplicate"
        return (
            "mirrored" if any(old.mirror == new.mirror for old in self.prints if old.trade.transaction_hash) else "new"
        )

    def plain_verdict(self, new: Kept) -> str:
        if not new.trade.venue_ms:
            return "new"
        by_session = Counter(old.session for old in self.prints if old.exact == new.exact)
        ordinal = by_session.pop(new.session, 0) + 1
        return "duplicate" if ordinal <= max(by_session.values(), default=0) else "new"

    def evict(self, start_ns: int) -> None:
        self.window = [kept for kept in self.window if kept.at_ns >= start_ns]

        def group(kept: Kept) -> tuple[object, ...]:
            return kept.mirror if kept.trade.transaction_hash is not None else kept.exact

        first: dict[tuple[object, ...], int] = {}
        for kept in self.prints:
            first.setdefault(group(kept), kept.at_ns)
        self.prints = [kept for kept in self.prints if first[group(kept)] >= start_ns - REPEAT_MEMORY_NS]

    def facts(self) -> dict[str, object]:
        yes = [kept.trade for kept in self.window if kept.outcome is UP]
        no = [kept.trade for kept in self.window if kept.outcome is DOWN]
        return {
            "count": len(self.window),
            "yes_count": len(yes),
            "yes_units": sum(trade.size for trade in yes),
            "no_units": sum(trade.size for trade in no),
            "notional": sum(trade.price * trade.size for trade in (*yes, *no)),
            "first_yes": yes[0].price if yes else None,
            "last_yes": yes[-1].price if yes else None,
            "whales_yes": sum(trade.size > 1000 * SHARES for trade in yes),
            "whales_no": sum(trade.size > 1000 * SHARES for trade in no),
            "duplicates": self.duplicates,
            "mirrored": self.mirrored,
            "late": self.late,
        }


# Few values of each kind, so that equal and mirrored prints are common.
trades = st.builds(
    printed,
    st.sampled_from(Outcome),
    st.sampled_from([BUY, SELL, None]),
    st.sampled_from([4000, 5000, 6000]),
    st.sampled_from([1, 1000 * SHARES, 1000 * SHARES + 1]),
    venue_ms=st.sampled_from([0, 1000, 1500, 2001, 40_000, 4_000_000_000]),
    hash_=st.sampled_from([None, None, "0x01", "0x02"]),
)
steps = st.one_of(
    trades.map(lambda pair: Step(kind="add", trade=pair[0], outcome=pair[1])),
    st.integers(0, 50).map(lambda seconds: Step(kind="evict", pause_ns=seconds * NS_PER_S)),
    st.just(Step(kind="seam")),
)


@given(st.lists(steps, max_size=60), st.sampled_from([10, 60]))
def test_equals_a_naive_window_at_every_step(script: list[Step], window_s: int) -> None:
    window, naive, now = TradeWindow(), NaiveWindow(), 30 * NS_PER_S
    for step in script:
        now += step.pause_ns + 1
        if step.kind == "evict":
            window.evict(now - window_s * NS_PER_S)
            naive.evict(now - window_s * NS_PER_S)
        elif step.kind == "seam":
            window.seam()
            naive.session += 1
        elif step.trade is not None:
            added = window.add(step.trade, step.outcome, now)
            assert (added is not None) == naive.add(step.trade, step.outcome, now)
        assert facts(window) == naive.facts()
        assert len(window) == len(naive.window)
        for trade, kept in zip(window, naive.window, strict=True):
            assert trade == WindowTrade(
                at_ns=kept.at_ns,
                venue_ms=kept.trade.venue_ms,
                outcome=kept.outcome,
                side=kept.trade.side,
                price=kept.trade.price,
                size=kept.trade.size,
                yes_price=kept.yes_price,
                direction=kept.direction,
                transaction_hash=kept.trade.transaction_hash,
            )


@given(st.lists(st.tuples(trades, st.booleans()), max_size=40))
def test_complements_keep_yes_price_direction_and_every_verdict(
    prints: list[tuple[tuple[Trade, Outcome], bool]],
) -> None:
    """With a hash, a trade and its complement are the same event whichever of the two the venue prints."""
    straight, turned = TradeWindow(), TradeWindow()
    for (trade, outcome), turn in prints:
        if trade.transaction_hash is None:
            continue
        one = straight.add(trade, outcome, 1)
        other = turned.add(*(complement(trade, outcome) if turn else (trade, outcome)), 1)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert (one.yes_price, one.direction, one.size) == (other.yes_price, other.direction, other.size)
    assert straight.duplicates + straight.mirrored == turned.duplicates + turned.mirrored


@given(st.lists(trades, max_size=40))
def test_everything_evicted_leaves_exactly_nothing(prints: list[tuple[Trade, Outcome]]) -> None:
    window = TradeWindow()
    for at_ns, (trade, outcome) in enumerate(prints):
        window.add(trade, outcome, at_ns)
    window.evict(10 * REPEAT_MEMORY_NS)
    totals = {"duplicates": window.duplicates, "mirrored": window.mirrored, "late": window.late}
    assert facts(window) == facts(TradeWindow()) | totals
    assert not window._remembered
    assert not window._hashed._tokens
    assert not window._plain._fills


# ----------------------------------------------------------------------------------------------------- what is held


@pytest.mark.parametrize(
    ("outcome", "side", "yes_price", "direction"),
    [
        (UP, BUY, 6600, +1),
        (UP, SELL, 6600, -1),
        (UP, None, 6600, 0),
        (DOWN, BUY, 3400, -1),
        (DOWN, SELL, 3400, +1),
        (DOWN, None, 3400, 0),
    ],
)
def test_a_trade_is_folded_to_up(outcome: Outcome, side: Side | None, yes_price: int, direction: int) -> None:
    added = TradeWindow().add(*printed(outcome, side, 6600), 7)
    assert added is not None
    assert (added.price, added.yes_price, added.direction) == (6600, yes_price, direction)


@pytest.mark.parametrize(("size", "whales"), [(1000 * SHARES, 0), (1000 * SHARES + 1, 1)])
def test_a_whale_is_larger_than_a_thousand_shares(size: int, whales: int) -> None:
    window = TradeWindow()
    window.add(*printed(UP, size=size), 1)
    window.add(*printed(DOWN, size=size), 1)
    assert (window.whales_yes, window.whales_no) == (whales, whales)


def test_the_window_holds_what_was_received_from_its_start_on() -> None:
    window = TradeWindow()
    for at_ns in (9, 10, 11):
        window.add(*printed(price=at_ns), at_ns)
    window.evict(10)
    assert [trade.at_ns for trade in window] == [10, 11]
    assert (window.first_yes, window.last_yes) == (10, 11)


def test_arrival_decides_first_and_last_and_down_trades_are_no_prices_of_up() -> None:
    window = TradeWindow()
    window.add(*printed(DOWN, price=1), 1)
    assert (window.first_yes, window.last_yes, window.yes_count) == (None, None, 0)
    window.add(*printed(UP, price=5000, venue_ms=9000), 2)
    window.add(*printed(UP, price=5500, venue_ms=8500), 3)
    window.add(*printed(DOWN, price=2), 4)
    assert (window.first_yes, window.last_yes, window.yes_count) == (5000, 5500, 2)


# ----------------------------------------------------------------------------------------------- repeats with a hash


def test_the_same_content_under_one_hash_is_a_repeat_with_or_without_a_seam() -> None:
    window = TradeWindow()
    assert window.add(*printed(hash_="0xaa"), 1) is not None
    assert window.add(*printed(hash_="0xaa", venue_ms=2000), 2) is None
    window.seam()
    assert window.add(*printed(hash_="0xaa"), 4) is None
    assert (window.count, window.duplicates, window.mirrored) == (1, 2, 0)


@pytest.mark.parametrize(
    "other",
    [
        printed(hash_="0xbb"),
        printed(hash_="0xaa", price=5100),
        printed(hash_="0xaa", size=11 * SHARES),
        printed(UP, SELL, hash_="0xaa"),
        printed(UP, None, hash_="0xaa"),
        printed(DOWN, BUY, hash_="0xaa"),
        printed(DOWN, SELL, 5100, hash_="0xaa"),
    ],
    ids=["hash", "price", "size", "side", "no side", "mint match", "other token, other price"],
)
def test_anything_that_differs_is_another_fill_of_the_same_transaction(other: tuple[Trade, Outcome]) -> None:
    window = TradeWindow()
    window.add(*printed(hash_="0xaa"), 1)
    assert window.add(*other, 2) is not None
    assert (window.duplicates, window.mirrored) == (0, 0)


@pytest.mark.parametrize("first", [printed(UP, BUY, 6600, hash_="0xaa"), printed(DOWN, None, 6600, hash_="0xaa")])
def test_a_mirror_print_is_one_trade_and_counted(first: tuple[Trade, Outcome]) -> None:
    window = TradeWindow()
    assert window.add(*first, 1) is not None
    assert window.add(*complement(*first), 2) is None
    assert (window.count, window.mirrored, window.duplicates) == (1, 1, 0)
    assert window.add(*complement(*first), 3) is None
    assert (window.count, window.mirrored, window.duplicates) == (1, 1, 1)


def test_a_hash_is_recognised_for_the_margin_and_then_forgotten() -> None:
    window, window_ns = TradeWindow(), 120 * NS_PER_S
    assert REPEAT_MEMORY_NS == 60 * NS_PER_S
    window.add(*printed(hash_="0xaa"), 0)
    window.evict(REPEAT_MEMORY_NS)
    assert window.count == 0
    assert window.add(*printed(hash_="0xaa"), window_ns) is None
    window.evict(REPEAT_MEMORY_NS + 1)
    assert window.add(*printed(hash_="0xaa"), window_ns + 1) is not None
    window.evict(REPEAT_MEMORY_NS + 2)
    assert window.add(*printed(hash_="0xaa"), window_ns + 2) is None


# -------------------------------------------------------------------------------------------- repeats without a hash


def test_equal_prints_of_one_session_are_different_fills() -> None:
    window = TradeWindow()
    assert all(window.add(*printed(), 1) is not None for _ in range(3))
    assert (window.count, window.duplicates) == (3, 0)


def test_across_a_seam_as_many_prints_are_repeats_as_came_before() -> None:
    window = TradeWindow()
    for _ in range(2):
        window.add(*printed(), 1)
    window.seam()
    assert [window.add(*printed(), 3) is None for _ in range(4)] == [True, True, False, False]
    window.seam()
    assert [window.add(*printed(), 5) is None for _ in range(5)] == [True] * 4 + [False]
    assert (window.count, window.duplicates) == (5, 6)


def test_a_session_that_repeats_less_does_not_shorten_the_memory() -> None:
    window = TradeWindow()
    for _ in range(3):
        window.add(*printed(), 1)
    for _ in range(3):
        window.seam()
    assert window.add(*printed(), 5) is None
    window.seam()
    assert [window.add(*printed(), 7) is None for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    "other",
    [printed(DOWN), printed(UP, SELL), printed(price=5100), printed(size=SHARES), printed(venue_ms=1001)],
    ids=["token", "side", "price", "size", "stamp"],
)
def test_a_different_print_after_a_seam_is_new(other: tuple[Trade, Outcome]) -> None:
    window = TradeWindow()
    window.add(*printed(), 1)
    window.seam()
    assert window.add(*other, 3) is not None


def test_the_complement_is_no_repeat_without_a_hash() -> None:
    window = TradeWindow()
    window.add(*printed(UP, BUY, 6600), 1)
    window.seam()
    assert window.add(*printed(DOWN, SELL, 3400), 3) is not None
    assert window.mirrored == 0


def test_a_print_with_neither_hash_nor_stamp_is_never_a_repeat() -> None:
    window = TradeWindow()
    window.add(*printed(venue_ms=0), 1)
    window.seam()
    assert window.add(*printed(venue_ms=0), 3) is not None
    assert window.duplicates == 0


def test_plain_prints_are_forgotten_after_the_margin() -> None:
    window = TradeWindow()
    window.add(*printed(), 0)
    window.seam()
    window.evict(REPEAT_MEMORY_NS + 1)
    assert window.add(*printed(), REPEAT_MEMORY_NS + 2) is not None


# ------------------------------------------------------------------------------------------------------- lateness


@pytest.mark.parametrize(("venue_ms", "late"), [(9000, 0), (8999, 1), (0, 0), (10_500, 0)])
def test_late_is_more_than_a_second_behind_the_newest_stamp(venue_ms: int, late: int) -> None:
    window = TradeWindow()
    window.add(*printed(venue_ms=10_000), 10_000 * NS_PER_MS)
    window.add(*printed(venue_ms=venue_ms, price=5100), 10_000 * NS_PER_MS)
    assert window.late == late
    assert window.count == 2


def test_a_stamp_from_the_future_does_not_make_the_others_late() -> None:
    window = TradeWindow()
    window.add(*printed(venue_ms=20_001), 10_000 * NS_PER_MS)
    window.add(*printed(venue_ms=10_000), 10_000 * NS_PER_MS)
    assert window.late == 0
    window.add(*printed(venue_ms=20_000), 10_000 * NS_PER_MS)
    window.add(*printed(venue_ms=10_000, price=5100), 10_000 * NS_PER_MS)
    assert window.late == 1


def test_a_repeat_is_not_late_as_well() -> None:
    window = TradeWindow()
    window.add(*printed(venue_ms=1000, hash_="0xaa"), 10_000 * NS_PER_MS)
    window.add(*printed(venue_ms=9000, hash_="0xbb"), 10_000 * NS_PER_MS)
    window.add(*printed(venue_ms=1000, hash_="0xaa"), 10_000 * NS_PER_MS)
    assert (window.late, window.duplicates) == (0, 1)
