"""Over REST, whatever a replica region answers carries its name."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.conftest import Api
from tests.contract.blob_contract import put
from tests.contract.s3_lab import S3Lab, guarded
from tests.stack.fault_proxy import FaultProxy, fault_proxy
from tests.stack.fixtures import AwsAccount

OBJECT = "storage/objects/report.txt"
REPLICA = "X-Northstar-Replica"


@pytest.fixture
def proxy(aws_account: AwsAccount) -> Iterator[FaultProxy]:
    with fault_proxy(aws_account.endpoint.removeprefix("http://")) as proxy:
        yield proxy


@pytest.fixture
def labs(aws_account, strict_aws_account, settings) -> Iterator[tuple[S3Lab, S3Lab]]:
    """The same account at two servers, as at two regions."""
    there = replace(strict_aws_account, access_key=aws_account.access_key, region="eu-west-1")
    both = S3Lab(aws_account, settings), S3Lab(there, settings)
    yield both
    for lab in both:
        lab.close()


@pytest.fixture
def client(labs, proxy, acme, api, operator_api) -> Api:
    """Acme, whose route has a replica at a second server, where one object has arrived already."""
    home, other = labs
    for driver in (home.prepared(), other.prepared()):
        put(guarded(driver), "report.txt", b"the report")
    config = home.config(proxy.url).model_dump(mode="json", exclude_unset=True)
    keys = {"access_key_id": home.account.access_key, "secret_access_key": home.account.secret_key}
    replica = {"region": "eu-west-1", "bucket": other.bucket, "endpoint": other.account.endpoint}
    route = {"resource_kind": "object_store", "tenant_id": "acme", "env": "dev", "backend_type": "s3"}
    answer = operator_api.post("routing/routes", route | {"config": config | keys | {"replicas": [replica]}})
    assert answer.status_code == 201, answer.content
    made: Api = api(acme)
    return made


def test_each_answer_of_a_replica_names_it(client, proxy):
    first = client.get(OBJECT)
    assert (first.status_code, REPLICA in first) == (200, False)
    proxy.refuse()
    etag = {"If-None-Match": first["ETag"]}
    answers = {
        200: client.get(OBJECT),
        206: client.get(OBJECT, headers={"Range": "bytes=0-2"}),
        304: client.get(OBJECT, headers=etag),
        416: client.get(OBJECT, headers={"Range": "bytes=99-"}),
    }
    assert {status: (answer.status_code, answer[REPLICA]) for status, answer in answers.items()} == {
        status: (status, "eu-west-1") for status in answers
    }
    assert (client.request("HEAD", OBJECT)[REPLICA], client.get("storage/objects")[REPLICA]) == ("eu-west-1",) * 2
    assert client.get("/raw/list")[REPLICA] == "eu-west-1"


def test_what_only_the_home_region_can_say_is_503(client, proxy):
    proxy.refuse()
    for answer in (client.get("storage/objects/other.txt"), client.put(OBJECT, b"new"), client.delete(OBJECT)):
        assert (answer.status_code, answer.json()["error_code"]) == (503, "BACKEND_UNAVAILABLE")
        assert REPLICA not in answer
