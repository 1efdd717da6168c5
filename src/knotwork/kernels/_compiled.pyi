# The functions of csrc/bindings.cpp; kernels/compiled.py, which checks what goes in, is their only caller.
from typing import Any

def __getattr__(name: str) -> Any: ...
