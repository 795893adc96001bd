import pytest

from actors.venue.options import VenueOptions


def test_defaults_resemble_the_venue() -> None:
    options = VenueOptions()
    assert (options.assets_per_connection, options.idle_drop_s, options.trade_before_s) == (500, 60.0, 86_400.0)
    assert options.hashes
    assert options.resolve_after_s is None


@pytest.mark.parametrize(
    "wrong",
    [{"message_rate": 0.0}, {"informed": 1.1}, {"burst_share": 0.2}, {"resolve_after_s": -1.0}, {"send_queue": 0}],
)
def test_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        VenueOptions(**wrong)  # type: ignore[arg-type]
