"""This engine's pipeline without any task or socket, as the rows of the offline bench play it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from engine.markets import Market, Target
from engine.pipeline import MarketPipeline
from engine.presets import PRESETS
from engine.records import Connected, Frame, MarketUpdated
from engine.scoring import build_scorer
from engine.settings import ScoringSettings
from tests.bench.speed.stored import Stored, StoredLine, StoredMarket

BEFORE_NS: Final = 1_000_000_000
NO_DEADLINES_S: Final = 600.0
"""The longest cadence there is: what is measured scores when it is told to, not by the clock as well."""

Ask = Callable[[int], Any]


def opened(market: StoredMarket, opening: str, first_ns: int, *, preset: str = "seed") -> MarketPipeline:
    """A pipeline that is connected and has the market's first books, a second before its first message."""
    chosen = PRESETS[preset]
    pipeline = MarketPipeline(
        Target(key=market.condition_id, condition_id=market.condition_id),
        followed_ns=first_ns - BEFORE_NS,
        scoring=ScoringSettings(preset=preset, cadence_s=NO_DEADLINES_S),
        preset=chosen,
        scorer=build_scorer(chosen),
    )
    about = Market(
        condition_id=market.condition_id,
        up_asset_id=market.up_asset_id,
        down_asset_id=market.down_asset_id,
        tick=market.tick,
    )
    pipeline.receive(MarketUpdated(at_ns=first_ns - BEFORE_NS, market=about))
    pipeline.receive(Connected(at_ns=first_ns - BEFORE_NS, epoch=1))
    pipeline.receive(Frame(at_ns=first_ns - BEFORE_NS, text=opening))
    return pipeline


def all_opened(stored: Stored, *, preset: str = "seed") -> list[MarketPipeline]:
    """One for every market."""
    first_ns = stored.lines[0].at_ns
    return [
        opened(market, opening, first_ns, preset=preset)
        for market, opening in zip(stored.markets, stored.openings, strict=True)
    ]


def taking(pipeline: MarketPipeline) -> Callable[[int, Sequence[str]], Any]:
    """What takes messages as a socket brings them; revisions that have no such method take records."""
    frames: Callable[[int, Sequence[str]], Any] | None = getattr(pipeline, "frames", None)
    if frames is not None:
        return frames

    def one_by_one(at_ns: int, texts: Sequence[str]) -> None:
        for text in texts:
            pipeline.receive(Frame(at_ns=at_ns, text=text))

    return one_by_one


def asking(pipeline: MarketPipeline) -> Ask:
    """What tells the scores of an instant; revisions that have no such method make the whole signal."""
    return getattr(pipeline, "score", None) or pipeline.evaluate


class WakeUp(NamedTuple):
    """What a socket brought at once: of one market, at one time; ``is_trade`` if the last of it is a trade."""

    market: int
    at_ns: int
    texts: tuple[str, ...]
    is_trade: bool


def wake_ups(lines: Iterable[StoredLine]) -> list[WakeUp]:
    """Messages of one market that follow each other come at once, as late as the last of them.

    A trade is the last of its wake-up, so that the score can be asked for right after it.
    """
    found: list[WakeUp] = []
    texts: list[str] = []
    last: StoredLine | None = None
    for line in lines:
        if last is not None and (line.market != last.market or last.is_trade):
            found.append(WakeUp(last.market, last.at_ns, tuple(texts), last.is_trade))
            texts = []
        texts.append(line.text)
        last = line
    if last is not None:
        found.append(WakeUp(last.market, last.at_ns, tuple(texts), last.is_trade))
    return found


def play(pipelines: Sequence[MarketPipeline], turns: Iterable[WakeUp], asks: Sequence[Ask] | None) -> None:
    """Receive every message, and ask after each trade."""
    takes = [taking(pipeline) for pipeline in pipelines]
    if asks is None:
        for market, at_ns, texts, _ in turns:
            takes[market](at_ns, texts)
        return
    for market, at_ns, texts, is_trade in turns:
        takes[market](at_ns, texts)
        if is_trade:
            asks[market](at_ns)
