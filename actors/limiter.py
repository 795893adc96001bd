"""The pace of connects, shared by every connection loop of the process."""

import math

import trio

from actors.clock import NS_PER_S, Clock


class ConnectLimiter:
    """A token bucket with a strict queue: whoever asked first passes first.

    Kept as one number, the moment at which the bucket would be full again (the "theoretical arrival time" of the
    generic cell rate algorithm, ITU-T I.371): no refill task, and a cancelled wait has taken nothing.
    """

    def __init__(self, clock: Clock, *, rate_per_s: float = 5.0, burst: int = 3) -> None:
        """Let `burst` connects pass at once and `rate_per_s` per second in the long run.

        Raises ValueError unless the rate is finite and positive and the burst at least 1.
        """
        if not 0.0 < rate_per_s < math.inf or burst < 1:
            raise ValueError(f"no such bucket: {rate_per_s} connects per second, {burst} at once")
        self._clock = clock
        self._interval_ns = round(NS_PER_S / rate_per_s)
        self._burst_ns = (burst - 1) * self._interval_ns
        self._full_at_ns = clock.now_ns()
        self._turn = trio.StrictFIFOLock()

    async def acquire(self) -> None:
        """Wait for a turn to connect. A checkpoint; when cancelled, the turn goes to the next in line."""
        async with self._turn:
            # A pause may be declared or prolonged while the head of the line sleeps.
            while self._clock.now_ns() < self._passes_at_ns():
                await self._clock.sleep_until(self._passes_at_ns())
            self._full_at_ns = max(self._full_at_ns, self._clock.now_ns()) + self._interval_ns

    def pause(self, seconds: float) -> None:
        """Let nobody pass for that long (the Retry-After of a 429), then one at a time: the burst is spent.

        Never shortens a pause. Raises ValueError unless `seconds` is finite and at least 0.
        """
        if not 0.0 <= seconds < math.inf:
            raise ValueError(f"cannot pause for {seconds} s")
        until_ns = self._clock.now_ns() + round(seconds * NS_PER_S)
        self._full_at_ns = max(self._full_at_ns, until_ns + self._burst_ns)

    def _passes_at_ns(self) -> int:
        return self._full_at_ns - self._burst_ns
