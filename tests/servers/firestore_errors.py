"""What the Firestore test server refuses, as the gRPC status that the service answers with."""

import grpc


class Refused(Exception):
    """A call that is answered with a gRPC status other than OK. `details` names what was refused and why."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


def invalid(details: str) -> Refused:
    """The request breaks a documented rule, whatever is stored."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, details)


def unknown(details: str) -> Refused:
    """The service may offer this, but this test server does not: said aloud, never ignored."""
    return Refused(grpc.StatusCode.UNIMPLEMENTED, f"the Firestore test server does not know {details}")


def needs_index(details: str) -> Refused:
    """The service answers no query without an index that holds its answer in order."""
    return Refused(grpc.StatusCode.FAILED_PRECONDITION, f"The query requires an index: {details}")
