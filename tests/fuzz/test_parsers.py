"""The table of parsers says what is there: every driver stands in it, with seeds, and every file of it exists.
`make fuzz-cover` looks at the functions, and measures."""

import re

import cover
import pytest

PARSERS, EXCEPTED = cover.table()
SIZE_MAX = 100_000  # bytes of the seeds of a driver: `make test` reads them all


def functions(file):
    return set(re.findall(r"^(\w+)\(", (cover.ROOT / file).read_text(), re.M))


@pytest.mark.parametrize("driver", cover.drivers())
def test_a_driver_is_in_the_table_and_has_seeds(driver):
    assert driver in {name for parser in PARSERS for name in parser.drivers}
    seeds = list((cover.HERE / "corpus" / driver).iterdir())
    assert any(seed.name.startswith("taken") for seed in seeds), "nothing that is accepted"
    assert any(seed.name.startswith("refused") for seed in seeds), "nothing that is not"
    assert sum(seed.stat().st_size for seed in seeds) < SIZE_MAX


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.file)
def test_a_row_names_a_file_and_its_drivers(parser):
    assert set(parser.drivers) <= set(cover.drivers())
    assert (cover.ROOT / parser.file).is_file()


def test_every_exception_has_a_reason_and_a_line():
    for row in EXCEPTED:
        assert len(row.reason.split()) > 3, row
        assert any(parser.file == row.file and (not parser.functions or row.function in parser.functions) for parser in PARSERS), row
        assert row.function in functions(row.file), row
        assert row.text in (cover.ROOT / row.file).read_text(), row


def test_every_corpus_has_its_driver():
    assert {folder.name for folder in (cover.HERE / "corpus").iterdir()} == set(cover.drivers())


LOOKS = re.compile(
    r"->(element|integer)\b|\b(json_parse|percent_next|pg_text|pg_int|body_array_at|redis_info_(value|is|number)|wslay_frame_recv|http_parser_execute)\("
)
REPLIES = re.compile(r"->element\[")
# What libpq has read is handed on as it is; and two numbers that become gauges.
ALIKE = {"common/pg_result.c", "broadcaster/database.c"}


@pytest.mark.parametrize("folder, words", [("common", LOOKS), ("fcgi", LOOKS), ("broadcaster", LOOKS), ("ctl", REPLIES)])
def test_who_looks_into_what_others_have_written_is_in_the_table(folder, words):
    named = {parser.file for parser in PARSERS}
    looks = {str(path.relative_to(cover.ROOT)) for path in (cover.ROOT / folder).rglob("*.c") if words.search(path.read_text())}
    assert looks, folder
    assert looks - named - ALIKE == set()
