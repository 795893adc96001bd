"""Lines of a tape: what is written is what is read, and nothing else passes."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import TapeError, UpdownError
from engine.markets import Market, Outcome, Target
from engine.records import (
    Connected,
    Disconnected,
    Followed,
    Frame,
    LookupFailed,
    MarketUpdated,
    Record,
    Unfollowed,
)
from engine.tape import (
    MAX_TIME_NS,
    VERSION,
    End,
    Lost,
    TapeHeader,
    TapeItem,
    TapeNote,
    items_of,
    line_bytes,
    line_of,
    record_of,
)

CONDITION = "0x" + "ab" * 32

instants = st.integers(0, MAX_TIME_NS)
markets = st.builds(
    Market,
    condition_id=st.from_regex(r"0x[0-9a-f]{64}", fullmatch=True),
    up_asset_id=st.from_regex(r"[0-9]{1,78}", fullmatch=True),
    down_asset_id=st.none() | st.from_regex(r"[0-9]{1,78}", fullmatch=True),
    slug=st.none() | st.text(max_size=20),
    start_ns=st.none() | instants,
    end_ns=st.none() | instants,
    tick=st.integers(1, 10_000),
    accepting_orders=st.booleans(),
    closed=st.booleans(),
    winner=st.none() | st.sampled_from(Outcome),
)
targets = st.builds(
    Target,
    key=st.text(max_size=20),
    underlying=st.text(max_size=5),
    series=st.none() | st.text(max_size=8),
    slug=st.none() | st.text(max_size=20),
    condition_id=st.none() | st.just(CONDITION),
    start_ns=st.none() | instants,
    end_ns=st.none() | instants,
)
headers = st.builds(
    TapeHeader,
    at_ns=instants,
    version=st.integers(0, 9),
    key=st.text(max_size=20),
    part=st.integers(1, 999),
    software=st.text(max_size=20),
    scoring=st.dictionaries(
        st.text(max_size=5), st.none() | st.booleans() | st.floats(-1e9, 1e9) | st.text(max_size=5)
    ),
    continues=st.booleans(),
    run=instants,
    sequence=instants,
)
full_headers = st.builds(
    TapeHeader,
    **{name: st.just(0) for name in ("at_ns", "version", "part", "run", "sequence")},
    key=st.just(""),
    software=st.just(""),
    continues=st.just(True),
    target=targets,
    market=markets,
    epoch=instants,
    source=st.text(max_size=9),
    outcome=st.none() | st.sampled_from(Outcome),
    tokens=st.text(max_size=9),
)
records: st.SearchStrategy[Any] = st.one_of(
    st.builds(Followed, at_ns=instants, target=targets),
    st.builds(MarketUpdated, at_ns=instants, market=st.none() | markets),
    st.builds(LookupFailed, at_ns=instants, reason=st.text()),
    st.builds(Connected, at_ns=instants, epoch=instants),
    st.builds(Frame, at_ns=instants, text=st.text()),
    st.builds(Disconnected, at_ns=instants, epoch=instants, reason=st.text(), dropped=instants),
    st.builds(Unfollowed, at_ns=instants),
)
notes: st.SearchStrategy[Any] = st.one_of(
    headers,
    full_headers,
    st.builds(Lost, at_ns=instants, records=instants, until_ns=instants, reason=st.text()),
    st.builds(End, at_ns=instants),
)
items: st.SearchStrategy[TapeItem] = records | notes


@given(item=items)
def test_every_item_comes_back_from_its_line(item: TapeItem) -> None:
    line = line_of(item)
    assert "\n" not in line
    assert line_bytes(item) == line.encode()
    assert record_of(line) == record_of(line_bytes(item)) == item
    assert type(record_of(line)) is type(item)


@given(item=items)
def test_any_json_reader_finds_kind_and_time(item: TapeItem) -> None:
    plain = json.loads(line_of(item))
    assert list(plain)[:2] == ["kind", "at_ns"]
    assert plain["at_ns"] == item.at_ns


def test_every_record_and_note_has_a_kind_of_its_own() -> None:
    kinds = {kind.__struct_config__.tag for kind in (*get_args(Record), *get_args(TapeNote))}
    assert kinds == {
        *("followed", "market", "lookup_failed", "connected", "frame", "disconnected", "unfollowed"),
        *("tape", "lost", "end"),
    }


def test_a_line_looks_as_documented() -> None:
    assert line_of(Frame(at_ns=5, text='{"a":"é\n"}')) == r'{"kind":"frame","at_ns":5,"text":"{\"a\":\"é\n\"}"}'
    header = TapeHeader(
        at_ns=5, version=VERSION, key="k", part=2, software="updown 1", continues=False, run=4, sequence=7
    )
    assert line_of(header) == (
        '{"kind":"tape","at_ns":5,"version":1,"key":"k","part":2,"software":"updown 1",'
        '"continues":false,"run":4,"sequence":7,"scoring":{}}'
    )


@given(text=st.lists(items, max_size=8), repeat=st.sampled_from([1, 1, 4000]))
def test_whole_lines_are_read_alike_at_once_and_one_by_one(text: list[TapeItem], repeat: int) -> None:
    lines = [line_bytes(item) + b"\n" for item in text] * (repeat if len(text) == 1 else 1)
    expected = text * (repeat if len(text) == 1 else 1)
    assert list(items_of(b"".join(lines))) == expected


def test_huge_texts_are_read_as_they_are_asked_for() -> None:
    line = line_bytes(Frame(at_ns=1, text="x" * 1000)) + b"\n"
    read = items_of(line * 2000)
    assert not isinstance(read, list)
    assert sum(1 for _ in read) == 2000


@pytest.mark.parametrize("bad", [b"", b"[]", b"{", b'{"kind":"frame"}', b'{"kind":"end","at_ns":-1}'])
def test_a_bad_line_costs_nothing_but_itself(bad: bytes) -> None:
    good = Unfollowed(at_ns=1)
    first, error, last = items_of(line_bytes(good) + b"\n" + bad + b"\n" + line_bytes(good) + b"\n")
    assert (first, last) == (good, good)
    assert isinstance(error, TapeError)


DEEP = b"[" * 100_000
MARKET = '{"kind":"market","at_ns":1,"market":{"condition_id":"%s","up_asset_id":"1",%s}}'
HEADER = (
    '{"kind":"tape","at_ns":1,"version":1,"key":"k","part":1,"software":"","continues":true,"run":0,"sequence":0,%s}'
)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"kind":"frame","at_ns":1,"text":"\xff"}',
        b'{"kind":"frame","at_ns":1,"text":"\\ud800"}',
        "\ud800",
        b'{"kind":"frame","at_ns":1,"text":1}',
        b'{"kind":"frame","at_ns":1.5,"text":""}',
        b'{"kind":"frame","at_ns":true,"text":""}',
        b'{"kind":"frame","at_ns":9223372036854775808,"text":""}',
        b'{"kind":"frame","at_ns":' + b"9" * 5000 + b',"text":""}',
        b'{"kind":"frame","at_ns":1,"text":"","more":' + DEEP,
        b'{"kind":"rumour","at_ns":1}',
        b'{"kind":"connected","at_ns":1,"epoch":-1}',
        b'{"kind":"followed","at_ns":1,"target":{}}',
        b'{"kind":"followed","at_ns":1,"target":{"key":"k","condition_id":"0x1"}}',
        b'{"kind":"followed","at_ns":1,"target":{"key":"k","end_ns":1' + b"0" * 30 + b"}}",
        MARKET % ("0x1", '"tick":100'),
        MARKET % (CONDITION, '"tick":0'),
        MARKET % (CONDITION, '"tick":10001'),
        MARKET % (CONDITION, '"end_ns":-1'),
        MARKET % (CONDITION, '"winner":"Sideways"'),
        HEADER % '"target":{"key":"k","start_ns":-5}',
        HEADER % f'"market":{{"condition_id":"{CONDITION}","up_asset_id":"1","tick":-3}}',
        HEADER % '"outcome":"Sideways"',
        (HEADER % '"scoring":').encode() + DEEP,
    ],
)
def test_what_is_no_line_of_a_tape_is_one_error(line: str | bytes) -> None:
    with pytest.raises(TapeError, match="no line of a tape") as caught:
        record_of(line)
    assert isinstance(caught.value, UpdownError | ValueError)
    assert len(str(caught.value)) < 300


@given(line=st.binary() | st.text() | st.builds(bytes.__add__, st.just(b'{"kind":"frame",'), st.binary()))
def test_any_input_is_an_item_or_the_error(line: str | bytes) -> None:
    try:
        item = record_of(line)
    except TapeError:
        return
    assert isinstance(item, get_args(TapeItem))


@given(item=items, data=st.data())
def test_a_line_with_one_byte_changed_is_an_item_or_the_error(item: TapeItem, data: st.DataObject) -> None:
    line = bytearray(line_bytes(item))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    for read in items_of(bytes(line) + b"\n"):
        assert isinstance(read, (*get_args(TapeItem), TapeError))


def test_fields_of_the_future_are_ignored() -> None:
    assert record_of('{"kind":"end","at_ns":3,"checksum":"…"}') == End(at_ns=3)


def test_text_that_is_no_unicode_is_refused_before_it_is_written() -> None:
    with pytest.raises(TapeError, match="surrogates"):
        line_of(Frame(at_ns=1, text="\udc80"))
