"""What the stand-in venue knows of one market before anything trades, and ids derived from a seed."""

from __future__ import annotations

from hashlib import sha256

from attrs import frozen

from engine.markets import Outcome


@frozen(kw_only=True)
class Listing:
    """One market: ids, window and life. ``resolves_ns`` is when it is decided unless a switch says otherwise.

    ``family`` is the length tag of its series (``"5m"``), ``derived_down`` marks a Down token that is only the mirror
    of a recording.
    """

    slug: str
    series: str
    family: str
    underlying: str
    condition_id: str
    up_asset_id: str
    down_asset_id: str
    gamma_id: str
    opens_ns: int
    start_ns: int
    end_ns: int
    resolves_ns: int
    derived_down: bool = False

    @property
    def asset_ids(self) -> tuple[str, str]:
        """Both tokens, Up first."""
        return self.up_asset_id, self.down_asset_id

    def asset_of(self, outcome: Outcome) -> str:
        """The token that pays for an outcome."""
        return self.up_asset_id if outcome is Outcome.UP else self.down_asset_id

    def outcome_of(self, asset_id: str) -> Outcome:
        """The outcome a token of this market pays for."""
        return Outcome.UP if asset_id == self.up_asset_id else Outcome.DOWN


def digest(seed: int, *key: object) -> bytes:
    """32 bytes that depend on seed and key alone."""
    return sha256("/".join(map(str, (seed, *key))).encode()).digest()


def condition_id(seed: int, slug: str) -> str:
    """The condition id of a slug: ``0x`` and 64 hex digits."""
    return "0x" + digest(seed, slug, "condition").hex()


def asset_id(seed: int, slug: str, outcome: Outcome) -> str:
    """The token id of a slug's outcome: a decimal number of up to 78 digits."""
    return str(int.from_bytes(digest(seed, slug, outcome), "big"))


def gamma_id(seed: int, slug: str) -> str:
    """The catalogue number of a slug: seven digits and more."""
    return str(1_000_000 + int.from_bytes(digest(seed, slug, "gamma")[:5], "big"))
