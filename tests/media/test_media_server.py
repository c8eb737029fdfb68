"""Media through the real server: any size at the same memory."""

import json

import pytest

from tests.api.test_objects_server import GROWTH_MIB, MIB, SIZE_MIB, digest_of, hash_of, peak

pytestmark = pytest.mark.server
MEDIA = "/api/v1/media?session_id=s_1"


def test_256_mib_in_and_out_add_less_than_32_mib(server):
    piece = bytes(range(256)) * 4096
    server.request("POST", MEDIA, b"warm")
    before = peak(server.pid, reset=True)
    connection = server.connect(timeout=300)
    headers = {"Authorization": f"Bearer {server.tokens['acme']}", "Content-Type": "video/mp4"}
    connection.request("POST", MEDIA, (piece for _ in range(SIZE_MIB)), headers, encode_chunked=True)
    answer = connection.getresponse()
    media = json.loads(answer.read())
    digest = digest_of(piece for _ in range(SIZE_MIB))
    assert (answer.status, media["size_bytes"], media["checksum_sha256"]) == (201, SIZE_MIB * MIB, digest)
    connection.request("GET", f"/api/v1/media/{media['media_id']}/content", headers=headers)
    assert hash_of(connection.getresponse()) == digest
    connection.close()
    assert server.request("DELETE", f"/api/v1/media/{media['media_id']}")[0] == 204
    grown = (peak(server.pid) - before) / MIB
    print(f"256 MiB in and out: the server grew by {grown:.1f} MiB")
    assert grown < GROWTH_MIB
