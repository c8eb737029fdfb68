"""Objects through the real server: bodies of unknown length, bodies cut off, clients that leave, and memory that stays flat."""

import hashlib
import json
import socket
from functools import partial
from itertools import chain
from pathlib import Path

import pytest

from tests.object_places import OBJECT_BACKENDS, object_config
from tests.server import running_server

pytestmark = pytest.mark.server
MIB = 1024 * 1024
SIZE_MIB = 256
SLOW_MIB = 64
GROWTH_MIB = 32
"""What 256 MiB in and out may add to the server's memory."""
X = "/api/v1/storage/objects/x"
BIG = "/api/v1/storage/objects/big"
FORM_HEAD = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
FORM_TAIL = b"\r\n--edge--\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def fresh_server(tmp_path):
    """A server that no other backend has given memory before."""
    with running_server(tmp_path / "fresh") as running:
        yield running


@pytest.fixture
def no_x(server):
    """Start without the object."""
    server.request("DELETE", X)


def raw(server, lines, body=b"", *, half_close=False):
    """Send a request as it stands, and return the answer's status and error code, if it is an error."""
    head = [f"{lines[0]} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {server.tokens['acme']}", *lines[1:]]
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1") + body)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    headers, _, content = answer.partition(b"\r\n\r\n")
    status = int(headers.split()[1]) if headers else 0
    return status, json.loads(content)["error_code"] if status >= 400 else None


class TestBodies:
    def test_a_body_of_unknown_length_is_stored_whole(self, server):
        pieces = [bytes([number]) * 100_000 for number in range(20)]
        connection = server.connect()
        headers = {"Authorization": f"Bearer {server.tokens['acme']}", "Content-Type": "text/plain"}
        connection.request("PUT", X, iter(pieces), headers, encode_chunked=True)
        stored = json.loads(connection.getresponse().read())
        connection.close()
        assert (stored["size"], stored["sha256"]) == (2_000_000, hashlib.sha256(b"".join(pieces)).hexdigest())
        assert server.request("GET", X)[2] == b"".join(pieces)

    @pytest.mark.parametrize("sent", [0, 10, 100_000])
    def test_a_body_cut_off_before_its_length_stores_nothing(self, server, no_x, sent):
        raw(server, [f"PUT {X}", "Content-Length: 3000000"], b"x" * sent, half_close=True)
        assert server.request("GET", X)[0] == 404

    @pytest.mark.parametrize("end", [b"", b"5\r\nab", b"zz\r\n"])
    def test_a_chunked_body_without_its_end_stores_nothing(self, server, no_x, end):
        raw(server, [f"PUT {X}", "Transfer-Encoding: chunked"], b"5\r\nhello\r\n" + end, half_close=True)
        assert server.request("GET", X)[0] == 404

    def test_a_cut_off_upload_leaves_nothing_in_flight(self, server):
        raw(server, [f"PUT {X}", "Content-Length: 3000000"], b"x" * 1_500_000, half_close=True)
        server.request("PUT", X, b"whole")  # comes after: the one before has ended by then, or ends beside it
        tmp = server.home / "object_store/acme/dev/_/tmp"
        for _ in range(100):
            if not list(tmp.iterdir()):
                break
            server.request("GET", X)
        assert list(tmp.iterdir()) == []
        assert server.request("GET", X)[2] == b"whole"

    def test_a_path_that_is_no_utf8_is_refused(self, server):
        assert raw(server, ["GET /api/v1/storage/objects/a%ffb"])[0] == 400

    @pytest.mark.parametrize("path", ["../../t_other/x", "a//b", "a/../b", "%2e%2e/x", "a%2f%2fb"])
    def test_a_path_with_steps_in_it_is_refused_as_it_stands(self, server, path):
        assert raw(server, [f"GET /api/v1/storage/objects/{path}"]) == (400, "INVALID_KEY")

    def test_metadata_is_utf8_on_the_wire(self, server):
        value = "Zo\u00eb \u2713".encode().decode("latin-1")
        assert raw(server, [f"PUT {X}", "Content-Length: 1", f"X-Meta-Who: {value}"], b"1")[0] == 200
        assert server.request("GET", X)[1]["x-meta-who"].encode("latin-1").decode() == "Zo\u00eb \u2713"
        assert raw(server, [f"PUT {X}", "Content-Length: 1", "X-Meta-Who: \xff"], b"1") == (400, "INVALID_REQUEST")

    def test_head_and_304_carry_no_body(self, server):
        _, stored, _ = server.request("PUT", X, b"hello")
        status, headers, body = server.request("HEAD", X)
        assert (status, headers["content-length"], body) == (200, "5", b"")
        status, headers, body = server.request("GET", X, headers={"If-None-Match": stored["etag"]})
        assert (status, headers["etag"], body) == (304, stored["etag"], b"")

    def test_a_reader_that_leaves_closes_its_file(self, server):
        server.request("PUT", X, b"x" * 20 * MIB)
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as leaving:
            request = f"GET {X} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.tokens['acme']}\r\n\r\n"
            leaving.sendall(request.encode())
            assert leaving.recv(1000).startswith(b"HTTP/1.1 200")
        for _ in range(200):
            if not holds_open(server.pid, "/blobs/x"):
                break
            server.request("HEAD", X)  # gives the server its time, and needs none of ours
        assert not holds_open(server.pid, "/blobs/x")


def holds_open(pid, ending):
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(link.readlink()))
        except FileNotFoundError:
            continue
    return any(link.endswith(ending) for link in links)


class TestMemory:
    @pytest.mark.parametrize("backend", OBJECT_BACKENDS)
    def test_256_mib_in_and_out_add_less_than_32_mib(self, fresh_server, request, backend):
        server = fresh_server
        headers = routed(server, backend, object_config(request, backend))
        piece = bytes(range(256)) * 4096
        digest = digest_of(piece for _ in range(SIZE_MIB))
        server.request("PUT", X, b"warm", headers=headers)
        server.request("GET", X, headers=headers)
        before = peak(server.pid, reset=True)
        connection = server.connect(timeout=300)
        headers |= {"Authorization": f"Bearer {server.tokens['acme']}"}
        for announced in ({"Content-Length": str(SIZE_MIB * MIB)}, {}):
            body = (piece for _ in range(SIZE_MIB))
            connection.request("PUT", BIG, body, {**headers, **announced}, encode_chunked=not announced)
            stored = connection.getresponse()
            assert (stored.status, json.loads(stored.read())["sha256"]) == (200, digest)
        connection.request("GET", BIG, headers=headers)
        assert hash_of(connection.getresponse()) == digest
        connection.request("DELETE", BIG, headers=headers)
        connection.getresponse().read()
        connection.close()
        grown = (peak(server.pid) - before) / MIB
        print(f"{backend}: 256 MiB in twice and out: the server grew by {grown:.1f} MiB")
        assert grown < GROWTH_MIB

    @pytest.mark.parametrize("method", ["PUT", "POST"])
    def test_an_upload_by_a_url_that_we_serve_ourselves_flows_through(self, server, method):
        key = "\u00e9" * 450
        asked = signed(server, key, method)
        piece = bytes(range(256)) * 4096
        head, tail = (FORM_HEAD, FORM_TAIL) if method == "POST" else (b"", b"")
        length = len(head) + SLOW_MIB * MIB + len(tail)
        headers = {"Content-Type": "multipart/form-data; boundary=edge" if method == "POST" else "text/plain"}
        before = peak(server.pid, reset=True)
        connection = server.connect(timeout=300)
        body = chain([head], (piece for _ in range(SLOW_MIB)), [tail])
        path = asked["url"].removeprefix(server.url)
        connection.request(method, path, body, {**headers, "Content-Length": str(length)})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["size"]) == (200, SLOW_MIB * MIB)
        connection.close()
        assert (peak(server.pid) - before) / MIB < GROWTH_MIB
        named = {"key": key, "upload_id": asked["upload_id"]}
        status, _, content = server.request("POST", "/api/v1/storage/objects/register", named)
        assert (status, json.loads(content)["sha256"]) == (200, digest_of(piece for _ in range(SLOW_MIB)))

    def test_a_slow_reader_costs_no_memory_for_what_it_has_not_read(self, server):
        server.request("PUT", X, b"x" * SLOW_MIB * MIB)
        before = peak(server.pid, reset=True)
        connection = server.connect(timeout=120)
        connection.request("GET", X, headers={"Authorization": f"Bearer {server.tokens['acme']}"})
        response = connection.getresponse()
        response.read(10)
        for _ in range(20):
            server.request("HEAD", X)  # the server goes on; what it may send ahead, it has sent
        assert (peak(server.pid) - before) / MIB < GROWTH_MIB
        connection.close()


def signed(server, key, method):
    body = {"key": key, "method": method, "max_bytes": SLOW_MIB * MIB}
    status, _, answer = server.request("POST", "/api/v1/storage/objects/presign", body)
    assert status == 200, answer
    return json.loads(answer)


def routed(server, backend, config):
    """Lead acme's objects in an environment of the backend's own to it, and return the headers that name it."""
    env = backend.replace("_", "-")
    route = {
        "resource_kind": "object_store",
        "tenant_id": "acme",
        "env": env,
        "backend_type": backend,
        "config": config,
    }
    status, _, answer = server.request("POST", "/api/v1/routing/routes", route, tenant="t_system")
    assert status == 201, answer
    return {"X-Env": env}


def hash_of(response):
    return digest_of(iter(partial(response.read, MIB), b""))


def digest_of(pieces):
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def peak(pid, *, reset=False):
    """The most memory that the process and its children ever had, in bytes, or with `reset` what they have now."""
    total = 0
    for process in family(pid):
        if reset:
            Path(f"/proc/{process}/clear_refs").write_text("5")
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines() if ":" in line
        )
        total += int(status["VmHWM"].split()[0]) * 1024
    return total


def family(pid):
    found = [pid]
    for process in found:
        for task in Path(f"/proc/{process}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found
