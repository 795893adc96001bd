import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import trio
import trustme

from actors.rest import BODY_BYTES, RestFault, RestFaultKind, VenueRest
from engine.labels import LabelSource, LabelStatus, Ruling
from engine.markets import Outcome
from engine.settings import VenueSettings
from engine.units import NS_PER_S

CONDITION_ID = "0x" + "5a" * 32
UP, DOWN = "7" * 76, "8" * 77
SLUG = "btc-updown-5m-1790000100"
END_NS = 1_790_000_400 * NS_PER_S

GAMMA_MARKET = {
    "conditionId": CONDITION_ID,
    "slug": SLUG,
    "outcomes": '["Up", "Down"]',
    "clobTokenIds": f'["{UP}", "{DOWN}"]',
    "eventStartTime": "2026-09-21T14:15:00Z",
    "endDate": "2026-09-21T14:20:00Z",
}
CLOB_MARKET: dict[str, Any] = {
    "condition_id": CONDITION_ID,
    "market_slug": SLUG,
    "minimum_tick_size": 0.01,
    "tokens": [{"outcome": "Up", "token_id": UP}, {"outcome": "Down", "token_id": DOWN}],
}
HTML = "<!DOCTYPE html><title>Attention Required! | Cloudflare</title>"

Answer = httpx.Response | Exception | Callable[[], Awaitable[httpx.Response]]


class Site:
    """Answers by path, remembers what was asked."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.get(request.url.path, httpx.Response(404, json={"error": "not found"}))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            # Anew every time, as a streamed answer is used up by its reader.
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return await answer()

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]


@asynccontextmanager
async def rest_of(
    answers: dict[str, Answer], *, request_s: float = 5.0, settings: VenueSettings | None = None
) -> AsyncIterator[tuple[VenueRest, Site]]:
    site = Site(answers)
    rest = VenueRest(settings or VenueSettings(), request_s=request_s, transport=httpx.MockTransport(site))
    try:
        yield rest, site
    finally:
        await rest.aclose()


def ok(body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)


async def fault_of(answer: Answer, *, request_s: float = 5.0) -> RestFault:
    async with rest_of({"/markets": answer}, request_s=request_s) as (rest, _):
        with pytest.raises(RestFault) as raised:
            await rest.market_by_slug(SLUG)
    return raised.value


async def test_a_market_is_found_by_its_slug() -> None:
    async with rest_of({"/markets": ok([GAMMA_MARKET])}) as (rest, site):
        market = await rest.market_by_slug(SLUG)
    assert market is not None
    assert (market.condition_id, market.asset_ids, market.end_ns) == (CONDITION_ID, (UP, DOWN), END_NS)
    (request,) = site.requests
    assert str(request.url) == f"https://gamma-api.polymarket.com/markets?slug={SLUG}"
    assert request.headers["user-agent"] == "updown"
    assert request.headers["accept-encoding"] == "identity"


async def test_the_way_that_worked_is_tried_first_for_its_series() -> None:
    answers: dict[str, Answer] = {"/markets": ok([]), "/events": ok([{"slug": SLUG, "markets": [GAMMA_MARKET]}])}
    async with rest_of(answers) as (rest, site):
        assert await rest.market_by_slug(SLUG) is not None
        assert await rest.market_by_slug(SLUG) is not None
        assert site.paths == ["/markets", "/events", "/events"]
        assert site.requests[-1].url.params["closed"] == "false"
        site.requests.clear()
        with pytest.raises(RestFault):
            await rest.market_by_slug("will-it-rain")
        assert site.paths[0] == "/markets"


@pytest.mark.parametrize("answer", [ok([]), httpx.Response(404, json={}), httpx.Response(404, text=HTML)])
async def test_an_unknown_slug_is_none_after_both_ways(answer: httpx.Response) -> None:
    async with rest_of({"/markets": answer, "/events": answer}) as (rest, site):
        assert await rest.market_by_slug(SLUG) is None
    assert site.paths == ["/markets", "/events"]


async def test_a_market_without_tokens_is_unknown_yet() -> None:
    empty = GAMMA_MARKET | {"clobTokenIds": '["", ""]'}
    async with rest_of({"/markets": ok([empty])}) as (rest, _):
        assert await rest.market_by_slug(SLUG) is None


async def test_a_namesake_of_last_year_is_refused_with_a_reason() -> None:
    fault = await fault_of(ok([GAMMA_MARKET | {"endDate": "2025-09-21T14:20:00Z"}]))
    assert fault.kind is RestFaultKind.UNEXPECTED
    assert fault.detail.startswith("stale_market")


CLOB_PATH = f"/markets/{CONDITION_ID}"


def clob_said(*winners: bool, **more: object) -> httpx.Response:
    tokens = [token | {"winner": won} for token, won in zip(CLOB_MARKET["tokens"], winners, strict=True)]
    return ok(CLOB_MARKET | {"closed": True, "tokens": tokens} | more)


def gamma_said(prices: str) -> httpx.Response:
    return ok([GAMMA_MARKET | {"closed": True, "outcomePrices": prices}])


def ruled(status: LabelStatus, source: LabelSource, outcome: Outcome | None = None) -> Ruling:
    return Ruling(status=status, resolved_by=source, outcome=outcome)


@pytest.mark.parametrize(
    ("clob", "gamma", "ruling"),
    [
        (clob_said(False, False), ok([]), ruled(LabelStatus.AMBIGUOUS, LabelSource.CLOB)),
        (
            clob_said(False, False),
            gamma_said('["0", "1"]'),
            ruled(LabelStatus.RESOLVED, LabelSource.GAMMA, Outcome.DOWN),
        ),
        (clob_said(True, True), gamma_said('["0.9995", "0.0005"]'), ruled(LabelStatus.AMBIGUOUS, LabelSource.CLOB)),
        (clob_said(False, False), gamma_said('["0.5", "0.5"]'), ruled(LabelStatus.VOID, LabelSource.GAMMA)),
        (clob_said(False, False, is_50_50_outcome=True), ok([]), ruled(LabelStatus.VOID, LabelSource.CLOB)),
        (clob_said(True, False, closed=False), ok([]), Ruling()),
        (
            clob_said(False, False, closed=False),
            gamma_said('["1", "0"]'),
            ruled(LabelStatus.RESOLVED, LabelSource.GAMMA, Outcome.UP),
        ),
        (httpx.Response(404, json={}), ok([]), Ruling()),
        (httpx.Response(404, json={}), httpx.Response(404, text=HTML), Ruling()),
        (
            httpx.Response(403, text=HTML),
            gamma_said('["1", "0"]'),
            ruled(LabelStatus.RESOLVED, LabelSource.GAMMA, Outcome.UP),
        ),
    ],
)
async def test_who_won_is_the_stronger_word_of_the_ladder(
    clob: httpx.Response, gamma: httpx.Response, ruling: Ruling
) -> None:
    async with rest_of({CLOB_PATH: clob, "/markets": gamma}) as (rest, site):
        assert await rest.outcome_of(CONDITION_ID) == ruling
    assert site.paths == [CLOB_PATH, "/markets"]
    assert dict(site.requests[1].url.params) == {"condition_ids": CONDITION_ID, "closed": "true"}


async def test_the_order_books_winner_needs_no_second_word() -> None:
    async with rest_of({CLOB_PATH: clob_said(False, True)}) as (rest, site):
        assert await rest.outcome_of(CONDITION_ID) == ruled(LabelStatus.RESOLVED, LabelSource.CLOB, Outcome.DOWN)
    assert site.paths == [CLOB_PATH]


@pytest.mark.parametrize(
    ("clob", "gamma", "kind"),
    [
        (httpx.Response(503), ok([]), RestFaultKind.SERVER),
        (httpx.Response(503), gamma_said('["0.5", "0.5"]'), RestFaultKind.SERVER),
        (clob_said(False, False), httpx.Response(403, text=HTML), RestFaultKind.BLOCKED),
        (httpx.Response(403, text=HTML), httpx.Response(502), RestFaultKind.BLOCKED),
        (httpx.Response(503), httpx.Response(429, headers={"retry-after": "7"}), RestFaultKind.RATE_LIMITED),
        (httpx.Response(429, headers={"retry-after": "7"}), httpx.Response(503), RestFaultKind.RATE_LIMITED),
        (ok([]), ok([]), RestFaultKind.UNEXPECTED),
        (clob_said(True, False, condition_id="0x" + "6b" * 32), ok([]), RestFaultKind.UNEXPECTED),
        (httpx.Response(200, text=HTML), ok([]), RestFaultKind.NOT_JSON),
        (httpx.Response(404), ok([GAMMA_MARKET | {"conditionId": "0x" + "6b" * 32}]), RestFaultKind.UNEXPECTED),
    ],
)
async def test_a_fault_of_either_is_raised_where_nobody_names_a_winner(
    clob: httpx.Response, gamma: httpx.Response, kind: RestFaultKind
) -> None:
    async with rest_of({CLOB_PATH: clob, "/markets": gamma}) as (rest, _):
        with pytest.raises(RestFault) as raised:
            await rest.outcome_of(CONDITION_ID)
    assert raised.value.kind is kind
    assert raised.value.retry_after == (7.0 if kind is RestFaultKind.RATE_LIMITED else None)


async def test_nobody_is_asked_who_won_what_is_no_market() -> None:
    async with rest_of({}) as (rest, site):
        with pytest.raises(ValueError, match="no id"):
            await rest.outcome_of("0x/../5a")
    assert site.requests == []


@pytest.mark.parametrize("token", [UP, DOWN])
async def test_a_market_is_found_by_either_of_its_tokens(token: str) -> None:
    async with rest_of({"/markets": ok([GAMMA_MARKET])}) as (rest, site):
        market = await rest.market_by_asset_id(token)
    assert market is not None
    assert (market.condition_id, market.asset_ids, market.slug) == (CONDITION_ID, (UP, DOWN), SLUG)
    (request,) = site.requests
    assert str(request.url) == f"https://gamma-api.polymarket.com/markets?clob_token_ids={token}"


async def test_a_closed_market_is_looked_for_when_no_other_has_the_token() -> None:
    async with rest_of({"/markets": ok([])}) as (rest, site):
        assert await rest.market_by_asset_id(UP) is None
        assert [request.url.params.get("closed") for request in site.requests] == [None, "true"]

        async def closed_only() -> httpx.Response:
            return ok([GAMMA_MARKET | {"closed": True}] if "closed" in site.requests[-1].url.params else [])

        site.answers["/markets"] = closed_only
        market = await rest.market_by_asset_id(UP)
    assert market is not None
    assert market.closed


@pytest.mark.parametrize("answer", [ok([GAMMA_MARKET]), ok(GAMMA_MARKET), httpx.Response(503)])
async def test_an_answer_without_the_token_that_was_asked_for_is_refused(answer: httpx.Response) -> None:
    async with rest_of({"/markets": answer}) as (rest, _):
        with pytest.raises(RestFault):
            await rest.market_by_asset_id("9" * 77)


@pytest.mark.parametrize("asset_id", ["", "x", "7" * 79, "7 7", "7&closed=true", CONDITION_ID])
async def test_what_is_no_token_id_is_not_asked_for(asset_id: str) -> None:
    async with rest_of({}) as (rest, site):
        with pytest.raises(ValueError, match="no id of the venue"):
            await rest.market_by_asset_id(asset_id)
    assert site.requests == []


async def test_who_asks_after_the_end_gets_a_fault_like_any_other() -> None:
    async with rest_of({"/markets": ok([GAMMA_MARKET])}) as (rest, _):
        pass
    with pytest.raises(RestFault, match="unreachable: closed by ourselves"):
        await rest.market_by_slug(SLUG)


async def test_a_condition_id_is_the_clobs_market_with_gammas_window() -> None:
    closed = CLOB_MARKET | {
        "closed": True,
        "market_slug": "will-it-rain",
        "tokens": [
            {"outcome": "Up", "token_id": UP, "winner": False},
            {"outcome": "Down", "token_id": DOWN, "winner": True},
        ],
    }
    listed = GAMMA_MARKET | {"slug": "will-it-rain"}
    async with rest_of({f"/markets/{CONDITION_ID}": ok(closed), "/markets": ok([listed])}) as (rest, site):
        market = await rest.market_by_condition_id(CONDITION_ID)
    assert market is not None
    assert (market.closed, market.winner, market.end_ns) == (True, Outcome.DOWN, END_NS)
    assert [request.url.host for request in site.requests] == ["clob.polymarket.com", "gamma-api.polymarket.com"]
    assert site.requests[1].url.params["condition_ids"] == CONDITION_ID


@pytest.mark.parametrize(
    ("clob", "gamma", "known"),
    [
        (httpx.Response(404), ok([GAMMA_MARKET]), True),  # hydration: Gamma is first to know
        (ok(CLOB_MARKET | {"tokens": [{"outcome": "Up", "token_id": ""}]}), ok([GAMMA_MARKET]), True),
        (ok(CLOB_MARKET), ok([]), True),
        (ok(CLOB_MARKET), httpx.Response(503), True),
        (ok(CLOB_MARKET), httpx.ConnectError("no route"), True),
        (httpx.Response(404), ok([]), False),
        (httpx.Response(404), httpx.Response(404), False),
    ],
)
async def test_either_host_may_be_late_to_know_a_condition_id(clob: Answer, gamma: Answer, known: bool) -> None:
    async with rest_of({f"/markets/{CONDITION_ID}": clob, "/markets": gamma}) as (rest, _):
        market = await rest.market_by_condition_id(CONDITION_ID)
    assert (market is not None) is known
    assert market is None or (market.asset_ids, market.end_ns) == ((UP, DOWN), END_NS)


@pytest.mark.parametrize(
    ("clob", "gamma", "kind"),
    [
        (httpx.Response(503), ok([GAMMA_MARKET]), RestFaultKind.SERVER),
        (httpx.Response(404), httpx.Response(503), RestFaultKind.SERVER),
        (ok(CLOB_MARKET), httpx.Response(429), RestFaultKind.RATE_LIMITED),
        (ok(CLOB_MARKET | {"condition_id": "0x" + "6b" * 32}), ok([]), RestFaultKind.UNEXPECTED),
        (ok([CLOB_MARKET]), ok([]), RestFaultKind.UNEXPECTED),
    ],
)
async def test_what_a_condition_id_cannot_do_without_is_a_fault(
    clob: Answer, gamma: Answer, kind: RestFaultKind
) -> None:
    async with rest_of({f"/markets/{CONDITION_ID}": clob, "/markets": gamma}) as (rest, _):
        with pytest.raises(RestFault) as raised:
            await rest.market_by_condition_id(CONDITION_ID)
    assert raised.value.kind is kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(403, text=HTML), RestFaultKind.BLOCKED),
        (httpx.Response(451), RestFaultKind.BLOCKED),
        (httpx.Response(429), RestFaultKind.RATE_LIMITED),
        (httpx.Response(425), RestFaultKind.SERVER),
        (httpx.Response(500, json={"error": "Internal server error"}), RestFaultKind.SERVER),
        (httpx.Response(502, text=HTML), RestFaultKind.SERVER),
        (httpx.Response(522, text=HTML), RestFaultKind.SERVER),
        (httpx.Response(400, json={"error": "Invalid payload"}), RestFaultKind.UNEXPECTED),
        (httpx.Response(204), RestFaultKind.UNEXPECTED),
        (httpx.Response(200, text=HTML), RestFaultKind.NOT_JSON),
        (httpx.Response(200, content=b""), RestFaultKind.NOT_JSON),
        (httpx.Response(200, content=b'[{"slug":'), RestFaultKind.NOT_JSON),
        (httpx.Response(200, content=b"[" * 100_000), RestFaultKind.NOT_JSON),
        (httpx.Response(200, content=b" " * (BODY_BYTES + 1)), RestFaultKind.OVERSIZE),
        (httpx.Response(200, json="text"), RestFaultKind.UNEXPECTED),
        (httpx.Response(301, headers={"location": "http://169.254.169.254/"}), RestFaultKind.UNEXPECTED),
        (httpx.ConnectError("connection refused"), RestFaultKind.UNREACHABLE),
        (httpx.ReadError(""), RestFaultKind.UNREACHABLE),
        (httpx.RemoteProtocolError("illegal header line"), RestFaultKind.UNREACHABLE),
        (httpx.ConnectTimeout(""), RestFaultKind.TIMEOUT),
    ],
)
async def test_every_failure_is_one_typed_fault(answer: Answer, kind: RestFaultKind) -> None:
    fault = await fault_of(answer)
    assert fault.kind is kind
    assert fault.status == (answer.status_code if isinstance(answer, httpx.Response) else None)
    assert len(fault.detail) <= 256
    assert fault.detail.isprintable()
    assert str(fault).startswith(f"{kind}: ")
    assert SLUG not in str(fault)


async def test_the_class_of_an_error_without_text_is_told() -> None:
    assert "ReadError" in (await fault_of(httpx.ReadError(""))).detail


async def test_the_text_of_a_refusal_cannot_reach_a_terminal_unescaped() -> None:
    fault = await fault_of(httpx.Response(403, content=b"\x1b[31mred\r\nline \xff"))
    assert fault.detail == "HTTP 403 \\x1b[31mred\\r\\nline �"


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"retry-after": "30"}, {}, 30.0),
        ({"retry-after": " 7 "}, {}, 7.0),
        ({"retry-after": "0"}, {}, 1.0),
        ({"retry-after": "99999999"}, {}, 900.0),
        ({"retry-after": "soon"}, {}, None),
        ({"retry-after": "-5"}, {}, None),
        (
            {"retry-after": "Mon, 21 Sep 2026 14:15:40 GMT", "date": "Mon, 21 Sep 2026 14:15:00 GMT"},
            {},
            40.0,
        ),
        ({"retry-after": "12", "date": "Mon, 21 Sep 2026 14:15:00 GMT"}, {}, 12.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:15:40 GMT"}, {}, None),
        ({"retry-after": "Mon, 21 Sep 2026 14:15:40 GMT", "date": "garbage"}, {}, None),
        ({}, {"retry_after_seconds": 20}, 20.0),
        ({}, {"error": "Too Many Requests"}, None),
        ({}, "Too Many Requests", None),
    ],
)
async def test_a_429_says_how_long_to_wait(headers: dict[str, str], body: Any, expected: float | None) -> None:
    fault = await fault_of(httpx.Response(429, headers=headers, json=body))
    assert (fault.kind, fault.retry_after) == (RestFaultKind.RATE_LIMITED, expected)


async def test_a_429_that_is_not_json_is_still_a_429() -> None:
    fault = await fault_of(httpx.Response(429, headers={"retry-after": "5"}, text=HTML))
    assert (fault.kind, fault.retry_after) == (RestFaultKind.RATE_LIMITED, 5.0)


class Dawdling(httpx.AsyncByteStream):
    def __init__(self, chunk: bytes, every_s: float) -> None:
        self.chunk = chunk
        self.every_s = every_s
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await trio.sleep(self.every_s)
            self.sent += len(self.chunk)
            yield self.chunk


def streaming(status: int, stream: Dawdling, **headers: str) -> Callable[[], Awaitable[httpx.Response]]:
    async def answer() -> httpx.Response:
        return httpx.Response(status, headers=headers, stream=stream)

    return answer


async def test_a_body_in_drops_ends_at_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    started = trio.current_time()
    fault = await fault_of(streaming(200, Dawdling(b" ", 1.0)), request_s=7.0)
    assert fault.kind is RestFaultKind.TIMEOUT
    assert trio.current_time() - started == 7.0


async def test_an_answer_that_never_comes_ends_at_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    async def silent() -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    fault = await fault_of(silent, request_s=7.0)
    assert fault.kind is RestFaultKind.TIMEOUT
    assert "7 s" in fault.detail


async def test_an_endless_body_is_left_at_the_limit(autojump_clock: trio.testing.MockClock) -> None:
    endless = Dawdling(b" " * 65_536, 0.001)
    fault = await fault_of(streaming(200, endless))
    assert fault.kind is RestFaultKind.OVERSIZE
    assert endless.sent <= BODY_BYTES + 4 * 65_536


async def test_a_refusal_with_a_dawdling_body_keeps_its_kind(autojump_clock: trio.testing.MockClock) -> None:
    fault = await fault_of(streaming(429, Dawdling(b"x", 1.0), **{"retry-after": "9"}))
    assert (fault.kind, fault.retry_after) == (RestFaultKind.RATE_LIMITED, 9.0)


async def test_a_compressed_answer_is_not_inflated() -> None:
    async def bomb() -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Dawdling(b"", 0.0))

    fault = await fault_of(bomb)
    assert fault.kind is RestFaultKind.UNEXPECTED
    assert "compressed" in fault.detail


async def test_the_body_of_a_compressed_refusal_is_left_alone(autojump_clock: trio.testing.MockClock) -> None:
    bomb = Dawdling(b"x" * 65_536, 0.001)
    fault = await fault_of(streaming(429, bomb, **{"content-encoding": "gzip", "retry-after": "9"}))
    assert (fault.kind, fault.retry_after, bomb.sent) == (RestFaultKind.RATE_LIMITED, 9.0, 0)


async def test_the_callers_own_cancellation_passes_through(autojump_clock: trio.testing.MockClock) -> None:
    async with rest_of({"/markets": streaming(200, Dawdling(b" ", 1.0))}, request_s=60.0) as (rest, _):
        with trio.move_on_after(3.0) as scope:
            await rest.market_by_slug(SLUG)
    assert scope.cancelled_caught
    assert trio.current_time() == 3.0


async def test_a_book() -> None:
    body = {
        "market": CONDITION_ID,
        "asset_id": UP,
        "timestamp": "1790000123456",
        "bids": [{"price": "0.4", "size": "1"}],
        "asks": [],
    }
    async with rest_of({"/book": ok(body)}) as (rest, site):
        snapshot = await rest.book(UP)
        assert await rest.book(UP) == snapshot
        with pytest.raises(RestFault, match="foreign_asset"):
            await rest.book(DOWN)
        site.answers.clear()
        assert await rest.book(UP) is None
    assert snapshot is not None
    assert snapshot.bids == ((4000, 1_000_000),)
    assert str(site.requests[0].url) == f"https://clob.polymarket.com/book?token_id={UP}"


async def test_the_venues_clock() -> None:
    async with rest_of({"/time": ok(1_790_000_123)}) as (rest, site):
        assert await rest.server_time() == 1_790_000_123
        site.answers["/time"] = ok("soon")
        with pytest.raises(RestFault, match="bad_number"):
            await rest.server_time()
        site.answers.clear()
        with pytest.raises(RestFault, match="no clock"):
            await rest.server_time()


@pytest.mark.parametrize("bad", ["", "../admin", "a b", "btc?x=1", "BTC", "x" * 201, "slug\n", "0x" + "5A" * 32])
async def test_an_id_is_checked_before_it_enters_a_url(bad: str) -> None:
    async with rest_of({}) as (rest, site):
        for ask in (rest.market_by_slug, rest.market_by_condition_id, rest.book):
            with pytest.raises(ValueError, match="no id of the venue"):
                await ask(bad)
    assert site.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://gamma-api.polymarket.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "https://",
        "https://user:secret@example.com",
        "https://example.com/?token=secret",
        "https://example.com/#part",
        "http://[::1",
    ],
)
async def test_only_https_or_loopback_is_talked_to(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        VenueRest(VenueSettings(gamma_url=url), request_s=1.0)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://[::1]:1/", "http://localhost/venue/", "https://a.b/"])
async def test_a_loopback_or_https_base_is_kept_with_its_path(url: str) -> None:
    settings = VenueSettings(gamma_url=url)
    async with rest_of({}, settings=settings) as (rest, site):
        assert await rest.market_by_slug(SLUG) is None
    assert str(site.requests[0].url) == f"{url.rstrip('/')}/markets?slug={SLUG}"


async def test_a_certificate_authority_of_ones_own_replaces_the_usual_ones() -> None:
    with trustme.CA().cert_pem.tempfile() as path:
        rest = VenueRest(VenueSettings(ca_file=path), request_s=1.0)
        await rest.aclose()
    with pytest.raises(FileNotFoundError):
        VenueRest(VenueSettings(ca_file="/nowhere/ca.pem"), request_s=1.0)


async def test_authorities_are_read_once_for_all_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    original = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda **given: read.append(given) or original(**given))
    with trustme.CA().cert_pem.tempfile() as path:
        for _ in range(2):
            await VenueRest(VenueSettings(ca_file=path), request_s=1.0).aclose()
    assert read == [{"cafile": path}]


# Real sockets: what a transport in memory cannot show.


@asynccontextmanager
async def serving(reply: bytes, *, then_s: float = 0.0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A raw server on the loopback interface: reads a request, says ``reply``, stays silent, hangs up."""
    requests: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            requests.append(bytes(await stream.receive_some(65_536)))
            await stream.send_all(reply)
            await trio.sleep(then_s)

    async with trio.open_nursery() as nursery:
        (listener, *_) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}", requests
        nursery.cancel_scope.cancel()


async def raw_fault(url: str, *, request_s: float) -> RestFault:
    rest = VenueRest(VenueSettings(gamma_url=url, clob_url=url), request_s=request_s)
    try:
        with pytest.raises(RestFault) as raised:
            await rest.market_by_slug(SLUG)
    finally:
        await rest.aclose()
    return raised.value


@pytest.mark.socket
async def test_a_slow_body_ends_at_the_deadline() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n[{"
    async with serving(head, then_s=30.0) as (url, _):
        started = trio.current_time()
        fault = await raw_fault(url, request_s=0.2)
    assert fault.kind is RestFaultKind.TIMEOUT
    assert trio.current_time() - started < 2.0


@pytest.mark.socket
async def test_a_redirect_is_not_followed() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]") as (elsewhere, reached):
        reply = f"HTTP/1.1 302 Found\r\nlocation: {elsewhere}/\r\ncontent-length: 0\r\n\r\n".encode()
        async with serving(reply) as (url, requests):
            fault = await raw_fault(url, request_s=5.0)
    assert (fault.kind, fault.status) == (RestFaultKind.UNEXPECTED, 302)
    assert re.match(rb"GET /markets\?slug=[a-z0-9-]+ HTTP/1.1\r\n", requests[0])
    assert reached == []


@pytest.mark.socket
@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000,
    ],
    ids=["nothing", "no_http", "cut_short", "endless_headers"],
)
async def test_what_is_no_http_is_an_unreachable_venue(reply: bytes) -> None:
    async with serving(reply) as (url, _):
        fault = await raw_fault(url, request_s=5.0)
    assert fault.kind is RestFaultKind.UNREACHABLE


@pytest.mark.socket
async def test_a_closed_port_is_an_unreachable_venue() -> None:
    async with serving(b"") as (url, _):
        pass
    fault = await raw_fault(url, request_s=5.0)
    assert fault.kind is RestFaultKind.UNREACHABLE
