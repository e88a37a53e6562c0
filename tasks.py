"""Everything one does with this repository, from a fresh copy and nothing but Python.

    python tasks.py demo            train a small network and explain what happened
    python tasks.py test            the test suite          (more arguments go to pytest)
    python tasks.py lint            ruff: rules and format
    python tasks.py format          ruff: repair what it can
    python tasks.py types           pyright on the package
    python tasks.py oracles         tests against torch, jax and autograd, which it installs
    python tasks.py programs        2,000 random gradients, native code against the interpreter
    python tasks.py browser         tests of the explorer's page in Chromium, which it installs
    python tasks.py bench [name]    the benchmarks, or those with `name` in theirs
    python tasks.py wheel           build the wheel, install it elsewhere, try it there
    python tasks.py docs            make the reference and the stubs, run every example
    python tasks.py clean           remove .venv, dist and all caches

The first run makes `.venv` and installs what the task needs; later runs find it there. Only the
standard library is used, and only grammar that a Python 3.6 can read: a Python that is too old
hands over to a newer one on the PATH, or says what is missing.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "overbar-installed.json"
OLDEST = (3, 11)
PAGE = (".js", ".css", ".html")  # what the explorer's page is made of
KINDS = ("py.typed", ".csv.gz", ".txt", ".md", *PAGE)  # in the wheel, beside the sources
NO_TESTS = 5  # pytest's status when it has found none
BIN, EXE = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")

# What a wheel must be able to do in an empty environment, without any optional package.
SMOKE = """
import sys
from pathlib import Path
import overbar as ob

assert Path(ob.__file__).is_relative_to(sys.prefix), ob.__file__
assert not {"torch", "jax", "scipy", "matplotlib", "llvmlite"} & set(sys.modules)
slope = ob.grad(lambda x: x * x * x)(2.0)
assert slope == 12.0, slope
assert len(ob.explore(lambda x: x * x, 2.0).html()) > 10_000
images, labels, *_ = ob.data.digits()
assert len(images) == len(labels) > 0
print(f"import, gradient and data work from {Path(ob.__file__).parent}")
"""


# ------------------------------------------------------------------------------ which Python


def works(python):
    """Whether this interpreter is new enough and can make a virtual environment."""
    probe = "import sys, venv, ensurepip; sys.exit(sys.version_info < {!r})".format(OLDEST)
    try:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.call([str(python), "-c", probe], **quiet) == 0
    except OSError:
        return False


def a_new_enough_python():
    """The first that works: the one running this, then those on the PATH."""
    minors = (13, 12, 11, 14)  # the newest comes last: other people's wheels take their time
    names = ["python3.{}".format(minor) for minor in minors] + ["python3", "python"]
    for python in [sys.executable] + [shutil.which(name) for name in names]:
        if python and works(python):
            return python
    wanted = "{}.{}".format(*OLDEST)
    if sys.version_info >= OLDEST:
        sys.exit(
            "{} cannot make virtual environments.\n"
            "wanted a Python >= {} with the modules venv and ensurepip\n"
            "hint: on Debian and Ubuntu, `apt install python3-venv`".format(sys.executable, wanted)
        )
    sys.exit(
        "{} is Python {}.{}, too old for overbar, and no newer one is on the PATH.\n"
        "wanted Python >= {}\n"
        "hint: install it from python.org, then `python{} tasks.py ...`".format(
            sys.executable, sys.version_info[0], sys.version_info[1], wanted, wanted
        )
    )


# ------------------------------------------------------------------- the virtual environment


def python_of(venv):
    """The interpreter inside a virtual environment."""
    return venv / BIN / ("python" + EXE)


def run(*command, cwd=ROOT, env=None, check=True):
    """The exit status of a command; with `check`, anything but 0 ends the whole task with it."""
    sys.stdout.flush()
    status = subprocess.call([str(part) for part in command], cwd=str(cwd), env=env)
    if check and status:
        sys.exit(status)
    return status


def requirements():
    """A fingerprint of what pyproject.toml asks to have installed."""
    import tomllib

    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = json.dumps([document["project"], document["build-system"]], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()


def environment(*extras):
    """The interpreter of `.venv`, which holds overbar (this very tree) and these extras."""
    python = python_of(VENV)
    if not works(python):
        print("making {} with {}".format(VENV, sys.executable))
        run(sys.executable, "-m", "venv", "--clear", VENV)
    asked, have = requirements(), {"extras": []}
    if STAMP.exists():
        have = json.loads(STAMP.read_text())
    if have.get("asked") == asked and set(extras) <= set(have["extras"]):
        return python
    everything = sorted(set(extras).union(have["extras"]))
    brackets = "[{}]".format(",".join(everything)) if everything else ""
    print("installing overbar{} into {} (only once)".format(brackets, VENV))
    target = "{}{}".format(ROOT, brackets)
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-e", target)
    STAMP.write_text(json.dumps({"asked": asked, "extras": everything}))
    return python


# ---------------------------------------------------------------------------------- the tasks


def demo(*arguments):
    """Train a small network and explain what happened."""
    run(environment("jit"), "-m", "overbar", "demo", *arguments)


def test(*arguments):
    """Run the suite, on two cores if there are two; what is timed has the machine to itself."""
    python = environment("test", "jit", "plot")
    one_core = (os.cpu_count() or 1) == 1
    if one_core or any(a.startswith(("-n", "-m", "--pdb")) for a in arguments):
        run(python, "-m", "pytest", *arguments)
        return
    env = dict(os.environ, OPENBLAS_NUM_THREADS="1")  # two workers, one core each
    pytest = (python, "-m", "pytest")
    plain = run(*pytest, "-n", "2", "-m", "not timing", *arguments, env=env, check=False)
    if plain not in (0, NO_TESTS):
        sys.exit(plain)
    timed = run(*pytest, "-q", "-m", "timing", *arguments, check=False)
    sys.exit(plain if timed == NO_TESTS else timed)


def lint(*arguments):
    """Check rules and format; both reports are shown before either fails the task."""
    python = environment("lint")
    paths = arguments or (".",)
    rules = run(python, "-m", "ruff", "check", *paths, check=False)
    layout = run(python, "-m", "ruff", "format", "--check", *paths, check=False)
    sys.exit(rules or layout)


def format(*arguments):
    """Repair what ruff can repair."""
    python = environment("lint")
    paths = arguments or (".",)
    run(python, "-m", "ruff", "check", "--fix", "--exit-zero", *paths)
    run(python, "-m", "ruff", "format", *paths)


def types(*arguments):
    """Check the types of the package, with the optional packages there to be read."""
    python = environment("lint", "jit", "scipy", "sklearn", "plot")
    run(python, "-m", "pyright", "--pythonpath", python, *arguments)


def oracles(*arguments):
    """Compare with torch, jax and autograd."""
    python = environment("test", "jit", "oracles")
    run(python, "-m", "pytest", *(arguments or ["tests/oracles"]))


def programs(*arguments):
    """Compare native code with the interpreter on 2,000 random gradients; compute the coefficients
    of its functions anew.
    """
    python = environment("test", "jit", "plot")
    env = dict(os.environ, OPENBLAS_NUM_THREADS="1", OVERBAR_CACHE="")
    env.setdefault("OVERBAR_PROGRAMS", "2000")
    where = [
        "tests/compile/test_vmath.py::test_all_coefficients_are_what_the_tool_makes",
        "tests/compile/test_random_programs.py::test_a_random_gradient_is_the_same_in_native_code",
    ]
    run(python, "-m", "pytest", "-q", "-n", str(os.cpu_count() or 1), *where, *arguments, env=env)


def browser(*arguments):
    """Look at the explorer's page in Chromium and at Graphviz's layouts; without them it fails."""
    python = environment("test", "browser")
    if not a_browser() or not shutil.which("dot"):
        may = os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get")
        if not may:
            sys.exit(
                "needed on the PATH: one of {}, and dot\n"
                "hint: on Debian and Ubuntu, `apt install chromium graphviz`".format(
                    ", ".join(CHROMIUM)
                )
            )
        install = ("apt-get", "install", "-y", "-q", "--no-install-recommends")
        run("apt-get", "update", "-q")
        run(*install, "chromium", "fonts-dejavu-core", "graphviz")
        if not a_browser() or not shutil.which("dot"):
            sys.exit(
                "chromium and graphviz were installed, but dot or {} is not on the PATH".format(
                    ", ".join(CHROMIUM)
                )
            )
    run(python, "-m", "pytest", *(arguments or ["tests/browser"]))


CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


def a_browser():
    """The path of a Chromium, None if there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)


def bench(*arguments):
    """Measure, side by side with the others; see benchmarks/README.md."""
    found = sorted((ROOT / "benchmarks").glob("*.py"))
    scripts = [s for s in found if s.stem not in ("__init__", "measure")]
    chosen = [s for s in scripts if not arguments or any(a in s.stem for a in arguments)]
    if not chosen:
        names = ", ".join(s.stem for s in scripts) or "none yet"
        asked = " or ".join(arguments) or "anything"
        sys.exit("no benchmark is named {}\nwanted one of: {}".format(asked, names))
    python = environment("jit", "oracles")
    for script in chosen:
        print("--- {}".format(script.relative_to(ROOT)))
        run(python, "-m", "benchmarks." + script.stem)


def wheel():
    """Build the wheel, look into it, install it into an empty environment and use it there."""
    python = environment()
    dist = ROOT / "dist"
    shutil.rmtree(str(dist), ignore_errors=True)
    build = ["-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps"]
    run(python, *build, "--wheel-dir", dist, ROOT)
    (built,) = dist.glob("overbar-*.whl")

    tree = {path.relative_to(ROOT).as_posix() for path in (ROOT / "overbar").rglob("*")}
    wanted = {name for name in tree if name.endswith((*KINDS, ".py"))}
    held = set(zipfile.ZipFile(str(built)).namelist())
    missing = sorted(wanted - held)
    for kind in KINDS:
        if not any(name.startswith("overbar/") and name.endswith(kind) for name in held):
            missing.append("overbar/**/*{}".format(kind))
    if missing:
        sys.exit("{} lacks: {}".format(built.name, ", ".join(missing)))
    print("{}: {} files, {:.0f} kB".format(built.name, len(held), built.stat().st_size / 1000))

    with tempfile.TemporaryDirectory() as elsewhere:
        venv = Path(elsewhere) / "venv"
        run(sys.executable, "-m", "venv", venv)
        there = python_of(venv)
        run(there, "-m", "pip", "install", "-q", "--disable-pip-version-check", built)
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        run(there, "-c", SMOKE, cwd=elsewhere, env=env)
        run(there, "-m", "overbar", "demo", "--epochs", "1", cwd=elsewhere, env=env)


def docs(*arguments):
    """Make the reference and the stubs again, then run every example of the documents."""
    python = environment("test", "jit", "plot")
    run(python, "-m", "docs.generate")
    run(python, "-m", "pytest", "tests/test_examples.py", "tests/test_docs.py", *arguments)


def clean():
    """Remove what the other tasks made."""
    for name in (".venv", "dist", "build", ".pytest_cache", ".ruff_cache", ".hypothesis"):
        shutil.rmtree(str(ROOT / name), ignore_errors=True)
    for cache in ROOT.rglob("__pycache__"):
        shutil.rmtree(str(cache), ignore_errors=True)


TASKS = {
    task.__name__: task
    for task in (
        *(demo, test, lint, format, types, oracles, programs, browser),
        *(bench, wheel, docs, clean),
    )
}


def main(arguments):
    """Run the task that was named."""
    name = arguments[0] if arguments else "help"
    if name in ("help", "-h", "--help"):
        print(__doc__)
    elif name not in TASKS:
        sys.exit("no task {!r}\nwanted one of: {}".format(name, ", ".join(TASKS)))
    elif name == "clean":
        clean()
    else:
        python = a_new_enough_python()
        if python != sys.executable:  # start again, under a Python that will do
            run(python, Path(__file__).resolve(), *arguments)
        else:
            TASKS[name](*arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
