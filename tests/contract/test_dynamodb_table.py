"""The table that `prepare` makes, and the configs that cannot be meant."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from northstar.errors import ForbiddenEndpoint, InvalidConfig
from routing.configs import parse_config
from storage.documents import BulkPut, Increment, Put, Ref
from storage.errors import BackendRejected
from tests.contract.dynamodb_lab import DynamoDBLab
from tests.stack.fixtures import AwsAccount

backend = "dynamodb (MiniStack)"
REF = Ref("contract", ("acme", "orders"), "k")
KEYS = {"access_key_id": "AKIA", "secret_access_key": "s3cr3t"}
ROLE = "arn:aws:iam::123456789012:role/northstar"


@pytest.fixture
def dynamodb(aws_account: AwsAccount, settings) -> Iterator[DynamoDBLab]:
    lab = DynamoDBLab(aws_account, settings)
    yield lab
    lab.close()


def create(client, *, keys=("pk", "sk"), kind="S"):
    schema = [{"AttributeName": name, "KeyType": role} for name, role in zip(keys, ("HASH", "RANGE"), strict=False)]
    types = [{"AttributeName": name, "AttributeType": kind} for name in keys]
    client.create_table(
        TableName="northstar", BillingMode="PAY_PER_REQUEST", KeySchema=schema, AttributeDefinitions=types
    )


@pytest.mark.line(145)
def test_a_missing_table_is_told_with_the_command_that_makes_it(dynamodb):
    driver = dynamodb.driver()
    for call in (driver.ping, lambda: driver.get(REF), lambda: driver.put(REF, {})):
        with pytest.raises(BackendRejected, match="does not exist") as refusal:
            call()
        assert "routes prepare" in refusal.value.fix
    driver.prepare()
    driver.ping()


def test_the_table_is_made_once_for_all_who_ask_at_once(dynamodb):
    drivers = [dynamodb.driver() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda driver: driver.prepare(), drivers))
    drivers[0].put(REF, {"n": 1})
    drivers[0].prepare()
    assert drivers[1].get(REF).fields == {"n": 1}
    client = drivers[0].native()
    ttl = client.describe_time_to_live(TableName="northstar")["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "reap")
    assert (
        client.describe_table(TableName="northstar")["Table"]["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    )


def test_a_table_is_paid_for_and_kept_as_the_route_says(dynamodb):
    options = {"billing_mode": "PROVISIONED", "read_units": 7, "write_units": 5, "point_in_time_recovery": True}
    driver = dynamodb.prepared(table_name="orders.of-acme", **options)
    client = driver.native()
    table = client.describe_table(TableName="orders.of-acme")["Table"]
    units = table["ProvisionedThroughput"]
    assert (units["ReadCapacityUnits"], units["WriteCapacityUnits"]) == (7, 5)
    backups = client.describe_continuous_backups(TableName="orders.of-acme")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    driver.prepare()


@pytest.mark.parametrize("wrong", [{"keys": ("pk",)}, {"keys": ("pk", "sort")}, {"kind": "B"}])
def test_a_table_with_other_keys_is_refused(dynamodb, wrong):
    driver = dynamodb.driver()
    create(driver.native(), **wrong)
    with pytest.raises(BackendRejected, match="other keys"):
        driver.prepare()


def test_a_table_that_expires_items_by_another_attribute_is_refused(dynamodb):
    driver = dynamodb.driver()
    create(driver.native())
    wanted = {"Enabled": True, "AttributeName": "ttl"}
    driver.native().update_time_to_live(TableName="northstar", TimeToLiveSpecification=wanted)
    with pytest.raises(BackendRejected, match="by the attribute ttl"):
        driver.prepare()


def test_each_collection_of_a_kind_may_have_a_table_and_nothing_of_two_meets(dynamodb):
    collections = ("steps", "limits")
    driver = dynamodb.driver(table_per_collection=True, table_suffix="-test", collections=collections)
    with pytest.raises(BackendRejected, match="does not exist"):
        driver.ping()
    driver.prepare()
    driver.ping()
    client = driver.native()
    assert sorted(client.list_tables()["TableNames"]) == ["limits-test", "steps-test"]
    refs = [Ref(collection, ("acme", "dev", "_", "one"), "k") for collection in (*collections, "probe")]
    driver.put_many([BulkPut(ref, {"in": ref.collection}) for ref in refs])
    driver.write("limits", refs[1].partition, [Put("l", {"n": 1}), Increment("k", {"n": 2})], operation_id="once")
    driver.write("limits", refs[1].partition, [Put("l", {"n": 1}), Increment("k", {"n": 2})], operation_id="once")
    driver.increment(refs[0], {"n": 1})
    found = [document.fields for document in driver.get_many([*refs, Ref("limits", refs[1].partition, "l")])]
    assert found == [{"in": "steps", "n": 1}, {"in": "limits", "n": 2}, {"in": "probe"}, {"n": 1}]
    assert [one.ref.key for one in driver.scan("limits", refs[1].partition).documents] == ["k", "l"]
    assert driver.delete(refs[0])
    kept = {table: [one["pk"]["S"] for one in client.scan(TableName=table)["Items"]] for table in ("steps-test",)}
    assert set(kept["steps-test"]) == {"steps#acme#dev#_#one", "probe#acme#dev#_#one"}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"region": "Frankfurt"},
        {"region": "eu-central-1", "table_name": "a b"},
        {"region": "eu-central-1", "access_key_id": "AKIA"},
        {"region": "eu-central-1", "session_token": "t"},
        {"region": "eu-central-1", "external_id": "deal-7"},
        {"region": "eu-central-1", "role_arn": "northstar"},
        {"region": "eu-central-1", "read_units": 5, "write_units": 5},
        {"region": "eu-central-1", "billing_mode": "PROVISIONED", "read_units": 5},
        {"region": "eu-central-1", "billing_mode": "PROVISIONED"},
        {"region": "eu-central-1", "consistent_reads": False},
        {"region": "eu-central-1", "table_suffix": "-test"},
        {"region": "eu-central-1", "table_per_collection": True, "table_suffix": "/test"},
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(config):
    with pytest.raises(InvalidConfig):
        parse_config("tabular_store", "dynamodb", config)


def test_a_config_may_hold_keys_a_role_or_nothing_but_the_region():
    for more in (
        {},
        KEYS,
        KEYS | {"session_token": "t"},
        {"role_arn": ROLE, "external_id": "deal-7"},
        KEYS | {"role_arn": ROLE},
    ):
        config = parse_config("tabular_store", "dynamodb", {"region": "eu-central-1"} | more)
        place = {"region": "eu-central-1", "endpoint": None, "table_name": "northstar"}
        assert config.location() == place | {"table_per_collection": False, "table_suffix": ""}
        assert "s3cr3t" not in repr(config)


def test_an_endpoint_must_be_on_the_deployment_s_list():
    for name in ("endpoint", "sts_endpoint"):
        with pytest.raises(ForbiddenEndpoint) as refusal:
            parse_config("tabular_store", "dynamodb", {"region": "eu-central-1", name: "http://169.254.169.254"})
        assert [error.field for error in refusal.value.errors] == [f"config.{name}"]


def test_ministack_still_rounds_sums_to_28_digits(dynamodb):
    driver = dynamodb.prepared()
    driver.put(REF, {"n": 10**30, "d": Decimal(10**30)})
    totals = driver.increment(REF, {"n": 1, "d": Decimal(1)})
    assert totals.values == {"n": 10**30, "d": Decimal(10**30)}  # AWS adds 38 digits exactly
