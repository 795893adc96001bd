"""Texts for the decoder, from flawless frames to noise: the same for the same seed and number, for ever.

A message is drawn as the venue writes it, with all the freedom the venue has; then it may be damaged as a value
(fields left out, renamed, repeated, of another type, out of order), put among others, spelled in one of JSON's many
ways, and damaged again as characters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from json.encoder import encode_basestring, encode_basestring_ascii
from random import Random
from typing import Any

from tests.engine.odd_messages import (
    TRAFFIC,
    best_bid_ask,
    book,
    change_row,
    last_trade_price,
    long_book,
    price_change,
    rows,
)
from tests.engine.odd_values import (
    ANSWERS,
    EDGES,
    NAMES,
    NOISE,
    NOTHING,
    NULL,
    ODD,
    SCALARS,
    SNIPPETS,
    SPACES,
    WORDS,
    Object,
    Token,
)

# -------------------------------------------------------------------------------------------------- damage to values


def anything(rng: Random, levels: int = 3) -> Any:
    draw = rng.random()
    if draw < 0.7 or not levels:
        return rng.choice(SCALARS)
    if draw < 0.8:
        return [anything(rng, levels - 1) for _ in range(rng.randrange(4))]
    if draw < 0.9:
        return Object((rng.choice(NAMES), anything(rng, levels - 1)) for _ in range(rng.randrange(4)))
    if draw < 0.97:
        depth = rng.randrange(10, 19)
        opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
        return Token(opening * depth + rng.choice(("0", '"x"', "[]")) + closing * depth)
    unit, length = rng.choice((("x", 1), ("é", 2), ("\U0001f680", 4), ('"', 1), ("\0", 1), ("0", 1)))
    return unit * (4096 // length + rng.randrange(-1, 2))


def unknown(rng: Random) -> Object:
    return Object([("event_type", rng.choice(WORDS) or "auction"), (rng.choice(NAMES), anything(rng))])


def odd(rng: Random, name: str) -> Any:
    pool = ODD.get(name)
    if pool is None or rng.random() < 0.2:
        return anything(rng)
    return rng.choice(pool)


def leave_out(rng: Random, fields: Object) -> None:
    del fields[rng.randrange(len(fields))]


def rename(rng: Random, fields: Object) -> None:
    index = rng.randrange(len(fields))
    name, value = fields[index]
    fields[index] = (
        rng.choice((name.upper(), name + "s", name[:-1], " " + name, name + "\0", rng.choice(NAMES))),
        value,
    )


def repeat(rng: Random, fields: Object) -> None:
    name, value = rng.choice(fields)
    fields.insert(rng.randrange(len(fields) + 1), (name, value if rng.random() < 0.3 else odd(rng, name)))


def replace(rng: Random, fields: Object) -> None:
    index = rng.randrange(len(fields))
    name = fields[index][0]
    fields[index] = (name, odd(rng, name))


def empty(rng: Random, fields: Object) -> None:
    index = rng.randrange(len(fields))
    fields[index] = (fields[index][0], rng.choice(NOTHING))


def number(rng: Random, fields: Object) -> None:
    for index, (name, value) in enumerate(fields):
        if isinstance(value, str) and value[:1].isdigit() and len(value) < 20 and rng.random() < 0.7:
            fields[index] = (name, Token(value))


def exchange(rng: Random, fields: Object) -> None:
    first, second = rng.randrange(len(fields)), rng.randrange(len(fields))
    (one, this), (other, that) = fields[first], fields[second]
    fields[first], fields[second] = (one, that), (other, this)


def reorder(rng: Random, fields: Object) -> None:
    rng.shuffle(fields)


def add(rng: Random, fields: Object) -> None:
    name = rng.choice(NAMES)
    fields.insert(rng.randrange(len(fields) + 1), (name, odd(rng, name)))


def change_rows(rng: Random, fields: Object) -> None:
    for index, (name, value) in enumerate(fields):
        if type(value) is list:
            members = list(value)
            for _ in range(rng.randrange(1, 3)):
                some = rng.choice((anything(rng), *members[:3], NULL, Object(), "0.5", *rows(rng, 2)))
                members.insert(rng.randrange(len(members) + 1), some)
            fields[index] = (name, rng.choice((members, members[::-1], [members], [], members * 2)))


def misprice(rng: Random, fields: Object) -> None:
    """One level among all becomes an odd one: of no price, of no size, or of one that nobody writes so."""
    levels = [row for _, value in fields if type(value) is list for row in value if isinstance(row, Object)]
    row = rng.choice(levels or [fields])
    places = [place for place, (name, _) in enumerate(row) if name in {"price", "size", "best_bid", "best_ask"}]
    if places:
        place = rng.choice(places)
        name = row[place][0]
        row[place] = (name, rng.choice(EDGES) if rng.random() < 0.5 else odd(rng, name))


Damage = Callable[[Random, Object], None]
DAMAGES: tuple[Damage, ...] = (
    *(leave_out, rename, repeat, repeat, replace, replace, replace, replace, empty, number, exchange),
    *(reorder, reorder, add, add, change_rows, misprice, misprice, misprice, misprice),
)


def inner(rng: Random, message: Object) -> Object:
    """The message, or one of the objects inside."""
    objects = [message]
    for _, value in message:
        if isinstance(value, Object):
            objects.append(value)
        elif type(value) is list:
            objects += [row for row in value if isinstance(row, Object)]
    return rng.choice(objects) if rng.random() < 0.6 else message


def damaged(rng: Random, message: Object) -> Object:
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        fields = inner(rng, message)
        if fields:
            rng.choice(DAMAGES)(rng, fields)
    return message


# ------------------------------------------------------------------------------------------------------------- spelling


def escaping(rng: Random) -> Callable[[str], str]:
    def quoted(text: str) -> str:
        if rng.random() < 0.7 or not text or len(text) > 100:
            return encode_basestring_ascii(text)
        at = rng.randrange(len(text))
        code = f"\\u{ord(text[at]):04x}" if ord(text[at]) < 0x10000 else encode_basestring_ascii(text[at])[1:-1]
        if rng.random() < 0.5:
            code = code.replace("a", "A").replace("e", "E").replace("f", "F")
        return encode_basestring_ascii(text[:at])[:-1] + code + encode_basestring_ascii(text[at + 1 :])[1:]

    return quoted


def spelled(value: Any, comma: str, colon: str, quoted: Callable[[str], str]) -> str:
    if isinstance(value, Token):
        return value
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Object):
        fields = [quoted(name) + colon + spelled(member, comma, colon, quoted) for name, member in value]
        return "{" + comma.join(fields) + "}"
    return "[" + comma.join([spelled(member, comma, colon, quoted) for member in value]) + "]"


def spell(rng: Random, value: Any) -> str:
    draw = rng.random()
    if draw < 0.7:
        return spelled(value, ",", ":", encode_basestring_ascii)
    if draw < 0.8:
        return spelled(value, ", ", ": ", encode_basestring_ascii)
    if draw < 0.87:
        return spelled(value, ",", ":", encode_basestring)
    if draw < 0.94:
        return spelled(value, ",", ":", escaping(rng))
    before, after = rng.choice(SPACES), rng.choice(SPACES)
    return before + spelled(value, after + "," + before, before + ":" + after, encode_basestring_ascii) + after


# ---------------------------------------------------------------------------------------------- damage to characters


def scratched(rng: Random, text: str) -> str:
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.choice((1, 1, 1, 2, 5, 20)))
        kind = rng.randrange(9)
        if kind < 2:
            text = text[:at] + rng.choice(SNIPPETS) + text[at:]
        elif kind == 2:
            text = text[:at] + rng.choice(SNIPPETS) + text[end:]
        elif kind == 3:
            text = text[:at] + text[end:]
        elif kind == 4:
            text = text[:at] if rng.random() < 0.5 else text[at:]
        elif kind == 5:
            text = text[:at] + text[at:end] * 2 + text[end:]
        elif kind == 6:
            text = text[:at] + text[at:end].swapcase() + text[end:]
        elif kind == 7 and at < len(text):
            text = text[:at] + f"\\u{ord(text[at]) % 0x10000:04x}" + text[at + 1 :]
        elif at < len(text):
            text = text[:at] + chr(max(0, ord(text[at]) + rng.choice((-1, 1)))) + text[at + 1 :]
    return text


# ---------------------------------------------------------------------------------------------------------- whole texts


def bare(rng: Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(NOISE)
    answer = rng.choice(ANSWERS)
    answer = rng.choice((answer, answer.lower(), answer.title(), answer.swapcase(), answer[:-1], answer + "."))
    space = rng.choice(
        (*SPACES, "\u00a0", "\u2003", "\x1c", "\0", " " * 50, " " * (64 - len(answer)), " " * (65 - len(answer)))
    )
    return rng.choice((space + answer, answer + space, answer))


def filled(rng: Random, unit: str, limit: int) -> str:
    return unit * (limit // len(unit.encode()) + rng.randrange(-1, 2))


def huge(rng: Random) -> str:
    text = rng.choice(("[]", '{"event_type":"x"}'))
    unit = rng.choice((" ", "\n", "é", "\u20ac"))
    return text + unit * ((2**20 - len(text)) // len(unit.encode()) + rng.randrange(3))


def crowded(rng: Random) -> str:
    """An array or object of about ten thousand members."""
    count = rng.randrange(9_999, 10_003)
    many = ",".join([rng.choice(("0", '""', "[]"))] * count)
    frames: tuple[Callable[[], str], ...] = (
        lambda: f'{{"event_type":"x","a":[{many}]}}',
        lambda: f"[{many}]",
        lambda: f"[[{','.join(['5'] * 5000)}],[{','.join(['{}'] * (count - 5000))}]]",
        lambda: '{"event_type":"x",' + ",".join([f'"{index}":0' for index in range(count - 1)]) + "}",
        lambda: '{"event_type":"x",' + ",".join(['"a":0'] * count) + "}",
        lambda: spell(rng, with_rows(book(rng), rng.choice(("bids", "asks")), [LEVEL] * count)),
        lambda: spell(rng, with_rows(price_change(rng), "price_changes", [Token("0")] * count)),
    )
    return rng.choice(frames)()


LEVEL = Token('{"price":"0.5","size":"1"}')


def with_rows(message: Object, name: str, members: list[Any]) -> Object:
    return Object((field, members if field == name else value) for field, value in message)


def commas(rng: Random) -> str:
    count = rng.randrange(99_999, 100_003)
    if rng.random() < 0.3:
        return '{"event_type":"x","a":[' + ",".join(["0"] * (count - 1)) + "]}"
    # Members of thousands of commas within texts, so that nothing but their sum is too long.
    full, rest = divmod(count - 1, 4001)
    texts = ['"' + "," * 4000 + '"'] * full + ['"' + "," * rest + '"']
    return '{"event_type":"x","a":[' + ",".join(texts) + "]}"


def bottomless(rng: Random) -> str:
    opening = rng.choice(("[", '{"a":', '{"event_type":"book","bids":[', '[{"a":'))
    return opening * (100_000 // len(opening))


def long_integer(rng: Random) -> str:
    digits = rng.choice(("", "-")) + "9" * rng.choice((19, 20, 21, 400, 4298, 4299, 4300, 4301))
    return '{"event_type":"x","a":' + digits + rng.choice(("", "", ".5", "e0", "e-4300")) + "}"


def long_texts(rng: Random) -> str:
    """Texts at the limits of either kind: where prose may stand, where it may not, and inside it."""
    limit = rng.choice((4096, 4096, 65_536))
    text = filled(rng, rng.choice(("x", "é", '"', "\U0001f680", ",", " ")), limit)
    message = rng.choice(TRAFFIC)(rng)
    kind = rng.randrange(4)
    if kind == 0:
        message.append(
            (rng.choice(("description", "question", "title", "event_message", "slug", "hash", "size")), text)
        )
    elif kind == 1:
        message.append(("event_message", Object([(rng.choice(("title", "slug", "other")), [text])])))
    elif kind == 2:
        message.append((text, "key"))
    else:
        fields = inner(rng, message)
        index = rng.randrange(len(fields))
        fields[index] = (fields[index][0], text)
        if rng.random() < 0.5:
            # Unescaped, a text of few characters may have many bytes.
            return spelled(message, ",", ":", encode_basestring)
    return spell(rng, message)


def wide_text(rng: Random) -> str:
    """A flawless message but for a text of few characters and many bytes, or just not too many."""
    message = rng.choice((book, book, price_change, last_trade_price, best_bid_ask))(rng)
    fields = message[1][1][0] if message[1][0] == "price_changes" and message[1][1] else message
    places = [place for place, (name, _) in enumerate(fields) if name in {"hash", "transaction_hash", "spread"}]
    for place in places:
        fields[place] = (fields[place][0], filled(rng, rng.choice(("é", "\u20ac", "\U0001f680")), 4096))
    return spelled(message, ",", ":", encode_basestring)


def long_frame(rng: Random) -> str:
    """A frame far longer than a text may be, flawless or with one flaw somewhere inside."""
    if rng.random() < 0.7:
        message = long_book(rng, rng.choice((60, 150, 400)))
    else:
        message = price_change(rng)
        message[1] = ("price_changes", [change_row(rng) for _ in range(rng.randrange(15, 60))])
    draw = rng.random()
    if draw < 0.4:
        message = damaged(rng, message)
    elif draw < 0.6:
        fields = inner(rng, message)
        text = rng.choice(("1.", "0.", "1", "x")) + "0" * (4096 + rng.randrange(-3, 3))
        fields[rng.randrange(len(fields))] = (rng.choice(("size", "price", "hash", "best_bid")), text)
    text = spell(rng, message)
    if draw > 0.9:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice((" " * 5000, "0" * 5000, '"', "\\", "é")) + text[at:]
    return text


RARE: tuple[Callable[[Random], str], ...] = (
    *(huge, huge, crowded, crowded, commas, bottomless, long_integer, long_integer, long_integer),
    *(long_texts, long_texts, long_texts, wide_text, wide_text),
    *(long_frame, long_frame, long_frame, long_frame, long_frame, long_frame),
)


def messages(rng: Random, flawed: float) -> Sequence[Object]:
    count = 1 if rng.random() < 0.85 else rng.randrange(5)
    drawn = [rng.choice(TRAFFIC)(rng) if rng.random() < 0.94 else unknown(rng) for _ in range(count)]
    return [damaged(rng, message) if rng.random() < flawed else message for message in drawn]


def framed(rng: Random, values: Sequence[Any]) -> Any:
    """The messages alone, in an array, or somewhere in arrays of arrays."""
    draw = rng.random()
    if len(values) == 1 and draw < 0.7:
        return values[0]
    frame = list(values)
    if draw > 0.95:
        frame.insert(rng.randrange(len(frame) + 1), anything(rng))
    if draw > 0.97:
        for _ in range(rng.choice((1, 2, 12, 13, 14, 15, 16))):
            frame = [frame]
    return frame


def odd_text(seed: int, number: int) -> str:
    """Text ``number`` of the run called ``seed``."""
    rng = Random((seed << 40) + number)
    draw = rng.random()
    if draw < 0.006:
        return rng.choice(RARE)(rng)
    if draw < 0.03:
        return bare(rng)
    text = spell(rng, framed(rng, messages(rng, 0.0 if draw < 0.5 else 0.75)))
    return scratched(rng, text) if draw > 0.85 else text
