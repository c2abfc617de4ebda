"""Fixtures of all tests that go through the whole stack (tests/lib/stack.py)."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

import answers  # noqa: E402
import watch  # noqa: E402
from stack import Stack  # noqa: E402


answers.listen(watch.strange)


@pytest.fixture(scope="session")
def stack():
    """One stack for the whole run (for each worker of -n): rate limits off, no PostgreSQL. A test
    may create what it likes in it but must leave its processes and settings alone."""
    s = Stack()
    yield s
    s.close()


@pytest.fixture
def make_stack():
    """make_stack(RATE_LIMIT_ENABLED=True, ...): a stack for this test alone, to be configured,
    restarted and destroyed. Settings are those of the programs and of etc/dev/run."""
    made = []

    def make(**env):
        made.append(Stack(**env))
        return made[-1]

    yield make
    errors = []
    for s in made:
        try:
            s.close()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


@pytest.fixture(autouse=True)
def no_complaints(request):
    """The test after which a program complained is the one that fails, or which got what is not described."""
    yield
    said, watch.strange[:] = watch.strange[:], []
    assert said == []
    if "stack" in request.fixturenames:
        request.getfixturevalue("stack").check()
