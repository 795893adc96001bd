import pytest

from actors.venue.titles import iso, tags, title
from tests.actors.venue.scenery import SLUG, START_NS, listing


@pytest.mark.parametrize(
    ("slug", "expected"),
    [
        (SLUG, "Bitcoin Up or Down - October 2, 10:30PM-10:35PM ET"),
        ("eth-updown-15m-1790994600", "Ethereum Up or Down - October 2, 10:30PM-10:45PM ET"),
        ("solana-up-or-down-october-2-2026-10pm-et", "Solana Up or Down - October 2, 10PM ET"),
        ("xrp-up-or-down-on-october-3-2026", "XRP Up or Down on October 3"),
    ],
)
def test_questions(slug: str, expected: str) -> None:
    assert title(listing(slug)) == expected


def test_tags_end_with_the_length() -> None:
    assert tags(listing())[1::4] == ("Bitcoin", "5M")


def test_times() -> None:
    assert iso(START_NS) == "2026-10-03T02:30:00Z"
