"""What the fields of a message may hold, from what the venue writes to the edge of sense and beyond."""

from __future__ import annotations

from typing import Any

from tests.engine import wire_texts


class Token(str):
    """JSON as it stands, right or wrong; any other string is a text to be quoted."""

    __slots__ = ()


class Object(list[tuple[str, Any]]):
    """The fields of an object in order, with room for two of one name; a plain list is an array."""

    __slots__ = ()


def texts(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def tokens(words: str) -> tuple[Token, ...]:
    return tuple([Token(word) for word in words.split()])


def either(words: str) -> tuple[str, ...]:
    return texts(words) + tokens(words)


NULL, TRUE, FALSE = tokens("null true false")
NOTHING = ("", *tokens("null false [] {} 0"))

MARKETS = tuple("0x" + digits * 32 for digits in ("ab", "3d", "07", "f0", "c4"))
ODD_MARKETS = (
    *("0x" + "AB" * 32, "0X" + "ab" * 32, "0x" + "aB" * 32, "0x" + "ab" * 31, "0x" + "ab" * 33, "0x" + "ag" * 32),
    *("ab" * 32, "0x", "", MARKETS[0] + "\n", " " + MARKETS[0], MARKETS[0] + "\0", "0x" + "a\u0431" * 32),
)

ASSETS = (wire_texts.UP, wire_texts.DOWN, "41" * 38, "97" * 38 + "1", "7", "0" * 78)
ODD_ASSETS = (
    *("1" * 78, "1" * 79, "", " 1", "1 ", "1\n", "\u0661\u0662", "²"),
    *texts("0 00 -1 +1 1.0 1e3 0x1 1_0"),
    *either("11111111111111111111 111111111111111111111 12345 -0 1.5 1e3"),
)

ODD_PRICES = (
    *texts("0 1 0.0 1.0 0.0000 1.00000 0.00005 0.99995 0.00001 1.0001 -0.0001 -0 -0.0 -0.5 -1 2 0.50001"),
    *texts("+0.5 00.5 000000.5 .5 5. 0. 0.5e0 5e-1 50E-2 0.5e+0 5000e-4 0.5e-00 0.00005e1 0.05e1 0.5e1 5e-5 5e-05"),
    *texts("5e-005 1e-4 1e99 1e-99 0e99 0e-99 1e100 0e100 1e400 0,5 0.5f 0x0.8 0_0.5 nan NaN inf null true half"),
    *texts("0.3100 0.31000 0.310000 0.3700000000 0.12345 0.1234 --0.5 +-0.5 0..5 0.5.0 e-1 1e 1e- 1/2 50% $0.5"),
    *("", " 0.5", "0.5 ", "0.5\n", "0.5\0", "\u0660.\u0665", "\uff10.\uff15", "0.\u0665", "9" * 32, "9" * 33),
    *("0.5" + "0" * 29, "0.5" + "0" * 30, "0.5" + "0" * 28 + "1", "5" + "0" * 27 + "e-28"),
    *tokens("0 1 -0 -0.0 0.5 5e-1 0.50 0.5000000000000001 0.1e-3 1e-4 1e-5 1E+0 0.30000000000000004 1e400 1e308 -0.5"),
    *tokens("1.5 00.5 .5 0.5e 0.0001 9e-99 1e16"),
)

EDGES = texts("0 1 0.0 1.0 0.00 1.00 0.000 0.0000 1.0000 0.0001 0.9999 0.00001 1.0001")

# Ties of micro-shares, doubles at the end of their digits, and the grammar of JSON held against those of others.
ODD_SIZES = (
    *texts("0 0.0 -0 -0.0 -0e5 1e3 1E3 1e+3 1e03 1e-3 1e-7 5e-7 1.5e-6 2.5e-6 8.5e-7 0.1 0.3 4.35 1.005 0.285 2.675"),
    *texts("0.0000001 0.0000004 0.0000005 0.00000050000001 0.0000015 0.0000025 0.1234565 1.0000005 123456789.1234565"),
    *texts("999999999.9999995 999999999.9999994 999999999.999999 1000000000 1e9 1E+9 1000000000.0"),
    *texts("1000000000.0000001 1000000000.000001 1000000001 1e10 1e18 -1 -0.000001 -1e-400 1e400 1e-400 0e400"),
    *texts("0e99999999999999999999 1e-99999999999999999999 1e99999999999999999999 12345678901234567890e-11"),
    *texts("151.51515151515152 1125899.9068425 9007199254.740993 9007199.254740993 4503599.6273705"),
    *texts("99999999999999999999 12345678901234567890e-11 +5 05 00 00.5 .5 5. 5.e1 0x1 0x1p3 1_000 1,000 5f 5L 1e"),
    *texts("1e+ e5 --5 null true many"),
    *texts("nan NaN -nan inf Infinity -inf 1000000000.00000001 151.5151515"),
    *("", " 5", "5 ", "5\n", "5\0", "\u0665", "\uff15", "²", "9" * 400, "1" + "0" * 400, "1" + "0" * 400 + "e-398"),
    *("0." + "0" * 400 + "1", "1" + "0" * 30 + "e-25"),
    *tokens("0 -0 -0.0 5 5.25 1e3 1E3 1e-7 5e-7 2.5e-6 0.1234565 151.51515151515152 1000000000 1000000000.00000001"),
    *tokens("1000000001 1e9 1e18 -1 -0.5 1e400 1e-400 05 .5 5. +5 NaN Infinity -Infinity 99999999999999999999"),
    *tokens("100000000000000000000 111111111111111111111111111111 0e400 1e5.0"),
)

ODD_STAMPS = (
    *texts("0 1 soon -1790000123456 1790000123 1790000123.4 1790000123.4567 1790000123456.0 1e12 1790000123456789"),
    *texts("1790000123456999999 99999999999 100000000000 99999999999999 100000000000000 99999999999999999"),
    *texts("100000000000000000 99999999999999999999 111111111111111111111 0000000000007 00000000000007"),
    *texts("1790000123. .5 1790000123.00000000000000000001 1790000123.99999999999999999999 +1790000123456 nan inf"),
    *texts("1790000123.999999999999999999999 99999999999.99999999999999999999 1_790_000_123 0000000000007.0"),
    *("", " 1790000123456", "1790000123456\n", "179000012345²", "17900001234\u0665\u0666", "\uff11" * 13),
    *either("1790000123456 1790000123.456 1790000123456.0 1.790000123456e12 179000012345678901234567"),
    *tokens("1e16 1e15 123456789012345678 -5 0.5 1790000123456789123 99999999999999999999"),
)

SIDES = ("BUY", "SELL")
ODD_SIDES = (
    *texts("buy Sell sELL null NULL Null HOLD BU BUYS B 0 Side.BUY"),
    *("", "BUY ", " SELL", "\u017fell", "bu\u0443", "BUY\0", *tokens("null true 0 1")),
)

STEPS = texts("0.1 0.01 0.005 0.0025 0.001 0.0001")
ODD_STEPS = (*STEPS, *texts("0.2 0.5 0.25 0.003 0.010 0.0010000 1e-2 0 1 -0.01 fine 0.00001"), "")

HASHES = ("5f" * 20, "0" * 40, "", "c8a719b4994ada6b9c83b4b9cece50c42f920978")
WORDS = (
    *texts(r"Up Down btc-updown-5m-1790000400 ünïcödé </script> \u0070rice {} [1,2] , : a,b 0.5 null"),
    *("", "\u65e5\u672c", "\U0001f680", "tab\there", 'a "quote"', "back\\slash", "\0", "\x7f", "\u2028", '"'),
    '","price":"0.1',
)

KNOWN_TYPES = texts("book price_change last_trade_price tick_size_change best_bid_ask new_market market_resolved")
ODD_TYPES = (
    *texts("auction BOOK Book price_changes last_trade null PONG ünknown"),
    *("", " book", "book ", "book\0", *tokens('null true 5 [] ["book"] {}')),
)

SCALARS = (
    *NOTHING,
    *tokens("true 1 -1 0.5 1e5 1E400 -0 NaN -Infinity 01 18446744073709551616 9223372036854775808 nul undefined 'x'"),
    *tokens("99999999999999999999 -99999999999999999999 100000000000000000000 -100000000000000000000"),
    *tokens(r'"\ud800" "\udc00x" "\ud83d\ude80" "\ud83d\u0041" "\uD83D\uDE80" "\/\b\f\n\r\t" "\x41" "\u00e" "\u0000"'),
    *(Token(""), Token('"\t"'), "\ud83d", "0.5", "12"),
    *WORDS,
)

ODD = {
    "market": ODD_MARKETS,
    "asset_id": ODD_ASSETS,
    "winning_asset_id": ODD_ASSETS,
    "price": ODD_PRICES,
    "best_bid": ODD_PRICES,
    "best_ask": ODD_PRICES,
    "size": ODD_SIZES,
    "timestamp": ODD_STAMPS,
    "side": ODD_SIDES,
    "tick_size": ODD_STEPS,
    "new_tick_size": ODD_STEPS,
    "event_type": (*ODD_TYPES, *KNOWN_TYPES),
    "hash": (*WORDS, *HASHES),
    "transaction_hash": (*WORDS, *HASHES),
    "slug": WORDS,
    "winning_outcome": WORDS,
}
"""By the name of the field; of a field that is not here anything at all is odd."""

NAMES = (
    *ODD,
    *texts("bids asks price_changes changes assets_ids outcomes spread fee_rate_bps question old_tick_size"),
    *texts("last_trade_price description title event_message id tags note é"),
    "",
)

SPACES = ("", " ", "\n", "\t", "\r\n", "  ", "\n    ")
SNIPPETS = (
    *'[]{},:"\\0159.-+eE \n\t\0',
    *texts(r'null true NaN 1e400 "book" "event_type": "price":"0.5", " \ \" \u0031 \ud800 // '),
    *texts('\' "," },{ ],[ ]] }} ,, /**/ PONG'),
    *("\ud800", "\ufeff", "é", "\U0001f680", "\u00a0", "\u2028"),
)

ANSWERS = ("PONG", "INVALID OPERATION", "NO NEW ASSETS")
NOISE = (
    *texts('[] {} [[]] [[],[[]]] null true 5 -0 1e400 "PONG" [1] [null] [{}] PONG! PING pıng NaN [NaN] [,] [1,]'),
    *texts("{'event_type':'book'} <html>blocked</html>"),
    *texts('{"event_type":"","event_type":"x"} {"event_type":"x","event_type":5}'),
    *texts('{"event_type":"x"} {"event_type":5} {"a":1,} {"event_type":"x","event_type":""}'),
    *texts('{"EVENT_TYPE":"book"} {"event_type":"x","a":NaN,"a":1} {"event_type":"x","a":1,"a":1e400}'),
    *texts(r'{"event_type":"x","\ud800":1} {"event_type":"x","a":"\ud800","a":1} {"event_type":"x","a":["\udc00"]}'),
    *("", " ", " [ ] ", "ınvalıd operatıon", "no\u00a0new assets", "\ufeff[]", "[]\ufeff", "[] []", "\ud800", "[]\0"),
    *("[" * depth + "]" * depth for depth in (15, 16, 17, 18)),
)
