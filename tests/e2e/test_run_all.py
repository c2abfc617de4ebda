"""The program that runs the tests ends what hangs, and nothing else; it finds every complaint."""
import subprocess
import sys

import run_all
from stack import ROOT, SLOW, alive, until


def job(tmp_path, script, seconds=1.0):
    """Run a shell script as a test program which may be silent for `seconds`."""
    return run_all.Job("it", ["sh", "-c", script], run_all.whole, seconds=seconds).run(tmp_path / "out")


def test_what_keeps_speaking_is_left_alone_however_long_it_takes(tmp_path):
    silent = 2.5 * SLOW
    ran = job(tmp_path, f"for i in 1 2 3 4; do sleep {silent * 0.45}; echo $i; done", seconds=2.5)
    assert (ran.passed, ran.failed) == (1, 0), ran.output
    assert ran.took > 1.5 * silent and ran.output.split() == ["1", "2", "3", "4"]


def test_what_falls_silent_is_ended_and_failed_with_what_it_said(tmp_path):
    ran = job(tmp_path, "echo begun; sleep 1000")
    assert (ran.passed, ran.failed) == (0, 1)
    assert ran.output.startswith("begun\n") and "without a word" in ran.output


def test_a_report_fails_the_program_that_ended_well(tmp_path):
    ran = run_all.Job("it", ["sh", "-c", "echo lost >{dir}/report"], run_all.cmocka).run(tmp_path / "out")
    assert ran.failed == 1 and "report:\nlost" in ran.output


def test_the_log_grows_while_it_runs_and_the_program_goes_when_the_runner_does(tmp_path):
    code = (f"import sys; sys.path.insert(0, {str(ROOT / 'tests/lib')!r}); import pathlib, run_all;"
            f"run_all.Job('it', ['sh', '-c', 'echo $$; exec sleep 1000'], run_all.whole).run(pathlib.Path({str(tmp_path)!r}))")
    runner = subprocess.Popen([sys.executable, "-c", code])
    log = tmp_path / "it.log"
    pid = int(until(lambda: log.exists() and log.read_text(), say="its first line"))
    runner.kill()
    runner.wait()
    until(lambda: not alive(pid), say="its end")
