"""Wrong settings of an Azure route end in a sentence with the way out, and no secret of one is ever told."""

import base64
import logging
import traceback

import pytest
from azure.storage.blob import generate_container_sas
from pydantic import SecretStr, ValidationError

from northstar.errors import ForbiddenEndpoint, InvalidConfig, NorthstarError
from northstar.modes import SAAS
from storage.backends.azure_blob import AzureBlobs
from storage.backends.azure_blob_config import AzureBlobConfig
from storage.blobs import Grant
from storage.errors import BackendRejected
from tests.contract.azure_lab import BACKEND, azure_config, azure_driver, guarded
from tests.contract.azure_script import EMPTY, OURS, Line, scripted
from tests.contract.blob_contract import put, read

backend = BACKEND
CANARY = base64.b64encode(b"canary" * 8).decode()
ACCOUNT = {"account": "acmeprod", "container": "objects"}
NO_KEY = {"account_key": None}


def connection_string(container, **changes):
    parts = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": container.account,
        "AccountKey": container.key,
        "BlobEndpoint": f"{container.endpoint}/{container.account}",
        **changes,
    }
    return SecretStr(";".join(f"{name}={value}" for name, value in parts.items() if value))


def container_sas(container, permissions="rcwdl"):
    """A service SAS of the whole container."""
    place = (container.account, container.container)
    return generate_container_sas(*place, account_key=container.key, permission=permissions, expiry="2099-01-01")


class TestConfig:
    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"account": None}, "account"),
            ({"container": None}, "container"),
            ({"account": "Acme"}, "account"),
            ({"container": "no--pair"}, "container"),
            ({"container": "x"}, "container"),
            ({"prefix": "no-slash"}, "prefix"),
            ({"prefix": "../"}, "prefix"),
            ({"prefix": "x" * 100 + "/"}, "prefix"),
            ({"access_tier": "Archive"}, "access_tier"),
            ({"account_key": CANARY, "sas_token": CANARY}, "exclude"),
            ({"client_secret": CANARY}, "tenant_id"),
            ({"endpoint": "http://127.0.0.1:10000"}, "plain http"),
            (
                {"endpoint": "http://127.0.0.1:10000", "tenant_id": "t", "client_id": "c", "client_secret": CANARY},
                "plain http",
            ),
            ({"endpoint": "https://globex.blob.core.windows.net"}, "globex"),
        ],
    )
    def test_a_wrong_config_is_refused_when_it_is_saved_naming_the_field(self, wrong, told):
        fields = {name: value for name, value in {**ACCOUNT, **wrong}.items() if value is not None}
        with pytest.raises(ValidationError, match=told) as refused:
            AzureBlobConfig.model_validate(fields)
        assert CANARY not in str(refused.value)

    @pytest.mark.parametrize(
        "endpoint",
        ["https://evil.example", "http://169.254.169.254", "https://acmeprod.blob.core.windows.net.evil.example"],
    )
    def test_no_endpoint_but_azures_own_and_the_allowed_is_ever_called(self, endpoint):
        with pytest.raises(ForbiddenEndpoint):
            AzureBlobConfig.model_validate({**ACCOUNT, "endpoint": endpoint})
        told = f"AccountName=acmeprod;AccountKey={CANARY};BlobEndpoint={endpoint}"
        with pytest.raises(ForbiddenEndpoint) as refused:
            AzureBlobConfig.model_validate({**ACCOUNT, "connection_string": told})
        assert CANARY not in str(refused.value)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("UseDevelopmentStorage=true", "no account key"),
            (f"AccountName=globex;AccountKey={CANARY}", "another account"),
            (f"AccountName=acmeprod;AccountKey={CANARY};BlobEndpoint=https://x/y/z", "no origin"),
        ],
    )
    def test_a_connection_string_that_does_not_fit_is_refused_without_telling_it(self, text, told):
        with pytest.raises(InvalidConfig, match=told) as refused:
            AzureBlobConfig.model_validate({**ACCOUNT, "connection_string": text})
        assert CANARY not in str(refused.value)

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, "https://acmeprod.blob.core.windows.net"),
            (
                {"endpoint": "https://acmeprod.blob.core.usgovcloudapi.net/"},
                "https://acmeprod.blob.core.usgovcloudapi.net",
            ),
            ({"endpoint": "http://127.0.0.1:10000", "account_key": CANARY}, "http://127.0.0.1:10000/acmeprod"),
            (
                {"connection_string": f"AccountKey={CANARY};EndpointSuffix=core.chinacloudapi.cn"},
                "https://acmeprod.blob.core.chinacloudapi.cn",
            ),
        ],
    )
    def test_the_address_is_the_accounts_own_or_the_one_told(self, fields, expected):
        assert AzureBlobConfig.model_validate({**ACCOUNT, **fields}).resolved().endpoint == expected

    def test_a_reference_to_a_connection_string_is_looked_into_when_it_is_used(self, monkeypatch):
        monkeypatch.setenv("NORTHSTAR_SECRET_AZURE", f"AccountName=globex;AccountKey={CANARY}")
        config = AzureBlobConfig.model_validate(
            {**ACCOUNT, "connection_string": {"$secret": "env:NORTHSTAR_SECRET_AZURE"}}
        )
        driver = AzureBlobs(config, mode=SAAS, epoch=1)
        with pytest.raises(InvalidConfig, match="another account"):
            driver.ping()


class TestCredentials:
    def test_a_connection_string_is_enough(self, azure_container):
        config = azure_config(
            azure_container, **NO_KEY, endpoint=None, connection_string=connection_string(azure_container)
        )
        with azure_driver(config) as driver:
            put(guarded(driver), "doc")
            assert read(guarded(driver), "doc") == b"data"

    def test_a_sas_token_of_the_container_reads_writes_lists_copies_and_deletes(self, azure_container):
        with azure_driver(azure_config(azure_container)):
            token = SecretStr("?" + container_sas(azure_container))
        with azure_driver(azure_config(azure_container, **NO_KEY, sas_token=token)) as driver:
            blobs = guarded(driver)
            put(blobs, "doc")
            assert blobs.copy("doc", "copied").sha256 == blobs.head("doc").sha256
            assert [entry.key for entry in blobs.list().blobs] == ["copied", "doc"]
            assert blobs.delete("doc")

    @pytest.mark.line(59)
    def test_a_sas_token_signs_nothing_for_others_and_the_error_says_what_would(self, azure_container):
        with azure_driver(azure_config(azure_container)):
            token = SecretStr(container_sas(azure_container))
        with azure_driver(azure_config(azure_container, **NO_KEY, sas_token=token)) as driver:
            with pytest.raises(BackendRejected, match="SAS token") as refused:
                guarded(driver).presign("doc", Grant("GET", 60))
            assert "key" in refused.value.fix

    @pytest.mark.parametrize("permissions", ["r", "rl"])
    def test_a_sas_token_that_may_too_little_is_told_with_what_it_needs(self, azure_container, permissions):
        with azure_driver(azure_config(azure_container)):
            token = SecretStr(container_sas(azure_container, permissions))
        driver = AzureBlobs(azure_config(azure_container, **NO_KEY, sas_token=token), mode=SAAS, epoch=1)
        with pytest.raises(BackendRejected) as refused:
            put(guarded(driver), "doc")
        assert "read, create, write, delete and list" in refused.value.fix

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"account_key": SecretStr(CANARY)}, "refuses"),
            ({"account_key": SecretStr("no base64 \u00e9")}, "credential"),
            ({"account": "otheraccount"}, "rejected|refuses|no such"),
        ],
    )
    def test_wrong_credentials_are_told_with_the_way_out(self, azure_container, changes, told):
        driver = AzureBlobs(azure_config(azure_container, **changes), mode=SAAS, epoch=1)
        with pytest.raises(BackendRejected, match=told) as refused:
            driver.ping()
        assert refused.value.fix


class TestPlace:
    def test_a_missing_container_is_named_and_prepare_makes_it_twice_harmlessly(self, azure_container):
        driver = AzureBlobs(azure_config(azure_container), mode=SAAS, epoch=1)
        for call in (driver.ping, lambda: put(guarded(driver), "doc"), lambda: guarded(driver).list()):
            with pytest.raises(BackendRejected, match="container does not exist") as refused:
                call()
            assert "routes prepare" in refused.value.fix
        driver.prepare()
        driver.prepare()
        driver.ping()

    @pytest.mark.line(105)
    def test_an_account_with_a_hierarchical_namespace_is_refused(self, azure_container):
        with_folders = Line(headers=OURS | {"x-ms-is-hns-enabled": "true"})
        with scripted(Line(body=EMPTY), with_folders) as script:
            driver = AzureBlobs(azure_config(azure_container, endpoint=script.url), mode=SAAS, epoch=1)
            with pytest.raises(BackendRejected, match="hierarchical namespace") as refused:
                driver.ping()
        assert "without" in refused.value.fix

    def test_an_account_that_does_not_tell_is_taken(self, azure_container):
        silent = Line(403, headers=OURS | {"x-ms-error-code": "AuthorizationPermissionMismatch"})
        with scripted(Line(body=EMPTY), silent) as script:
            AzureBlobs(azure_config(azure_container, endpoint=script.url), mode=SAAS, epoch=1).ping()

    def test_a_redirect_is_told_and_never_followed(self, azure_container):
        elsewhere = Line(307, headers=OURS | {"Location": "http://169.254.169.254/"})
        with scripted(elsewhere) as script:
            driver = AzureBlobs(azure_config(azure_container, endpoint=script.url), mode=SAAS, epoch=1)
            with pytest.raises(BackendRejected, match="307"):
                driver.ping()
            assert len(script.requests) == 1


def everything_said(driver):
    """Whatever the driver's errors tell while it writes, copies and looks at its place."""
    blobs, said = guarded(driver), ""
    for call in (lambda: put(blobs, "doc"), lambda: blobs.copy("doc", "copied"), driver.ping):
        try:
            call()
        except NorthstarError as error:
            said += "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    return said


def test_no_secret_and_no_signature_is_told_in_errors_logs_or_descriptions(azure_container, caplog):
    with azure_driver(azure_config(azure_container)):
        token = container_sas(azure_container, "l")
    signature = token.partition("sig=")[2].partition("&")[0]
    other = connection_string(azure_container, AccountKey=CANARY)
    configs = [
        (azure_config(azure_container), azure_container.key),
        (azure_config(azure_container, account_key=SecretStr(CANARY)), CANARY),
        (azure_config(azure_container, **NO_KEY, sas_token=SecretStr(token)), signature),
        (azure_config(azure_container, **NO_KEY, connection_string=other), CANARY),
        (azure_config(azure_container, endpoint="http://127.0.0.1:1"), azure_container.key),
    ]
    with caplog.at_level(logging.DEBUG):
        for config, secret in configs:
            said = everything_said(AzureBlobs(config, mode=SAAS, epoch=1))
            described = repr(config) + str(config) + repr(config.resolved())
            assert secret not in said + described + caplog.text
