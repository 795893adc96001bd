import json
import signal
import tomllib
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
import trio
from structlog.testing import capture_logs

from actors.captures import find_captures
from actors.cli import main
from actors.cli.ending import FIRST_S
from actors.cli.failures import BadUsage, CommandFailed, Exit
from actors.cli.serve import Recordings, Tapes, _announce, serve
from actors.config import load_settings
from actors.tapes import import_capture
from actors.venue import VenueOptions
from engine.records import Frame
from engine.series import slot_of_slug
from tests.actors.tapes.tape_texts import at, record
from tests.actors.venue.recording import LATER, TOKENS, write_recording
from tests.actors.venue.scenery import SLUG

URLS = {"websocket_url": "ws://127.0.0.1:1/ws/market", "gamma_url": "http://127.0.0.1:1", "clob_url": "http://[::1]:1"}


class GaveUp(list[float]):
    def arm(self, seconds: float, code: Exit) -> None:
        self.append(seconds)


class Announced(dict[str, str]):
    """Waits for the announcement."""

    def __init__(self) -> None:
        self.made = trio.Event()

    def make(self, urls: Mapping[str, str]) -> None:
        self.update(urls)
        self.made.set()


@pytest.mark.socket
@pytest.mark.parametrize("recorded", [False, True])
async def test_it_listens_and_ends_on_a_signal(recorded: bool, tmp_path: Path) -> None:
    gave_up, announced, codes = GaveUp(), Announced(), []
    write_recording(tmp_path)
    recordings = Recordings(tmp_path, 10.0) if recorded else None

    async def serving() -> None:
        options = VenueOptions(seed=3)
        codes.append(
            await serve(options, "127.0.0.1", 0, announce=announced.make, give_up=gave_up.arm, recordings=recordings)
        )

    with trio.fail_after(5.0):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serving)
            await announced.made.wait()
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"{announced['gamma_url']}/markets", params={"slug": SLUG})
            assert (answer.json()[0]["conditionId"] == "0x" + "1c" * 32) is recorded
            signal.raise_signal(signal.SIGTERM)
    assert codes == [Exit.DONE]
    assert gave_up == [FIRST_S]
    assert announced["websocket_url"].startswith("ws://127.0.0.1:")


def test_the_announcement_can_be_pasted_and_parsed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _announce(URLS)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == URLS
    assert captured.out.count("\n") == 1
    snippet = tmp_path / "venue.toml"
    snippet.write_text(captured.err[captured.err.index("[venue]") :], encoding="utf-8")
    assert tomllib.loads(snippet.read_text(encoding="utf-8"))["venue"] == URLS
    assert load_settings([snippet]).settings.venue.clob_url == URLS["clob_url"]


def test_recordings_begin_with_the_slot_of_now_or_sped_up_right_now(tmp_path: Path) -> None:
    write_recording(tmp_path)
    options = VenueOptions()
    now_ns = slot_of_slug("btc-updown-5m-1800000000").start_ns + 100 * 10**9
    (first,) = (
        listing
        for listing in Recordings(tmp_path).source(options, now_ns).listed(now_ns)
        if listing.up_asset_id == TOKENS[SLUG]
    )
    assert (first.slug, first.start_ns) == ("btc-updown-5m-1800000000", now_ns - 100 * 10**9)
    (first,) = (
        listing
        for listing in Recordings(tmp_path, 2.0).source(options, now_ns).listed(now_ns)
        if listing.up_asset_id == TOKENS[SLUG]
    )
    assert (first.slug, first.start_ns) == (SLUG, now_ns)


def test_an_impossible_speed_is_bad_usage(tmp_path: Path) -> None:
    write_recording(tmp_path)
    with pytest.raises(BadUsage, match="speed out of range"):
        Recordings(tmp_path, 1e9).source(VenueOptions(), 0)


@pytest.mark.socket
async def test_a_port_that_is_taken_is_a_failure() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    with pytest.RaisesGroup(pytest.RaisesExc(CommandFailed, match=f"cannot listen on 127.0.0.1:{port}: .*in use")):
        await serve(VenueOptions(), "127.0.0.1", port, announce=Announced().make, give_up=GaveUp().arm)
    for listener in listeners:
        await listener.aclose()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rate", "1e9"], "--rate: 'message_rate' must be <= 1000.0"),
        (["--rate", "0"], "not a number above 0: 0"),
        (["--speed", "fast"], "invalid positive_number value: 'fast'"),
        (["--port", "http"], "invalid port_number value: 'http'"),
        (["--port", "99999"], "not a port from 0 to 65535: 99999"),
    ],
)
def test_what_cannot_be_served_is_bad_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_recordings_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--captures", str(tmp_path)]) == 1
    assert "no recordings" in capsys.readouterr().err


@pytest.mark.socket
async def test_tapes_are_played_to_any_bot(tmp_path: Path) -> None:
    write_recording(tmp_path)
    for capture in find_captures(tmp_path):
        import_capture(capture, tmp_path / "tapes")
    gave_up, announced = GaveUp(), Announced()

    async def serving() -> None:
        tapes = Tapes([tmp_path / "tapes"], 10.0)
        options = VenueOptions(seed=3)
        await serve(options, "127.0.0.1", 0, announce=announced.make, give_up=gave_up.arm, recordings=tapes)

    with trio.fail_after(5.0), capture_logs() as logged:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serving)
            await announced.made.wait()
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"{announced['gamma_url']}/markets", params={"slug": SLUG})
                book = await client.get(f"{announced['clob_url']}/book", params={"token_id": TOKENS[SLUG]})
            assert answer.json()[0]["conditionId"] == "0x" + "1c" * 32
            assert len(book.json()["bids"]) == 2
            signal.raise_signal(signal.SIGTERM)
    played = [(entry["slug"], entry["begins_in_s"]) for entry in logged if entry["event"] == "venue.plays"]
    assert played == [(SLUG, 0), (LATER, 30)]


def test_tapes_that_cannot_be_played_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--tape", str(tmp_path)]) == 1
    assert "no tapes" in capsys.readouterr().err
    assert main(["serve", "--tape", str(tmp_path), "--captures", str(tmp_path)]) == 2
    write_recording(tmp_path)
    assert main(["serve", "--tape", str(tmp_path), "--speed", "1e9"]) == 2
    assert "--tape: speed out of range" in capsys.readouterr().err


def test_a_tape_without_a_market_is_left_out_and_said(tmp_path: Path) -> None:
    write_recording(tmp_path)
    record(tmp_path, [Frame(at_ns=at(1), text="PONG")])
    with capture_logs() as logged:
        source = Tapes([tmp_path]).source(VenueOptions(), at(100))
    assert len(source.listed(2**62)) == 2
    assert [entry["event"] for entry in logged] == ["venue.tape_left_out", "venue.plays", "venue.plays"]
