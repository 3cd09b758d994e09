"""The table of probes: what attackers and broken clients send, and what a gateway may answer.

`{auth}` stands for a valid Authorization header line. A status of 200 means that the request reaches the service.
"""

from typing import NamedTuple

ID = "0197a3c0-0000-7000-8000-000000000001"
MEGA = 1024 * 1024
MAX_BODY = 10 * MEGA
UNFINISHED = {"chunks without end", "shorter than its CL", "too large by its CL", "a chunk shorter than said"}
REFUSALS = (400, 413, 414, 431, 501, 505)


class Probe(NamedTuple):
    name: str
    sent: bytes
    statuses: tuple[int, ...]
    whole: bool = True  # False: what follows on the connection would be taken for the rest of it, and rightly


def get(target: str | bytes, headers: bytes = b"", method: bytes = b"GET") -> bytes:
    raw = target.encode("latin-1") if isinstance(target, str) else target
    return method + b" " + raw + b" HTTP/1.1\r\nHost: gateway\r\n{auth}" + headers + b"\r\n"


def post(headers: bytes, body: bytes = b"") -> bytes:
    head = b"POST /api/customers HTTP/1.1\r\nHost: gateway\r\n{auth}Content-Type: application/json\r\n"
    return head + headers + b"\r\n" + body


def old(headers: bytes, body: bytes) -> bytes:
    return post(headers, body).replace(b"HTTP/1.1", b"HTTP/1.0")


TARGETS = [
    *("/api/customers/..%2f..%2fadmin", "/api/customers/%2e%2e/%2e%2e/admin", "/api/customers/../../admin"),
    *("/api/customers/%252e%252e/admin", "/api/customers/..%5c..%5cadmin", "/api/customers/..\\admin"),
    *("/api/customers/%2e", "/api/customers/.", "/api/customers/..", "/api/./customers", "/api/customers/.."),
    *("/api/customers/1%3fadmin=true", "/api/customers/1%23frag", "/api/customers/1#frag", "/api/customers/1%00"),
    *("/api/customers/1%0a", "/api/customers/1%0d%0aX-User-Id:%20root", "/api/customers/%25", "/api/customers/%41"),
    *("//api/customers", "/api//customers", "/api/customers//", "///", "/api/customers/1;x=1", "/api/customers/1:2"),
    *(
        "/api/customers/%zz",
        "/api/customers/%c0%af",
        "/api/customers/%ff",
        "/api/customers/\x80",
        "/api/customers/\xff",
    ),
    *(
        "/api/customers?q=\xe9",
        "/api/customers?q=\\",
        "/api/customers?q=1#2",
        "/api/customers\x01",
        "/api/customers\x7f",
    ),
    *("/api/cust omers", "/api/customers/\t", "http://gateway/api/customers", "https://gateway/api/customers"),
    *("http://user@127.0.0.1/api/customers", "gateway:80", "127.0.0.1", "*", "", "?", "api/customers", "\\api"),
    *("/api/customers/@admin", "/api/customers/a,b", "/api/customers/(1)", "/api/customers/1%20", "/api/customers/+"),
]
TARGETS += [
    *("/api/customers/..;/admin", "/api/customers/%u002e%u002e/", "/api/customers/%ef%bc%8f", "/..", "/api/.."),
    *("/api/customers/\xc0\xae\xc0\xae/", "///gateway/api/customers", "//user@gateway/api/customers", "http:/api"),
    *("/api/customers/1|2", "/api/customers/[1]", "/api/customers/{1}", "/api/customers/1'--", '/api/customers/"'),
    *("/api/customers/<1>", "/api/customers/$1", "/api/customers/1!", "/api/customers/1&a=b", "/api/customers/1=2"),
    *("/api/customers/*", "/api/customers/^", "HTTP://gateway/api/customers", "ws://gateway/api/customers"),
    *("file:///etc/passwd", "gateway/api/customers", "http://gateway", "/api/customers\x00", "/api/customers?q=\x00"),
    *("/api/customers?q=a b", "/api/customers?q=\x7f", "/api/customers HTTP/1.1 /x", "/api/customers\x85"),
]
HEADERS = {
    "two Hosts": b"Host: other\r\n",
    "two Authorizations": b"{auth}",
    "two Content-Types": b"Content-Type: a/b\r\nContent-Type: c/d\r\n",
    "two Idempotency-Keys": b"Idempotency-Key: a1234567\r\nIdempotency-Key: b1234567\r\n",
    "Connection names X-User-Id": b"Connection: close, X-User-Id\r\n",
    "Connection names Authorization": b"Connection: authorization\r\n",
    "Connection names X-Tenant-Id": b"Connection: keep-alive ,\tx-tenant-id\r\n",
    "Connection names Txn-Token": b"Connection: Txn-Token\r\n",
    "two Connections, one naming ours": b"Connection: close\r\nConnection: X-Forwarded-For\r\n",
    "obs-fold": b"X-A: b\r\n c\r\n",
    "a blank before the colon": b"X-A : b\r\n",
    "a name with a blank": b"X A: b\r\n",
    "a name with a bracket": b"X(A): b\r\n",
    "an empty name": b": b\r\n",
    "no colon": b"nonsense\r\n",
    "NUL in a value": b"X-A: b\x00c\r\n",
    "CR in a value": b"X-A: b\rc\r\n",
    "bare LF": b"X-A: b\nX-B: c\r\n",
    "another expectation": b"Expect: magic\r\n",
    "Connection names Cookie": b"Connection: cookie\r\n",
    "Connection names X-Internal-Caller": b"Connection: x-internal-caller, close\r\n",
    "Connection names Host": b"Connection: Host\r\n",
    "a second Host after much else": b"X-A: b\r\n" * 50 + b"host: other\r\n",
    "a name with NUL": b"X\x00A: b\r\n",
    "a name with DEL": b"X\x7fA: b\r\n",
    "a name with a tab": b"X-A\t: b\r\n",
    "a name with letters beyond ASCII": b"X-\xc3\x89: b\r\n",
    "a name with a slash": b"X/A: b\r\n",
    "a blank before the name": b"X-B: c\r\n X-User-Id: root\r\n",
    "a header in another's value": b"X-A: b\rX-User-Id: root\r\n",
    "a header after a bare LF": b"X-A: b\nX-User-Id: root\r\n",
    "a line of one CR": b"\r\r\n",
    "two blanks for a line": b"  \r\n",
}
LENGTHS = {
    "CL and TE": (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE and CL": (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
    "two equal CLs": (b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}"),
    "two CLs": (b"Content-Length: 2\r\nContent-Length: 5\r\n", b"{}   "),
    "a list of CLs": (b"Content-Length: 2, 2\r\n", b"{}"),
    "CL with a sign": (b"Content-Length: +2\r\n", b"{}"),
    "negative CL": (b"Content-Length: -2\r\n", b"{}"),
    "CL in hex": (b"Content-Length: 0x2\r\n", b"{}"),
    "CL in other digits": (b"Content-Length: \xb2\r\n", b"{}"),
    "CL with an underscore": (b"Content-Length: 1_0\r\n", b"{}        "),
    "huge CL": (b"Content-Length: " + b"9" * 60 + b"\r\n", b"{}"),
    "chunked twice": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "chunked, chunked": (b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
    "xchunked": (b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "gzip, chunked": (b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "identity": (b"Transfer-Encoding: identity\r\n", b"{}"),
    "TE with VT": (b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "TE with a blank": (b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "bad chunk size": (b"Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
    "chunk size with a sign": (b"Transfer-Encoding: chunked\r\n", b"+2\r\n{}\r\n0\r\n\r\n"),
    "chunk size 0x2": (b"Transfer-Encoding: chunked\r\n", b"0x2\r\n{}\r\n0\r\n\r\n"),
    "chunk longer than said": (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}{}\r\n0\r\n\r\n"),
    "chunks without end": (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n"),
    "a trailer that frames": (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n"),
    "shorter than its CL": (b"Content-Length: 50\r\n", b"{}"),
    "too large by its CL": (b"Content-Length: %d\r\n" % (MAX_BODY + 1), b""),
}
LENGTHS |= {
    "an empty CL": (b"Content-Length: \r\n", b"{}"),
    "CL with a point": (b"Content-Length: 2.0\r\n", b"{}"),
    "CL with a blank": (b"Content-Length: 1 0\r\n", b"{}        "),
    "CL in words": (b"Content-Length: two\r\n", b"{}"),
    "CL with VT": (b"Content-Length: \x0b2\r\n", b"{}"),
    "CL with a blank before the colon": (b"Content-Length : 2\r\n", b"{}"),
    "CL and TE in other cases": (b"content-LENGTH: 5\r\ntransfer-ENCODING: chunked\r\n", b"0\r\n\r\n"),
    "CL of 0 and TE": (b"Content-Length: 0\r\nTransfer-Encoding: identity, chunked\r\n", b"0\r\n\r\n"),
    "chunked, identity": (b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"),
    "chunked with a parameter": (b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n"),
    "chunked in quotes": (b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"),
    "TE with NUL": (b"Transfer-Encoding: \x00chunked\r\n", b"0\r\n\r\n"),
    "TE folded": (b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "an empty TE": (b"Transfer-Encoding: \r\n", b"0\r\n\r\n"),
    "chunk size with a sign, minus": (b"Transfer-Encoding: chunked\r\n", b"-2\r\n{}\r\n0\r\n\r\n"),
    "chunk size with an underscore": (b"Transfer-Encoding: chunked\r\n", b"0_2\r\n{}\r\n0\r\n\r\n"),
    "chunk size in other digits": (b"Transfer-Encoding: chunked\r\n", b"\xb2\r\n{}\r\n0\r\n\r\n"),
    "no chunk size": (b"Transfer-Encoding: chunked\r\n", b";x\r\n{}\r\n0\r\n\r\n"),
    "a chunk size of a megabyte": (b"Transfer-Encoding: chunked\r\n", b"1" * MEGA + b"\r\n{}\r\n0\r\n\r\n"),
    "a chunk shorter than said": (b"Transfer-Encoding: chunked\r\n", b"5\r\n{}\r\n0\r\n\r\n"),
    "a chunk that ends in LF": (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}\n0\r\n\r\n"),
    "a trailer that is no header": (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\nnonsense\r\n\r\n"),
    "a hundred thousand trailers": (
        b"Transfer-Encoding: chunked\r\n",
        b"2\r\n{}\r\n0\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\n",
    ),
}
LENGTHS |= {
    # python-hyper/h11, GHSA-vqfr-h8mv-ghfj: any two bytes were taken for the end of a chunk
    "a chunk that ends in other bytes": (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}xx0\r\n\r\n"),
    # github.com/Pylons/waitress/issues/465 and its like: a list of codings of which only the last was looked at
    "identity, chunked": (b"Transfer-Encoding: identity, chunked\r\n", b"0\r\n\r\n"),
    "identity and chunked": (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "deflate, chunked": (b"Transfer-Encoding: deflate, chunked\r\n", b"0\r\n\r\n"),
    "chunked and nothing": (b"Transfer-Encoding: chunked,\r\n", b"0\r\n\r\n"),
}
LENGTHS["too large, and sent all the same"] = (b"Content-Length: %d\r\n" % (MAX_BODY + 1), b"x" * (MAX_BODY + 1))
HOSTS = [
    *(b"Host: a b/../@", b"Host: user@gateway", b"Host: user:word@gateway:80", b"Host: gateway/", b"Host: gateway?x"),
    *(b"Host: gateway:65536", b"Host: gateway:-1", b"Host: gateway:0", b"Host: gateway:http", b"Host: gateway:1:2"),
    *(b"Host: ", b"Host: gateway, gateway", b"Host: a\r\nHost: a", b"Host: :80", b"Host: [::1", b"Host: [gateway]"),
    *(b"Host: gate\xe9way", b"Host: gate%20way", b"Host: <gateway>", b"Host: gate\\way"),
]
# Said of a body that does not come: it is refused for what is said. Each ends the connection, whatever comes behind it.
# github.com/seanmonstar/warp/issues/383, haproxy/haproxy/issues/3316: a client was told to go on, and then refused.
ANNOUNCED = {
    "a chunk of 2^64-1 bytes": b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    "a chunk of a billion bytes": b"Transfer-Encoding: chunked\r\n\r\n3b9aca00\r\nabc",
    "a chunk too many": b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n%x\r\n" % (MAX_BODY - 1),
    "a length of a billion": b"Content-Length: 1000000000\r\n\r\n",
    "a length of 2^64": b"Content-Length: 18446744073709551616\r\n\r\nabc",
    "a length that will be refused": b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (MAX_BODY + 1),
    "a chunk after an expectation": b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n3b9aca00\r\n",
}
METHODS = [b"TRACE", b"CONNECT", b"PROPFIND", b"FOO", b"get", b"Get", b"G@T", b"OPTIONS", b"G" * 30]

REFUSED = [
    *(Probe(f"target {target!r}", get(target), (400,)) for target in TARGETS),
    *(Probe(name, get("/api/customers", headers), (400, 417)) for name, headers in HEADERS.items()),
    *(
        Probe(name, post(headers, body), (400, 413, 431, 501), name not in UNFINISHED)
        for name, (headers, body) in LENGTHS.items()
    ),
    *(Probe(f"method {m!r}", get("/api/customers", method=m), (400, 405)) for m in METHODS),
    Probe("OPTIONS *", get("*", method=b"OPTIONS"), (400,)),
    Probe("CONNECT authority", get("127.0.0.1:80", method=b"CONNECT"), (400,)),
    Probe("no Host", b"GET /api/customers HTTP/1.1\r\n{auth}\r\n", (400,)),
    Probe("GET with a body", get("/api/customers", b"Content-Length: 2\r\n") + b"{}", (400,)),
    Probe("GET with chunks", get("/api/customers", b"Transfer-Encoding: chunked\r\n") + b"1\r\nx\r\n0\r\n\r\n", (400,)),
    Probe("DELETE with a body", get(f"/api/customers/{ID}", b"Content-Length: 1\r\n", b"DELETE") + b"x", (400,)),
    Probe(
        "too large in chunks",
        post(b"Transfer-Encoding: chunked\r\n", b"%x\r\n" % (MAX_BODY + 1) + b"x" * (MAX_BODY + 1) + b"\r\n0\r\n\r\n"),
        (413,),
    ),
    Probe("a huge header", get("/api/customers", b"X-A: " + b"a" * 9000 + b"\r\n"), (431,)),
    Probe("101 headers", get("/api/customers", b"X-A: b\r\n" * 101), (431,)),
    Probe("a long target", get("/api/customers?q=" + "a" * 5000), (414,)),
    Probe("HTTP/0.9", b"GET /api/customers\r\n\r\n", (400,)),
    Probe("HTTP/2.0", b"GET /api/customers HTTP/2.0\r\nHost: gateway\r\n\r\n", (505,)),
    Probe("HTTP/0.9 by name", b"GET /api/customers HTTP/0.9\r\nHost: gateway\r\n\r\n", (505,)),
    Probe("HTTP/9", b"GET /api/customers HTTP/9\r\nHost: gateway\r\n\r\n", (400,)),
    Probe("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    *(Probe(f"Host {host!r}", b"GET /api/customers HTTP/1.1\r\n" + host + b"\r\n{auth}\r\n", (400,)) for host in HOSTS),
    *(Probe(f"Host {host!r} in HTTP/1.0", b"GET / HTTP/1.0\r\n" + host + b"\r\n{auth}\r\n", (400,)) for host in HOSTS),
    Probe("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
    Probe("garbage", b"\x00\x01\x02\x03 \xff\r\n\r\n", (400,)),
    *(
        Probe(f"version {version!r}", b"GET /api/customers " + version + b"\r\nHost: gateway\r\n{auth}\r\n", REFUSALS)
        for version in (b"HTTP/1.10", b"HTTP/01.1", b"http/1.1", b"HTTP/1.1 x", b"HTTP/1.", b"HTTP/1,1")
    ),
    Probe("a megabyte of method", get("/api/customers", method=b"G" * MEGA), REFUSALS),
    Probe("a megabyte of target", get("/api/customers/" + "a" * MEGA), REFUSALS),
    Probe("a megabyte of query", get("/api/customers?q=" + "a" * MEGA), REFUSALS),
    Probe("a megabyte of version", b"GET / HTTP/1." + b"1" * MEGA + b"\r\n\r\n", REFUSALS),
    Probe("a megabyte of a header's name", get("/api/customers", b"X" * MEGA + b": b\r\n"), REFUSALS),
    Probe("a megabyte of a header", get("/api/customers", b"X-A: " + b"a" * MEGA + b"\r\n"), REFUSALS),
    Probe("a megabyte of a token", get("/api/customers", b"Txn-Token: " + b"a" * MEGA + b"\r\n"), REFUSALS),
    Probe("a hundred thousand headers", get("/api/customers", b"X-A: b\r\n" * 100_000), REFUSALS),
    Probe(
        "a hundred thousand names", get("/api/customers", b"".join(b"X%d: b\r\n" % n for n in range(10**5))), REFUSALS
    ),
    Probe("a megabyte without a line", b"A" * MEGA, REFUSALS, False),
    Probe("an empty Host", b"GET /api/customers HTTP/1.1\r\nHost:\r\n{auth}\r\n", (400,)),
    Probe("lines that end in LF", b"GET /api/customers HTTP/1.1\nHost: gateway\n\n", (400,), False),
    Probe("a request after a CR", b"\rGET /api/customers HTTP/1.1\r\nHost: gateway\r\n{auth}\r\n", (400,)),
    Probe("a blank before the method", b" GET /api/customers HTTP/1.1\r\nHost: gateway\r\n{auth}\r\n", (400,)),
    Probe("two blanks after the method", b"GET  /api/customers HTTP/1.1\r\nHost: gateway\r\n{auth}\r\n", (400,)),
    Probe("a tab after the method", b"GET\t/api/customers HTTP/1.1\r\nHost: gateway\r\n{auth}\r\n", (400,)),
    Probe("a blank before the first header", b"GET /api/customers HTTP/1.1\r\n Host: gateway\r\n{auth}\r\n", (400,)),
    Probe("chunks in HTTP/1.0", old(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), REFUSALS),
    Probe("CL and TE in HTTP/1.0", old(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), REFUSALS),
    Probe(
        "the door of nginx",
        get("/forward-auth", b"X-Original-Method: GET\r\nX-Original-URI: /api/customers\r\n"),
        (404,),
    ),
    Probe("an unknown address", get("/api/nothing"), (404,)),
    Probe("metrics of a service", get("/customer/metrics"), (404,)),
    Probe("inside", get("/api/internal/revocations"), (404,)),
]

PASSING = [
    Probe("plain", get("/api/customers"), (200,)),
    Probe("an empty line before it", b"\r\n" + get("/api/customers"), (200,)),
    Probe("HTTP/1.0", b"GET /api/customers HTTP/1.0\r\n{auth}\r\n", (200,)),
    Probe("SCRIPT_NAME", get("/api/customers", b"SCRIPT_NAME: /api\r\nPATH_INFO: /admin\r\n"), (200,)),
    Probe("Script-Name", get("/api/customers", b"Script-Name: /api\r\nPath-Info: /admin\r\n"), (200,)),
    Probe("X_User_Id", get("/api/customers", b"X_User_Id: root\r\nX-User_Id: root\r\nTxn_Token: x\r\n"), (200,)),
    Probe("a hyphen as underscore", get("/api/customers", b"If_Match: x\r\nIdempotency_Key: k1234567\r\n"), (200,)),
    Probe("two X-User-Ids", get("/api/customers", b"X-User-Id: root\r\nX-User-Id: you\r\n"), (200,)),
    Probe("two X-Tenant-Ids", get("/api/customers", b"X-Tenant-Id: all\r\nX-Tenant-Id: none\r\n"), (200,)),
    Probe("bytes in a value", get("/api/customers", b"User-Agent: \xe9\xff\r\n"), (200,)),
    Probe("Upgrade", get("/api/customers", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"), (200,)),
    Probe("Proxy", get("/api/customers", b"Proxy: http://127.0.0.1:1\r\nTE: trailers\r\nForwarded: for=1\r\n"), (200,)),
    Probe("a method override", get("/api/customers", b"X-HTTP-Method-Override: DELETE\r\n"), (200,)),
    Probe("X-Forwarded", get("/api/customers", b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: evil\r\n"), (200,)),
    Probe("X-Forwarded-Prefix", get("/api/customers", b"X-Forwarded-Prefix: /admin\r\nX-Real-IP: 1.2.3.4\r\n"), (200,)),
    Probe("X-Original-URL", get("/api/customers", b"X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\n"), (200,)),
    Probe("a forged internal token", get("/api/customers", b"Txn-Token: x.y.z\r\ntxn-token: a\r\n"), (200,)),
    Probe("internal headers", get("/api/customers", b"X-Internal-Caller: gateway\r\nX-Roles: owner\r\n"), (200,)),
    Probe("cookies", get("/api/customers", b"Cookie: access_token_cookie=x\r\nCookie: b=c\r\n"), (200,)),
    Probe("a WebSocket", get("/api/customers", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), (200,)),
    Probe("Keep-Alive", get("/api/customers", b"Keep-Alive: timeout=1\r\nProxy-Connection: x\r\n"), (200,)),
    Probe("a deadline", get("/api/customers", b"X-Request-Deadline-Ms: 0\r\ntraceparent: 00-0-0-00\r\n"), (200,)),
    Probe("a proxy's credentials", get("/api/customers", b"Proxy-Authorization: Basic YTpi\r\n"), (200,)),
    Probe("an empty query", get("/api/customers?"), (200,)),
    Probe("HTTP/1.2", b"GET /api/customers HTTP/1.2\r\nHost: gateway\r\n{auth}\r\n", (200,)),
    Probe("a Host with a port", b"GET /api/customers HTTP/1.1\r\nHost: gateway:8080\r\n{auth}\r\n", (200,)),
    Probe("an address for a Host", b"GET /api/customers HTTP/1.1\r\nHost: [::1]:8080\r\n{auth}\r\n", (200,)),
    Probe("HEAD", get("/api/customers", method=b"HEAD"), (200,)),
]  # fmt: skip

CHUNKED = b"Transfer-Encoding: chunked\r\n"
BODIES = {
    "CL": (b"Content-Length: 5\r\n", b"hello"),
    "zeros before CL": (b"Content-Length: 0005\r\n", b"hello"),
    "chunks with an extension": (CHUNKED, b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"),
    "a long extension": (CHUNKED, b"5;" + b"x" * 900 + b"\r\nhello\r\n0\r\n\r\n"),
    "a trailer": (b"Transfer-Encoding: Chunked\r\n", b"5\r\nhello\r\n0\r\nX-Trailer: z\r\n\r\n"),
    "identity in a trailer": (CHUNKED, b"5\r\nhello\r\n0\r\nX-User-Id: root\r\nTxn-Token: x\r\n\r\n"),
    "Expect": (b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"hello"),
}
