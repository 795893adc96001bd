from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, memory_stream_pair

from actors.readable import PIECE_BYTES, as_readable


async def test_a_stream_that_only_receives_is_received_ahead() -> None:
    ours, theirs = memory_stream_pair()
    source = as_readable(ours)
    assert as_readable(source) is source
    assert source.receive_nowait() is None
    await theirs.send_all(b"abc")
    with assert_checkpoints():
        await source.readable()
    assert source.receive_nowait(2) == b"ab"
    with assert_checkpoints():
        await source.readable()
    assert source.receive_nowait() == b"c"
    assert source.receive_nowait() is None


async def test_pieces_are_bounded_and_the_end_is_empty() -> None:
    ours, theirs = memory_stream_pair()
    source = as_readable(ours)
    said = bytes(2 * PIECE_BYTES + 1)
    await theirs.send_all(said)
    await theirs.aclose()
    pieces = [await source.receive_some() for _ in range(5)]
    assert list(map(len, pieces)) == [PIECE_BYTES, PIECE_BYTES, 1, 0, 0]
    assert b"".join(pieces) == said


async def test_waiting_can_be_cancelled_and_loses_nothing(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    source = as_readable(ours)
    with trio.move_on_after(1) as scope:
        await source.readable()
    assert scope.cancelled_caught
    await theirs.send_all(b"here")
    await source.readable()
    with trio.CancelScope() as scope:
        scope.cancel()
        await source.readable()
    assert await source.receive_some() == b"here"


async def test_closing_closes_the_stream_and_tells_whoever_waits() -> None:
    ours, theirs = memory_stream_pair()
    source = as_readable(ours)
    await source.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await source.readable()
    with pytest.raises(trio.BrokenResourceError):
        await theirs.send_all(b"x")
