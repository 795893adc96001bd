"""From a WebSocket URL to a connected byte stream: name, TCP and TLS, and nothing of HTTP or WebSocket.

The budget for all of it belongs to the caller (`websocket.open_session`), which also counts the upgrade against it.
"""

import ipaddress
import socket
import ssl
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import trio
from attrs import frozen

from actors.faults import FaultKind, FeedFault
from actors.tcp import ReadyStream
from actors.tls import TlsStream

DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
_STRICT_VERSIONS: Final = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@frozen(kw_only=True)
class Address:
    """Where a WebSocket URL leads. `host` is bare (no brackets); `resource` is path and query, at least `/`."""

    scheme: str
    host: str
    port: int
    resource: str

    @property
    def secure(self) -> bool:
        """Whether the stream must be TLS."""
        return self.scheme == "wss"

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine by its very spelling; no name but `localhost` is looked up to find out."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def host_header(self) -> str:
        """The value of the HTTP Host header: the port only if it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(url: str, *, allow_plain: bool = False) -> Address:
    """The address of a `wss` URL, or of a `ws` URL on a loopback host (on any host if `allow_plain`).

    Raises ValueError for everything else: other schemes, user names, fragments, spaces and control characters. The
    messages quote neither query nor user name.
    """
    if not all("!" <= character <= "~" for character in url):
        raise ValueError("a websocket URL is printable ASCII without spaces")
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError(f"a websocket URL begins with wss:// or ws://, not {parts.scheme!r}")
    if "@" in parts.netloc or "#" in url:
        raise ValueError("a websocket URL has neither user name nor fragment")
    address = Address(
        scheme=parts.scheme,
        host=_host(parts.hostname),
        port=_port(parts.port, parts.scheme),
        resource=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
    if not (address.secure or address.loopback or allow_plain):
        raise ValueError(f"plain ws:// is for this machine alone, not for {address.host!r}")
    return address


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """The strict client context: system authorities (and those of `ca_file`), host name checked, TLS 1.2 or newer.

    Building one reads every authority, so share one between connections.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


@cache
def shared_tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """The `tls_context` of every engine of this process; whoever changes it changes it for all of them.

    One for each engine would cost 20 ms and half a megabyte outside of Python's own memory, and what a closed engine
    leaves to the garbage collector counts as next to nothing there.
    """
    return tls_context(ca_file)


async def dial(url: str, *, ssl_context: ssl.SSLContext | None = None, allow_plain: bool = False) -> trio.abc.Stream:
    """A connected stream to the host of `url`, its TLS handshake done if the URL is `wss`.

    All addresses of the host are tried, the next one after 0.25 s at the latest (RFC 6555). Proxies are not used.
    `ssl_context` must be as strict as `tls_context()`, which is what None means.

    Raises FeedFault (`dns`, `refused`, `connect_timeout`, `tls`, or `closed` if the peer hangs up during the TLS
    handshake); ValueError for a URL that `parse_url` rejects and for a lax context.
    """
    address = parse_url(url, allow_plain=allow_plain)
    if not address.secure:
        return await _connect(address)
    context = _strict(ssl_context or tls_context())
    return await _secure(await _connect(address), address.host, context)


async def _connect(address: Address) -> ReadyStream:
    try:
        return ReadyStream(await trio.open_tcp_stream(address.host, address.port))
    except socket.gaierror as error:
        raise FeedFault(FaultKind.DNS, _words(error)) from error
    except OSError as error:
        causes = error.__cause__.exceptions if isinstance(error.__cause__, ExceptionGroup) else (error,)
        timed_out = all(isinstance(cause, TimeoutError) for cause in causes)
        kind = FaultKind.CONNECT_TIMEOUT if timed_out else FaultKind.REFUSED
        raise FeedFault(kind, "; ".join(map(_words, causes))) from error


async def _secure(stream: trio.abc.Stream, host: str, context: ssl.SSLContext) -> TlsStream:
    secure = TlsStream(stream, context, host=host)
    try:
        await secure.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        cause = error.__cause__ or error
        raise FeedFault(_handshake_kind(cause), _words(cause)) from error
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return secure


def _handshake_kind(cause: BaseException) -> FaultKind:
    """A hang-up is no verdict on certificates: it must not be punished with the long wait of `tls`."""
    hung_up = not isinstance(cause, ssl.SSLError) or isinstance(cause, ssl.SSLEOFError | ssl.SSLSyscallError)
    return FaultKind.CLOSED if hung_up else FaultKind.TLS


def _strict(context: ssl.SSLContext) -> ssl.SSLContext:
    verified = context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    if not verified or context.minimum_version not in _STRICT_VERSIONS:
        raise ValueError("the TLS context must check certificate and host name and refuse TLS below 1.2")
    return context


def _host(host: str | None) -> str:
    if not host:
        raise ValueError("a websocket URL names a host")
    host.encode("idna")  # raises UnicodeError, a ValueError, for labels that no resolver or certificate can hold
    return host


def _port(port: int | None, scheme: str) -> int:
    if port == 0:
        raise ValueError("port 0 cannot be dialled")
    return port or DEFAULT_PORTS[scheme]


def _words(error: BaseException) -> str:
    """Class and text: the text of many errors is empty."""
    return f"{type(error).__name__}: {error}"
