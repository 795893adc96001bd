from collections.abc import Iterator

import pytest

from engine.settings import TransportKind
from tests.transports import default_transport, use_by_default


@pytest.fixture
def shipped_transport() -> Iterator[None]:
    """What a test sees that is about the settings as they are shipped, whatever `--transport` says."""
    before = default_transport()
    use_by_default(TransportKind.TRIO_WEBSOCKET)
    yield
    use_by_default(before)


@pytest.fixture(scope="module", params=[*TransportKind], ids=str)
def each_transport(request: pytest.FixtureRequest) -> Iterator[TransportKind]:
    """One after the other, what speaks WebSocket wherever a test does not say."""
    before = default_transport()
    use_by_default(request.param)
    yield request.param
    use_by_default(before)
