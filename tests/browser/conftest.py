"""Fixtures of the browser tests."""

import pytest
from window import Window


@pytest.fixture(scope="session")
def browsers():
    """Browsers that no test holds at the moment; starting one takes seconds."""
    idle = []
    yield idle
    for browser in idle:
        browser.close()


@pytest.fixture
def windows(browsers):
    """windows(url, ...): another browser (Window.lend) on that page. At the end of the test its
    console must hold no error, unless it was opened with may_complain=True."""
    lent = []

    def new(url, **options):
        window = browsers.pop() if browsers else Window()
        lent.append(window)
        window.lend(**options).open(url)
        return window

    yield new
    complaints = [line for window in lent for line in window.complaints()]
    for window in lent:
        window.give_back()
        browsers.append(window)
    assert not complaints, "\n".join(complaints)
