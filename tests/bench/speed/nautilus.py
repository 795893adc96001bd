"""nautilus_trader's Polymarket adapter on the same messages: its decoding and its data client's own handler methods.

The methods are called on a stub, with a dictionary as its cache and a counter where it would hand data over; so neither
its message bus nor its data engine is charged. It builds general-purpose objects and a book for each token, and scores
nothing: the same input, another output. With ``--quotes`` it is subscribed to quote ticks as well.

Run by itself on any interpreter that has the package; nothing of this project is imported but the reader of a corpus.

    python tests/bench/speed/nautilus.py --corpus FILE
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.bench.speed.stored import Stored, StoredMarket, cpu_us, load

ADAPTER: Final = "nautilus_trader.adapters.polymarket"
UNKNOWN: Final = ('"event_type":"best_bid_ask"',)
"""Its adapter does not subscribe to these, so they are not played to it."""

HANDLERS: Final = (
    "_create_local_book",
    "_handle_book_snapshot",
    "_handle_deltas",
    "_handle_quote",
    "_handle_quotes",
    "_handle_raw_ws_message",
    "_handle_trade",
    "_handle_ws_message",
)


class _Anything(ModuleType):
    """Stands for a module of the client for orders, which the adapter imports and this bench never uses."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


def adapter(name: str) -> ModuleType:
    """A module of the adapter; ``ImportError`` when the package is not installed."""
    for missing in ("", ".client", ".clob_types", ".constants", ".exceptions"):
        sys.modules.setdefault("py_clob_client" + missing, _Anything("py_clob_client" + missing))
    return importlib.import_module(f"{ADAPTER}.{name}")


def instruments(markets: list[StoredMarket]) -> dict[Any, Any]:
    """The two instruments of every market, as its provider would have made them."""
    parsing, symbol = adapter("common.parsing"), adapter("common.symbol")
    found = {}
    for market in markets:
        about = {
            "condition_id": market.condition_id,
            "question": "Up or Down",
            "minimum_tick_size": f"{market.tick / 10_000:g}",
            "minimum_order_size": 5,
            "end_date_iso": "2030-01-01T00:00:00Z",
            "maker_base_fee": 0,
            "taker_base_fee": 0,
        }
        for token, outcome in ((market.up_asset_id, "Up"), (market.down_asset_id, "Down")):
            if token is not None:
                key = symbol.get_polymarket_instrument_id(market.condition_id, token)
                found[key] = parsing.parse_instrument(about, token, outcome, 0)
    return found


def client(markets: list[StoredMarket], *, quotes: bool) -> Any:
    """A data client without a connection, a bus and an engine; ``handled`` counts what it would hand over."""
    wire = adapter("data")
    component = importlib.import_module("nautilus_trader.common.component")
    codec = importlib.import_module("msgspec").json
    known = instruments(markets)

    class Client:
        def __init__(self) -> None:
            self.handled = 0
            self._cache = SimpleNamespace(instrument=known.get)
            self._clock = component.LiveClock()
            self._config = SimpleNamespace(compute_effective_deltas=False, drop_quotes_missing_side=True)
            self._decoder_market_msg = codec.Decoder(wire.MARKET_WS_MESSAGE)
            self._last_quotes: dict[Any, Any] = {}
            self._local_books: dict[Any, Any] = {}
            self._log = SimpleNamespace(exception=_failed, error=_failed, warning=_failed)

        def _handle_data(self, data: object) -> None:
            self.handled += 1

        def subscribed_quote_ticks(self) -> Any:
            return known if quotes else ()

        def subscribed_order_book_deltas(self) -> Any:
            return known

    for name in HANDLERS:
        setattr(Client, name, getattr(wire.PolymarketDataClient, name))
    return Client()


def _failed(*about: object) -> None:
    raise RuntimeError(f"the adapter refused a message: {about}")


def measure(stored: Stored, *, quotes: bool) -> float:
    """Microseconds of processor time a message."""
    raws = [text.encode() for _, _, text, _ in stored.lines if not any(word in text for word in UNKNOWN)]

    def prepared() -> Any:
        made = client(stored.markets, quotes=quotes)
        for opening in stored.openings:
            made._handle_raw_ws_message(opening.encode())
        return made

    def play(made: Any, texts: list[bytes]) -> None:
        handle = made._handle_raw_ws_message
        for raw in texts:
            handle(raw)

    play(prepared(), raws[: len(raws) // 10])
    made = prepared()
    gc.collect()
    figure = cpu_us(lambda: play(made, raws), len(raws))
    if made.handled < len(raws):
        raise RuntimeError(f"{made.handled} objects of {len(raws)} messages")
    return figure


def main() -> None:
    """Measure once; the last line of the output is JSON, empty when the package is missing."""
    parser = argparse.ArgumentParser(description="One row of the offline bench: nautilus_trader's handlers.")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--quotes", action="store_true")
    asked = parser.parse_args()
    try:
        adapter("data")
    except ImportError as error:
        sys.stdout.write(json.dumps({"missing": str(error)}) + "\n")
        return
    figure = measure(load(asked.corpus).first(asked.messages), quotes=asked.quotes)
    sys.stdout.write(json.dumps({"us": figure}) + "\n")


if __name__ == "__main__":
    main()
