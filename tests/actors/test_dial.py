from __future__ import annotations

import errno
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
import trustme
from trio.testing import MockClock

from actors.dial import Address, dial, parse_url, shared_tls_context, tls_context
from actors.faults import FaultKind, FeedFault
from actors.tls import TlsStream
from actors.websocket import SessionLimits, open_session
from tests.actors.raw_server import RawPeer, ignore, on_loopback, open_descriptors, text

# ---------------------------------------------------------------------------------------------------------------- URLs

ADDRESSES = [
    ("wss://example.com/ws/market", "example.com", 443, "/ws/market", "example.com"),
    ("WSS://Example.COM", "example.com", 443, "/", "example.com"),
    ("wss://example.com:8443/a?b=c&d", "example.com", 8443, "/a?b=c&d", "example.com:8443"),
    ("wss://example.com:80/", "example.com", 80, "/", "example.com:80"),
    ("wss://[2001:db8::1]:444/", "2001:db8::1", 444, "/", "[2001:db8::1]:444"),
    ("ws://127.0.0.1/x", "127.0.0.1", 80, "/x", "127.0.0.1"),
    ("ws://127.8.8.8:443/", "127.8.8.8", 443, "/", "127.8.8.8:443"),
    ("ws://[::1]/?q", "::1", 80, "/?q", "[::1]"),
    ("ws://localhost:9000", "localhost", 9000, "/", "localhost:9000"),
]


@pytest.mark.parametrize(("url", "host", "port", "resource", "host_header"), ADDRESSES)
def test_url_with_an_address(url: str, host: str, port: int, resource: str, host_header: str) -> None:
    address = parse_url(url)
    assert address == Address(scheme=url[:3].lower().rstrip(":"), host=host, port=port, resource=resource)
    assert address.host_header == host_header
    assert address.secure == url.lower().startswith("wss")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "http://example.com/",
        "https://example.com/",
        "ftp://example.com/",
        "wss://",
        "wss:///path",
        "wss://user:secret@example.com/",
        "wss://@example.com/",
        "wss://example.com/#fragment",
        "wss://example.com/a b",
        "wss://exam\nple.com/",
        "wss://example.com/\r\nHost: evil",
        "wss://example.com\t/",
        "wss://exämple.com/",
        "wss://example.com:0/",
        "wss://example.com:65536/",
        "wss://example.com:x/",
        "wss://[::1/",
        "wss://.example.com/",
        "wss://a..b/",
        f"wss://{'a' * 64}.com/",
    ],
)
async def test_url_without_an_address(url: str) -> None:
    with pytest.raises(ValueError):
        parse_url(url, allow_plain=True)
    with pytest.raises(ValueError):
        await dial(url, allow_plain=True)


def test_rejected_url_keeps_its_secrets() -> None:
    with pytest.raises(ValueError) as caught:
        parse_url("wss://user:hunter2@example.com/?token=hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "128.0.0.1", "[::2]", "localhost.example.com", "localhos"])
async def test_plain_only_to_this_machine_unless_allowed(host: str) -> None:
    with pytest.raises(ValueError, match="plain"):
        parse_url(f"ws://{host}/")
    with pytest.raises(ValueError, match="plain"):
        await dial(f"ws://{host}/")
    assert not parse_url(f"ws://{host}/", allow_plain=True).secure


# ------------------------------------------------------------------------------------------------------- names and TCP


class Resolver(trio.abc.HostnameResolver):
    """Answers every name with the same addresses, or the same error, after a while."""

    def __init__(self, *addresses: tuple[str, int], error: OSError | None = None, after_s: float = 0.0) -> None:
        self.addresses = addresses
        self.error = error
        self.after_s = after_s

    async def getaddrinfo(self, *_arguments: Any, **_options: Any) -> Any:
        await trio.sleep(self.after_s)
        if self.error is not None:
            raise self.error
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in self.addresses]

    async def getnameinfo(self, *_arguments: Any) -> Any:
        raise NotImplementedError


class NoSocket:
    """A socket whose connect ends as it is told, or never."""

    def __init__(self, error: OSError | None) -> None:
        self.error = error

    async def connect(self, address: object) -> None:
        if self.error is not None:
            raise self.error
        await trio.sleep_forever()

    def close(self) -> None:
        pass


class Network(trio.abc.SocketFactory):
    """A network where every connection ends in the next of these errors; None never ends."""

    def __init__(self, *errors: OSError | None) -> None:
        self.errors = list(errors)

    def socket(self, *_arguments: Any) -> Any:
        return NoSocket(self.errors.pop(0))


def unbound_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def fault_of(url: str, **options: Any) -> FeedFault:
    with pytest.raises(FeedFault) as caught:
        await dial(url, **options)
    return caught.value


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL])
async def test_row_1_name_not_found(autojump_clock: MockClock, code: int) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver(error=socket.gaierror(code, "no such name")))
    fault = await fault_of("wss://example.invalid/")
    assert fault.kind is FaultKind.DNS
    assert "no such name" in fault.detail


async def test_row_1_name_without_addresses(autojump_clock: MockClock) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver())
    assert (await fault_of("wss://example.invalid/")).kind is FaultKind.REFUSED


async def test_row_2_slow_name_server_is_within_the_connect_budget(autojump_clock: MockClock) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver(("127.0.0.1", 1), after_s=30))
    began = trio.current_time()
    with pytest.raises(FeedFault) as caught:
        async with open_session("wss://example.invalid/", "{}", ignore, limits=SessionLimits(), dial=dial):
            pytest.fail("never open")
    assert caught.value.kind is FaultKind.CONNECT_TIMEOUT
    assert trio.current_time() - began == 8.0


@pytest.mark.socket
async def test_row_3_first_address_dead() -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(b"here")

    async with on_loopback(script) as port:
        trio.socket.set_custom_hostname_resolver(Resolver(("127.0.0.1", unbound_port()), ("127.0.0.1", port)))
        with trio.fail_after(1):
            async with await dial("ws://two.example.test/", allow_plain=True) as stream:
                assert await stream.receive_some() == b"here"


@pytest.mark.socket
async def test_row_4_connection_refused() -> None:
    fault = await fault_of(f"ws://127.0.0.1:{unbound_port()}/")
    assert fault.kind is FaultKind.REFUSED
    assert "ConnectionRefusedError" in fault.detail


async def test_row_5_syn_blackhole_is_within_the_connect_budget(autojump_clock: MockClock) -> None:
    trio.socket.set_custom_socket_factory(Network(None))
    with pytest.raises(FeedFault) as caught:
        async with open_session("wss://127.0.0.1/", "{}", ignore, limits=SessionLimits(), dial=dial):
            pytest.fail("never open")
    assert caught.value.kind is FaultKind.CONNECT_TIMEOUT
    assert trio.current_time() == 8.0


NETWORK_ERRORS = [
    ([OSError(errno.ENETUNREACH, "Network is unreachable")], FaultKind.REFUSED),
    ([OSError(errno.EHOSTUNREACH, "No route to host")], FaultKind.REFUSED),
    ([OSError(errno.EMFILE, "Too many open files")], FaultKind.REFUSED),
    ([TimeoutError(errno.ETIMEDOUT, "Connection timed out")], FaultKind.CONNECT_TIMEOUT),
    ([TimeoutError(), ConnectionRefusedError()], FaultKind.REFUSED),
]


@pytest.mark.parametrize(("errors", "kind"), NETWORK_ERRORS)
async def test_tcp_errors(autojump_clock: MockClock, errors: list[OSError], kind: FaultKind) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver(*[("127.0.0.1", 1)] * len(errors)))
    trio.socket.set_custom_socket_factory(Network(*errors))
    fault = await fault_of("wss://example.invalid/")
    assert fault.kind is kind
    assert all(type(error).__name__ in fault.detail for error in errors)


# ----------------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, *names: str, expired: bool = False) -> ssl.SSLContext:
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(
        *(names or ("127.0.0.1",)),
        not_before=long_ago if expired else None,
        not_after=long_ago + timedelta(days=90) if expired else None,
    ).configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = tls_context()
    authority.configure_trust(context)
    return context


async def greet(peer: RawPeer) -> None:
    await peer.send(b"secret")
    await peer.listen()


@pytest.mark.socket
async def test_tls(authority: trustme.CA) -> None:
    async with on_loopback(greet, tls=server_context(authority)) as port:
        stream = await dial(f"wss://127.0.0.1:{port}/", ssl_context=client_context(authority))
        async with stream:
            assert isinstance(stream, TlsStream)
            assert stream.version() in {"TLSv1.2", "TLSv1.3"}
            assert await stream.receive_some() == b"secret"


@pytest.mark.socket
async def test_tls_with_an_authority_from_a_file(authority: trustme.CA) -> None:
    with authority.cert_pem.tempfile() as ca_file:
        context = tls_context(ca_file)
    async with (
        on_loopback(greet, tls=server_context(authority)) as port,
        await dial(f"wss://127.0.0.1:{port}/", ssl_context=context) as stream,
    ):
        assert await stream.receive_some() == b"secret"


@pytest.mark.socket
async def test_row_8_certificates_that_are_refused(authority: trustme.CA) -> None:
    trusting = client_context(authority)
    refused = [
        (server_context(authority, expired=True), trusting, "expired"),
        (server_context(authority, "example.org", "10.0.0.1"), trusting, "mismatch"),
        (server_context(trustme.CA()), trusting, "verify failed"),
        (server_context(authority), None, "verify failed"),
    ]
    for server, client, words in refused:
        async with on_loopback(greet, tls=server) as port:
            fault = await fault_of(f"wss://127.0.0.1:{port}/", ssl_context=client)
        assert fault.kind is FaultKind.TLS
        assert words in fault.detail


OLD_SERVER_HELLO = b"\x03\x02" + bytes(32) + b"\x00" + b"\xc0\x14" + b"\x00"
NO_TLS_OF_OURS = {
    "an alert: protocol version": b"\x15\x03\x01\x00\x02\x02\x46",
    "TLS 1.1": b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26" + OLD_SERVER_HELLO,
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.socket
@pytest.mark.parametrize("answer", NO_TLS_OF_OURS.values(), ids=NO_TLS_OF_OURS.keys())
async def test_row_8_no_tls_of_ours_and_no_falling_back(authority: trustme.CA, answer: bytes) -> None:
    connections = 0

    async def script(peer: RawPeer) -> None:
        nonlocal connections
        connections += 1
        await peer.stream.receive_some()
        await peer.send(answer)
        await peer.listen()

    async with on_loopback(script) as port:
        fault = await fault_of(f"wss://127.0.0.1:{port}/", ssl_context=client_context(authority))
    assert fault.kind is FaultKind.TLS
    assert connections == 1


@pytest.mark.socket
@pytest.mark.parametrize("reset", [True, False])
async def test_hang_up_during_the_tls_handshake_is_no_verdict_on_tls(authority: trustme.CA, *, reset: bool) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.stream.receive_some()
        if reset:
            await peer.reset()

    async with on_loopback(script) as port:
        fault = await fault_of(f"wss://127.0.0.1:{port}/", ssl_context=client_context(authority))
    assert fault.kind is FaultKind.CLOSED


@pytest.mark.socket
async def test_row_9_tls_handshake_stall_is_within_the_connect_budget(authority: trustme.CA) -> None:
    hung_up = trio.Event()

    async def script(peer: RawPeer) -> None:
        await peer.listen()
        hung_up.set()

    async def dial_tls(url: str) -> trio.abc.Stream:
        return await dial(url, ssl_context=client_context(authority))

    async with on_loopback(script) as port:
        url = f"wss://127.0.0.1:{port}/"
        with pytest.raises(FeedFault) as caught:
            async with open_session(url, "{}", ignore, limits=SessionLimits(connect_s=0.2), dial=dial_tls):
                pytest.fail("never open")
        assert caught.value.kind is FaultKind.CONNECT_TIMEOUT
        with trio.fail_after(1):
            await hung_up.wait()


@pytest.mark.socket
async def test_row_9_truncation_without_close_notify(authority: trustme.CA) -> None:
    messages: list[str] = []

    async def script(peer: RawPeer) -> None:
        await peer.subscribed(text("one") + text("two")[:-1])
        assert isinstance(peer.stream, trio.SSLStream)
        await peer.stream.transport_stream.aclose()

    async def dial_tls(url: str) -> trio.abc.Stream:
        return await dial(url, ssl_context=client_context(authority))

    async with on_loopback(script, tls=server_context(authority)) as port:
        url = f"wss://127.0.0.1:{port}/"
        with trio.fail_after(1), pytest.raises(FeedFault) as caught:
            async with open_session(url, "{}", messages.extend, limits=SessionLimits(), dial=dial_tls) as session:
                await session.closed()
    assert (caught.value.kind, caught.value.close_code) == (FaultKind.CLOSED, 1006)
    assert messages == ["one"]


def test_default_context_is_strict() -> None:
    context = tls_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_engines_share_one_context_and_others_get_their_own(authority: trustme.CA) -> None:
    with authority.cert_pem.tempfile() as ca_file:
        shared = shared_tls_context(ca_file)
        assert shared_tls_context(ca_file) is shared
        assert tls_context(ca_file) is not shared
    assert shared_tls_context() is not shared
    assert shared_tls_context().verify_mode is ssl.CERT_REQUIRED


async def test_lax_contexts_are_refused_before_anything_is_sent() -> None:
    any_name, any_certificate, any_version = tls_context(), tls_context(), tls_context()
    any_name.check_hostname = False
    any_certificate.check_hostname = False
    any_certificate.verify_mode = ssl.CERT_NONE
    any_version.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    for context in (any_name, any_certificate, any_version):
        with pytest.raises(ValueError, match="TLS context"):
            await dial("wss://127.0.0.1:1/", ssl_context=context)


@pytest.mark.socket
async def test_failed_dials_leave_no_socket_behind(authority: trustme.CA) -> None:
    async def hang_up(peer: RawPeer) -> None:
        await peer.stream.receive_some()

    trusting = client_context(authority)
    async with on_loopback(hang_up) as closing, on_loopback(greet, tls=server_context(trustme.CA())) as untrusted:
        await fault_of(f"wss://127.0.0.1:{closing}/", ssl_context=trusting)
        await trio.testing.wait_all_tasks_blocked(0.01)
        before = open_descriptors()
        for _ in range(10):
            await fault_of(f"wss://127.0.0.1:{closing}/", ssl_context=trusting)
            await fault_of(f"wss://127.0.0.1:{untrusted}/", ssl_context=trusting)
            await fault_of(f"wss://127.0.0.1:{unbound_port()}/", ssl_context=trusting)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert open_descriptors() == before
