"""A gateway as FastAPI and httpx make it: one pooled AsyncClient; uvicorn with uvloop and httptools serves it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request, Response
from gateway_rules import PREFIX, UPSTREAM, Refused, authenticate, log, request_headers, response_headers

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=60)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=UPSTREAM, limits=LIMITS, timeout=10, trust_env=False) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)


@app.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def forward(request: Request) -> Response:
    started = time.perf_counter()
    try:
        person = authenticate(request.headers.get("authorization"))
    except Refused:
        return Response(status_code=401)
    client: httpx.AsyncClient = request.app.state.client
    headers, request_id = request_headers(
        request.headers.items(), person, request.client.host if request.client else ""
    )
    target = request.scope["raw_path"].removeprefix(PREFIX.encode())
    if request.scope["query_string"]:
        target += b"?" + request.scope["query_string"]
    url = client.base_url.copy_with(raw_path=target)
    asked = client.build_request(request.method, url, headers=headers, content=await request.body())
    answer = await client.send(asked)
    log(request.method, request.url.path, answer.status_code, started, request_id, person)
    return Response(answer.content, answer.status_code, response_headers(answer.headers.items(), request_id))
