"""The terminal a process was started on, and whether it is still there.

SIGHUP has two meanings. A terminal that closes sends it to everything that runs on it, and that is the end. Sent to a
daemon, or by hand, it says that the configuration is to be read again. Only a look at the terminal can tell them apart.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import Final

from attrs import frozen

SETTLE_S: Final = 0.1
"""A terminal may go a moment after its SIGHUP: some terminals signal first, and a dying shell does, too."""

STANDARD: Final = (0, 1, 2)


@frozen(kw_only=True)
class Terminal:
    """Those descriptors that were a terminal at the start; ``controlling``: it was the one of this session."""

    descriptors: tuple[int, ...] = ()
    controlling: bool = False

    @classmethod
    def of_process(cls, descriptors: Iterable[int] = STANDARD) -> Terminal:
        """The terminal of stdin, stdout and stderr; none for a process that was told to ignore hang-ups (``nohup``)."""
        if not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            return cls()
        found = tuple(descriptor for descriptor in descriptors if os.isatty(descriptor))
        return cls(descriptors=found, controlling=any(map(_controls, found)))

    def is_gone(self) -> bool:
        """Whether there was one and none of the descriptors reaches it any more."""
        return bool(self.descriptors) and not any(map(_controls if self.controlling else os.isatty, self.descriptors))


def _controls(descriptor: int) -> bool:
    """Whether this is the terminal of our session: not when it has hung up, nor when the session has lost it."""
    try:
        os.tcgetpgrp(descriptor)
    except OSError:
        return False
    return True
