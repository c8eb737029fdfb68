"""Two bodies of one name would share one component of the API's description, and one of them would be described wrongly."""

from collections import defaultdict
from collections.abc import Iterator

from pydantic import BaseModel, RootModel

import northstar.urls


def bodies(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__subclasses__():
        if ".api." in one.__module__ and not one.__name__.startswith(("_", RootModel.__name__)):
            yield one
        yield from bodies(one)


def test_each_body_of_the_api_has_a_name_of_its_own():
    assert northstar.urls.urlpatterns  # every view, and so every body, is imported
    places = defaultdict(set)
    for one in bodies(BaseModel):
        places[one.__name__].add(one.__module__)
    shared = {name: found for name, found in places.items() if len(found) > 1 and not name.endswith("Query")}
    assert not shared
