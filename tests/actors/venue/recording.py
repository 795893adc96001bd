"""A made-up recording of two windows, in the form in which real ones come."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.actors.venue.scenery import SLUG, START_S

LATER = f"btc-updown-5m-{START_S + 300}"
TOKENS = {SLUG: "7" * 76, LATER: "9" * 76}


def frame(slug: str, number: int, at_ms: int) -> str:
    """The whole book of the recorded token, ``number`` cents above one half."""
    bids = [{"price": f"{(40 + number) / 100:g}", "size": "12.5"}, {"price": f"{(50 + number) / 100:g}", "size": "7"}]
    asks = [{"price": f"{(60 + number) / 100:g}", "size": "3.25"}, {"price": f"{(52 + number) / 100:g}", "size": "9"}]
    market = "0x" + ("1c" if slug == SLUG else "2d") * 32
    book = {"market": market, "asset_id": TOKENS[slug], "timestamp": str(at_ms), "hash": "a1" * 20}
    body = {**book, "bids": bids, "asks": asks}
    if number == 0:
        body |= {"tick_size": "0.01", "last_trade_price": "0.310"}
    return json.dumps(body | {"event_type": "book"}, separators=(",", ":"))


def write_recording(folder: Path, messages: int = 30) -> dict[str, list[str]]:
    """Write two windows, one message a second from the start of each; returns the frames by slug."""
    written = {}
    rows = ["slug,condition_id,recorded_asset_id,window_start,window_end,messages,recorded_asset_won"]
    for won, (slug, token) in enumerate(TOKENS.items(), 0):
        start = int(slug.rpartition("-")[2])
        frames = [frame(slug, number, (start + number) * 1000 + 20) for number in range(messages)]
        lines = [json.dumps({"recv_ts": start + number, "raw": text}) for number, text in enumerate(frames)]
        with gzip.open(folder / f"{slug}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        rows.append(f"{slug},{json.loads(frames[0])['market']},{token},{start},{start + 300},{messages},{won}")
        written[slug] = frames
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return written
