"""The intake's shortcuts for the busy messages leave the state that the patient way would have left.

A generated market is played to two intakes, flawless and then with messages lost, repeated, out of order and damaged.
One of them reads every text by ``engine.wire`` alone, which has its own tests of this kind. The second of
two books of one trade is only damaged where it can be seen: it is not read any farther than it takes to see that it
repeats the first.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any

import pytest

from engine.intake import Intake
from engine.markets import Outcome
from engine.records import Connected, Disconnected, Frame, MarketUpdated, Record
from engine.units import NS_PER_S, SIZE_SCALE
from engine.whales import WhaleUnit
from tests.bench.speed.corpus import VENUE, Corpus, Line, generated
from tests.engine.odd_messages import price, size, top
from tests.engine.odd_texts import damaged, inner, odd_text, scratched, spell
from tests.engine.odd_values import SIDES, Object

MESSAGES = 1500
TOPS = {"best_bid", "best_ask"}


class PatientIntake(Intake):
    """Knows no shortcut."""

    def frames(self, at_ns: int, texts: Sequence[str]) -> None:
        self.messages += len(texts)
        for text in texts:
            if self._patient(text, at_ns):
                self.coverage.event(at_ns)


def known(intake: Intake, now_ns: int) -> dict[str, Any]:
    """Everything that can be read of an intake."""
    book, coverage, trades, features = intake.book, intake.coverage, intake.trades, intake.features
    assert book is not None
    fair = features.fair
    imbalance = features.depth_imbalance(now_ns)
    return {
        "counts": (intake.messages, intake.malformed, intake.foreign, intake.unknown, intake.dropped),
        "silent": intake.silent_since_ns,
        "unclean": intake.unclean_since_ns,
        "market": intake.market,
        "book": (book.state, book.sound, book.tick, book.quote(), book.mirror_sum_off),
        "levels": [book.levels(outcome) for outcome in Outcome],
        "pressure": None if imbalance is None else round(imbalance, 9),
        "coverage": (coverage.state(now_ns), coverage.live_since_ns, coverage.max_silence_ns(now_ns - 10**10, now_ns)),
        "trades": (trades.count, trades.yes_count, trades.first_yes, trades.last_yes),
        "orders": (
            len(features.orders),
            features.whales(WhaleUnit.SHARES, multiple=0.5, floor_units=1_000 * SIZE_SCALE),
        ),
        "fair": (fair.logit_at_start(now_ns - 10**10), fair.logit_at_end(now_ns), fair.spread(now_ns)),
        "volatility": features.volatility.per_root_second(),
    }


def of_one_instant(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The messages in runs that may be lost or moved but not parted: both books of a trade stay together."""
    together: list[Line] = []
    for line in lines:
        if together and not ('"bids"' in line.text and '"bids"' in together[-1].text):
            yield together
            together = []
        together.append(line)
    yield together


def plausible(rng: Random, name: str, message: str) -> str:
    """Another value of a field, as flawless as the one it had."""
    if name == "asset_id":
        return rng.choice([text for text in message.split('"') if len(text) > 70 and text.isdigit()])
    if name == "side":
        return rng.choice(SIDES)
    if name in {"best_bid", "best_ask"}:
        return top(rng)
    return price(rng) if name == "price" else size(rng)


def nudged(rng: Random, text: str) -> str:
    """A message of which one value is another one, so that nothing but its sense is damaged."""
    message = json.loads(text, object_pairs_hook=Object)
    fields = inner(rng, message)
    found = [place for place, (name, _) in enumerate(fields) if name in {"asset_id", "side", "price", "size"} | TOPS]
    if found:
        place = rng.choice(found)
        fields[place] = (fields[place][0], plausible(rng, fields[place][0], text))
    return spell(rng, message)


def spoilt(rng: Random, text: str) -> str:
    draw = rng.random()
    if draw < 0.5:
        return nudged(rng, text)
    if draw < 0.65:
        return scratched(rng, text)
    if draw < 0.7:
        return odd_text(rng.randrange(1000), rng.randrange(1000))
    return spell(rng, damaged(rng, json.loads(text, object_pairs_hook=Object)))


def another_book(rng: Random, text: str) -> str:
    """A book that can be told from the other view of the one before it: of another stamp, length, top or step."""
    message = json.loads(text)
    levels = message[rng.choice(("bids", "asks"))]
    kind = rng.randrange(4)
    if kind == 0:
        message["timestamp"] = str(int(message["timestamp"]) + 1)
        levels[0]["size"] = levels[0]["size"][::-1]
    elif kind == 1:
        del levels[rng.randrange(len(levels))]
    elif kind == 2:
        levels[-1]["size"] = "9" + levels[-1]["size"][1:]
    else:
        levels[0]["size"] = "9" + levels[0]["size"][1:]
        message = {**message, "tick_size": "0.001"}
        message["event_type"] = message.pop("event_type")
    return json.dumps(message, separators=(",", ":"))


def gone_wrong(rng: Random, texts: list[str], before: list[list[str]]) -> list[str]:
    """What came instead of the texts of one run; ``before`` are the latest runs, this one last."""
    kind = rng.randrange(15)
    if kind == 0:
        return []
    if kind == 1:
        return texts * 2
    if kind == 2:
        return rng.choice(before)
    if kind == 3:
        return texts[::-1]
    if len(texts) == 1 or kind > 12:
        # Of two books of one trade only one is left.
        return [spoilt(rng, texts[0])]
    return [texts[0], another_book(rng, texts[1])] if kind < 9 else [texts[0], *rng.choice(before[-4:]), *texts[1:]]


def played(corpus: Corpus, rng: Random, flawed: float) -> Iterator[Record]:
    """The corpus as records; ``flawed`` is the share of what goes wrong."""
    now_ns = corpus.lines[0].at_ns - NS_PER_S
    yield MarketUpdated(at_ns=now_ns, market=corpus.markets[0])
    yield Connected(at_ns=now_ns, epoch=1)
    yield Frame(at_ns=now_ns, text=corpus.openings[0])
    before: deque[list[str]] = deque(maxlen=40)
    for epoch, run in enumerate(of_one_instant(corpus.lines)):
        texts = [text for _, _, text in run]
        now_ns = max(now_ns, run[-1].at_ns)
        before.append(texts)
        if rng.random() < flawed:
            texts = gone_wrong(rng, texts, list(before))
        if rng.random() < flawed / 20:
            yield Disconnected(at_ns=now_ns, epoch=epoch, reason="closed")
            yield Connected(at_ns=now_ns, epoch=epoch + 1)
        if rng.random() < flawed / 40:
            yield MarketUpdated(at_ns=now_ns, market=corpus.markets[0])
        for text in texts:
            yield Frame(at_ns=now_ns, text=text)


def batches(rng: Random, records: Iterable[Record]) -> Iterator[tuple[int, Record | list[str]]]:
    """The records with their time, frames in batches as a wake-up brings them."""
    at_ns, texts, longest = 0, list[str](), rng.choice((1, 3, 30))
    for record in records:
        if texts and (not isinstance(record, Frame) or len(texts) >= longest):
            yield at_ns, texts
            texts, longest = [], rng.choice((1, 3, 30))
        at_ns = record.at_ns
        if isinstance(record, Frame):
            texts.append(record.text)
        else:
            yield at_ns, record
    yield at_ns, texts


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
    often = looks.choice((0.3, 0.03))
    last: list[object] = []
    for at_ns, came in batches(looks, played(corpus, Random(seed), flawed)):
        last = [*last[-1:], came]
        for intake in intakes:
            if isinstance(came, list):
                intake.frames(at_ns, came)
            else:
                intake.apply(came)
        # Some states are settled by being looked at, so nobody looks each time.
        if looks.random() < often:
            found, meant = (known(intake, at_ns) for intake in intakes)
            assert found == meant, f"after {last}"
            for intake in intakes:
                intake.evict(at_ns - 10 * NS_PER_S)
    assert intakes[0].trades.count > 0
    assert (intakes[0].malformed > 0) == (flawed > 0)
