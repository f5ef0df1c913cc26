"""The processor's name, which no backend tells."""

import platform


def processor_name() -> str:
    """The processor's model name, else the machine type."""
    return processor_model() or platform.processor() or platform.machine()


def processor_model() -> str | None:
    """What `/proc/cpuinfo` calls the processor; None where it says nothing."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    name = line.partition(":")[2].strip()
                    return None if name.casefold() in ("", "unknown") else name
    except OSError:
        pass
    return None
