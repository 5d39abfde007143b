"""NVRTC, the compiler that a start on a GPU uses, called without one."""

import ctypes
import functools
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNELS = ROOT / "Sources/CCUDA/kernels"
INCLUDES = ROOT / "Sources/CCUDA/include"
CACHE = ROOT / "Sources/MartletCUDA/Kernels/KernelCache.swift"


class CompilerError(Exception):
    """A sentence that says what is missing or wrong."""


def options():
    """What the backend compiles with, the architecture aside."""
    listed = re.search(r"options = \[([^]]*)\]", CACHE.read_text())
    if not listed:
        raise CompilerError(f"{CACHE.relative_to(ROOT)} has no list of options any more; see Tools/cuda/compiler.py.")
    return re.findall(r'"([^"]+)"', listed.group(1))


def check_sources():
    """That the program carries every file of kernels/."""
    carried = (ROOT / "Sources/CCUDA/sources.c").read_text()
    missing = [path.name for path in sorted(KERNELS.iterdir()) if f'"kernels/{path.name}"' not in carried]
    if missing:
        raise CompilerError(f"Sources/CCUDA/sources.c does not embed {', '.join(missing)}.")


def find_library():
    """libnvrtc in the folder that MARTLET_NVRTC names, else in the PyPI package of this Python."""
    named = os.environ.get("MARTLET_NVRTC")
    # The package has no code of its own, only a folder on the path.
    folders = [named] if named else [f"{place}/nvidia/cuda_nvrtc/lib" for place in sys.path]
    for folder in folders:
        for library in sorted(pathlib.Path(folder).glob("libnvrtc.so*")):
            return library
    raise CompilerError(
        f"There is no libnvrtc.so in {named}." if named else
        "This Python has no NVRTC: run `make nvrtc`, or let MARTLET_NVRTC name the folder of libnvrtc.so.")


@functools.cache
def load():
    return ctypes.CDLL(str(find_library()))


def call(name, *arguments):
    result = getattr(load(), name)(*arguments)
    if result:
        load().nvrtcGetErrorString.restype = ctypes.c_char_p
        raise CompilerError(f"{name}: {load().nvrtcGetErrorString(result).decode()}")


def version():
    major, minor = ctypes.c_int(), ctypes.c_int()
    call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
    return f"NVRTC {major.value}.{minor.value}"


def strings(texts):
    return (ctypes.c_char_p * len(texts))(*[text.encode() for text in texts])


def text_of(program, name):
    size = ctypes.c_size_t()
    call(f"{name}Size", program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    call(name, program, text)
    return text.raw


def compile_file(name, architecture):
    """Compiles kernels/`name` as the backend does. Gives the compiler's log, in which ptxas tells of every kernel.
    Raises CompilerError where it does not compile."""
    paths = [*sorted(KERNELS.glob("*.cuh")), *sorted(INCLUDES.glob("*.h"))]
    headers = {path.name: path.read_text() for path in paths}
    program = ctypes.c_void_p()
    call("nvrtcCreateProgram", ctypes.byref(program), (KERNELS / name).read_text().encode(), name.encode(),
         len(headers), strings(headers.values()), strings(headers.keys()))
    given = options() + [f"--gpu-architecture={architecture}", "--ptxas-options=--verbose"]
    result = load().nvrtcCompileProgram(program, len(given), strings(given))
    log = text_of(program, "nvrtcGetProgramLog").rstrip(b"\0").decode()
    if result or not text_of(program, "nvrtcGetCUBIN").startswith(b"\x7fELF"):
        raise CompilerError(f"{name} does not compile for {architecture}:\n{log}")
    call("nvrtcDestroyProgram", ctypes.byref(program))
    return log
