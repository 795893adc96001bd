"""Looking recorded markets up: nothing is known before it comes into existence."""

from __future__ import annotations

import pytest
from attrs import evolve

from actors.venue.shelf import Shelf
from engine.markets import Outcome
from tests.actors.venue.scenery import OTHER, listing

FIRST, SECOND = listing(), evolve(listing(OTHER), opens_ns=listing().start_ns)
BEFORE, AFTER = FIRST.opens_ns, SECOND.opens_ns


class Two(Shelf):
    _listings = (FIRST, SECOND)

    def winner(self, listing: object) -> Outcome:
        return Outcome.UP


def test_every_name_finds_its_market() -> None:
    shelf = Two()
    assert shelf.by_slug(FIRST.slug, AFTER) == shelf.by_condition(FIRST.condition_id, AFTER) == FIRST
    assert [shelf.by_asset(asset, AFTER) for asset in FIRST.asset_ids] == [FIRST, FIRST]
    assert shelf.by_slug(SECOND.slug, BEFORE) is None
    assert shelf.by_asset("1", AFTER) is None


def test_markets_open_in_their_time() -> None:
    shelf = Two()
    assert (shelf.listed(BEFORE), shelf.listed(AFTER)) == ([FIRST], [FIRST, SECOND])
    assert (shelf.opening_after(BEFORE), shelf.opening_after(AFTER)) == ([SECOND], [])


def test_nothing_is_told_ahead() -> None:
    assert (Two().fair(FIRST, FIRST.end_ns - 1), Two().fair(FIRST, FIRST.end_ns)) == (0.5, 1.0)
    assert Two().spot(FIRST, AFTER) is None
    with pytest.raises(NotImplementedError):
        Shelf().winner(FIRST)
