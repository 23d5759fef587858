"""Small networks with every form of an operator that loupe has to compute or to refuse, and what onnxruntime makes of them.

    python bench/oracles/onnx_forms.py lib/model/testdata

writes forms.zip, the networks (images of 9 x 11 pixels, three channels), and forms.npz, three images and each network's output.
Needs onnx and onnxruntime.
"""
import sys
import zipfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
rng = np.random.default_rng(11)
images = rng.random((3, 9, 11, 3)).astype(np.float32)
channels_first = images.transpose(0, 3, 1, 2)
INT_MIN, INT_MAX = -2**63, 2**63 - 1


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(",") if inputs else [], outputs.split(","), name=outputs.split(",")[0], **attributes)


def ints(name, values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def floats(name, values):
    return numpy_helper.from_array(np.array(values, np.float32), name)


CONV = (node("Conv", "image,kernel", "c"), floats("kernel", rng.normal(size=(4, 3, 1, 1))))
networks, wanted = {}, {}


def runs(model, batch):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    parts = [session.run(None, {"image": channels_first[i:i + batch]})[0] for i in range(0, 3, batch)]
    return np.concatenate(parts)


def build(nodes, initial, opset, batch, output="y", shape=None, domains=(), functions=()):
    graph = helper.make_graph(nodes, "form", [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 9, 11])],
                              [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)], initial)
    sets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    return helper.make_model(graph, opset_imports=sets, ir_version=10 if opset > 20 else 8, functions=functions)


def form(name, opset, nodes, *initial, batch="N", head=True, expect=None, **more):
    """A network from nodes that make "y" of "c", a convolution of the images. A head makes five scores of it."""
    nodes, initial = [CONV[0]] + list(nodes), [CONV[1]] + list(initial)
    step = 1 if batch == 1 else 3
    if head:
        size = runs(build(nodes, initial, opset, batch, **more), step)[0].size if expect is None else expect
        weights = floats("head", np.random.default_rng(len(name)).normal(size=(size, 5)) / np.sqrt(size))
        nodes, initial = nodes + [node("Flatten", "y", "flat"), node("MatMul", "flat,head", "scores")], initial + [weights]
        more["output"] = "scores"
    model = build(nodes, initial, opset, batch, **more)
    networks[name] = model.SerializeToString()
    try:
        wanted[name] = runs(model, step).astype(np.float32)
    except Exception as e:
        print(name, "is not run by onnxruntime:", str(e).splitlines()[0][:100])


def one(op, opset, name=None, inputs="c", initial=(), head=True, **attributes):
    form(name or f"{op.lower()}{opset}", opset, [node(op, inputs, "y", **attributes)], *initial, head=head)


# Bounds.
one("Clip", 7, "clip7", min=-0.2, max=0.3)
one("Clip", 10, "clip10_min", min=0.1)
form("clip13_max", 13, [node("Clip", "c,,top", "y")], floats("top", 0.2))
form("clip13", 13, [node("Clip", "c,low,top", "y")], floats("low", -0.1), floats("top", 0.2))

# Pooling.
one("MaxPool", 12, "maxpool_strides", kernel_shape=[2, 3])
one("AveragePool", 11, "averagepool_strides", kernel_shape=[3, 2])
one("MaxPool", 12, "maxpool_dilations1", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], dilations=[1, 1])
one("MaxPool", 12, "maxpool_dilations", kernel_shape=[2, 2], dilations=[2, 2])
one("AveragePool", 19, "averagepool_dilations", kernel_shape=[2, 2], dilations=[2, 2])
one("MaxPool", 12, "maxpool_ceil", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
one("MaxPool", 12, "maxpool_ceil2", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
one("MaxPool", 12, "maxpool_ceil3", head=False, kernel_shape=[1, 1], strides=[3, 4], pads=[0, 0, 0, 0], ceil_mode=1)
one("MaxPool", 12, "maxpool_ceil_pads", kernel_shape=[2, 3], strides=[3, 2], pads=[1, 0, 0, 1], ceil_mode=1)
one("AveragePool", 11, "averagepool_ceil", head=False, kernel_shape=[3, 2], strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1)
one("AveragePool", 11, "averagepool_ceil2", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
one("AveragePool", 11, "averagepool_counted", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
one("AveragePool", 11, "averagepool_counted_nothing", kernel_shape=[3, 3], strides=[2, 2], count_include_pad=1)
one("AveragePool", 11, "averagepool_uncounted", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 2])
one("AveragePool", 11, "averagepool_ceil_counted", head=False, kernel_shape=[3, 3], strides=[3, 3],
    pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1)
one("GlobalAveragePool", 13)

# Softmax over flattened axes, and not.
for axis in 1, 2, 3, -1, -2:
    one("Softmax", 11, f"softmax11_{axis}", axis=axis)
one("Softmax", 9, "softmax9")
one("Softmax", 13, "softmax13")
one("Softmax", 13, "softmax13_1", axis=1)

one("Gelu", 20, "gelu_none", approximate="none")
one("Gelu", 20, "gelu_default")
one("Gelu", 20, "gelu_tanh", approximate="tanh")

# Padding.
one("Pad", 9, "pad9", pads=[0, 0, 1, 2, 0, 0, 0, 3], value=0.3)
one("Pad", 10, "pad10_reflect", pads=[0, 0, 1, 2, 0, 0, 0, 3], mode="reflect")
one("Pad", 10, "pad10_edge", pads=[0, 1, 1, 2, 0, 0, 0, 3], mode="edge")
PADS = ints("p", [0, 0, 1, 2, 0, 1, 0, 3])
one("Pad", 13, "pad13", "c,p", [PADS])
one("Pad", 13, "pad13_value", "c,p,v", [PADS, floats("v", -0.7)])
one("Pad", 13, "pad13_reflect", "c,p", [PADS], mode="reflect")
one("Pad", 13, "pad13_edge", "c,p", [PADS], mode="edge")
one("Pad", 19, "pad19_wrap", "c,p", [PADS], mode="wrap")
one("Pad", 13, "pad13_negative", "c,p", [ints("p", [0, 0, -1, 2, 0, -1, 0, -3])])
one("Pad", 13, "pad13_negative_edge", "c,p", [ints("p", [0, 0, -1, 2, 0, -1, 0, -3])], mode="edge")
one("Pad", 18, "pad18_axes", "c,p,,a", [ints("p", [1, 2, 0, 3]), ints("a", [3, -2])])
for mode in "constant", "edge", "reflect":
    form("pad_computed_" + mode, 17, [
        node("ConstantOfShape", "four", "zeros", value=ints("", [0])), node("Concat", "given,zeros", "all", axis=0),
        node("Reshape", "all,pairs", "rows"), node("Slice", "rows,m1,far,zero,m1", "turned"), node("Transpose", "turned", "columns", perm=[1, 0]),
        node("Reshape", "columns,m1", "line"), node("Cast", "line", "pads", to=TensorProto.INT64), node("Pad", "c,pads", "y", mode=mode)],
        ints("four", [4]), ints("given", [1, 2, 0, 3]), ints("pairs", [-1, 2]), ints("m1", [-1]), ints("far", [INT_MIN + 1]), ints("zero", [0]))

# Slices.
one("Slice", 9, "slice9", starts=[1, -4], ends=[INT_MAX, -1], axes=[2, 3])
one("Slice", 9, "slice9_all", starts=[0, 1, 2], ends=[INT_MAX, 3, 100])


def slices(name, starts, ends, axes, steps):
    form(name, 13, [node("Slice", "c,s,e,a,t", "y")], ints("s", starts), ints("e", ends), ints("a", axes), ints("t", steps))


slices("slice_steps", [1, 2], [100, -1], [3, 2], [3, 1])
slices("slice_back", [-1], [INT_MIN], [3], [-1])
slices("slice_back2", [7, -2], [0, 1], [2, -1], [-2, -3])
slices("slice_mixed", [7, 1, 3], [0, 9, -100], [2, 3, 1], [-2, 3, -1])
slices("slice_beyond", [100], [-100], [2], [-1])
form("slice_plain", 13, [node("Slice", "c,s,e", "y")], ints("s", [0, 1]), ints("e", [INT_MAX, -1]))
slices("refused_slice_images", [-1], [INT_MIN], [0], [-1])

# Splits.
form("split11", 11, [node("Split", "c", "a,b", axis=3, split=[4, 7]), node("Concat", "b,a", "y", axis=-1)])
form("split13", 13, [node("Split", "c,l", "a,b", axis=-1), node("Concat", "b,a", "y", axis=3)], ints("l", [8, 3]))
form("split13_equal", 13, [node("Split", "c", "a,b", axis=1), node("Sub", "a,b", "y")])
form("split18", 18, [node("Split", "c", "a,b,d", axis=2, num_outputs=3), node("Concat", "b,a,d", "y", axis=2)])
form("split18_uneven", 18, [node("Split", "c", "a,b,d", axis=3, num_outputs=3), node("Concat", "b,a,d", "y", axis=3)])

# Enlargement and reduction.
S = {"2": [1, 1, 2, 2], "odd": [1, 1, 1.3, 0.6], "down": [1, 1, 0.5, 0.34]}
for label, scale in S.items():
    for opset, op in (9, "Upsample"), (10, "Resize"):
        for mode in "nearest", "linear":
            if op == "Upsample" and label != "2":
                continue
            one(op, opset, f"{op.lower()}{opset}_{mode}_{label}", "c,s", [floats("s", scale)], mode=mode)
    for nearest in "round_prefer_floor", "round_prefer_ceil", "floor", "ceil":
        for place in "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel":
            one("Resize", 13, f"resize_nearest_{label}_{nearest}_{place}", "c,,s", [floats("s", scale)], mode="nearest", nearest_mode=nearest, coordinate_transformation_mode=place)
    for mode in "linear", "cubic":
        for place in "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric":
            refused = "refused_" if place == "align_corners" and label != "2" else ""  # ONNX and onnxruntime differ
            one("Resize", 19, f"{refused}resize_{mode}_{label}_{place}", "c,,s", [floats("s", scale)], mode=mode, coordinate_transformation_mode=place)
        one("Resize", 18, f"resize_{mode}_{label}_antialias", "c,,s", [floats("s", scale)], mode=mode, antialias=1)
        one("Resize", 18, f"resize_{mode}_{label}_antialias_exclude", "c,,s", [floats("s", scale)], mode=mode, antialias=1, exclude_outside=1)
    one("Resize", 13, f"resize_cubic_{label}_exclude", "c,,s", [floats("s", scale)], mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5)
one("Resize", 11, "resize11", "c,r,s", [floats("r", []), floats("s", [1, 1, 2, 3])])
one("Resize", 13, "resize_sizes", "c,,,z", [ints("z", [3, 4, 5, 20])], mode="linear")
one("Resize", 13, "resize_sizes_one", "c,,,z", [ints("z", [3, 4, 1, 1])], mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
form("resize_sizes_computed", 13, [node("Shape", "c", "d"), node("Slice", "d,zero,two", "nc"), node("Concat", "nc,hw", "z", axis=0),
                                   node("Resize", "c,,,z", "y", mode="nearest")], ints("zero", [0]), ints("two", [2]), ints("hw", [13, 7]))
one("Resize", 13, "resize_crop", "c,roi,s", [floats("roi", [0, 0, 0, 0, 1, 1, 1, 1]), floats("s", S["2"])], mode="linear", coordinate_transformation_mode="tf_crop_and_resize")
one("Resize", 18, "resize_policy", "c,,,z", [ints("z", [3, 4, 18, 20])], mode="linear", keep_aspect_ratio_policy="not_larger")
one("Resize", 18, "resize_axes", "c,,s", [floats("s", [2, 2])], mode="linear", axes=[2, 3])

# Normalisation.
BN = [floats("g", [1, 2, 3, 4]), floats("b", [0, 1, 0, -1]), floats("m", [0.1, 0.2, 0, 0]), floats("v", [1, 0.5, 2, 1])]
one("BatchNormalization", 15, "batchnorm_momentum", "c,g,b,m,v", BN, momentum=0.99, epsilon=0.001)
one("BatchNormalization", 8, "batchnorm8", "c,g,b,m,v", BN, momentum=0.5, spatial=1)
form("refused_batchnorm_training", 15, [node("BatchNormalization", "c,g,b,m,v", "y,m2,v2", training_mode=1)], *BN)
form("layernorm", 17, [node("LayerNormalization", "c,g,b", "y", axis=-1, epsilon=0.01)], floats("g", rng.normal(size=11)), floats("b", rng.normal(size=11)))
form("layernorm_axis", 17, [node("LayerNormalization", "c,g", "y", axis=2)], floats("g", rng.normal(size=(9, 11))))

# Constants, shapes, arithmetic.
form("constant_floats", 13, [node("Constant", "", "v", value_floats=[0.1] * 11), node("Add", "c,v", "y")])
form("constant_ints", 13, [node("Constant", "", "s", value_ints=[0, -1]), node("Constant", "", "f", value_float=2.0), node("Reshape", "c,s", "r"), node("Mul", "r,f", "y")])
form("reshape_allowzero", 14, [node("Reshape", "c,s", "y", allowzero=1)], ints("s", [-1, 2, 198]))
form("refused_reshape_allowzero", 14, [node("Reshape", "c,s", "y", allowzero=1)], ints("s", [0, 4, 9, 11]), expect=396)
form("squeeze_all", 13, [node("GlobalAveragePool", "c", "g"), node("Squeeze", "g", "y")])
form("squeeze11", 11, [node("GlobalAveragePool", "c", "g"), node("Squeeze", "g", "y", axes=[3, 2])])
form("unsqueeze13", 13, [node("Unsqueeze", "c,a", "y")], ints("a", [-1, 1]))
form("gemm", 13, [node("Flatten", "c", "f"), node("Gemm", "f,w,b", "y", alpha=0.5, beta=2.0, transB=1)], floats("w", rng.normal(size=(6, 396)) / 20), floats("b", rng.normal(size=6)))
form("topk", 11, [node("TopK", "c,k", "y,i", axis=2, largest=0)], ints("k", [3]))
form("topk9", 9, [node("TopK", "c", "y,i", axis=-1, k=3)])
form("argmax", 13, [node("ArgMax", "c", "i", axis=1, keepdims=0), node("Cast", "i", "y", to=1)])
form("argmax_last", 13, [node("ArgMax", "c", "i", axis=1, select_last_index=1), node("Cast", "i", "y", to=1)])
for op in "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd", "ReduceL2":
    if op != "ReduceSum":
        one(op, 11, f"{op.lower()}11", axes=[2, -1], keepdims=0)
    one(op, 18, f"{op.lower()}18", "c,a", [ints("a", [1])])
one("ReduceSum", 18, "reducesum_noop", noop_with_empty_axes=1)
form("einsum", 13, [node("Einsum", "c,w", "y", equation="nchw,cd->ndhw")], floats("w", rng.normal(size=(4, 2))))
form("einsum_sum", 13, [node("Einsum", "c,w", "y", equation="nchw,cd->nd")], floats("w", rng.normal(size=(4, 2))))
form("matmul_wide", 13, [node("MatMul", "c,w", "y")], floats("w", rng.normal(size=(4, 11, 5))))
form("matmul_vector", 13, [node("MatMul", "c,w", "y")], floats("w", rng.normal(size=11)))
form("matmul_left", 13, [node("MatMul", "w,c", "y")], floats("w", rng.normal(size=(6, 9))))
for op in "Abs", "Neg", "Sign", "Ceil", "Floor", "Exp", "Tanh", "Sin", "Cos", "Sigmoid", "HardSwish", "Reciprocal", "Erf", "Relu":
    away = op == "Reciprocal"  # from 0, next to which it says how a sum was rounded
    form(op.lower(), 14, [node("Exp", "c", "x")] * away + [node(op, "x" if away else "c", "o"), node("Mul", "o,tenth", "y")], floats("tenth", 0.1))
form("pow", 13, [node("Abs", "c", "a"), node("Pow", "a,e", "y")], floats("e", [1.5]))
form("pow2", 13, [node("Pow", "c,e", "y")], floats("e", 2.0))
form("mod", 13, [node("Mod", "c,d", "y", fmod=1)], floats("d", 0.3))
form("where", 13, [node("Less", "c,v", "l"), node("Where", "l,c,v", "y")], floats("v", rng.normal(size=(9, 1))))
form("minmax", 13, [node("Min", "c,v", "l"), node("Max", "l,w,u", "y")], floats("v", rng.normal(size=(9, 1))), floats("w", [0.1]), floats("u", -0.2))
form("expand", 13, [node("GlobalAveragePool", "c", "g"), node("Expand", "g,s", "y")], ints("s", [4, 2, 3]))
form("tile", 13, [node("Tile", "c,s", "y")], ints("s", [1, 1, 2, 3]))
form("cumsum", 14, [node("CumSum", "c,a", "y", exclusive=1, reverse=1)], numpy_helper.from_array(np.array(2, np.int64), "a"))
form("trilu", 14, [node("Trilu", "c,k", "y", upper=0)], numpy_helper.from_array(np.array(1, np.int64), "k"))
form("gather", 13, [node("Gather", "c,i", "y", axis=-2)], ints("i", [[0, -1], [3, 3]]))
form("gatherelements", 13, [node("Shape", "c", "s"), node("Slice", "s,one,four,zero", "chw"), node("Concat", "minus,chw", "d", axis=0),
                            node("ArgMax", "c", "i", axis=2, keepdims=1), node("GatherElements", "c,i", "y", axis=2)],
     ints("zero", [0]), ints("one", [1]), ints("four", [4]), ints("minus", [-1]))
form("refused_gathernd", 13, [node("GatherND", "image,i", "y", batch_dims=1)], ints("i", [[[0, 1]], [[1, 2]], [[2, 3]]]))
form("shape_window", 15, [node("Shape", "c", "s", start=1, end=-1), node("Concat", "m,s,m11", "d", axis=0), node("Reshape", "c,d", "y")], ints("m", [-1]), ints("m11", [11]))
form("convtranspose", 13, [node("ConvTranspose", "c,w", "y", strides=[2, 1], pads=[1, 0, 0, 1], output_padding=[1, 0])], floats("w", rng.normal(size=(4, 2, 3, 3)) / 4))
form("conv_groups", 13, [node("Conv", "c,w,b", "y", group=2, strides=[1, 2], pads=[1, 0, 2, 1])], floats("w", rng.normal(size=(6, 2, 3, 2)) / 4), floats("b", rng.normal(size=6)))
form("conv_dilations", 13, [node("Conv", "c,w", "y", dilations=[2, 1], pads=[1, 0, 2, 1])], floats("w", rng.normal(size=(6, 4, 3, 2)) / 4))
form("conv_strides_dilations", 13, [node("Conv", "c,w", "y", dilations=[2, 1], strides=[1, 2])], floats("w", rng.normal(size=(6, 4, 3, 2)) / 4))
form("dequantize_axis", 13, [node("DequantizeLinear", "w,s", "f", axis=0), node("Mul", "c,f", "y")],
     numpy_helper.from_array(rng.integers(-100, 100, (9, 11)).astype(np.int8), "w"), floats("s", rng.random(9) / 50))
form("quantize", 13, [node("QuantizeLinear", "c,s,z", "q"), node("DequantizeLinear", "q,s,z", "y")], floats("s", 0.0123),
     numpy_helper.from_array(np.array(100, np.uint8), "z"))
form("half", 13, [node("Cast", "c", "h", to=10), node("Conv", "h,w", "g"), node("Cast", "g", "y", to=1)],
     numpy_helper.from_array(rng.normal(size=(6, 4, 3, 2)).astype(np.float16), "w"))
form("quantize_plain", 13, [node("QuantizeLinear", "c,s", "q"), node("DequantizeLinear", "q,s", "y")], floats("s", 0.0123))
form("logsoftmax", 13, [node("LogSoftmax", "c", "y", axis=1)])
form("if_shape", 13, [node("Shape", "c", "s"), node("Gather", "s,i", "d"), node("Equal", "d,eleven", "e"), helper.make_node(
    "If", ["e"], ["y"], name="y",
    then_branch=helper.make_graph([node("Relu", "c", "t")], "then", [], [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)]),
    else_branch=helper.make_graph([node("Neg", "c", "o")], "else", [], [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)]))],
     numpy_helper.from_array(np.array(3, np.int64), "i"), numpy_helper.from_array(np.array(11, np.int64), "eleven"))
form("if_pool", 13, [node("Shape", "c", "s"), node("Gather", "s,i", "d"), node("Equal", "d,eleven", "e"), helper.make_node(
    "If", ["e"], ["y"], name="y",
    then_branch=helper.make_graph([node("MaxPool", "c", "t", kernel_shape=[2, 2])], "then", [], [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)]),
    else_branch=helper.make_graph([node("Neg", "c", "o")], "else", [], [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)]))],
     numpy_helper.from_array(np.array(3, np.int64), "i"), numpy_helper.from_array(np.array(11, np.int64), "eleven"), expect=320)
form("refused_domain", 13, [helper.make_node("Gelu", ["c"], ["y"], name="y", domain="com.example")], domains=["com.example"], expect=396)
form("groupnorm", 21, [node("GroupNormalization", "c,g,b", "y", num_groups=2)], *BN[:2])

# What comes behind the scores.
W = floats("w", rng.normal(size=(396, 5)) / 10)
SCORES = [node("Flatten", "c", "f"), node("MatMul", "f,w", "s")]


def end(name, opset, *nodes, initial=()):
    form("end_" + name, opset, SCORES + list(nodes), W, *initial, head=False)


MAP = [node("GlobalAveragePool", "c", "g")]
end("softmax", 13, node("Softmax", "s", "y"))
end("softmax_1", 13, node("Softmax", "s", "y", axis=1))
end("softmax11", 11, node("Softmax", "s", "y"))
end("softmax_identity", 13, node("Softmax", "s", "p"), node("Identity", "p", "y"))
end("logsoftmax", 13, node("LogSoftmax", "s", "y", axis=1))
end("logsoftmax11", 11, node("LogSoftmax", "s", "y"))
end("log_of_softmax", 13, node("Softmax", "s", "p"), node("Log", "p", "y"))
end("sigmoid", 13, node("Sigmoid", "s", "y"))
form("end_softmax_flatten", 13, MAP + [node("Softmax", "g", "p", axis=1), node("Flatten", "p", "y")], head=False)
form("end_softmax11_squeeze", 11, MAP + [node("Softmax", "g", "p"), node("Squeeze", "p", "y", axes=[2, 3])], head=False)
form("end_sigmoid_reshape", 13, MAP + [node("Sigmoid", "g", "p"), node("Reshape", "p,r", "y")], ints("r", [-1, 4]), head=False)
form("refused_end_pairs", 13, MAP + [node("Reshape", "g,r", "q"), node("Softmax", "q", "p"), node("Flatten", "p", "y")], ints("r", [-1, 2, 2]), head=False)
form("end_map", 13, [node("Sigmoid", "c", "y")], head=False)

# Where a layer's channels are: both networks say the same.
W4 = floats("w4", rng.normal(size=(4, 5)))
form("layout_first", 13, [node("Relu", "c", "r"), node("GlobalAveragePool", "r", "g"), node("Relu", "g", "g1"), node("Flatten", "g1", "f"), node("MatMul", "f,w4", "y")], W4, head=False)
form("layout_last", 13, [node("Transpose", "c", "t", perm=[0, 2, 3, 1]), node("Relu", "t", "r"), node("ReduceMean", "r", "f", axes=[1, 2], keepdims=0),
                         node("MatMul", "f,w4", "y")], W4, head=False)
form("layout_token", 13, [node("Relu", "c", "r"), node("Reshape", "r,a", "l"), node("Transpose", "l", "t", perm=[0, 2, 1]), node("Gather", "t,i", "g", axis=1),
                          node("MatMul", "g,w4", "y")], ints("a", [0, 4, -1]), numpy_helper.from_array(np.array(7, np.int64), "i"), W4, head=False)

# One image at a time.
form("one_plain", 13, [node("Relu", "c", "y")], batch=1)
form("one_reshape", 13, [node("Reshape", "c,a", "r"), node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]), node("Reshape", "t,b", "y")],
     ints("a", [1, 2, 2, 9, 11]), ints("b", [1, -1, 9, 11]), batch=1)
form("one_tokens", 13, [node("Reshape", "c,a", "r"), node("Transpose", "r", "t", perm=[3, 0, 2, 1]), node("Gather", "t,i", "g", axis=0), node("Softmax", "g", "y")],
     ints("a", [1, 4, 9, 11]), numpy_helper.from_array(np.array(2, np.int64), "i"), batch=1)
form("refused_one_flat", 13, [node("Reshape", "c,a", "y")], ints("a", [4, 99]), batch=1, head=False)
form("one_softmax", 13, [node("Softmax", "c", "y", axis=0)], batch=1)
form("one_turned", 13, [node("Transpose", "c", "t", perm=[1, 0, 2, 3]), node("Reshape", "t,a", "r"), node("Reshape", "r,b", "y")],
     ints("a", [-1, 2, 99]), ints("b", [-1, 396]), batch=1)

# Weights that are inputs of the graph too, as before IR 4, and weights under the names that exporters give to constants.
model = build([CONV[0], node("Relu", "c", "r"), node("GlobalAveragePool", "r", "g"), node("Flatten", "g", "f"), node("MatMul", "f,w4", "y")], [CONV[1], W4], 13, "N")
model.graph.input.extend([helper.make_tensor_value_info("kernel", TensorProto.FLOAT, [4, 3, 1, 1]), helper.make_tensor_value_info("w4", TensorProto.FLOAT, [4, 5])])
networks["weights_are_inputs"], wanted["weights_are_inputs"] = model.SerializeToString(), runs(model, 3)
form("weights_named_constants", 13, [node("Relu", "c", "r"), node("GlobalAveragePool", "r", "g"), node("Flatten", "g", "f"), node("Gemm", "f,const_fold_1,constant_2", "y")],
     floats("const_fold_1", rng.normal(size=(4, 5))), floats("constant_2", rng.normal(size=5)), head=False)

# Further outputs: a map with channels first, one with channels last, and a vector.
model = build([CONV[0], node("Sigmoid", "c", "first"), node("Transpose", "c", "t", perm=[0, 2, 3, 1]), node("Relu", "t", "last"), node("GlobalAveragePool", "c", "g"),
               node("Flatten", "g", "f"), node("MatMul", "f,w4", "y"), node("Relu", "f", "vector")], [CONV[1], W4], 13, "N")
for name, shape in ("first", ["N", 4, 9, 11]), ("vector", ["N", 4]), ("last", ["N", 9, 11, 4]):
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
networks["maps"], wanted["maps"] = model.SerializeToString(), runs(model, 3)
session = onnxruntime.InferenceSession(networks["maps"], providers=["CPUExecutionProvider"])
wanted["maps_first"], wanted["maps_last"] = session.run(["first", "last"], {"image": channels_first})

folder = sys.argv[1]
with zipfile.ZipFile(folder + "/forms.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for name, raw in networks.items():
        z.writestr(zipfile.ZipInfo(name + ".onnx", (2026, 1, 1, 0, 0, 0)), raw)
np.savez_compressed(folder + "/forms.npz", images=images, **wanted)
print(len(networks), "networks")
