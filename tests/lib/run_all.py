"""Runs the tests and adds them up: run_all.py --build build/release [SUITE...]

Suites: unit (cmocka), api (cmocka with a private Redis), engine (random commands against the
oracle), node (the client's modules), e2e, browser and faults (pytest; of the faults only their judge). Prints one line for each program,
the whole output of those that failed, and at last `N passed, N failed`; the exit status says the
same. Everything it leaves is in BUILD/test/all; the logs there grow as the programs run. WRAP
(valgrind) and SLOW are honoured, see stack.py.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLOW = float(os.environ.get("SLOW", "1"))
WRAP = os.environ.get("WRAP", "")
JOBS = max(2, os.cpu_count() or 2)


class Job:
    """One program, which may say nothing for `seconds`. `count(output, status)` gives (passed, failed)."""

    def __init__(self, name, command, count, env=None, seconds=120):
        self.name, self.command, self.count = name, command, count
        self.env, self.seconds = env or {}, seconds * SLOW

    def run(self, out):
        began = time.monotonic()
        reports = out / (re.sub(r"\W+", "-", self.name) + ".reports")
        reports.mkdir(parents=True)
        options = f"exitcode=99:log_path={reports}/san:print_stacktrace=1"
        env = dict(os.environ, ASAN_OPTIONS=options, UBSAN_OPTIONS=options, TSAN_OPTIONS=options, **self.env)
        log = out / (re.sub(r"\W+", "-", self.name) + ".log")
        with open(log, "wb") as said:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM"] + [part.replace("{dir}", str(reports)) for part in self.command],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        late = not self.wait(process, log)
        self.output = log.read_text(errors="replace")
        self.passed, self.failed = self.count(self.output, process.returncode)
        for report in sorted(reports.iterdir()):
            if report.stat().st_size:
                self.output += f"\n{report.name}:\n" + report.read_text(errors="replace")
                self.failed = max(1, self.failed)
        if late:
            self.output += f"\nended after {self.seconds:g} s without a word\n"
        if (late or process.returncode != 0) and self.failed == 0:
            self.failed = 1
        if self.passed + self.failed == 0:
            self.output += "\nit ran no test\n"
            self.failed = 1
        self.took = time.monotonic() - began
        log.write_text(self.output)
        return self

    def wait(self, process, log):
        """Until it ends, or False if it had to be ended. How long all tests take depends on the machine; a
        test that hangs does not."""
        while True:
            try:
                process.wait(min(self.seconds, 5))
                return True
            except subprocess.TimeoutExpired:
                if time.time() - log.stat().st_mtime > self.seconds:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return False


def cmocka(output, _status):
    passed = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", output))
    failed = sum(int(n) for n in re.findall(r"\[  FAILED  \] (\d+) test", output))
    return passed, failed


def node(output, _status):
    count = {kind: int(n) for kind, n in re.findall(r"^(?:#|\u2139) (pass|fail) (\d+)$", output, re.M)}
    return count.get("pass", 0), count.get("fail", 0)


def whole(_output, status):
    return (1, 0) if status == 0 else (0, 1)


def junit(path):
    def count(_output, _status):
        try:
            suites = list(xml.etree.ElementTree.parse(path).getroot().iter("testsuite"))
        except (OSError, xml.etree.ElementTree.ParseError):
            return 0, 1
        total = sum(int(s.get("tests")) for s in suites)
        bad = sum(int(s.get("failures")) + int(s.get("errors")) for s in suites)
        skipped = sum(int(s.get("skipped")) for s in suites)
        # A test that was skipped proves nothing: it counts as failed.
        return max(0, total - bad - skipped), bad + skipped

    return count


def programs(build, folder):
    wrap = WRAP.split()
    for source in sorted((ROOT / "tests").glob(f"{folder}/**/test_*.c")):
        name = source.relative_to(ROOT).with_suffix("")
        yield Job(str(name), wrap + [str(build / name)], cmocka)


def engine(build, out):
    for script in sorted((ROOT / "tests/fuzz").glob("**/test_*.py")):
        yield pytest_job(build, out, str(script.relative_to(ROOT)), [str(script)], [])
    for source in sorted((ROOT / "tests/fuzz/engine").glob("test_*.c")):
        name = source.relative_to(ROOT).with_suffix("")
        yield Job(str(name), WRAP.split() + [str(build / name)], cmocka, seconds=300)
    for source in sorted((ROOT / "tests/fuzz").glob("fuzz_*.c")):
        name = source.relative_to(ROOT).with_suffix("")
        corpus = source.parent / "corpus" / source.stem.removeprefix("fuzz_")
        yield Job(str(name), WRAP.split() + [str(build / name), str(corpus)], cmocka)


def node_jobs(build):
    tests = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests").glob("unit/web/*.test.*js"))
    tests += sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests").glob("unit/web/test_*.*js"))
    if tests:
        yield Job("tests/unit/web", ["node", "--test", *tests], node, {"BIN_DIR": str(build)})


def pytest_job(build, out, name, paths, options):
    xml_path = out / (re.sub(r"\W+", "-", name) + ".xml")
    command = ["/usr/bin/python3", "-m", "pytest", "-q", "--no-header", "--durations=8", f"--junit-xml={xml_path}"]
    return Job(name, command + options + paths, junit(xml_path), {"BIN_DIR": str(build)}, seconds=480)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("suites", nargs="*")
    args = parser.parse_args()
    build = args.build if args.build.is_absolute() else ROOT / args.build
    out = build / "test" / ("-".join(args.suites) or "all")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)

    args.suites = args.suites or ["unit", "api", "engine", "node", "e2e", "browser", "faults"]
    small = []
    if "unit" in args.suites:
        small += programs(build, "unit")
    if "api" in args.suites:
        small += programs(build, "api")
    if "engine" in args.suites:
        small += engine(build, out)
    if "node" in args.suites:
        small += node_jobs(build)
    paths = [f"tests/{suite}" for suite in ("e2e", "browser", "faults") if suite in args.suites]

    done = []

    def report(job):
        done.append(job)
        word = "ok  " if job.failed == 0 else "FAIL"
        print(f"{word} {job.name}: {job.passed} passed, {job.failed} failed ({job.took:.1f} s)", flush=True)
        if job.failed:
            print(job.output.rstrip(), flush=True)

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for job in concurrent.futures.as_completed([pool.submit(job.run, out) for job in small]):
            report(job.result())
    if paths:
        # Most of these wait most of the time. What loads the machine to its limit, or measures it, runs by itself.
        report(pytest_job(build, out, "end to end", paths, ["-m", "not alone", "-n", str(2 * JOBS), "--dist", "loadfile"]).run(out))
        report(pytest_job(build, out, "end to end, alone", paths, ["-m", "alone"]).run(out))

    passed, failed = sum(j.passed for j in done), sum(j.failed for j in done)
    summary = f"{passed} passed, {failed} failed"
    (out / "summary").write_text(summary + "\n")
    print(summary, flush=True)
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
