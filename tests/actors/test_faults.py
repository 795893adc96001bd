import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.faults import BACKOFF_POLICY, CAUTIOUS, FaultKind, FeedFault, excerpt, parse_retry_after

NOW_EPOCH_S = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110


def test_kinds_are_the_closed_set() -> None:
    words = (
        "dns refused connect_timeout tls handshake blocked rate_limited closed protocol oversize stale half_open resync"
    )
    assert [str(kind) for kind in FaultKind] == words.split()
    assert [kind.name.lower() for kind in FaultKind] == [kind.value for kind in FaultKind]


def test_a_fault_says_what_it_knows() -> None:
    fault = FeedFault(FaultKind.RATE_LIMITED, "slow down", retry_after=7.0, close_code=1013)
    assert (fault.kind, fault.detail, fault.retry_after, fault.close_code) == ("rate_limited", "slow down", 7.0, 1013)
    assert str(fault) == "rate_limited: slow down"
    assert str(FeedFault(FaultKind.STALE)) == "stale"


def test_a_fault_survives_copy_and_pickle() -> None:
    fault = FeedFault(FaultKind.CLOSED, "gone\nfor good", retry_after=2.5, close_code=1006)
    for twin in (copy.copy(fault), pickle.loads(pickle.dumps(fault))):
        assert vars(twin) == vars(fault)
        assert str(twin) == str(fault)


def test_detail_cannot_forge_a_log_line() -> None:
    fault = FeedFault(FaultKind.PROTOCOL, "a\r\n\x1b[31mred\x00\u2028\u202e\ud800é")
    assert fault.detail == "a\\r\\n\\x1b[31mred\\x00\\u2028\\u202e\\ud800é"


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=600))
def test_excerpt_is_one_bounded_printable_line(text: str) -> None:
    line = excerpt(text)
    assert len(line) <= 256
    assert line.isprintable()
    assert excerpt(line) == line
    if text.isprintable() and len(text) <= 256:
        assert line == text


def test_excerpt_shows_that_it_cut() -> None:
    assert excerpt("x" * 256) == "x" * 256
    assert excerpt("x" * 257) == "x" * 255 + "…"
    assert excerpt("\n" * 200) == ("\\n" * 200)[:255] + "…"


def test_every_kind_has_a_policy_with_a_sane_range() -> None:
    assert set(BACKOFF_POLICY) == set(FaultKind)
    for policy in BACKOFF_POLICY.values():
        assert 0.0 <= policy.min_s < policy.cap_s
        assert 0.0 < policy.base_s <= policy.cap_s


@pytest.mark.parametrize("kind", list(FaultKind))
def test_patience_follows_from_the_kind(kind: FaultKind) -> None:
    policy = BACKOFF_POLICY[kind]
    if kind in {FaultKind.BLOCKED, FaultKind.RATE_LIMITED, FaultKind.TLS}:
        assert (policy, policy.min_s, policy.cap_s) == (CAUTIOUS, 60.0, 900.0)
    else:
        assert (policy.base_s, policy.cap_s, policy.min_s) == (0.5, 30.0, 0.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 1.0),
        ("99999999", 900.0),
        ("9" * 64, 900.0),
        ("Sun, 06 Nov 1994 08:51:37 GMT", 120.0),
        ("Sunday, 06-Nov-94 08:51:37 GMT", 120.0),
        ("Sun Nov  6 08:51:37 1994", 120.0),
        ("Sun, 06 Nov 1994 08:51:37 -0000", 120.0),
        ("Sun, 06 Nov 1994 08:40:00 GMT", 1.0),
        ("Sun, 06 Nov 2094 08:40:00 GMT", 900.0),
    ],
)
def test_retry_after_is_read_and_clamped(value: str, seconds: float) -> None:
    assert parse_retry_after(value, now_epoch_s=NOW_EPOCH_S) == seconds


@pytest.mark.parametrize(
    "value",
    [None, "", "  ", "soon", "-5", "1.5", "1e3", "nan", "inf", "²", "٣", "9" * 65, "Sun, 06 Nov 99999 08:49:37 GMT"],
)
def test_retry_after_that_makes_no_sense_is_none(value: str | None) -> None:
    assert parse_retry_after(value, now_epoch_s=NOW_EPOCH_S) is None


@given(
    st.text(max_size=80)
    | st.from_regex(r"[A-Z][a-z]{2},? [0-9]{1,2}[ -][A-Z][a-z]{2}[ -][0-9]{2,6} [0-9:]{5,8} .{0,6}")
)
def test_retry_after_never_raises_and_stays_in_range(value: str) -> None:
    seconds = parse_retry_after(value, now_epoch_s=NOW_EPOCH_S)
    assert seconds is None or 1.0 <= seconds <= 900.0
