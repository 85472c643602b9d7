"""Every benchmark, one after the other: `make bench`."""

from __future__ import annotations

from benchmarks import local_inference, tui_latency, validation_power

if __name__ == "__main__":
    validation_power.main()
    tui_latency.main()
    local_inference.main()
