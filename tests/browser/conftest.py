"""Fixtures of the browser tests: windows that are gone when the test is."""

import pytest
from window import Window


@pytest.fixture
def windows():
    """windows(url, ...): a new browser (Window) on that page. At the end of the test its console
    must hold no error, unless it was opened with may_complain=True."""
    opened = []

    def new(url, **options):
        opened.append(Window(**options))
        opened[-1].open(url)
        return opened[-1]

    yield new
    complaints = [line for w in opened for line in w.complaints()]
    for w in opened:
        w.close()
    assert not complaints, "\n".join(complaints)
