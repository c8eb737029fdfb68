"""`kill -9` of writers to every object service: what they were told is stored is stored, and nothing half is ever seen."""

import json
import random
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from tests.crash import cloud_blob_writer
from tests.crash.cloud_blob_writer import blobs_of, driver_of
from tests.crash.test_blob_crashes import Story
from tests.object_places import OBJECT_CLOUDS, object_config

KILLS = 6


@pytest.mark.crash
@pytest.mark.line(47, 84, 85, 86)
@pytest.mark.parametrize("backend", OBJECT_CLOUDS)
def test_a_writer_killed_at_random_moments_loses_nothing_and_shows_nothing_half(lab, request, backend):
    config, chance, story = object_config(request, backend), random.Random(), Story()
    with closing(driver_of(backend, config)) as driver:
        blobs = blobs_of(driver)
        for seed in range(1, KILLS + 1):
            steps, delay = chance.randrange(1, 8), chance.uniform(0, 0.1)
            arguments = (backend, json.dumps(config), str(seed))
            story.check(blobs, story.follow(cloud_blob_writer.__name__, *arguments, steps=steps, delay=delay))
        everything = datetime.now(UTC) + timedelta(days=1)
        blobs.sweep(before=everything)
        assert blobs.sweep(before=everything, dry_run=True).parts == 0
        story.check(blobs, None)
