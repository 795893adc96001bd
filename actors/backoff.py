"""How long a reconnect loop waits: full jitter over a doubling span, and the patience each kind of fault calls for."""

import random
from typing import Final

from actors.faults import BACKOFF_POLICY, ORDINARY, RETRY_AFTER_MAX_S, FeedFault, Policy

_DOUBLINGS: Final = 64  # beyond any cap over any base, and far from the largest float


class Backoff:
    """The waits of one connection loop; unlimited attempts.

    The n-th fault in a row waits `floor + U(0, min(cap, base * 2**n))` seconds. A peer that says when to come again
    (Retry-After) is taken at its word: that is the floor, with the span of an ordinary fault. Else the floor is the
    kind's minimum. Full jitter: Brooker, "Exponential Backoff And Jitter" (AWS, 2015).
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        base_s: float = 0.5,
        cap_s: float = 30.0,
        reset_after_s: float = 30.0,
    ) -> None:
        """`base_s` and `cap_s` are for ordinary kinds; those with a policy of their own follow it."""
        self._rng = rng
        self._ordinary = Policy(base_s=base_s, cap_s=cap_s)
        self._reset_after_s = reset_after_s
        self._attempt = 0

    def next_delay_s(self, fault: FeedFault) -> float:
        """Seconds to wait before the next attempt; counts `fault` as one more in a row.

        Never above the larger of the kind's cap and 900, never below the peer's Retry-After (within those 900).
        """
        stated_s = min(max(fault.retry_after or 0.0, 0.0), RETRY_AFTER_MAX_S)
        policy = BACKOFF_POLICY[fault.kind]
        if policy is ORDINARY or stated_s:
            policy = self._ordinary
        span = min(policy.cap_s, policy.base_s * 2.0**self._attempt)
        self._attempt = min(self._attempt + 1, _DOUBLINGS)
        floor = max(policy.min_s, stated_s)
        return min(floor + self._rng.uniform(0.0, span), max(policy.cap_s, RETRY_AFTER_MAX_S))

    def live(self, seconds: float) -> None:
        """Report a session that delivered data for `seconds`; only a long one makes the next waits short again.

        Resetting on connect would turn a peer that accepts and then freezes into a hot loop.
        """
        if seconds >= self._reset_after_s:
            self._attempt = 0
