"""What tests of commands share: commands run in a folder of the test's own."""

import pytest

from tests.command_line import call


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs commands in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return call


@pytest.fixture
def succeed(run):
    """Runs commands there that must end well."""

    def succeeding(*args):
        result = run(*args)
        assert result.exit_code == 0, result.stderr
        return result

    return succeeding
