import pytest

from actors.venue.faults import Cut, Ending, Faults, Freeze, Resolution, Void, error_page
from actors.venue.render import Message
from tests.actors.venue.scenery import OTHER, SLUG, listing

MARKET = listing()
ELSEWHERE = listing(OTHER)
UP, DOWN = MARKET.asset_ids


def test_everything_is_off_at_first_and_after_clearing() -> None:
    faults = Faults()
    faults.freeze()
    faults.mute()
    faults.drop_every(1)
    faults.distort("duplicated")
    faults.resolve(Resolution.NEVER)
    faults.void()
    faults.reject(429)
    faults.rest(500)
    faults.ghost_book = faults.stale_snapshot = faults.down = True
    faults.clear()
    message = Message("{}", delta=True)
    assert list(faults.distorted([message])) == [message]
    assert faults.frozen(MARKET) is None
    assert not any((faults.all_frozen, faults.down, faults.ghost_book, faults.stale_snapshot))
    assert not any((faults.muted(MARKET, UP), faults.voided(SLUG)))
    assert faults.resolution(SLUG) is Resolution.NORMAL
    assert (faults.rejection(), faults.planned_reply("/time")) == (None, None)


@pytest.mark.parametrize(
    ("target", "whole", "up", "elsewhere"),
    [(None, True, True, True), (SLUG, True, True, False), (UP, False, True, False), (OTHER, False, False, True)],
)
def test_freezing_by_target(target: str | None, whole: bool, up: bool, elsewhere: bool) -> None:
    faults = Faults()
    faults.freeze(target)
    assert (faults.frozen(MARKET) is not None) is whole
    assert (faults.frozen(MARKET, UP) is not None) is up
    assert (faults.frozen(ELSEWHERE) is not None) is elsewhere
    assert faults.all_frozen is (target is None)
    faults.thaw(target)
    assert faults.frozen(MARKET) is faults.frozen(ELSEWHERE) is None


def test_both_tokens_frozen_is_the_market_frozen() -> None:
    faults = Faults()
    for asset in (UP, DOWN):
        faults.freeze(asset, Freeze.HOLD)
    assert faults.frozen(MARKET) is Freeze.HOLD


def test_muting_by_target() -> None:
    faults = Faults()
    faults.mute(UP)
    assert faults.muted(MARKET, UP)
    assert not faults.muted(MARKET, DOWN)
    faults.unmute(UP)
    assert not faults.muted(MARKET, UP)


def test_going_down_is_told_once() -> None:
    faults, told = Faults(), []
    faults.on_down.append(lambda: told.append(faults.down))
    faults.down = True
    faults.down = True
    faults.down = False
    assert told == [True, False]


def test_cuts_are_passed_on() -> None:
    faults = Faults()
    cuts: list[Cut] = []
    faults.on_cut.append(cuts.append)
    faults.disconnect(SLUG, Ending.CLOSE, 1012)
    assert cuts == [Cut(target=SLUG, ending=Ending.CLOSE, code=1012)]


def test_every_kth_delta_is_lost_and_nothing_else() -> None:
    faults = Faults()
    faults.drop_every(3)
    messages = [Message(str(number), delta=number % 2 == 0) for number in range(12)]
    assert [message.text for message in faults.distorted(messages)] == [
        "0",
        "1",
        "2",
        "3",
        "5",
        "6",
        "7",
        "8",
        "9",
        "11",
    ]
    faults.drop_every(0)
    assert list(faults.distorted(messages)) == messages


def test_distortions_apply_in_order_and_must_be_known() -> None:
    faults = Faults()
    faults.distort("wrapped", "duplicated", "extended")
    told = faults.distorted([Message('{"a":1}')])
    assert [message.text[:7] for message in told] == ['[{"a":1', '[{"a":1']
    assert "server_build" in faults.shaped('{"a":1}')
    with pytest.raises(ValueError, match="upside_down"):
        faults.distort("upside_down")


def test_a_crossing_is_asked_for_once() -> None:
    faults = Faults()
    faults.cross(SLUG, messages=2)
    assert [faults.crossing(SLUG), faults.crossing(SLUG)] == [2, 0]
    faults.cross()
    assert faults.crossing(OTHER) == 3


def test_resolution_by_market() -> None:
    faults = Faults()
    faults.resolve(Resolution.LATE)
    faults.resolve(Resolution.NEVER, SLUG)
    faults.void(SLUG)
    assert (faults.resolution(SLUG), faults.resolution(OTHER)) == (Resolution.NEVER, Resolution.LATE)
    assert (faults.voided(SLUG), faults.voided(OTHER)) == (Void.NOTHING, None)
    faults.void(how=Void.HALVES)
    assert (faults.voided(SLUG), faults.voided(OTHER)) == (Void.NOTHING, Void.HALVES)
    faults.void(SLUG, None)
    assert (faults.voided(SLUG), faults.voided(OTHER)) == (None, Void.HALVES)


def test_planned_replies_are_used_up() -> None:
    faults = Faults()
    faults.rest(429, prefix="/markets", times=2, retry_after="3")
    faults.hydrate(1)
    replies = [
        faults.planned_reply(path) for path in ("/time", "/markets", "/markets/0xab", "/markets/0xab", "/markets")
    ]
    assert [reply.status if reply else None for reply in replies] == [None, 429, 429, 404, None]
    assert replies[1] is not None
    assert ("retry-after", "3") in replies[1].headers
    faults.rest(500)
    faults.rest_works()
    assert faults.planned_reply("/time") is None


def test_rejections_are_used_up_or_called_off() -> None:
    faults = Faults()
    faults.reject(429, times=1, headers=[("Retry-After", "9")])
    first = faults.rejection()
    assert first is not None
    assert (first.status, first.headers) == (429, (("Retry-After", "9"),))
    assert faults.rejection() is None
    faults.reject(503)
    assert faults.rejection() is not None
    faults.accept()
    assert faults.rejection() is None


@pytest.mark.parametrize(("status", "kind", "text"), [
    (403, "text/html", b"Attention Required! | Cloudflare"),
    (502, "text/html", b"Bad Gateway"),
    (425, "application/json", b'{"error":"service not ready"}'),
    (404, "application/json", b'{"error":"not found"}'),
    (418, "application/json", b'{"error":"error"}'),
])  # fmt: skip
def test_pages_look_like_the_venues(status: int, kind: str, text: bytes) -> None:
    page = error_page(status, delay_s=1.5)
    assert page.status == status
    assert page.content_type.startswith(kind)
    assert text in page.body
    assert page.delay_s == 1.5
