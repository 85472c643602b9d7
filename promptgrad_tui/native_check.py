"""`python -m promptgrad_tui.native_check`: loads llama.cpp and answers one question with the demo model.

It runs in a separate process, because a llama.cpp that was built for another CPU crashes.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def check_library() -> dict[str, Any]:
    """Return what llama.cpp says of its build."""
    import llama_cpp.llama_cpp as llama

    from models.gguf import amx

    return {
        "features": llama.llama_print_system_info().decode(),
        "amx_works": amx.usable(),
        "gpu": bool(llama.llama_supports_gpu_offload()),
    }


def check_demo_model() -> dict[str, Any]:
    """Return the demo model's revision and the seconds it takes to load and to answer one question."""
    from models import open_model
    from promptgrad_tui.work.code.offline import import_dspy_offline

    import_dspy_offline()
    started = time.perf_counter()
    with open_model("demo") as model:
        loaded = time.perf_counter()
        model.lm("Where does an invoice go?", max_tokens=8)
        answered = time.perf_counter()
        return {
            "revision": model.revision.short,
            "load_seconds": loaded - started,
            "answer_seconds": answered - loaded,
        }


if __name__ == "__main__":
    json.dump({"library": check_library, "demo": check_demo_model}[sys.argv[1]](), sys.stdout)
