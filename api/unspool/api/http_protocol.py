"""The HTTP protocol of the server: that of uvicorn, with a limit on headers and without trailers.

`httptools`, which is faster than `h11`, accepts headers of any size. And uvicorn adds the fields after a
chunked body, the trailers, to the headers of the request: a sender could add headers that a proxy in front
removes (RFC 9110, section 6.5.1). With `h11` there is a limit of 64 KiB, and trailers are ignored.
"""

import asyncio
from typing import Final

MAX_HEAD_BYTES: Final = 64 * 1024
"""Bytes that may arrive without ending the headers of a request and without being a part of a body."""

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:  # without the extra `fast`
    from uvicorn.protocols.http.h11_impl import H11Protocol

    protocol: type[asyncio.Protocol] = H11Protocol
else:

    class _Protocol(HttpToolsProtocol):
        _head_bytes = 0
        _has_headers = False

        def data_received(self, data: bytes) -> None:
            self._head_bytes += len(data)
            super().data_received(data)
            if self._head_bytes <= MAX_HEAD_BYTES or self.transport.is_closing():
                return
            if self._has_headers:  # a response may have begun
                self.transport.close()
            else:
                self.send_400_response("The headers are too large.")

        def on_message_begin(self) -> None:
            self._has_headers = False
            super().on_message_begin()

        def on_header(self, name: bytes, value: bytes) -> None:
            if not self._has_headers:
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._head_bytes, self._has_headers = 0, True
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._head_bytes = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._head_bytes = 0
            super().on_message_complete()

    protocol = _Protocol
