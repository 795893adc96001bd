import json

import httpx
import pytest
import trio

from actors.cli import main, markets
from actors.cli.markets import Finding, find_markets, rendered, targets
from actors.clock import Clock
from actors.config import load_settings
from actors.rest import RestFault, RestFaultKind
from actors.venue import Venue
from engine.markets import Market
from engine.series import slot_of_slug
from engine.settings import Settings

NOW_NS = 1_786_891_600 * 10**9
SLUG = "btc-updown-5m-1786891500"
NEXT = "btc-updown-5m-1786891800"
CONDITION_ID = "0x" + "ab" * 32


def following(*entries: str) -> Settings:
    return load_settings(overrides=[f"follow=[{', '.join(entries)}]"]).settings


SERIES = '{ series = "btc-5m" }'


async def asked(settings: Settings) -> list[dict[str, object]]:
    """What a venue in memory says, as rows."""
    clock = Clock.anchored(NOW_NS)
    venue = Venue(clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        now_ns, findings = await find_markets(settings, clock=clock, transport=venue.http_transport)
        nursery.cancel_scope.cancel()
    return [finding.as_json(now_ns) for finding in findings]


async def test_the_current_and_the_next_slot_are_looked_up(autojump_clock: trio.testing.MockClock) -> None:
    now, following_one = await asked(following(SERIES))
    assert now["series"] == "btc-5m"
    assert now["slug"] == SLUG
    assert (now["start"], now["end"]) == ("2026-08-16T14:45:00Z", "2026-08-16T14:50:00Z")
    assert now["seconds_left"] == pytest.approx(200.0, abs=5.0)
    assert (now["phase"], now["state"], now["error"]) == ("open", "known", None)
    assert str(now["condition_id"]).startswith("0x")
    assert str(now["up_asset_id"]).isdecimal()
    assert now["up_asset_id"] != now["down_asset_id"]
    assert (following_one["slug"], following_one["phase"]) == (NEXT, "pending")


async def test_what_the_venue_does_not_know_is_unknown(autojump_clock: trio.testing.MockClock) -> None:
    rows = await asked(following('{ slug = "no-such-market" }', f'{{ condition_id = "{CONDITION_ID}" }}'))
    assert [row["state"] for row in rows] == ["unknown", "unknown"]
    assert rows[0]["slug"] == "no-such-market"
    assert rows[1]["condition_id"] == CONDITION_ID
    assert rows[1]["seconds_left"] is None


def test_the_follow_list_means_two_slots_for_a_series_and_one_target_otherwise() -> None:
    settings = following('{ slug = "some-market" }', SERIES, f'{{ condition_id = "{CONDITION_ID}" }}')
    assert [target.key for target in targets(settings, NOW_NS)] == ["some-market", SLUG, NEXT, CONDITION_ID]


class Catalog:
    """Knows one slug, and what it was asked for; fails for slugs with ``down`` in them."""

    def __init__(self, known: str = "") -> None:
        self.asked: list[str] = []
        self._known = known

    async def market_by_slug(self, slug: str) -> Market | None:
        self.asked.append(slug)
        if "down" in slug.split("-"):
            raise RestFault(RestFaultKind.UNREACHABLE, "no route")
        return Market(condition_id=CONDITION_ID, up_asset_id="1", slug=slug) if slug == self._known else None

    async def market_by_condition_id(self, condition_id: str) -> Market | None:
        self.asked.append(condition_id)
        return None


async def test_a_slot_is_looked_for_under_its_other_slug_as_well() -> None:
    slot = slot_of_slug("btc-updown-4h-1786881600")
    catalog = Catalog("btc-updown-4h-1786885200")
    finding = await markets.found(Finding(target=slot.target()), catalog)
    assert finding.state == "known"
    assert catalog.asked == ["btc-updown-4h-1786881600", "btc-updown-4h-1786885200"]


async def test_a_fault_is_the_state_of_its_market_alone() -> None:
    down, up = following('{ slug = "is-down" }', '{ slug = "is-up" }').follow
    catalog = Catalog("is-up")
    rows = [
        (await markets.found(Finding(target=target), catalog)).as_json(NOW_NS)
        for follow in (down, up)
        for target in targets(Settings(follow=(follow,)), NOW_NS)
    ]
    assert [row["state"] for row in rows] == ["error", "known"]
    assert rows[0]["error"] == "unreachable: no route"
    text = rendered(rows, "table").splitlines()
    assert text[0].split()[:3] == ["series", "slug", "phase"]
    assert "unreachable: no route" in text[1]
    assert f"{CONDITION_ID[:10]}…{CONDITION_ID[-6:]}" in text[2]


def test_rows_are_rendered_as_asked() -> None:
    rows = [{"slug": "a"}, {"slug": "b"}]
    assert json.loads(rendered(rows, "json")) == rows
    assert [json.loads(line) for line in rendered(rows, "jsonl").splitlines()] == rows


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses that a venue answers, in turn; the last one for ever."""
    statuses: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        return httpx.Response(status, json=[])

    rest = markets.VenueRest
    monkeypatch.setattr(
        markets,
        "VenueRest",
        lambda venue, *, request_s, transport: rest(venue, request_s=request_s, transport=httpx.MockTransport(answer)),
    )
    return statuses


@pytest.mark.parametrize(
    ("statuses", "code"), [([200], 0), ([404], 0), ([503], 1), ([403], 1), ([503, 200], 0)], ids=str
)
def test_only_when_nothing_answers_it_is_a_failure(
    statuses: list[int], code: int, answers: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    answers += statuses
    assert main(["markets", "--set", f"follow=[{SERIES}]", "-o", "json"]) == code
    assert [row["series"] for row in json.loads(capsys.readouterr().out)] == ["btc-5m", "btc-5m"]


def test_following_nothing_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["markets", "-o", "json"]) == 2
    assert json.loads(capsys.readouterr().err)["problems"][0]["key"] == "follow"
