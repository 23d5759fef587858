"""Numbers that depend on a name and a place alone, as internal/oracle makes them too, so that weights and images need
not be kept."""
import zlib

import numpy as np
import torch


def hashed(name, n):
    """n numbers in 0..1 that depend on the name and the place, the same everywhere."""
    x = np.arange(n, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()))
    m = np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & m
    x = x ^ (x >> np.uint64(16))
    return x.astype(np.float64) / 2**32


def weight(name, *shape):
    """In -1..1 over the root of a third of what one output sees; kernels are hashed as [KH, KW, I, O]."""
    u = 2 * hashed(name, int(np.prod(shape))) - 1
    sees = np.prod(shape[:-1]) if len(shape) == 4 else shape[-1]
    return torch.from_numpy((u / np.sqrt(sees / 3)).astype(np.float32).reshape(shape)).double()
