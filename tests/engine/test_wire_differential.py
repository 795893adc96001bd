"""For any text the decoder gives what the slow, obvious decoder gives: the same events, or the same error.

``python tests/engine/test_wire_differential.py --messages 1000000 --seed 7`` looks at more texts than the suite does.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Context
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine import wire
from engine.errors import WireError
from engine.events import (
    BestBidAsk,
    BookSnapshot,
    Event,
    MarketResolved,
    NewMarket,
    PriceChange,
    TextAnswer,
    TickSizeChange,
    Trade,
    UnknownEvent,
)
from tests.engine import obvious, wire_texts
from tests.engine.odd_texts import odd_text

SEED = 1
MESSAGES = 100_000

EVENTS = (
    *(
        BookSnapshot,
        PriceChange,
        Trade,
        TickSizeChange,
        BestBidAsk,
        NewMarket,
        MarketResolved,
        UnknownEvent,
        TextAnswer,
    ),
)
REASONS = (
    *("bad_value", "long_integer", "long_text", "missing_field", "not_an_object", "not_json", "oversize", "too_deep"),
    *("too_long", "wrong_type"),
)


def events_of(text: str) -> tuple[Event, ...]:
    """What the decoder under test makes of a text, as plain events."""
    return wire.decode(text)


class Outcome(NamedTuple):
    """All that two decoders have to agree on: not the detail of an error, which is for reading."""

    reason: str | None
    malformed: int
    events: tuple[Event, ...]


def outcome(decode: Callable[[str], tuple[Event, ...]], text: str) -> Outcome:
    try:
        return Outcome(None, 0, decode(text))
    except WireError as error:
        return Outcome(error.reason, error.malformed, error.events)
    except Exception as error:  # noqa: BLE001 - whatever else it raises is a finding
        return Outcome(f"raised {error!r}", 0, ())


def disagreements(seed: int, numbers: Iterable[int], seen: Counter[str]) -> Iterator[tuple[int, str]]:
    """The texts on which the decoders disagree, with their numbers; ``seen`` counts what all of them came to."""
    for number in numbers:
        text = odd_text(seed, number)
        found, meant = outcome(events_of, text), outcome(obvious.decode, text)
        if differ(found, meant):
            yield number, text
        seen["valid" if meant.reason is None else meant.reason] += 1
        seen.update([type(event).__name__ for event in meant.events])


def differ(found: Outcome, meant: Outcome) -> bool:
    # An enum equals its text and a float its integer: only what is written of them tells them apart.
    return found != meant or repr(found.events) != repr(meant.events)


def disagree(text: str) -> bool:
    return differ(outcome(events_of, text), outcome(obvious.decode, text))


def shortened(text: str, still: Callable[[str], bool] = disagree, patience: int = 10_000_000) -> str:
    """A text with as much cut out of it as leaves the decoders in disagreement, ``patience`` in characters read."""
    length = len(text) // 2
    while length and patience > 0:
        at = 0
        while at < len(text) and patience > 0:
            patience -= len(text)
            shorter = text[:at] + text[at + length :]
            if still(shorter):
                text = shorter
            else:
                at += length
        length //= 2
    return text


def report(seed: int, number: int, text: str) -> str:
    short = shortened(text)
    return (
        f"seed {seed}, text {number}, shortened: {ascii(short)[:4000]}\n"
        f"  found {str(outcome(events_of, short))[:1000]}\n"
        f"  meant {str(outcome(obvious.decode, short))[:1000]}"
    )


# --------------------------------------------------------------------------------------------------------------- tests


@pytest.mark.slow
def test_any_text_means_what_the_obvious_decoder_says() -> None:
    seen: Counter[str] = Counter()
    reports = [report(SEED, *found) for found in islice(disagreements(SEED, range(MESSAGES), seen), 3)]
    assert not reports, "\n".join(reports)
    # The texts have to reach everything there is, or agreement on them says little.
    assert MESSAGES // 2 < seen["valid"] < MESSAGES * 3 // 4
    assert {kind.__name__: seen[kind.__name__] for kind in EVENTS if seen[kind.__name__] < MESSAGES // 200} == {}
    assert {reason: seen[reason] for reason in REASONS if seen[reason] < MESSAGES // 5000} == {}


def book(fields: str, bids: str) -> str:
    return (
        f'{{"market":"{wire_texts.CONDITION_ID}","asset_id":"1",{fields}"bids":[{bids}],"asks":[],"event_type":"book"}}'
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(book('"timestamp":"","hash":"","bids":1e400,', ""), id="replaced levels out of range"),
        pytest.param(book("", ",".join(['{"price":"0.5"' + ',"size":0' * 25 + "}"] * 4000)), id="commas as documented"),
    ],
)
def test_the_ways_of_reading_agree(text: str) -> None:
    assert not disagree(text)


def test_the_last_type_counts_wherever_the_others_stand() -> None:
    fields = '","event_type":"price_change","fee_rate_bps":"'
    text = wire_texts.trade("0.5", tx="0x" + fields + "0" * (64 - len(fields))).replace(": ", ":").replace(", ", ",")
    text = text.replace('\\"', '"')
    assert outcome(events_of, text) == outcome(obvious.decode, text)
    assert isinstance(events_of(text)[0], PriceChange)


def test_a_text_is_the_same_for_ever() -> None:
    assert [odd_text(5, number) for number in range(200)] == [odd_text(5, number) for number in range(200)]
    assert odd_text(5, 0) != odd_text(6, 0)


def half_up(shares: float) -> int:
    return int(shares * 1_000_000 + 0.5)


def first_place(rows: list[tuple[str, float]]) -> tuple[tuple[int, int], ...]:
    return tuple((obvious.level_price(price), obvious.micro_shares(size)) for price, size in rows)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("MAX_TEXT_BYTES", 4095),
        ("MAX_DEPTH", 17),
        ("MAX_INTEGER", 10**20),
        ("MAX_ANSWER_CHARACTERS", 65),
        ("PROSE", []),
        ("NUMBER", r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"),
        ("PRICE", r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?"),
        ("EXACT", Context(prec=28)),
        ("micro_shares", half_up),
        ("levels", first_place),
        ("older_changes", lambda _message: {}),
        ("finite", float),
        ("refused", str),
        ("condition_id", str),
        ("asset_id", str),
        ("level_price", obvious.price_ticks),
        ("all_there", lambda *_values: None),
    ],
)
def test_a_rule_that_is_bent_a_little_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str, rule: object) -> None:
    monkeypatch.setattr(obvious, name, rule)
    assert any(disagreements(SEED, range(MESSAGES // 5), Counter())), f"no text looks at {name}"


def test_what_is_reported_is_short() -> None:
    text = f"[5, {wire_texts.book()}, {wire_texts.trade('0.5')}]"
    assert shortened(text, lambda text: text.count("BUY") == 1) == "BUY"


# ------------------------------------------------------------------------------------------------------------- by hand


def main() -> int:
    """Compare on as many texts as asked for; 0 when the decoders agree on all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SEED + 1, help="the suite's own is %(default)s less one")
    arguments = parser.parse_args()
    seen: Counter[str] = Counter()
    start = time.process_time()
    found = 0
    for number, text in islice(disagreements(arguments.seed, range(arguments.messages), seen), 20):
        sys.stdout.write(report(arguments.seed, number, text) + "\n")
        found += 1
    seconds = time.process_time() - start
    sys.stdout.write(f"{sum(seen[name] for name in ('valid', *REASONS))} texts in {seconds:.1f} s, {dict(seen)}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
