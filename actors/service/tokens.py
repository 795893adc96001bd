"""From token ids to the market they belong to."""

from __future__ import annotations

from math import inf
from typing import Final

import trio

from actors.rest import RestFault
from actors.system import Engine
from engine.settings import FollowSettings

UNKNOWN: Final = "unknown_market"


class TokenLookup:
    """Finds the market of some token ids, asking the venue again no sooner than ``discovery.retry_s`` later."""

    def __init__(self, token_ids: tuple[str, ...]) -> None:
        self._token_ids = token_ids
        self._answer: FollowSettings | str = "no_metadata"
        self._asked: float | None = None
        self._not_before = -inf

    async def find(self, engine: Engine) -> FollowSettings | str:
        """The market, or the reason word why it is not known; ``unknown_market`` when the venue has none such."""
        now = trio.current_time()
        if self._asked is None:
            self._asked = now
        if isinstance(self._answer, str) and now >= self._not_before:
            self._not_before = now + engine.settings.discovery.retry_s
            self._answer = await self._ask(engine)
        return self._answer

    def asked_for_s(self) -> float:
        """How long the venue has been asked, in seconds."""
        return 0.0 if self._asked is None else trio.current_time() - self._asked

    async def _ask(self, engine: Engine) -> FollowSettings | str:
        try:
            market = await engine.market_of_asset(self._token_ids[0])
        except RestFault as fault:
            return f"metadata_{fault.kind}"
        if market is None or not set(self._token_ids) <= set(market.asset_ids):
            return UNKNOWN
        return FollowSettings(condition_id=market.condition_id)
