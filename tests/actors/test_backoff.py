import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.backoff import Backoff
from actors.faults import FaultKind, FeedFault

REFUSED = FeedFault(FaultKind.REFUSED)
BLOCKED = FeedFault(FaultKind.BLOCKED)


class Highest(random.Random):
    """Draws the upper end of every span, so that a test sees the span."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Lowest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return a


def test_span_doubles_up_to_the_cap() -> None:
    backoff = Backoff(Highest())
    assert [backoff.next_delay_s(REFUSED) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_jitter_is_full() -> None:
    backoff = Backoff(random.Random(7), base_s=8.0, cap_s=8.0)
    delays = [backoff.next_delay_s(REFUSED) for _ in range(4000)]
    assert min(delays) < 0.02
    assert max(delays) > 7.98
    assert sum(delays) / len(delays) == pytest.approx(4.0, abs=0.15)


def test_same_seed_same_waits() -> None:
    first, second = (Backoff(random.Random(3)) for _ in range(2))
    assert [first.next_delay_s(REFUSED) for _ in range(9)] == [second.next_delay_s(REFUSED) for _ in range(9)]


def test_first_reconnect_is_quick() -> None:
    delays = [Backoff(random.Random(seed)).next_delay_s(FeedFault(FaultKind.CLOSED)) for seed in range(500)]
    assert max(delays) <= 0.5


def test_unlimited_attempts_do_not_overflow() -> None:
    backoff = Backoff(Highest())
    delays = [backoff.next_delay_s(REFUSED) for _ in range(5000)]
    assert delays[6:] == [30.0] * 4994


@pytest.mark.parametrize("kind", [FaultKind.BLOCKED, FaultKind.RATE_LIMITED, FaultKind.TLS])
def test_cautious_kinds_wait_at_least_a_minute_and_at_most_a_quarter_of_an_hour(kind: FaultKind) -> None:
    lowest, highest = Backoff(Lowest()), Backoff(Highest())
    assert [lowest.next_delay_s(FeedFault(kind)) for _ in range(8)] == [60.0] * 8
    assert [highest.next_delay_s(FeedFault(kind)) for _ in range(6)] == [120, 180, 300, 540, 900, 900]


def test_own_base_and_cap_are_for_ordinary_kinds() -> None:
    backoff = Backoff(Highest(), base_s=0.01, cap_s=0.02)
    assert [backoff.next_delay_s(REFUSED) for _ in range(3)] == [0.01, 0.02, 0.02]
    assert backoff.next_delay_s(BLOCKED) >= 60.0


def test_retry_after_is_a_floor_under_the_jitter() -> None:
    fault = FeedFault(FaultKind.HANDSHAKE, retry_after=120.0)
    assert Backoff(Lowest()).next_delay_s(fault) == 120.0
    assert Backoff(Highest()).next_delay_s(fault) == 120.5


def test_a_peer_that_says_when_to_come_again_is_taken_at_its_word() -> None:
    assert Backoff(Lowest()).next_delay_s(FeedFault(FaultKind.RATE_LIMITED, retry_after=5.0)) == 5.0
    assert Backoff(Highest()).next_delay_s(FeedFault(FaultKind.RATE_LIMITED, retry_after=5.0)) == 5.5
    assert Backoff(Lowest()).next_delay_s(FeedFault(FaultKind.RATE_LIMITED)) == 60.0


@pytest.mark.parametrize("retry_after", [1e9, math.inf])
def test_absurd_retry_after_is_bounded(retry_after: float) -> None:
    assert Backoff(Highest()).next_delay_s(FeedFault(FaultKind.CLOSED, retry_after=retry_after)) == 900.0


@pytest.mark.parametrize("retry_after", [-5.0, math.nan, 0.0])
def test_nonsense_retry_after_is_ignored(retry_after: float) -> None:
    assert Backoff(Highest()).next_delay_s(FeedFault(FaultKind.CLOSED, retry_after=retry_after)) == 0.5


@pytest.mark.parametrize(("live_s", "then"), [(29.999, 4.0), (30.0, 0.5), (3600.0, 0.5), (0.0, 4.0)])
def test_only_a_long_live_session_resets(live_s: float, then: float) -> None:
    backoff = Backoff(Highest())
    for _ in range(3):
        backoff.next_delay_s(REFUSED)
    backoff.live(live_s)
    assert backoff.next_delay_s(REFUSED) == then


def test_short_sessions_do_not_add_up() -> None:
    backoff = Backoff(Highest(), reset_after_s=10.0)
    for _ in range(3):
        backoff.next_delay_s(REFUSED)
        backoff.live(9.0)
    assert backoff.next_delay_s(REFUSED) == 4.0


@given(
    st.lists(st.tuples(st.sampled_from(FaultKind), st.none() | st.floats(0.0, 1e6)), max_size=80),
    st.integers(0, 1000),
)
def test_every_wait_is_within_its_bounds(faults: list[tuple[FaultKind, float | None]], seed: int) -> None:
    backoff = Backoff(random.Random(seed))
    for kind, retry_after in faults:
        delay = backoff.next_delay_s(FeedFault(kind, retry_after=retry_after))
        assert min(retry_after or 0.0, 900.0) <= delay <= 900.0
