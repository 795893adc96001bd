from pathlib import Path

import pytest

from actors.config.checks import CHECKS, did_you_mean, existing_file, one_of, safe_base_url, safe_url
from engine.settings import VenueSettings


@pytest.mark.parametrize(
    "url",
    [
        "wss://example.com/ws/market",
        "wss://example.com:444/ws?key=1",
        "ws://127.0.0.1:8765/ws/market",
        "ws://localhost/ws",
        "http://[::1]:80",
        "https://example.com",
    ],
)
def test_safe_urls_pass(url: str) -> None:
    safe_url(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ws://example.com/ws", "plain ws:// is for this machine alone, use wss://"),
        ("http://127.0.0.1.example.com", "plain http://"),
        ("https://name:secret@example.com", "neither user name"),
        ("https://example.com/#part", "nor fragment"),
        ("https:///path", "not a URL with a host"),
        ("https://exämple.com", "not a URL with a host"),
        ("https://example.com:99999", "[Pp]ort"),
        ("https://example.com:0", "not a URL with a host"),
        ("https://[::1", "Invalid IPv6"),
    ],
)
def test_unsafe_urls_are_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        safe_url(url)
    assert "secret" not in str(caught.value)


def test_a_base_url_has_no_query() -> None:
    safe_base_url("https://example.com/path")
    with pytest.raises(ValueError, match="no query"):
        safe_base_url("https://example.com/?a=1")


def test_the_default_urls_are_safe() -> None:
    for (owner, name), check in CHECKS.items():
        if owner is VenueSettings:
            check(getattr(VenueSettings(), name))


def test_an_unknown_name_is_told_with_the_closest_or_all() -> None:
    check = one_of("series", ["btc-5m", "btc-15m"])
    check("btc-5m")
    check(None)
    with pytest.raises(ValueError, match=r'unknown series \'btc-5\' \(did you mean "btc-5m"\?\)'):
        check("btc-5")
    with pytest.raises(ValueError, match=r"unknown series 'q' \(known: btc-15m, btc-5m\)"):
        check("q")


def test_only_near_misses_are_suggested() -> None:
    assert did_you_mean("windows_s", ["window_s", "cadence_s"]) == ' (did you mean "window_s"?)'
    assert did_you_mean("zzz", ["window_s"]) == ""


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    existing_file(None)
    path = tmp_path / "ca.pem"
    with pytest.raises(ValueError, match="no such file"):
        existing_file(str(path))
    path.touch()
    existing_file(str(path))
