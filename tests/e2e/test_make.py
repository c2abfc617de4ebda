"""The Makefile forgets what is not there any more: a script, a migration, a source file."""
import os
import shutil
import subprocess

import pytest

from stack import ROOT, SLOW


@pytest.fixture
def tree(tmp_path):
    """A small source tree with the Makefile of this one."""
    for name in ("common/banned.h", "Makefile"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "common/lua").mkdir()
    (tmp_path / "migrations").mkdir()
    for name in ("first", "second"):
        (tmp_path / f"common/{name}.c").write_text(f"int {name}_number;\n")
        (tmp_path / f"common/lua/{name}.lua").write_text("return 1\n")
        (tmp_path / f"migrations/{name}.sql").write_text("SELECT 1;\n")
    return tmp_path


def make(tree):
    """Build what is made of many files; returns the output."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k not in ("MFLAGS", "SAN", "BIN_DIR")}
    made = ["libcommon.a", "gen/lua_scripts.h", "gen/lua_scripts.c", "gen/migrations.c"]
    return subprocess.run(["make", "-j1", *(f"build/release/{name}" for name in made)], cwd=tree, env=env, check=True, text=True,
                          capture_output=True, timeout=60 * SLOW).stdout


def names(tree):
    """Which of the two names are in each of them."""
    texts = {name: (tree / "build/release/gen" / name).read_text().lower() for name in ("lua_scripts.h", "lua_scripts.c", "migrations.c")}
    texts["libcommon.a"] = subprocess.run(["ar", "t", tree / "build/release/libcommon.a"], check=True, text=True, capture_output=True).stdout
    return {made: [name for name in ("first", "second", "third") if name in text] for made, text in texts.items()}


def test_what_is_removed_or_renamed_is_forgotten(tree):
    make(tree)
    assert all(found == ["first", "second"] for found in names(tree).values()), names(tree)
    for path in list(tree.glob("**/second.*")):
        if "build" not in path.parts:
            path.rename(path.with_name("third" + path.suffix))
    make(tree)
    assert all(found == ["first", "third"] for found in names(tree).values()), names(tree)
    for path in list(tree.glob("**/third.*")):
        if "build" not in path.parts:
            path.unlink()
    make(tree)
    assert all(found == ["first"] for found in names(tree).values()), names(tree)


def test_what_has_not_changed_is_not_made_again(tree):
    assert "AR " in make(tree)
    before = {path: path.stat().st_mtime_ns for path in (tree / "build").glob("**/*") if path.is_file()}
    assert "AR " not in make(tree)
    assert {path: path.stat().st_mtime_ns for path in before} == before
