"""An OpenAI-compatible server on this machine that answers what a script says, over real HTTP."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

KEY = "sk-scripted-0123456789abcdefghij"
"""The key that clients of the server send."""


class Request(NamedTuple):
    """What a client sent."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        """The last message's text."""
        return str(self.body["messages"][-1].get("content") or "")

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools offered."""
        return tuple(tool["function"]["name"] for tool in self.body.get("tools", []))


class Reply(NamedTuple):
    """An answer that goes well."""

    text: str | None = ""
    finish: str = "stop"
    tokens: tuple[int, int] | None = (10, 5)
    """In and out; ``None`` for a server that does not count."""
    message: Mapping[str, Any] = {}
    """Further parts of the message."""
    calls: tuple[tuple[str, str], ...] = ()
    """Tools called, each by its name and the text of its arguments. Each gets an id of its own."""


def calls(*wanted: tuple[str, Mapping[str, Any] | str], text: str | None = None) -> Reply:
    """An answer that calls tools, each by its name and its arguments: an object, or the text of one."""
    written = tuple((name, said if isinstance(said, str) else json.dumps(said)) for name, said in wanted)
    return Reply(text, "tool_calls", calls=written)


class Fault(NamedTuple):
    """A request that does not go well."""

    status: int = 500
    body: bytes | None = None
    """Whole body; ``None`` for an error object in OpenAI's form."""
    said: str = "out of order"
    code: str | None = None
    headers: Mapping[str, str] = {}
    breaks: str = ""
    """``reset`` breaks the connection before an answer, ``cut`` within it, ``chunks`` within one sent in chunks,
    ``silence`` says nothing till the end."""
    lasting: bool = False
    """Whether every later request meets the same."""


def _completion(reply: Reply, model: str = "m", turn: int = 1) -> dict[str, Any]:
    """An answer in OpenAI's form.

    Args:
        reply: What it says.
        model: Who says it.
        turn: Messages before it; ids of calls differ by it.
    """
    message = {"role": "assistant", "content": reply.text, **reply.message}
    if reply.calls:
        message["tool_calls"] = [
            {"id": f"call-{turn}-{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(reply.calls, 1)
        ]
    completion = {
        "id": "scripted",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
    }
    if reply.tokens is not None:
        read, written = reply.tokens
        completion["usage"] = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return completion


def _in_vain(reply: Reply) -> Fault:
    """An answer that goes well over the wire and is none all the same."""
    return Fault(200, json.dumps(_completion(reply)).encode())


FAULTS: dict[str, Fault] = {
    "rate limit": Fault(429, said="slow down", headers={"Retry-After": "0"}),
    "out of credit": Fault(429, said="you exceeded your current quota", code="insufficient_quota"),
    "server error": Fault(500),
    "bad gateway": Fault(502, b"<html>bad gateway</html>"),
    "time-out": Fault(breaks="silence"),
    "connection reset": Fault(breaks="reset"),
    "cut within the answer": Fault(200, b'{"id": "1", "choi', breaks="cut"),
    "cut within chunks": Fault(200, b'{"id": "1", "choi', breaks="chunks"),
    "invalid JSON": Fault(200, b'{"id": "1", "choices": ['),
    "no JSON": Fault(200, b"<html>welcome</html>"),
    "no choices": Fault(200, b'{"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}'),
    "empty answer": _in_vain(Reply(None)),
    "refusal": _in_vain(Reply(None, message={"refusal": "I cannot help with that."})),
    "filtered answer": _in_vain(Reply(None, "content_filter")),
    "wrong key": Fault(401, said=f"incorrect key provided: {KEY}", code="invalid_api_key"),
    "forbidden": Fault(403, said=f"{KEY} may not use this model"),
    "unknown model": Fault(404, said="the model does not exist", code="model_not_found"),
    "bad request": Fault(400, said=f"unsupported parameter in the request of {KEY}"),
    "no tools": Fault(400, said="this model does not support tools"),
    "too long": Fault(400, said="maximum context length is 8192 tokens", code="context_length_exceeded"),
    "content filter": Fault(400, said="filtered by our policy", code="content_filter"),
    "down for good": Fault(503, said="overloaded", lasting=True),
}
"""Every fault by its name; `Fault._replace` makes others of them."""

Move = str | Reply | Fault | Callable[[Request], "str | Reply | Fault"]
"""A text, an answer, a fault, or what decides by the request. The names of `FAULTS` are no texts: use `fault`."""


def fault(name: str) -> Fault:
    """The fault of that name."""
    return FAULTS[name]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    llm: ScriptedLLM


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        move = self.server.llm.take(request)
        if isinstance(move, Fault):
            self._fail(move)
        else:
            completion = _completion(move, body["model"], len(body["messages"]))
            content = json.dumps(completion).encode()
            self._send(200, content, {}, len(content))

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _fail(self, fault: Fault) -> None:
        if fault.breaks == "silence":
            self.server.llm.ended.wait()
        if fault.breaks in ("silence", "reset"):
            # Closed with something unsent and no patience: the other side sees a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        error = {"error": {"message": fault.said, "type": "scripted", "code": fault.code}}
        body = json.dumps(error).encode() if fault.body is None else fault.body
        if fault.breaks == "chunks":
            chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n"  # and never the empty one that ends it
            self._send(fault.status, chunk, {**fault.headers, "Transfer-Encoding": "chunked"}, None)
            return
        self._send(fault.status, body, fault.headers, len(body) + (1000 if fault.breaks == "cut" else 0))

    def _send(self, status: int, content: bytes, headers: Mapping[str, str], length: int | None) -> None:
        self.send_response(status)
        sized = {} if length is None else {"Content-Length": str(length)}
        for name, value in {"Content-Type": "application/json", "Connection": "close", **sized, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True


class ScriptedLLM:
    """A server that runs: what it will answer, and what it was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        """Base address for clients."""
        self.requests: list[Request] = []
        """All so far, in the order they came."""
        self.ended = threading.Event()
        self._moves: deque[Move] = deque()
        self._lock = threading.Lock()

    def say(self, *moves: Move) -> None:
        """Add to the queue of answers."""
        self._moves.extend(moves)

    @property
    def left(self) -> int:
        """Answers that nobody has asked for yet."""
        return len(self._moves)

    def take(self, request: Request) -> Reply | Fault:
        """What is next in the queue; the last answer is given again only where it is a lasting fault."""
        with self._lock:
            self.requests.append(request)
            if not self._moves:
                return Fault(400, said="the script has come to its end")
            move = self._moves[0]
            if not (isinstance(move, Fault) and move.lasting):
                self._moves.popleft()
        said = move(request) if callable(move) else move
        return Reply(said) if isinstance(said, str) else said


@contextmanager
def running_llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    """Serve until the end of the block; ``openai/NAME`` means this server within it, whatever the name."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.llm = ScriptedLLM(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    with monkeypatch.context() as environment:
        environment.setenv("OPENAI_API_BASE", server.llm.address)
        environment.setenv("OPENAI_API_KEY", KEY)
        environment.delenv("OPENAI_BASE_URL", raising=False)
        try:
            yield server.llm
        finally:
            server.llm.ended.set()
            server.shutdown()
            server.server_close()
            thread.join()
