"""Readers of everything meet damaged files: an error of ours or a valid object, in seconds and in less than 1 GiB.

A few trials of each, the same ones every time. ``fuzz.py`` beside this goes on for as long as one likes.
"""

import importlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.readers import READERS
from tests.fuzz.trial import attempt, samples

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not hasattr(__import__("signal"), "SIGPROF"), reason="needs Linux to look at its own memory"),
]
SLOW = {"run": 5, "checkpoint": 20}
"""Trials of readers that build a run."""


@pytest.fixture(scope="module", params=READERS)
def reader(request, tmp_path_factory):
    for package in READERS[request.param].needs:
        try:
            importlib.import_module(package)
        except ImportError:
            pytest.skip(f"{package} is not installed")
    folder = tmp_path_factory.mktemp("fuzz")
    return request.param, samples(request.param, folder / "samples"), folder / "trial"


def test_the_samples_are_valid(reader):
    name, valid, _ = reader
    for path in valid:
        if name != "replay-buffer":  # a pickle, which is refused
            READERS[name].read(path)


def test_damage_is_an_error_of_ours_or_nothing(reader):
    name, valid, scratch = reader
    outcomes = []

    @settings(max_examples=SLOW.get(name, 40), suppress_health_check=list(HealthCheck))
    @given(st.binary(min_size=4, max_size=48))
    def trial(data):
        outcomes.append(attempt(name, valid, data, scratch))

    trial()
    assert any(outcomes), "no damage was noticed, so that nothing is shown"
