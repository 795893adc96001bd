from collections.abc import Iterator

import pytest

from engine.settings import TransportKind
from tests.transports import default_transport, use_by_default


@pytest.fixture(scope="module", params=[*TransportKind], ids=str)
def each_transport(request: pytest.FixtureRequest) -> Iterator[TransportKind]:
    """One after the other, what speaks WebSocket wherever a test does not say."""
    before = default_transport()
    use_by_default(request.param)
    yield request.param
    use_by_default(before)
