"""The markets on tapes, as a source for the stand-in venue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from actors.tapes import find_tapes
from actors.venue.listing import Listing, asset_id, gamma_id
from actors.venue.options import VenueOptions
from actors.venue.recorded import RESOLUTION_S, SPEEDS, Timeline
from actors.venue.shelf import Shelf
from actors.venue.subjects import Subject, subjects_of
from actors.venue.taped import TapedTape
from engine.errors import TapeError
from engine.markets import Outcome
from engine.series import SERIES
from engine.units import to_ns

NEVER_NS: Final = 2**62
"""When a market resolves whose outcome nobody knows."""


class TapedSource(Shelf):
    """Meets ``Source``: the markets on tapes, and on recordings of the older kind, wherever ``find_tapes`` finds them.

    Everything happens at its recorded time under its recorded slug, verbatim, unless ``now_ns`` says when to begin. At
    speed 1 time then moves by whole slots of the shortest series on the tapes, to where the first record lies less than
    one slot in the past, or, if more than half would be over by then, in the future. A window that falls on a slot of
    the calendar takes its slug, so that a bot that follows the calendar finds it. At any other speed the first record
    is due at ``now_ns``, and slugs are the recorded ones.

    A market whose outcome neither a label nor the venue's message nor a header tells never resolves. ``problems`` say
    which tapes cannot be played, and why. Raises ``TapeError`` where nothing is, or nothing can be played;
    ``ValueError`` for a speed out of range.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        options: VenueOptions | None = None,
        *,
        now_ns: int | None = None,
        speed: float = 1.0,
    ) -> None:
        if not SPEEDS[0] <= speed <= SPEEDS[1]:
            raise ValueError(f"speed out of range: {speed}")
        subjects, self.problems = subjects_of(find_tapes(paths))
        if not subjects:
            raise TapeError("; ".join(self.problems))
        self._options = options or VenueOptions()
        self._timeline = _timeline(subjects, now_ns, speed)
        self._on_tape: dict[str, Subject] = {}
        self._listings = sorted(map(self._listing, subjects), key=lambda listing: listing.start_ns)

    @property
    def markets(self) -> Sequence[Listing]:
        """Every market, by start."""
        return self._listings

    def begins_ns(self, listing: Listing) -> int:
        """When the first record of a market is played, epoch ns."""
        return self._timeline.played(self._on_tape[listing.slug].first_ns)

    def known_winner(self, listing: Listing) -> Outcome | None:
        """Who will have won, ``None`` if nobody tells."""
        return self._on_tape[listing.slug].winner

    def tape(self, listing: Listing, at_ns: int) -> TapedTape:
        """The tape of a market from its first frame."""
        return TapedTape(self._on_tape[listing.slug], listing, self._timeline)

    def winner(self, listing: Listing) -> Outcome:
        """The outcome by the label, the venue's message or the tape's header; only asked of what resolves."""
        winner = self.known_winner(listing)
        if winner is None:
            raise ValueError(f"nobody tells who won {listing.slug}")
        return winner

    def fair(self, listing: Listing, at_ns: int) -> float:
        """One half until the end, and for ever where nobody knows who won."""
        return 0.5 if listing.resolves_ns == NEVER_NS else super().fair(listing, at_ns)

    def _listing(self, subject: Subject) -> Listing:
        market, timeline = subject.market, self._timeline
        start_ns, end_ns = timeline.played(subject.start_ns), timeline.played(subject.end_ns)
        series = subject.target.series or ""
        slug = self._slug(subject, start_ns)
        self._on_tape[slug] = subject
        return Listing(
            slug=slug,
            series=series,
            family=series.rpartition("-")[2],
            underlying=subject.target.underlying,
            condition_id=market.condition_id,
            up_asset_id=market.up_asset_id,
            down_asset_id=market.down_asset_id or asset_id(self._options.seed, subject.tape.key, Outcome.DOWN),
            gamma_id=gamma_id(self._options.seed, subject.tape.key),
            opens_ns=min(start_ns - to_ns(self._options.trade_before_s), timeline.played(subject.first_ns)),
            start_ns=start_ns,
            end_ns=end_ns,
            resolves_ns=self._resolves_ns(subject, end_ns),
            derived_down=market.down_asset_id is None,
        )

    def _resolves_ns(self, subject: Subject, end_ns: int) -> int:
        if subject.winner is None:
            return NEVER_NS
        if self._options.resolve_after_s is not None:
            return end_ns + to_ns(self._options.resolve_after_s / self._timeline.speed)
        if subject.resolved_ns is not None:
            return max(self._timeline.played(subject.resolved_ns), end_ns)
        return end_ns + to_ns(RESOLUTION_S / self._timeline.speed)

    def _slug(self, subject: Subject, start_ns: int) -> str:
        own = subject.market.slug or subject.target.slug or subject.tape.key
        series = SERIES.get(subject.target.series or "")
        if self._timeline.verbatim or self._timeline.speed != 1.0 or series is None:
            return own
        slot = series.slot_at(start_ns)
        return slot.slug if slot.start_ns == start_ns else own


def _timeline(subjects: Sequence[Subject], now_ns: int | None, speed: float) -> Timeline:
    first_ns = min(subject.first_ns for subject in subjects)
    if now_ns is None:
        return Timeline(recorded_ns=first_ns, begin_ns=first_ns, speed=speed)
    if speed != 1.0:
        return Timeline(recorded_ns=first_ns, begin_ns=now_ns, speed=speed)
    slot_ns = min(subject.end_ns - subject.start_ns for subject in subjects)
    begin_ns = first_ns + (now_ns - first_ns) // slot_ns * slot_ns
    length_ns = max(subject.last_ns for subject in subjects) - first_ns
    if now_ns - begin_ns > length_ns / 2:
        begin_ns += slot_ns
    return Timeline(recorded_ns=first_ns, begin_ns=begin_ns, speed=speed)
