"""MiniStack's server, hypercorn, and clients that leave before they have read an answer, as who looks at the head of an
object only. Run by the emulator's own Python.
"""

from __future__ import annotations

from typing import Any


def forget_what_nobody_reads(server: Any, sent: type) -> None:
    """Let go of the bytes of an answer when the connection breaks.

    asyncio raises the connection's one exception at each further write. Its traceback holds the bytes of each, and
    stays for as long as hypercorn keeps the connection: without this the process grows by half of what is uploaded.

    :param server: hypercorn's class of connections.
    :param sent: its class of events that have bytes to send.
    """
    send = server.protocol_send

    async def send_while_connected(self: Any, event: Any) -> None:
        if isinstance(event, sent) and self.reader.exception() is not None:
            return
        await send(self, event)
        broken = self.reader.exception()
        if broken is not None:
            broken.__traceback__ = None

    server.protocol_send = send_while_connected
