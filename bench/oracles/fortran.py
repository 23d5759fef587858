"""Arrays that lie column by column (Fortran's order), as NumPy writes them, for lib.

    pip install numpy
    python bench/oracles/fortran.py lib/testdata/fortran.zip

Writes a file for each door that arrays come in by. No array is symmetric, so that one read row by row is another.
"""
import io
import pickle
import sys
import zipfile

import numpy as np


def columns(values):
    array = np.asfortranarray(values)
    assert array.flags.f_contiguous and not array.flags.c_contiguous
    return array


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    assert b"'fortran_order': True" in out.getvalue()
    return out.getvalue()


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


images = columns(np.arange(2 * 4 * 3 * 3, dtype=np.uint8).reshape(2, 4, 3, 3))
weights = columns(np.arange(6, dtype=np.float32).reshape(2, 3))
classes = columns(np.arange(10, dtype=np.int64).reshape(5, 2))
probabilities = columns(np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], np.float32))
files = {
    "images.npy": npy(images),
    "images.npz": npz(images=images, labels=np.arange(2)),
    "floats.npy": npy(columns(images / 255)),
    "array.npy": npy(weights),
    "weights.npz": npz(**{"fc.weight": weights, "fc.bias": np.zeros(2, np.float32)}),
    "weights.pkl": pickle.dumps({"fc": [weights, np.zeros(2, np.float32)]}, protocol=4),
    "probabilities.npy": npy(probabilities),
    "predictions/net.npy": npy(classes),
    "archive.npz": npz(top1=columns(np.arange(10).reshape(2, 5)), labels=np.arange(5)),
}
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as out:
    for name, content in files.items():
        out.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
