from __future__ import annotations

import h11
import pytest

from actors.faults import FaultKind
from actors.transport import CLOSE_KINDS, fault_of_close, fault_of_error


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1005, 1006, 1007, 1009, 1012, 4999])
def test_close_codes_stay_on_their_faults(code: int) -> None:
    fault = fault_of_close(code, "be\x1bcause")
    assert (fault.kind, fault.close_code) == (CLOSE_KINDS.get(code, FaultKind.CLOSED), code)
    assert fault.detail == "be\\x1bcause"


@pytest.mark.parametrize(("live", "kind"), [(True, FaultKind.CLOSED), (False, FaultKind.HANDSHAKE)])
def test_an_error_is_told_by_where_it_began(*, live: bool, kind: FaultKind) -> None:
    error = h11.LocalProtocolError("cannot answer that")
    error.__context__ = h11.RemoteProtocolError("bad reply")
    fault = fault_of_error(error, live=live)
    assert fault.__cause__ is error
    assert (fault.kind, fault.detail) == (kind, "RemoteProtocolError: bad reply")


def test_an_error_is_told_by_its_cause() -> None:
    error = OSError("late")
    error.__cause__ = TimeoutError()
    assert fault_of_error(error, live=True).detail == "TimeoutError: "
