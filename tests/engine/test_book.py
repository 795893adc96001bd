"""The book against a naive one, and each state it may be in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, isclose

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.book import Book, MirroredChange
from engine.events import BookSnapshot, Level, LevelChange
from engine.markets import Market, Outcome, Side
from engine.signals import BookState
from engine.units import PRICE_SCALE, SIZE_SCALE

UP, DOWN = Outcome.UP, Outcome.DOWN
MARKET = Market(condition_id="0x" + "ab" * 32, up_asset_id="1111", down_asset_id="2222")
ASSETS = {UP: "1111", DOWN: "2222"}


def opposite(price: int | None) -> int | None:
    return None if price is None else PRICE_SCALE - price


def snapshot(
    bids: Sequence[Level] = (), asks: Sequence[Level] = (), *, outcome: Outcome = UP, tick: int | None = None
) -> BookSnapshot:
    """What ``outcome``'s token shows of a book given in Up's prices."""
    native = (bids, asks) if outcome is UP else (mirrored(asks), mirrored(bids))
    return BookSnapshot(
        market=MARKET.condition_id,
        asset_id=ASSETS[outcome],
        bids=tuple(native[0]),
        asks=tuple(native[1]),
        venue_ms=1,
        tick=tick,
    )


def mirrored(levels: Sequence[Level]) -> tuple[Level, ...]:
    return tuple((PRICE_SCALE - price, size) for price, size in levels)


def change(
    side: Side,
    price: int,
    size: int,
    best_bid: int | None = None,
    best_ask: int | None = None,
    *,
    outcome: Outcome = UP,
) -> tuple[LevelChange, Outcome]:
    """One entry about ``outcome``'s token, given in Up's prices and sides."""
    if outcome is DOWN:
        side, price, best_bid, best_ask = side.other, PRICE_SCALE - price, opposite(best_ask), opposite(best_bid)
    entry = LevelChange(
        asset_id=ASSETS[outcome], side=side, price=price, size=size, best_bid=best_bid, best_ask=best_ask
    )
    return entry, outcome


def state_of(book: Book) -> BookState:
    return book.state


def accused(book: Book) -> bool:
    return book.mirror_sum_off


def synced(bids: Sequence[Level] = ((4800, 10),), asks: Sequence[Level] = ((5200, 20),), tick: int = 100) -> Book:
    book = Book(Market(condition_id=MARKET.condition_id, up_asset_id="1111", down_asset_id="2222", tick=tick))
    book.snapshot(snapshot(bids, asks), UP)
    return book


# -------------------------------------------------------------------------------------------- against a naive book


@frozen(kw_only=True)
class Step:
    """One thing the venue says, in Up's prices."""

    kind: str
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    entries: tuple[tuple[Side, int, int], ...] = ()
    top: tuple[int | None, int | None] = (None, None)
    tick: int = 100


prices = st.integers(1, 99).map(lambda cent: cent * 100) | st.integers(1, PRICE_SCALE - 1)
sizes = st.just(0) | st.integers(1, 10**15)
levels = st.lists(st.tuples(prices, sizes), max_size=8).map(tuple)
stated = st.tuples(st.none() | prices, st.none() | prices)

steps = st.one_of(
    st.builds(Step, kind=st.just("snapshot"), bids=levels, asks=levels),
    st.builds(
        Step,
        kind=st.just("change"),
        entries=st.lists(st.tuples(st.sampled_from(Side), prices, sizes), min_size=1, max_size=4).map(tuple),
        top=stated,
    ),
    st.builds(Step, kind=st.just("top"), top=stated),
    st.builds(Step, kind=st.just("tick"), tick=st.sampled_from([0, 1, 10, 25, 50, 100, 1000, PRICE_SCALE])),
    st.builds(Step, kind=st.just("invalidate")),
)


class NaiveBook:
    """Two dicts in Up's prices; everything else is worked out anew on every read."""

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.synced = False
        self.tick = 100
        self.stated: tuple[int | None, int | None] = (None, None)

    def drop(self) -> None:
        self.bids, self.asks, self.synced, self.stated = {}, {}, False, (None, None)

    def take(self, step: Step) -> None:
        if step.kind == "snapshot":
            self.bids = {price: size for price, size in step.bids if size}
            self.asks = {price: size for price, size in step.asks if size}
            self.synced = True
            self.stated = self.best()
        elif step.kind == "change":
            for side, price, size in step.entries if self.synced else ():
                ladder = self.bids if side is Side.BUY else self.asks
                ladder[price] = size
                if not size:
                    del ladder[price]
            self.stated = self.best() if step.top == (None, None) else step.top
        elif step.kind == "top":
            self.stated = step.top
        elif step.kind == "tick" and step.tick not in (self.tick, 0, PRICE_SCALE):
            self.tick = step.tick
            self.drop()
        elif step.kind == "invalidate":
            self.drop()

    def best(self) -> tuple[int | None, int | None]:
        return max(self.bids, default=None), min(self.asks, default=None)

    def state(self) -> BookState:
        if not self.synced:
            return BookState.UNSYNCED
        if not self.bids or not self.asks:
            return BookState.ONE_SIDED if self.bids or self.asks else BookState.EMPTY
        return BookState.CROSSED if max(self.bids) >= min(self.asks) else BookState.CLEAN

    def sound(self) -> bool:
        readable = self.state() not in (BookState.UNSYNCED, BookState.CROSSED)
        return readable and self.stated == self.best()

    def levels(self, outcome: Outcome) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        if outcome is UP:
            bids, asks = list(self.bids.items()), list(self.asks.items())
        else:
            bids, asks = list(mirrored(list(self.asks.items()))), list(mirrored(list(self.bids.items())))
        return tuple(sorted(bids, reverse=True)), tuple(sorted(asks))

    def quote(self) -> tuple[int, int, int, int] | None:
        bid, ask = self.stated
        if bid is None or ask is None or not 0 < bid < ask < PRICE_SCALE:
            return None
        known = bid in self.bids and ask in self.asks
        return bid, ask, self.bids[bid] if known else 0, self.asks[ask] if known else 0

    def pressure(self) -> tuple[float, float]:
        bids, asks = self.levels(UP)
        return tuple(
            sum(
                size / SIZE_SCALE * exp(-abs(price - side[0][0]) / self.tick / 2)
                for price, size in side
                if abs(price - side[0][0]) <= 5 * self.tick
            )
            for side in (bids, asks)
        )  # type: ignore[return-value]


def tell(book: Book, step: Step, tokens: Sequence[Outcome]) -> None:
    """Say one step to a book through the messages of ``tokens`` alone."""
    if step.kind == "invalidate":
        book.invalidate()
    elif step.kind == "change":
        book.change([change(*entry, *step.top, outcome=token) for entry in step.entries for token in tokens])
    for token in tokens:
        if step.kind == "snapshot":
            book.snapshot(snapshot(step.bids, step.asks, outcome=token), token)
        elif step.kind == "top":
            native = step.top if token is UP else (opposite(step.top[1]), opposite(step.top[0]))
            book.top(token, *native)
        elif step.kind == "tick":
            book.tick_size(step.tick)
            book.tick_size(step.tick)


def everything(book: Book) -> tuple[object, ...]:
    return (
        book.state,
        book.tick,
        book.best_bid,
        book.best_ask,
        book.best_bid_size,
        book.best_ask_size,
        book.quote(),
        book.sound,
        book.depth(3),
        book.pressure(5, 0.5),
        book.levels(UP),
        book.levels(DOWN),
    )


@given(st.lists(steps, max_size=30))
def test_equals_a_naive_book_after_every_message(script: list[Step]) -> None:
    book, naive = Book(MARKET), NaiveBook()
    for step in script:
        tell(book, step, [UP, DOWN])
        naive.take(step)
        bids, asks = naive.levels(UP)
        assert state_of(book) is naive.state()
        assert book.tick == naive.tick
        assert (book.best_bid, book.best_ask) == naive.best()
        assert (book.best_bid_size, book.best_ask_size) == (bids[0][1] if bids else 0, asks[0][1] if asks else 0)
        assert book.quote() == naive.quote()
        assert book.sound == naive.sound()
        for count in (0, 1, 3, 100):
            depths = tuple(sum(size for _, size in side[:count]) / SIZE_SCALE for side in (bids, asks))
            assert book.depth(count) == pytest.approx(depths)
        assert book.levels(UP) == (bids, asks)
        assert book.levels(DOWN) == naive.levels(DOWN)
        assert all(isclose(*pair, rel_tol=1e-12) for pair in zip(book.pressure(5, 0.5), naive.pressure(), strict=True))


@given(st.lists(steps, max_size=30))
def test_one_token_or_both_tell_the_same_book(script: list[Step]) -> None:
    books = [(Book(MARKET), tokens) for tokens in ([UP], [DOWN], [UP, DOWN], [DOWN, UP])]
    for step in script:
        for book, tokens in books:
            tell(book, step, tokens)
        first, *others = (everything(book) for book, _ in books)
        assert all(other == first for other in others)


@given(st.lists(steps, max_size=20))
def test_the_mirror_image_of_a_script_gives_the_mirror_image_of_the_book(script: list[Step]) -> None:
    straight, swapped = Book(MARKET), Book(MARKET)
    for step in script:
        tell(straight, step, [UP])
        image = Step(
            kind=step.kind,
            bids=mirrored(step.asks),
            asks=mirrored(step.bids),
            entries=tuple((side.other, PRICE_SCALE - price, size) for side, price, size in step.entries),
            top=(opposite(step.top[1]), opposite(step.top[0])),
            tick=step.tick,
        )
        tell(swapped, image, [UP])
        assert straight.levels(UP) == swapped.levels(DOWN)
        assert straight.depth(2) == swapped.depth(2)[::-1]
        assert straight.pressure(5, 0.5) == swapped.pressure(5, 0.5)[::-1]


# ------------------------------------------------------------------------------------- shortcuts, against the long way


@frozen(kw_only=True)
class Mirrored:
    """A message in which both tokens name one level alike, in Up's prices; Down's entry may come first."""

    side: Side
    price: int
    size: int
    top: tuple[int, int]
    down_first: bool

    def entries(self) -> list[tuple[LevelChange, Outcome]]:
        tokens = (DOWN, UP) if self.down_first else (UP, DOWN)
        return [change(self.side, self.price, self.size, *self.top, outcome=token) for token in tokens]

    def step(self) -> Step:
        return Step(kind="change", entries=((self.side, self.price, self.size),), top=self.top)

    def at_once(self, at_ns: int) -> MirroredChange:
        of_up, (bid, ask) = self.side is Side.BUY, self.top
        price = self.price if of_up else PRICE_SCALE - self.price
        return MirroredChange(at_ns, of_up, price, self.size / SIZE_SCALE, bid, PRICE_SCALE - ask)


Said = Step | list[Mirrored]

tops = st.tuples(prices, prices).filter(lambda top: top[0] != top[1]).map(lambda top: (min(top), max(top)))
runs = st.lists(
    st.builds(Mirrored, side=st.sampled_from(Side), price=prices, size=sizes, top=tops, down_first=st.booleans()),
    max_size=4,
)
scripts = st.lists(steps | runs, max_size=10)
real_levels = st.lists(st.tuples(prices, st.integers(1, 10**15)), max_size=4)


def in_shares(native: Sequence[Level]) -> dict[int, float]:
    return {price: size / SIZE_SCALE for price, size in native}


def play(book: Book, script: Iterable[Said]) -> Book:
    for said in script:
        if isinstance(said, Step):
            tell(book, said, [UP])
        else:
            book.set_levels([message.at_once(1) for message in said], None)
    return book


def same(one: Book, other: Book) -> bool:
    return everything(one) == everything(other) and accused(one) == accused(other)


def same_samples(one: Book, other: Book) -> bool:
    """Whether both mirror guards hold the same: each sample decides at some time while others take its place."""
    alike = [accused(one) == accused(other)]
    for excess in (700,) * 16 + (0,) * 16:
        for book in (one, other):
            book.top(DOWN, 4900, 5000)
            book.top(UP, 5000 + excess, 5100 + excess)
        alike.append(accused(one) == accused(other))
    return all(alike)


@given(st.lists(st.tuples(steps | runs, st.booleans()), max_size=20))
def test_levels_set_at_once_leave_what_one_change_after_the_other_leaves(script: list[tuple[Said, bool]]) -> None:
    at_once, one_by_one = Book(MARKET), Book(MARKET)
    since: int | None = None
    expected: int | None = None
    for at_ns, (said, looked_at) in enumerate(script):
        if isinstance(said, Step):
            tell(at_once, said, [UP])
            tell(one_by_one, said, [UP])
            continue
        since = at_once.set_levels([message.at_once(10 * at_ns + n) for n, message in enumerate(said)], since)
        for n, message in enumerate(said):
            one_by_one.change(message.entries())
            if one_by_one.sound or expected is None:
                expected = None if one_by_one.sound else 10 * at_ns + n
        assert since == expected
        assert not looked_at or same(at_once, one_by_one), "what is only counted until somebody looks"
    assert same(at_once, one_by_one)
    assert same_samples(at_once, one_by_one)


@settings(max_examples=50)
@given(scripts, real_levels, real_levels, st.sampled_from(Outcome))
def test_replacing_and_repeating_are_snapshots(
    script: list[Said], bids: list[Level], asks: list[Level], outcome: Outcome
) -> None:
    replaced, shown = play(Book(MARKET), script), play(Book(MARKET), script)
    event = snapshot(bids, asks, outcome=outcome)
    own, opposite = in_shares(event.bids), in_shares(mirrored(event.asks))
    replaced.replace(outcome, own, opposite)
    replaced.compare(outcome, max(own, default=None), max(opposite, default=None))
    shown.snapshot(event, outcome)
    assert same(replaced, shown)
    for token in (outcome.other, outcome):
        ladders = (own, opposite) if token is outcome else (opposite, own)
        replaced.top(token, None, 9000)
        replaced.restate()
        replaced.compare(token, *[max(ladder, default=None) for ladder in ladders])
        shown.top(token, None, 9000)
        shown.snapshot(snapshot(*shown.levels(UP), outcome=token), token)
        assert same(replaced, shown)
    assert same_samples(replaced, shown)


@settings(max_examples=50)
@given(scripts, runs, real_levels, real_levels)
def test_changes_that_a_snapshot_overtakes_leave_their_samples_alone(
    script: list[Said], run: list[Mirrored], bids: list[Level], asks: list[Level]
) -> None:
    applied, spared = play(Book(MARKET), [*script, run]), play(Book(MARKET), script)
    spared.agreed(len(run))
    for book in (applied, spared):
        book.snapshot(snapshot(bids, asks), UP)
    assert same(applied, spared)
    assert same_samples(applied, spared)


@given(scripts)
def test_a_book_is_sound_when_it_is_known_not_crossed_and_as_stated(script: list[Said]) -> None:
    book, naive = Book(MARKET), NaiveBook()
    for said in script:
        for step in [said] if isinstance(said, Step) else [message.step() for message in said]:
            naive.take(step)
        assert play(book, [said]).sound == naive.sound()


@given(scripts, st.sampled_from(Outcome), st.sampled_from([-1, 1]))
def test_a_book_knows_its_tops_by_price_and_size(script: list[Said], outcome: Outcome, off: int) -> None:
    book = play(Book(MARKET), script)
    (bids, asks) = book.levels(outcome)
    bid, opposite_bid = next(iter(bids), None), next(iter(mirrored(asks)), None)
    assert book.has_tops(outcome, bid, opposite_bid)
    assert book.has_tops(outcome.other, opposite_bid, bid)
    for top in (bid, opposite_bid):
        price, size = top or (5000, 1)
        for wrong in ((price + off, size), (price, size + off), None if top else (price, size)):
            assert not book.has_tops(outcome, *((wrong, opposite_bid) if top is bid else (bid, wrong)))


@given(st.lists(st.tuples(steps | runs, st.sampled_from([None, (5, 0.5), (3, 0.5), (5, 0.25)])), max_size=20))
def test_pressure_is_not_remembered_for_longer_than_it_holds(
    script: list[tuple[Said, tuple[int, float] | None]],
) -> None:
    book = Book(MARKET)
    for said, asked in script:
        play(book, [said])
        if asked is None:
            continue
        fresh = Book(evolve(MARKET, tick=book.tick))
        bids, asks = book.levels(UP)
        fresh.replace(UP, in_shares(bids), in_shares(mirrored(asks)))
        assert book.pressure(*asked) == book.pressure(*asked) == fresh.pressure(*asked)


@pytest.mark.parametrize("price", [4200, 4299, 4300, 4301, 4799, 4800, 4801])
@pytest.mark.parametrize("size", [0, 9_000_000])
def test_a_change_at_the_edge_of_what_presses_is_noticed(price: int, size: int) -> None:
    bids = {4800: 1_000_000, 4700: 1_000_000, 4300: 1_000_000, 4299: 1_000_000}
    book = synced([*bids.items()])
    assert book.pressure(5, 0.5) == book.pressure(5, 0.5)
    book.change([change(Side.BUY, price, size)])
    assert book.pressure(5, 0.5) == synced([*(bids | {price: size}).items()]).pressure(5, 0.5)


@pytest.mark.parametrize("of_up", [True, False])
@pytest.mark.parametrize(
    ("shares", "units"),
    [
        (0.0, None),
        (4e-7, None),
        (5e-7, None),
        (6e-7, 1),
        (1e-6, 1),
        (0.1 + 0.2, 300_000),
        (151.51515151515152, 151_515_152),
        (999_999_999.999999, 10**15 - 1),
        (1e9, 10**15),
    ],
)
def test_sizes_are_whole_micro_shares_to_the_very_edges(shares: float, units: int | None, of_up: bool) -> None:
    book = synced([(4800, 5)], [(5200, 5)])
    book.set_levels([MirroredChange(1, of_up, 4800, shares, 4800, 4800)], None)
    outcome = UP if of_up else DOWN
    assert book.levels(outcome)[0] == (((4800, units),) if units else ())
    assert (book.best_bid_size if of_up else book.best_ask_size) == (units or 0)
    assert book.has_tops(outcome, None if units is None else (4800, units), (4800, 5))
    if units is not None:
        book.replace(outcome, {4800: shares}, {})
        assert book.levels(outcome)[0] == ((4800, units),)


@given(sizes)
def test_a_size_in_micro_shares_survives_being_held_in_shares(size: int) -> None:
    for book in (synced([(4800, size)]), synced()):
        book.change([change(Side.BUY, 4800, size)])
        assert book.best_bid_size == size


def test_no_changes_change_nothing() -> None:
    book = synced()
    book.top(UP, 4700, 5200)
    before = everything(book)
    assert book.set_levels([], 7) == 7
    assert everything(book) == before


# ----------------------------------------------------------------------------------------------- states, one by one


@pytest.mark.parametrize(
    ("bids", "asks", "state", "quote"),
    [
        ([(4800, 10)], [(5200, 20)], BookState.CLEAN, (4800, 5200, 10, 20)),
        ([(5300, 10)], [(5200, 20)], BookState.CROSSED, None),
        ([(5200, 10)], [(5200, 20)], BookState.CROSSED, None),
        ([(4800, 10)], [], BookState.ONE_SIDED, None),
        ([], [(5200, 20)], BookState.ONE_SIDED, None),
        ([], [], BookState.EMPTY, None),
        ([(100, 10)], [(9900, 20)], BookState.CLEAN, (100, 9900, 10, 20)),
    ],
    ids=["clean", "crossed", "locked", "bids only", "asks only", "empty", "ghost"],
)
def test_state_and_quote_of_a_snapshot(
    bids: list[Level], asks: list[Level], state: BookState, quote: tuple[int, int, int, int] | None
) -> None:
    book = synced(bids, asks)
    assert state_of(book) is state
    assert book.quote() == quote


def test_a_new_book_is_unsynced_and_has_nothing() -> None:
    book = Book(MARKET)
    assert state_of(book) is BookState.UNSYNCED
    assert (book.best_bid, book.best_ask, book.best_bid_size, book.best_ask_size) == (None, None, 0, 0)
    assert book.quote() is None
    assert book.depth(10) == (0, 0)
    assert book.pressure(5, 0.5) == (0.0, 0.0)
    assert not book.sound
    assert not accused(book)


def test_a_crossed_book_is_clean_again_after_one_clean_message() -> None:
    book = synced()
    book.change([change(Side.BUY, 5300, 5, 5300, 5200)])
    assert state_of(book) is BookState.CROSSED
    assert book.quote() is None
    book.change([change(Side.BUY, 5300, 0, 4800, 5200)])
    assert state_of(book) is BookState.CLEAN
    assert book.quote() == (4800, 5200, 10, 20)


def test_a_message_is_settled_once_all_its_entries_are_in() -> None:
    book = synced()
    book.change([change(Side.BUY, 5300, 5, 5300, 5400), change(Side.SELL, 5200, 0), change(Side.SELL, 5400, 7)])
    assert state_of(book) is BookState.CLEAN
    assert book.quote() == (5300, 5400, 5, 7)
    assert book.sound


def test_snapshot_levels_in_any_order_the_later_of_two_and_no_size_zero() -> None:
    book = synced([(4700, 1), (4900, 0), (4800, 2), (4700, 3)], [(5300, 4), (5200, 5)])
    assert book.levels(UP) == (((4800, 2), (4700, 3)), ((5200, 5), (5300, 4)))


def test_levels_at_zero_and_one_are_no_levels_but_those_one_tick_inside_are() -> None:
    inside = [(1, 1), (PRICE_SCALE - 1, 2)]
    beyond = [(0, 3), (PRICE_SCALE, 4)]
    book = synced([*inside, *beyond], [*inside, *beyond])
    held = (((PRICE_SCALE - 1, 2), (1, 1)), ((1, 1), (PRICE_SCALE - 1, 2)))
    assert book.levels(UP) == held
    book = synced([], [])
    book.change([change(side, price, size) for side in Side for price, size in (*inside, *beyond)])
    assert book.levels(UP) == held


def test_a_quote_one_tick_from_either_end_is_valid() -> None:
    book = synced([(1, 5)], [(PRICE_SCALE - 1, 6)])
    assert book.quote() == (1, PRICE_SCALE - 1, 5, 6)


def test_a_snapshot_replaces_the_book_of_both_tokens() -> None:
    book = synced([(4800, 1), (4700, 1)], [(5200, 1), (5300, 1)])
    book.snapshot(snapshot([(4000, 2)], [(6000, 3)], outcome=DOWN), DOWN)
    assert book.levels(UP) == (((4000, 2),), ((6000, 3),))


def test_changes_before_the_first_snapshot_touch_no_level_but_their_top_is_quoted() -> None:
    book = Book(MARKET)
    book.change([change(Side.BUY, 4800, 10, 4800, 5200)])
    assert book.levels(UP) == ((), ())
    assert state_of(book) is BookState.UNSYNCED
    assert book.quote() == (4800, 5200, 0, 0)


def test_a_message_without_any_top_leaves_no_outdated_one() -> None:
    book = Book(MARKET)
    book.change([change(Side.BUY, 4800, 10, 4800, 5200)])
    book.change([change(Side.BUY, 4900, 10)])
    assert book.quote() is None


def test_old_messages_without_tops_are_quoted_from_the_levels() -> None:
    book = synced()
    book.change([change(Side.BUY, 4900, 30)])
    assert book.quote() == (4900, 5200, 30, 20)


@pytest.mark.parametrize(
    "top", [(None, 5200), (4800, None), (None, None), (0, 5200), (4800, PRICE_SCALE), (5200, 5200)]
)
def test_an_invalid_stated_top_is_no_quote(top: tuple[int | None, int | None]) -> None:
    book = synced()
    book.top(UP, *top)
    assert book.quote() is None
    book.top(UP, 4800, 5200)
    assert book.quote() == (4800, 5200, 10, 20)


def test_a_stated_top_that_the_levels_do_not_have_is_quoted_without_sizes_and_makes_them_unsound() -> None:
    book = synced()
    book.top(DOWN, 4900, 5100)
    assert book.quote() == (4900, 5100, 0, 0)
    assert (state_of(book), book.sound) == (BookState.CLEAN, False)
    book.change([change(Side.BUY, 4900, 3, 4900, 5100), change(Side.SELL, 5100, 4, 4900, 5100)])
    assert book.quote() == (4900, 5100, 3, 4)
    assert book.sound


@pytest.mark.parametrize("top", [(4800, 5100), (4900, 5200)], ids=["bid known", "ask known"])
def test_a_quote_has_both_sizes_or_none(top: tuple[int, int]) -> None:
    book = synced()
    book.top(UP, *top)
    assert book.quote() == (*top, 0, 0)


def test_ups_own_statement_wins_within_a_message() -> None:
    book = synced()
    book.change(
        [change(Side.BUY, 4900, 3, 4900, 5200), change(Side.BUY, 4900, 3, 4700, 5300, outcome=DOWN)],
    )
    assert book.quote() == (4900, 5200, 3, 20)


def test_a_gap_drops_levels_and_tops_until_the_next_snapshot() -> None:
    book = synced()
    book.invalidate()
    assert state_of(book) is BookState.UNSYNCED
    assert book.quote() is None
    assert book.levels(UP) == ((), ())
    book.change([change(Side.BUY, 4900, 3)])
    assert book.levels(UP) == ((), ())
    book.snapshot(snapshot([(4800, 1)], [(5200, 1)]), UP)
    assert state_of(book) is BookState.CLEAN


# ----------------------------------------------------------------------------------------------------- tick changes


def test_a_tick_change_said_four_times_happens_once() -> None:
    book = synced()
    assert [book.tick_size(10) for _ in range(4)] == [True, False, False, False]
    assert book.tick == 10
    assert state_of(book) is BookState.UNSYNCED
    assert book.quote() is None


def test_the_repeats_of_a_tick_change_spare_a_snapshot_that_came_between() -> None:
    book = synced()
    assert book.tick_size(10)
    book.snapshot(snapshot([(4805, 1)], [(4815, 2)]), UP)
    assert not book.tick_size(10)
    assert not book.tick_size(10)
    assert book.quote() == (4805, 4815, 1, 2)


def test_a_snapshot_brings_its_own_tick() -> None:
    book = synced()
    book.snapshot(snapshot([(4805, 1)], [(4815, 2)], tick=10), UP)
    assert book.tick == 10
    assert state_of(book) is BookState.CLEAN
    assert not book.tick_size(10)


@pytest.mark.parametrize("tick", [-1, 0, PRICE_SCALE])
def test_an_impossible_tick_changes_nothing(tick: int) -> None:
    book = synced()
    assert not book.tick_size(tick)
    assert book.tick == 100
    assert state_of(book) is BookState.CLEAN


# ----------------------------------------------------------------------------------------------- depth and pressure


def test_pressure_reaches_five_steps_from_each_touch_and_fades_by_the_market_s_tick() -> None:
    bids = [(4800, 100), (4600, 10), (4300, 1), (4200, 1_000_000)]
    book = synced(bids, [(5200, 7)])
    assert book.pressure(5, 0.5) == pytest.approx((1e-4 + 1e-5 * exp(-1.0) + 1e-6 * exp(-2.5), 7e-6))
    assert synced(bids, [(5200, 7)], tick=1000).pressure(5, 0.0) == pytest.approx((1.000_111, 7e-6))


def test_depth_sums_occupied_levels_only() -> None:
    book = synced([(4800, 1), (4000, 2), (100, 4)], [(5200, 8)])
    depths = [(0, 0), (0, 0), (1e-6, 8e-6), (3e-6, 8e-6), (7e-6, 8e-6), (7e-6, 8e-6)]
    assert [book.depth(count) for count in (-1, 0, 1, 2, 3, 4)] == [pytest.approx(depth) for depth in depths]


# ------------------------------------------------------------------------------------------------------ mirror guard


def pair(book: Book, up_bid: int, down_bid: int) -> None:
    """Both tokens state their tops, each in its own prices, one cent wide."""
    book.top(UP, up_bid, up_bid + 100)
    book.top(DOWN, down_bid, down_bid + 100)


def test_a_half_sample_does_not_outlive_a_gap() -> None:
    book = Book(MARKET)
    for _ in range(10):
        book.top(UP, 9000, 9100)
        book.invalidate()
        book.top(DOWN, 9000, 9100)
        book.invalidate()
    assert not accused(book)


@given(st.lists(st.sampled_from(["pair", "half", "agree", "overtaken", "gap", "look"]), max_size=30), st.integers(1, 4))
def test_agreements_counted_at_once_are_samples_like_all_others(script: list[str], count: int) -> None:
    at_once, one_by_one = synced(), synced()
    agreeing = Mirrored(side=Side.BUY, price=4700, size=5, top=(4800, 5200), down_first=False)
    for kind in [*script, "look"]:
        for book in (at_once, one_by_one):
            if kind == "pair":
                pair(book, 5600, 5000)
            elif kind == "half":
                book.top(UP, 5600, 5700)
            elif kind == "gap":
                book.invalidate()
        if kind == "agree":
            at_once.set_levels([agreeing.at_once(1)] * count, None)
        elif kind == "overtaken":
            at_once.agreed(count)
        if kind in {"agree", "overtaken"}:
            for _ in range(count):
                one_by_one.change(agreeing.entries())
        assert kind != "look" or accused(at_once) == accused(one_by_one)
    assert same_samples(at_once, one_by_one)


def test_the_guard_reads_messages_tops_and_snapshots_of_either_token() -> None:
    by_message, by_top, by_snapshot = Book(MARKET), Book(MARKET), Book(MARKET)
    for count in range(1, 6):
        by_message.change(
            [change(Side.BUY, 4800, 1, 4800, 5200), change(Side.BUY, 4800, 1, 6800, 7200, outcome=DOWN)],
        )
        pair(by_top, 5600, 5000)
        by_snapshot.snapshot(snapshot([(4800, 1)], [(5200, 1)]), UP)
        by_snapshot.snapshot(snapshot([(6800, 1)], [(7200, 1)], outcome=DOWN), DOWN)
        assert [accused(book) for book in (by_message, by_top, by_snapshot)] == [count == 5] * 3
