"""The intake's shortcuts for the busy messages leave the state that the patient way would have left.

A generated market is played to two intakes, flawless and then with messages lost, repeated, out of order and damaged.
One of them reads every text by ``engine.wire`` alone, which has its own tests of this kind. Nothing is damaged in the
second of two books of one trade: it is known to be read only as far as it takes to see that it repeats the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from engine.intake import Intake
from engine.markets import Outcome
from engine.records import Connected, Disconnected, Frame, MarketUpdated, Record
from engine.units import NS_PER_S
from tests.bench.speed.corpus import VENUE, Corpus, generated
from tests.engine.odd_texts import damaged, odd_text, scratched, spell
from tests.engine.odd_values import Object

MESSAGES = 1500


class PatientIntake(Intake):
    """Knows no shortcut."""

    def frame(self, at_ns: int, text: str) -> None:
        self.messages += 1
        if self._patient(text, at_ns):
            self.coverage.event(at_ns)


def known(intake: Intake, now_ns: int) -> dict[str, Any]:
    """Everything that can be read of an intake."""
    book, coverage, trades, features = intake.book, intake.coverage, intake.trades, intake.features
    assert book is not None
    imbalance = features.depth_imbalance(now_ns)
    return {
        "counts": (intake.messages, intake.malformed, intake.foreign, intake.unknown, intake.dropped),
        "heard": dict(intake.heard_ns),
        "unclean": intake.unclean_since_ns,
        "market": intake.market,
        "book": (book.state, book.sound, book.diverged, book.tick, book.quote(), book.mirror_sum_off),
        "levels": [book.levels(outcome) for outcome in Outcome],
        "pressure": None if imbalance is None else round(imbalance, 9),
        "coverage": (coverage.state(now_ns), coverage.live_since_ns, coverage.max_silence_ns(now_ns - 10**10, now_ns)),
        "trades": (trades.count, trades.yes_count, trades.first_yes, trades.last_yes),
        "orders": len(features.orders.large),
    }


def of_one_instant(lines: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """The messages in runs that may be lost or moved but not parted: both books of a trade stay together."""
    together: list[tuple[int, str]] = []
    for at_ns, text in lines:
        if together and not ('"bids"' in text and '"bids"' in together[-1][1]):
            yield together
            together = []
        together.append((at_ns, text))
    yield together


def spoilt(rng: Random, text: str) -> str:
    draw = rng.random()
    if draw < 0.3:
        return scratched(rng, text)
    if draw < 0.4:
        return odd_text(rng.randrange(1000), rng.randrange(1000))
    return spell(rng, damaged(rng, json.loads(text, object_pairs_hook=Object)))


def played(corpus: Corpus, rng: Random, flawed: float) -> Iterator[Record]:
    """The corpus as records; ``flawed`` is the share of what goes wrong."""
    runs = list(of_one_instant([(line.at_ns, line.text) for line in corpus.lines]))
    start_ns = corpus.lines[0].at_ns - NS_PER_S
    yield MarketUpdated(at_ns=start_ns, market=corpus.markets[0])
    yield Connected(at_ns=start_ns, epoch=1)
    yield Frame(at_ns=start_ns, text=corpus.openings[0])
    epoch, now_ns = 1, start_ns
    for place, run in enumerate(runs):
        texts = [text for _, text in run]
        now_ns = max(now_ns, run[-1][0])
        if rng.random() < flawed:
            kind = rng.randrange(12)
            if kind == 0:
                yield Disconnected(at_ns=now_ns, epoch=epoch, reason="closed")
                epoch += 1
                yield Connected(at_ns=now_ns, epoch=epoch)
            elif kind == 1:
                texts = []
            elif kind == 2:
                texts = texts * 2
            elif kind == 3:
                texts = [text for _, text in rng.choice(runs[max(0, place - 40) : place + 1])]
            elif kind == 4:
                texts = texts[::-1]
            else:
                # Of two books of one trade only one is left.
                texts = [spoilt(rng, texts[0])]
        for text in texts:
            yield Frame(at_ns=now_ns, text=text)


@pytest.mark.parametrize("wants_pressure", [False, True])
@pytest.mark.parametrize("wants_features", [False, True])
@pytest.mark.parametrize(("flawed", "seed"), [(0.0, 1), (0.1, 2), (0.5, 3), (0.9, 4)])
def test_shortcuts_change_nothing(flawed: float, seed: int, wants_features: bool, wants_pressure: bool) -> None:
    corpus = generated(1, MESSAGES, seed=seed, mix=VENUE) if seed % 2 else generated(1, MESSAGES, seed=seed)
    intakes = [
        kind(
            window_ns=10 * NS_PER_S,
            stale_after_ns=NS_PER_S,
            wants_features=wants_features,
            wants_pressure=wants_features and wants_pressure,
        )
        for kind in (Intake, PatientIntake)
    ]
    looks = Random(seed)
    last: list[Record] = []
    for record in played(corpus, Random(seed), flawed):
        last = [*last[-2:], record]
        for intake in intakes:
            intake.apply(record)
        # Some states are settled by being looked at, so nobody looks each time.
        if looks.random() < 0.2:
            found, meant = (known(intake, record.at_ns) for intake in intakes)
            assert found == meant, f"after {last}"
            for intake in intakes:
                intake.evict(record.at_ns - 10 * NS_PER_S)
    assert intakes[0].trades.count > 0
    assert (intakes[0].malformed > 0) == (flawed > 0)
