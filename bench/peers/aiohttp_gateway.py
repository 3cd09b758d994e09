"""A gateway as aiohttp makes it, server and client, on uvloop."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator

import uvloop
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from gateway_rules import PREFIX, UPSTREAM, Refused, authenticate, log, request_headers, response_headers
from yarl import URL

SESSION = web.AppKey("session", ClientSession)


async def session(app: web.Application) -> AsyncIterator[None]:
    app[SESSION] = ClientSession(
        connector=TCPConnector(limit=100, keepalive_timeout=60),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        timeout=ClientTimeout(total=10),
    )
    yield
    await app[SESSION].close()


async def forward(request: web.Request) -> web.Response:
    started = time.perf_counter()
    try:
        person = authenticate(request.headers.get("Authorization"))
    except Refused:
        return web.Response(status=401)
    headers, request_id = request_headers(request.headers.items(), person, request.remote or "")
    url = URL(UPSTREAM + request.raw_path.removeprefix(PREFIX), encoded=True)
    body = await request.read() if request.can_read_body else None
    async with request.app[SESSION].request(
        request.method, url, headers=headers, data=body, allow_redirects=False
    ) as answer:
        content = await answer.read()
        log(request.method, request.path, answer.status, started, request_id, person)
        said = response_headers(answer.headers.items(), request_id)
        return web.Response(body=content, status=answer.status, headers=said)


async def serve(descriptor: int) -> None:
    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/api/{path:.*}", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, socket.socket(fileno=descriptor)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
