import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from engine.settings import TransportKind
from tests.transports import use_by_default

# The same examples on every run and no deadlines: a red test is red everywhere, however busy the machine is.
# `--hypothesis-profile=explore` searches afresh.
settings.register_profile(
    "ci", derandomize=True, database=None, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--transport",
        choices=[*TransportKind],
        default=TransportKind.TRIO_WEBSOCKET,
        help="what speaks WebSocket wherever a test does not say",
    )


def pytest_configure(config: pytest.Config) -> None:
    use_by_default(TransportKind(config.getoption("--transport")))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let no collection of garbage look at what stays to the end anyway: some tests ask for one, others wait for it."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Don't trace what is done over and over, which takes twice as long: coverage sees it where it is done once."""
    coverage = getattr(item.config.pluginmanager.getplugin("_cov"), "cov_controller", None)
    if coverage is None or not repeats(item):
        return (yield)
    coverage.pause()
    try:
        return (yield)
    finally:
        coverage.resume()


def repeats(item: pytest.Item) -> bool:
    """Whether a test does the same over and over: by its marks, or with the many examples of a property."""
    marked = any(item.get_closest_marker(name) for name in ("slow", "untraced"))
    return marked or getattr(getattr(item, "obj", None), "is_hypothesis_test", False)


@pytest.fixture(autouse=True)
def structlog_as_it_was() -> Iterator[None]:
    """Whoever captures logs leaves structlog configured, and then an engine logs as that says."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def captures() -> Path:
    """The directory of recorded markets: UPDOWN_CAPTURES, or ../shared/captures beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "captures"
    directory = Path(os.environ.get("UPDOWN_CAPTURES") or beside)
    if not (directory / "manifest.csv").is_file():
        pytest.skip("no recorded captures here (UPDOWN_CAPTURES names their directory)")
    return directory
