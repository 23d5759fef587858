"""The cases by which ONNX itself tests implementations of its operators, in one archive.

    python bench/oracles/onnx_cases.py lib/internal/onnx/testdata/cases.zip

Of each case it has model.onnx, in_I.pb and out_I.pb, the inputs and outputs, and tolerance, the relative and absolute one.
Cases whose values are no tensors are left out, and the few that are large. Needs onnx.
"""
import sys
import zipfile

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

LARGEST = 30_000  # bytes


def tensors(values, infos):
    for value, info in zip(values, infos):
        if not info.type.HasField("tensor_type") or not isinstance(value, (np.ndarray, np.generic, onnx.TensorProto)):
            return
        t = value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(np.asarray(value), info.name)
        yield t.SerializeToString()


count = 0
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
    for case in sorted(collect_testcases(None), key=lambda c: c.name):
        if case.model is None or not case.data_sets:
            continue
        inputs, outputs = case.data_sets[0]
        files = {"model.onnx": case.model.SerializeToString()}
        for kind, values, infos in ("in", inputs, case.model.graph.input), ("out", outputs, case.model.graph.output):
            found = list(tensors(values, infos))
            if len(found) != len(values):
                break
            files.update({f"{kind}_{i}.pb": raw for i, raw in enumerate(found)})
        else:
            if sum(map(len, files.values())) > LARGEST:
                continue
            files["tolerance"] = f"{case.rtol} {case.atol}".encode()
            for name, raw in files.items():
                z.writestr(zipfile.ZipInfo(f"{case.name.removeprefix('test_')}/{name}", (2026, 1, 1, 0, 0, 0)), raw, zipfile.ZIP_DEFLATED, 9)
            count += 1
print(count, "cases of onnx", onnx.__version__)
