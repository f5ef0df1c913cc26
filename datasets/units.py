"""Sizes as a person reads them."""


def data_size(count: int) -> str:
    """A number of bytes in GiB, or in MiB below one."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
