"""A small network with automatic padding of every kind, and what onnxruntime makes of it.

    python bench/oracles/onnx_autopad.py lib/model/testdata

writes autopad.onnx (random weights; images of 15 x 17 pixels) and autopad.npz with an input and the output.
"""
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(7)
folder = sys.argv[1]
weights = {
    "w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 1, 5, 5), "w3": (6, 4, 3, 3), "w4": (5, 6, 2, 2), "w5": (7, 5), "b5": (7,),
}
initial = [numpy_helper.from_array(rng.normal(size=s).astype(np.float32) * 0.5, n) for n, s in weights.items()]
nodes = [
    helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], auto_pad="SAME_UPPER", strides=[2, 2]),
    helper.make_node("Relu", ["c1"], ["r1"]),
    helper.make_node("Conv", ["r1", "w2"], ["c2"], auto_pad="SAME_LOWER", group=4, kernel_shape=[5, 5]),
    helper.make_node("MaxPool", ["c2"], ["p2"], auto_pad="SAME_LOWER", kernel_shape=[2, 2], strides=[1, 1]),
    helper.make_node("Conv", ["p2", "w3"], ["c3"], auto_pad="SAME_LOWER", kernel_shape=[3, 3], strides=[2, 2]),
    helper.make_node("Relu", ["c3"], ["r3"]),
    helper.make_node("AveragePool", ["r3"], ["p3"], auto_pad="SAME_UPPER", kernel_shape=[2, 2], strides=[1, 1]),
    helper.make_node("Conv", ["p3", "w4"], ["c4"], auto_pad="VALID", kernel_shape=[2, 2]),
    helper.make_node("GlobalAveragePool", ["c4"], ["g4"]),
    helper.make_node("Flatten", ["g4"], ["f4"]),
    helper.make_node("Gemm", ["f4", "w5", "b5"], ["logits"], transB=1),
    helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
]
nodes[7].input[1] = "w4"
graph = helper.make_graph(
    nodes, "autopad",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 15, 17])],
    [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 7])],
    initial)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, f"{folder}/autopad.onnx")

model.graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("logits", "c1", "r3"))
session = onnxruntime.InferenceSession(model.SerializeToString())
x = rng.uniform(size=(3, 15, 17, 3)).astype(np.float32)
names = ["probabilities", "logits", "c1", "r3"]
values = session.run(names, {"image": x.transpose(0, 3, 1, 2)})
np.savez_compressed(f"{folder}/autopad.npz", x=x, **dict(zip(names, values)))
for n, v in zip(names, values):
    print(n, v.shape, float(np.abs(v).max()))
