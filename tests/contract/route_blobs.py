"""The blob contract, over whatever route `manage.py conformance` was asked to try; no part of the ordinary tests."""

from tests.contract.blob_contract import BlobKeyContract
from tests.contract.blob_contract_listing import BlobListingContract
from tests.contract.blob_contract_objects import BlobObjectContract
from tests.contract.blob_contract_presigned import BlobPresignedContract
from tests.contract.blob_contract_races import BlobRaceContract
from tests.contract.blob_contract_uploads import BlobUploadContract


class TestKeys(BlobKeyContract):
    backend = "route"


class TestObjects(BlobObjectContract):
    backend = "route"


class TestListing(BlobListingContract):
    backend = "route"


class TestRaces(BlobRaceContract):
    backend = "route"


class TestPresigned(BlobPresignedContract):
    backend = "route"


class TestUploads(BlobUploadContract):
    backend = "route"
