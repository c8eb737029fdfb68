"""Read a folder of seed files into one `Seed`, or say exactly which place of which file is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from northstar.errors import FieldError, InvalidRequest
from northstar.strict_json import parse
from rules.seeds.shapes import AgentsFile, CalculationFile, ClientFile, LimitsFile, PipelineFile, ValidationFile

DATA: Final = Path(__file__).parents[1] / "data"
File = TypeVar("File", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Seed:
    """All files of a folder."""

    pipeline: PipelineFile
    validation: ValidationFile
    calculation: CalculationFile
    limits: LimitsFile
    agents: AgentsFile
    client: ClientFile


class InvalidSeed(InvalidRequest):
    """A seed file cannot be used; `errors` says where. Nothing was written."""

    title = "Invalid seed file"


def read_seed(folder: Path = DATA) -> Seed:
    """Read the files. Raises InvalidSeed."""
    return Seed(
        _read(folder / "pipeline.json", PipelineFile),
        _read(folder / "validation_rules.json", ValidationFile),
        _read(folder / "calculation_rules.json", CalculationFile),
        _read(folder / "irs_limits.json", LimitsFile),
        _read(folder / "agents.json", AgentsFile),
        _read(folder / "client_example.json", ClientFile),
    )


def _read(path: Path, shape: type[File]) -> File:
    try:
        return shape.model_validate(parse(path.read_bytes()))
    except OSError as error:
        raise InvalidSeed(f"{path.name} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise InvalidSeed(f"{path.name} does not have its shape.", errors=list(_told(error))) from None
    except InvalidRequest as error:
        raise InvalidSeed(f"{path.name} is no JSON: {error.detail}", errors=error.errors) from None


def _told(error: ValidationError) -> Iterator[FieldError]:
    for one in error.errors(include_url=False, include_input=False):
        yield FieldError(".".join(str(part) for part in one["loc"]), "invalid", _sentence(one))


def _sentence(one: Any) -> str:
    return str(one["msg"]).removeprefix("Value error, ")
