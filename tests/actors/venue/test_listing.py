from itertools import product

from actors.venue.listing import asset_id, condition_id, gamma_id
from engine.markets import Market, Outcome
from tests.actors.venue.scenery import OTHER, SLUG, listing


def test_ids_are_what_the_venue_would_give() -> None:
    found = listing()
    market = Market(condition_id=found.condition_id, up_asset_id=found.up_asset_id, down_asset_id=found.down_asset_id)
    assert market.asset_ids == found.asset_ids
    assert found.gamma_id.isdigit()


def test_ids_follow_from_seed_and_slug_alone() -> None:
    assert listing() == listing()
    ids = set()
    for seed, slug in product((1, 2), (SLUG, OTHER)):
        ids |= {condition_id(seed, slug), gamma_id(seed, slug)}
        ids |= {asset_id(seed, slug, outcome) for outcome in Outcome}
    assert len(ids) == 16


def test_tokens_and_outcomes() -> None:
    found = listing()
    for outcome in Outcome:
        assert found.outcome_of(found.asset_of(outcome)) is outcome
