"""``updown replay``: the tally, the bytes, and what does not add up."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from attrs import evolve

from actors.captures import find_captures
from actors.cli import main
from actors.cli.replay import CUT, NO_TRADES
from actors.tapes import import_capture
from engine.records import Connected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.series import slot_of_slug
from tests.actors.tapes.tape_texts import following
from tests.actors.tapes.tape_texts import record as put_on_tape
from tests.engine.wire_texts import CONDITION_ID, MARKET, SLUG, START_S, book, trade

RISING = [book(((f"0.{bid}", "10"),), ((f"0.{bid + 2}", "10"),)) for bid in range(50, 90)]


def record(folder: Path, texts: list[str], *, manifest: str | None = None, step_s: float = 1.0) -> Path:
    lines = [json.dumps({"recv_ts": START_S + n * step_s, "raw": text}) for n, text in enumerate(texts)]
    (folder / f"{SLUG}.jsonl.gz").write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    if manifest is not None:
        (folder / "manifest.csv").write_text(f"slug,messages,recorded_asset_won\n{SLUG},{manifest}\n")
    return folder


def test_the_tally_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(record(tmp_path, RISING, manifest="40,1")), "-o", "table"]) == 0
    out = capsys.readouterr().out
    assert f"{SLUG}  40" in out
    assert "1 markets, 40 messages, 7 signals; the final mid agrees with the outcome in 1 of 1" in out
    assert NO_TRADES in out


def test_json_has_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, [*RISING[:10], trade("0.55"), *RISING[10:20]])
    assert main(["replay", str(tmp_path), "-o", "json"]) == 0
    conclusion = json.loads(capsys.readouterr().out)
    [market] = conclusion["markets"]
    assert (market["messages"], market["trades"], market["final_mid"]) == (21, 1, 0.69)
    assert (market["complete"], market["agrees"], conclusion["note"], conclusion["failures"]) == (None, None, None, [])


def test_json_lines_are_the_signals_and_the_same_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, RISING)
    outputs = []
    for _ in range(2):
        assert main(["replay", str(tmp_path), "-o", "jsonl"]) == 0
        outputs.append(capsys.readouterr())
    assert outputs[0] == outputs[1]
    signals = [json.loads(line) for line in outputs[0].out.splitlines()]
    assert [it["event_type"] for it in signals] == ["market_signal", "aggregate_signal"] * 7
    assert {it["condition_id"] for it in signals if it["event_type"] == "market_signal"} == {CONDITION_ID}
    assert "1 markets" in outputs[0].err


@pytest.mark.parametrize(
    ("manifest", "texts", "complaint"),
    [
        ("41,1", RISING, "40 messages, which is not what the manifest says"),
        ("40,0", RISING, "on the side that lost"),
        ("41,1", [*RISING, *[book((("0.9", "1"),), (("0.8", "1"),))] * 6], "left crossed"),
    ],
)
def test_what_does_not_add_up_is_named_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: str, texts: list[str], complaint: str
) -> None:
    assert main(["replay", str(record(tmp_path, texts, manifest=manifest)), "-o", "table"]) == 1
    assert complaint in capsys.readouterr().out


def test_settings_apply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, RISING)
    words = ["--set", "scoring.cadence_s=10", "--set", "scoring.preset=corrected"]
    assert main(["replay", str(tmp_path), "-o", "jsonl", *words]) == 0
    signals = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    markets = [it for it in signals if it["event_type"] == "market_signal"]
    assert len(markets) == 3
    assert {it["preset"]["name"] for it in markets} == {"corrected"}
    assert markets[-1]["components"]["momentum"] == 1.0


@pytest.mark.socket
def test_a_pace_changes_no_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, RISING)
    assert main(["replay", str(tmp_path), "-o", "jsonl"]) == 0
    fast = capsys.readouterr().out
    assert main(["replay", str(tmp_path), "-o", "jsonl", "--speed", "300"]) == 0
    assert capsys.readouterr().out == fast


@pytest.mark.parametrize("speed", ["-1", "inf", "fast"])
def test_a_speed_that_is_none_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str], speed: str) -> None:
    assert main(["replay", str(tmp_path), f"--speed={speed}"]) == 2


def test_a_torn_recording_fails_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record(tmp_path, RISING) / f"{SLUG}.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-8])
    assert main(["replay", str(path), "-o", "json"]) == 1
    conclusion = json.loads(capsys.readouterr().out)
    assert [":41: the file is torn here" in complaint for complaint in conclusion["failures"]] == [True]
    assert (conclusion["markets"][0]["messages"], conclusion["markets"][0]["complete"]) == (40, False)


def test_what_cannot_be_read_stops_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, RISING)
    assert main(["replay", str(tmp_path), "-o", "jsonl"]) == 0
    alone = capsys.readouterr().out
    later = [f"btc-updown-5m-{START_S + 300 * n}" for n in (1, 2, 3)]
    line = json.dumps({"recv_ts": START_S + 900, "raw": RISING[0]})
    for slug, text in zip(later, [f"{line}\n{{}}\n", "PONG\n", ""], strict=True):
        (tmp_path / f"{slug}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / f"{later[2]}.jsonl.gz").write_text("not compressed")
    (tmp_path / "notes.jsonl.gz").write_bytes(gzip.compress(f"{line}\n".encode()))
    assert main(["replay", str(tmp_path), "-o", "jsonl"]) == 1
    told = capsys.readouterr()
    assert told.out.startswith(alone)
    assert "5 markets, 41 messages" in told.err
    assert "1 (incomplete)" in told.err
    complaints = [text.rpartition("/")[2] for text in told.err.splitlines() if text.startswith(str(tmp_path))]
    assert [text.partition(": ")[0] for text in complaints] == [
        f"{later[0]}.jsonl.gz:2",
        f"{later[1]}.jsonl.gz:1",
        f"{later[2]}.jsonl.gz:1",
        "notes.jsonl.gz",
    ]


def test_a_recording_under_the_name_of_another_market_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, RISING)
    other = "0x" + "0" * 64
    (tmp_path / "manifest.csv").write_text(
        f"slug,condition_id,messages,recorded_asset_won\n{SLUG},{other},40,1\n", encoding="utf-8"
    )
    assert main(["replay", str(tmp_path), "-o", "table"]) == 1
    assert f"{SLUG}.jsonl.gz:1: of {CONDITION_ID}, but manifest.csv says {other}" in capsys.readouterr().out


def test_a_path_that_is_no_recording_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, RISING, manifest="40,1")
    assert main(["replay", str(tmp_path / "manifest.csv")]) == 1
    assert "manifest.csv: not a recording" in capsys.readouterr().err


def test_progress_is_shown_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["replay", str(record(tmp_path, RISING, manifest="40,1")), "-o", "table"]) == 0
    assert "replay" in terminal.getvalue()


@pytest.mark.slow
def test_the_recorded_markets_agree_with_their_manifest(captures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(captures), "-o", "json"]) == 0
    conclusion = json.loads(capsys.readouterr().out)
    markets = conclusion["markets"]
    assert all(market["complete"] and market["agrees"] and not market["left_crossed"] for market in markets)
    assert len(markets) == 24
    assert conclusion["note"] == NO_TRADES


# --------------------------------------------------------------------------------------------------------------- tapes


def taped(folder: Path, texts: list[str], *, slug: str = SLUG, begin_s: float = START_S) -> Path:
    """A market on a tape, one message a second, in blocks of ten lines."""
    target = slot_of_slug(slug).target()
    market = evolve(MARKET, slug=slug, start_ns=target.start_ns, end_ns=target.end_ns)
    at_ns = [round((begin_s + n) * 10**9) for n in range(len(texts) + 1)]
    items: list[Record] = [
        Followed(at_ns=at_ns[0], target=target),
        MarketUpdated(at_ns=at_ns[0], market=market),
        Connected(at_ns=at_ns[0], epoch=1),
        *(Frame(at_ns=at, text=text) for at, text in zip(at_ns, texts, strict=False)),
        Unfollowed(at_ns=at_ns[-1]),
    ]
    put_on_tape(folder, items, key=slug, block=10)
    return folder


def replayed(capsys: pytest.CaptureFixture[str], *words: str | Path, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["replay", *map(str, words), "-o", "jsonl"]) == code
    return capsys.readouterr().out


def test_an_imported_recording_replays_to_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, RISING, manifest="40,1")
    import_capture(find_captures(tmp_path)[0], tmp_path / "tapes")
    signals = replayed(capsys, tmp_path / "tapes")
    assert signals == replayed(capsys, tmp_path)
    assert signals.count("\n") == 14
    assert main(["replay", str(tmp_path / "tapes"), "-o", "json"]) == 0
    [market] = json.loads(capsys.readouterr().out)["markets"]
    assert (market["messages"], market["agrees"], market["cut"]) == (40, True, False)


def test_processes_change_no_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [*RISING[:20], trade("0.55"), *RISING[20:], trade("0.61")]
    slugs = [
        SLUG,
        SLUG.replace("btc", "eth"),
        f"btc-updown-5m-{START_S + 300}",
        f"btc-updown-15m-{START_S // 900 * 900}",
    ]
    for number, slug in enumerate(slugs):
        taped(tmp_path, texts[number:], slug=slug, begin_s=START_S + 7 * number)
    alone = replayed(capsys, tmp_path, "--jobs", "1")
    assert len({json.loads(line).get("slug") for line in alone.splitlines()} - {None}) == 4
    assert replayed(capsys, tmp_path, "--jobs", "2") == alone


def test_what_was_live_can_be_asked_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taped(tmp_path, RISING)
    words = ["--preset", "corrected", "--window", "90", "--cadence", "10"]
    signals = [json.loads(line) for line in replayed(capsys, tmp_path, *words).splitlines()]
    markets = [it for it in signals if it["event_type"] == "market_signal"]
    assert len(markets) == 4
    assert {it["preset"]["name"] for it in markets} == {"corrected"}
    assert {it["window"]["end_ns"] - it["window"]["start_ns"] for it in markets} == {90 * 10**9}


def test_a_cut_tape_replays_to_where_it_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = replayed(capsys, taped(tmp_path, RISING))
    [part] = tmp_path.glob("*/*.zst")
    part.write_bytes(part.read_bytes()[:-100])
    assert main(["replay", str(tmp_path), "-o", "jsonl"]) == 1
    told = capsys.readouterr()
    assert whole.startswith(told.out)
    assert 0 < len(told.out) < len(whole)
    assert f"{part}: torn" in told.err
    assert CUT.format(SLUG) in told.err


def test_a_tape_without_its_last_line_is_remarked_upon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_on_tape(tmp_path, following(), close=False)
    assert main(["replay", str(tmp_path), "-o", "json"]) == 0
    conclusion = json.loads(capsys.readouterr().out)
    assert (conclusion["failures"], len(conclusion["remarks"])) == ([], 1)


@pytest.mark.parametrize("jobs", ["0", "many", "1000"])
def test_a_number_of_processes_that_is_none_is_bad_usage(tmp_path: Path, jobs: str) -> None:
    assert main(["replay", str(tmp_path), "--jobs", jobs]) == 2
