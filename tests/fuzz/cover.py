"""Which lines of each parser its fuzz driver's corpus reaches: cover.py BUILD

BUILD was made with SAN=coverage. Prints a line for each parser of tests/fuzz/parsers (which says
what a line of it means), then the lines that are missing, and fails when a parser is below FLOOR
percent.
"""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FLOOR = 95

Parser = collections.namedtuple("Parser", "drivers file functions")
Excepted = collections.namedtuple("Excepted", "file function text reason")


def table(path=HERE / "parsers"):
    """The parsers and the exceptions that the table lists."""
    parsers, excepted = [], []
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0] == "except":
            place, reason = (part.strip() for part in line.removeprefix("except").split(" : ", 1))
            where, text = (place.split(None, 1) + [""])[:2]
            file, function = where.split(":")
            excepted.append(Excepted(file, function, text, reason))
        else:
            parsers.append(Parser(words[0].split(","), words[1], words[2:]))
    return parsers, excepted


def drivers():
    return sorted(source.stem.removeprefix("fuzz_") for source in HERE.glob("fuzz_*.c"))


def replay(build, driver):
    """Run the corpus; the folder with what was counted."""
    out = build / "fuzz" / driver
    shutil.rmtree(out, ignore_errors=True)
    env = dict(os.environ, GCOV_PREFIX=str(out), GCOV_PREFIX_STRIP=str(len(build.parts) - 1))
    run = [str(build / f"tests/fuzz/fuzz_{driver}"), str(HERE / "corpus" / driver)]
    done = subprocess.run(run, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        sys.exit(f"{driver}: its corpus does not pass\n{done.stdout[-4000:]}")
    return out


def counts(build, out):
    """{file: {line: (function, times)}} of one driver."""
    data = sorted(out.rglob("*.gcda"))
    for path in data:
        notes = path.relative_to(out).with_suffix(".gcno")
        path.with_suffix(".gcno").symlink_to(build / notes)
    found = collections.defaultdict(dict)
    text = subprocess.run(["gcov", "--json-format", "--stdout", *map(str, data)], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    for document in text.splitlines():
        for file in json.loads(document)["files"]:
            for line in file["lines"]:
                of = found[file["file"]].setdefault(line["line_number"], [line.get("function_name", ""), 0])
                of[1] += line["count"]
    return found


def judge(parser, excepted, by_driver):
    """(lines that count, those that no input reaches)."""
    times = collections.defaultdict(int)
    functions = {}
    for driver in parser.drivers:
        for line, (function, n) in by_driver[driver][parser.file].items():
            functions[line] = function
            times[line] += n
    source = (ROOT / parser.file).read_text().splitlines()
    wanted = [line for line in sorted(times) if not parser.functions or functions[line] in parser.functions]
    lost = set(parser.functions) - set(functions.values())
    if lost or not wanted:
        sys.exit(f"{parser.file}: no such function, or no driver that links it: {' '.join(sorted(lost))}")

    def is_excepted(line):
        return any(
            e.file == parser.file and e.function == functions[line] and e.text in source[line - 1] for e in excepted
        )

    counted = [line for line in wanted if not is_excepted(line)]
    return counted, [line for line in counted if times[line] == 0]


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    parsers, excepted = table()
    by_driver = {driver: counts(build, replay(build, driver)) for driver in drivers()}
    low = 0
    for parser in parsers:
        counted, missing = judge(parser, excepted, by_driver)
        percent = 100 * (len(counted) - len(missing)) / max(1, len(counted))
        low += percent < FLOOR
        what = parser.file + (f" ({len(parser.functions)} functions)" if parser.functions else "")
        print(f"{'LOW ' if percent < FLOOR else 'ok  '}{percent:6.1f} % of {len(counted):4d} lines  {what}  by {', '.join(parser.drivers)}")
        if missing:
            print("      missing: " + " ".join(map(str, missing)))
    print(f"{len(parsers)} parsers, {low} below {FLOOR} %")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
