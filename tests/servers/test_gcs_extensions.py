"""The Cloud Storage test server by the real SDK: moves, storage classes, keys, what is kept of a chunk, and who may call."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from google.api_core import exceptions
from google.auth import jwt
from google.auth.crypt import RSASigner
from google.oauth2 import service_account

from tests.servers.gcs_accounts import Accounts
from tests.servers.gcs_lab import (
    BUCKET,
    SIGNER,
    Lab,
    account_file,
    account_key,
    client_of,
    gcs_lab,
)

KEY = "projects/acme/locations/eu/keyRings/r/cryptoKeys/k"
SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
MIB = 1024 * 1024


@pytest.fixture
def gcs() -> Iterator[Lab]:
    with gcs_lab() as lab:
        yield lab


class TestMoves:
    def test_a_move_renames_under_a_new_generation_and_keeps_the_rest(self, gcs: Lab):
        blob = gcs.bucket.blob("old")
        blob.metadata = {"n": "1"}
        blob.upload_from_string(b"bytes", content_type="text/x")
        blob.metadata = {"n": "2"}
        blob.patch()
        moved = gcs.bucket.move_blob(blob, "new")
        found = gcs.bucket.get_blob("new")
        assert (found.download_as_bytes(), found.metadata, found.content_type) == (b"bytes", {"n": "2"}, "text/x")
        assert (found.generation, found.metageneration) == (moved.generation, 1)
        assert found.generation != blob.generation
        assert gcs.bucket.get_blob("old") is None

    def test_a_move_holds_to_both_sides_or_changes_nothing(self, gcs: Lab):
        source, target = gcs.put("source", b"s"), gcs.put("target", b"t")
        for conditions in (
            {"if_generation_match": 0},
            {"if_generation_match": target.generation + 1},
            {"if_source_generation_match": source.generation + 1},
        ):
            with pytest.raises(exceptions.PreconditionFailed):
                gcs.bucket.move_blob(source, "target", **conditions)
        assert [gcs.bucket.blob(name).download_as_bytes() for name in ("source", "target")] == [b"s", b"t"]
        gcs.bucket.move_blob(
            source,
            "target",
            if_generation_match=target.generation,
            if_source_generation_match=source.generation,
        )
        assert [blob.name for blob in gcs.bucket.list_blobs()] == ["target"]

    def test_what_is_not_there_or_stays_where_it_is_is_not_moved(self, gcs: Lab):
        with pytest.raises(exceptions.NotFound):
            gcs.bucket.move_blob(gcs.bucket.blob("none"), "new")
        with pytest.raises(exceptions.BadRequest):
            gcs.bucket.move_blob(gcs.put("same"), "same")


class TestClassesAndKeys:
    def test_an_object_has_the_class_and_key_of_its_bucket_unless_it_has_its_own(self, gcs: Lab):
        bucket = gcs.client.bucket("other-data")
        bucket.storage_class, bucket.default_kms_key_name = "NEARLINE", KEY
        bucket.create()
        bucket.blob("bare").upload_from_string(b"x")
        own = bucket.blob("own", kms_key_name=f"{KEY}2")
        own.storage_class = "COLDLINE"
        own.upload_from_string(b"x")
        large = bucket.blob("large", chunk_size=MIB, kms_key_name=f"{KEY}2")
        large.upload_from_string(b"x" * 2 * MIB)
        shown = {blob.name: (blob.storage_class, blob.kms_key_name) for blob in bucket.list_blobs()}
        assert shown == {
            "bare": ("NEARLINE", f"{KEY}/cryptoKeyVersions/1"),
            "own": ("COLDLINE", f"{KEY}2/cryptoKeyVersions/1"),
            "large": ("NEARLINE", f"{KEY}2/cryptoKeyVersions/1"),
        }

    def test_a_rewrite_into_another_class_or_key_takes_as_many_calls_as_it_copies_bytes(self, gcs: Lab):
        source = gcs.put("source", b"x" * 3 * MIB)
        gcs.control("POST", "limits", rewrite_bytes=MIB)
        target = gcs.bucket.blob("target", kms_key_name=KEY)
        token, calls = None, 0
        while token is not None or calls == 0:
            token, *_ = target.rewrite(source, token=token)
            calls += 1
        assert (calls, gcs.bucket.get_blob("target").kms_key_name) == (3, f"{KEY}/cryptoKeyVersions/1")

    def test_what_is_no_key_or_class_is_refused(self, gcs: Lab):
        with pytest.raises(exceptions.BadRequest):
            gcs.bucket.blob("k", kms_key_name="my-key").upload_from_string(b"x")
        bucket = gcs.client.bucket("other-data")
        bucket.storage_class = "FROZEN"
        with pytest.raises(exceptions.BadRequest, match="FROZEN"):
            bucket.create()


def test_less_of_a_chunk_may_be_kept_than_was_sent(gcs: Lab):
    gcs.control("POST", "limits", kept_bytes=256 * 1024)
    address = gcs.session("k")
    answer = gcs.http.put(address, content=b"x" * MIB, headers={"Content-Range": f"bytes 0-{MIB - 1}/{MIB}"})
    assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{256 * 1024 - 1}")
    assert gcs.bucket.get_blob("k") is None


def test_a_download_of_the_json_api_tells_no_metadata_and_one_of_the_xml_api_does(gcs: Lab):
    blob = gcs.bucket.blob("k")
    blob.metadata = {"owner": "acme"}
    blob.upload_from_string(b"x")
    plain = gcs.http.get(f"/storage/v1/b/{BUCKET}/o/k?alt=media")
    assert "x-goog-meta-owner" not in plain.headers
    assert plain.headers["x-goog-generation"] == str(blob.generation)
    assert httpx.get(gcs.signed("k")).headers["x-goog-meta-owner"] == "acme"


class TestCallers:
    """A server that asks for tokens."""

    @pytest.fixture
    def gcs(self) -> Iterator[Lab]:
        accounts = Accounts()
        with gcs_lab(accounts) as lab:
            accounts.guarded = True
            yield lab

    def ask(self, gcs: Lab, token: str) -> int:
        return gcs.http.get(f"/storage/v1/b/{BUCKET}", headers={"authorization": f"Bearer {token}"}).status_code

    def token(self, number: int = 0, **claims: Any) -> str:
        now = int(datetime.now(UTC).timestamp())
        signer = RSASigner.from_service_account_info(account_file("", number))
        own = {"iss": SIGNER, "sub": SIGNER, "iat": now, "exp": now + 3600, "scope": SCOPE, **claims}
        return str(jwt.encode(signer, own).decode())

    def test_a_token_that_the_account_signed_itself_is_taken(self, gcs: Lab):
        key = service_account.Credentials.from_service_account_info(
            account_file(gcs.url), scopes=[SCOPE], always_use_jwt_access=True
        )
        client = client_of(gcs.url, key)
        assert client.bucket(BUCKET).exists()
        client.close()
        assert self.ask(gcs, self.token()) == 200
        assert self.ask(gcs, self.token(scope="", aud="https://storage.googleapis.com/")) == 200

    @pytest.mark.parametrize(
        "claims",
        [
            {"scope": ""},
            {"scope": "https://www.googleapis.com/auth/devstorage.read_only"},
            {"scope": "", "aud": "https://pubsub.googleapis.com/"},
            {"sub": "other@northstar.iam.gserviceaccount.com"},
            {"iss": "other@northstar.iam.gserviceaccount.com", "sub": "other@northstar.iam.gserviceaccount.com"},
            {"iat": 1, "exp": 3600},
        ],
    )
    def test_any_other_is_refused(self, gcs: Lab, claims: dict[str, Any]):
        assert self.ask(gcs, self.token(**claims)) == 401
        assert self.ask(gcs, self.token(number=1)) == 401
        assert self.ask(gcs, "eyJ.e30.c2ln") == 401

    def test_the_xml_api_asks_for_the_same_tokens_and_never_serves_a_stranger(self, gcs: Lab):
        gcs.http.post(
            f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=k",
            content=b"x",
            headers={"authorization": f"Bearer {self.token()}"},
        ).raise_for_status()
        statuses = [
            gcs.http.get(f"/{BUCKET}/k", headers=headers).status_code
            for headers in ({"authorization": f"Bearer {self.token()}"}, {"authorization": "Bearer no"}, {})
        ]
        assert statuses == [200, 401, 403]


class TestIam:
    """signBlob, as it is at iamcredentials.googleapis.com."""

    @pytest.fixture
    def gcs(self, tmp_path: Path) -> Iterator[Lab]:
        path = tmp_path / "key.json"
        path.write_text(json.dumps(account_file("")))
        accounts = Accounts()
        accounts.add_file(path)
        with gcs_lab(accounts) as lab:
            yield lab

    def sign(self, gcs: Lab, email: str, payload: str) -> httpx.Response:
        return gcs.http.post(f"/v1/projects/-/serviceAccounts/{email}:signBlob", json={"payload": payload})

    def test_bytes_are_signed_in_the_name_of_a_known_account(self, gcs: Lab):
        answer = self.sign(gcs, SIGNER, base64.b64encode(b"message").decode())
        signature = base64.b64decode(answer.json()["signedBlob"])
        account_key(0).public_key().verify(signature, b"message", PKCS1v15(), SHA256())

    def test_for_another_account_and_for_no_payload_nothing_is_signed(self, gcs: Lab):
        assert self.sign(gcs, "other@northstar.iam.gserviceaccount.com", "").status_code == 403
        assert gcs.http.post(f"/v1/projects/-/serviceAccounts/{SIGNER}:signBlob", json={}).status_code == 400
