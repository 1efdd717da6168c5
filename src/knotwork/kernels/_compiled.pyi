# The functions of csrc/bindings.cpp; kernels/calls.py is their only caller, kernels/eligibility.py checks what goes in.
from typing import Any

def __getattr__(name: str) -> Any: ...
