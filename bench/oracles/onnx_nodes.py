"""Operators with attributes, optional inputs, shapes, types and opsets drawn at random, and what onnxruntime computes.

    pip install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
    python bench/oracles/onnx_nodes.py lib/internal/onnx/testdata/nodes.zip [SEED [FACTOR]]

Each case is laid out as those of onnx_cases.py: model.onnx, in_I.pb and out_I.pb, and tolerance. What onnxruntime refuses is left out. Drawn are not two forms
in which it leaves ONNX's text: Resize with negative axes and a policy, and Slice with a negative step to an end beyond the axis. FACTOR times as many cases as
the table says are drawn.
"""

import sys
import zipfile
import zlib

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

ort.set_default_logger_severity(4)
F = np.float32


class Draw(np.random.RandomState):
    def pick(self, *choices):
        return choices[self.randint(len(choices))]

    def maybe(self, p=0.5):
        return self.rand() < p

    def f(self, *shape):
        """Numbers of a normal distribution."""
        return np.asarray(self.randn(*shape), F)

    def image(self, r=None, c=None):
        """Numbers of r axes, the first two of which are images and channels."""
        r = r or self.pick(3, 4, 4, 4, 5)
        return self.f(self.pick(1, 2), c or self.pick(1, 3, 4), *[self.randint(4, 9) for _ in range(r - 2)])


GEN = {}


def gen(n):
    def add(f):
        GEN[f.__name__] = (f, n)
        return f

    return add


# What follows draw a case each: the operator, its inputs, its attributes, the opset, and how many outputs and which domain where these are others than one and ONNX's.
# An input is ("x", array), which is given when the network runs, ("c", array), which is a constant of the file, or None, which is left out.


def window(r, attrs, spatial, ks, dil=True):
    n = len(spatial)
    if r.maybe():
        attrs["strides"] = [int(r.randint(1, 4)) for _ in range(n)]
    if dil and r.maybe(0.4):
        attrs["dilations"] = [int(r.randint(1, 3)) for _ in range(n)]
    m = r.randint(4)
    if m == 0:
        attrs["auto_pad"] = r.pick("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
    elif m < 3:
        attrs["pads"] = [int(r.randint(0, 1 + min(ks * 2) // 2)) for k in range(2 * n)]
    return attrs


@gen(n=50)
def Conv(r):
    x = r.image(c=r.pick(4, 6))
    g = r.pick(1, 1, 2, x.shape[1])
    ks = [int(r.randint(1, 4)) for _ in x.shape[2:]]
    o = g * r.pick(1, 2, 3)
    w = r.f(o, x.shape[1] // g, *ks)
    a = window(r, {}, x.shape[2:], ks)
    if g > 1:
        a["group"] = g
    if r.maybe():
        a["kernel_shape"] = ks
    ins = [("x", x), ("c", w)]
    if r.maybe():
        ins.append(("c", r.f(o)))
    return "Conv", ins, a, r.pick(7, 11, 22)


@gen(n=50)
def ConvTranspose(r):
    x = r.image(c=r.pick(4, 6))
    g = r.pick(1, 1, 2, x.shape[1])
    ks = [int(r.randint(1, 4)) for _ in x.shape[2:]]
    n = len(ks)
    w = r.f(x.shape[1], r.pick(1, 2, 3), *ks)
    a = window(r, {}, x.shape[2:], ks)
    if g > 1:
        a["group"] = g
    s = a.get("strides", [1] * n)
    if r.maybe(0.4) and max(s) > 1:
        a["output_padding"] = [int(r.randint(0, t)) for t in s]
    if r.maybe(0.3):
        a["output_shape"] = [int(t * d + r.randint(0, t)) for t, d in zip(s, x.shape[2:])]
        a.pop("pads", None)
    ins = [("x", x), ("c", w)]
    if r.maybe():
        ins.append(("c", r.f(w.shape[1] * g)))
    return "ConvTranspose", ins, a, r.pick(7, 11, 22)


@gen(n=50)
def MaxPool(r):
    x = r.image()
    ks = [int(r.randint(1, 4)) for _ in x.shape[2:]]
    op = r.pick(8, 10, 12, 22)
    a = window(r, {"kernel_shape": ks}, x.shape[2:], ks, op >= 10)
    if op >= 10 and r.maybe():
        a["ceil_mode"] = 1
    if op >= 12 and r.maybe(0.2):
        x = (x * 40).astype(np.int8)
    return "MaxPool", [("x", x)], a, op


@gen(n=60)
def AveragePool(r):
    x = r.image()
    ks = [int(r.randint(1, 4)) for _ in x.shape[2:]]
    op = r.pick(7, 10, 11, 19, 22)
    a = window(r, {"kernel_shape": ks}, x.shape[2:], ks, op >= 19)
    if op >= 10 and r.maybe():
        a["ceil_mode"] = 1
    if r.maybe():
        a["count_include_pad"] = 1
    return "AveragePool", [("x", x)], a, op


@gen(n=20)
def LpPool(r):
    x = r.image()
    ks = [int(r.randint(1, 4)) for _ in x.shape[2:]]
    op = r.pick(11, 18, 22)
    a = window(r, {"kernel_shape": ks}, x.shape[2:], ks, op >= 18)
    if op >= 18 and r.maybe():
        a["ceil_mode"] = 1
    if r.maybe():
        a["p"] = r.pick(1, 2, 3)
    return "LpPool", [("x", x)], a, op


@gen(n=60)
def Global(r):
    o = r.pick("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "GlobalLpPool")
    a = {}
    if o == "GlobalLpPool" and r.maybe():
        a["p"] = r.pick(1, 2, 3)
    return o, [("x", r.image())], a, r.pick(7, 13)


@gen(n=20)
def BatchNormalization(r):
    x = r.image(r.pick(2, 3, 4, 5)) if r.maybe(0.8) else r.f(3, 4)
    c = x.shape[1]
    a = {}
    if r.maybe():
        a["epsilon"] = r.pick(1e-3, 0.1)
    if r.maybe(0.3):
        a["momentum"] = 0.5
    op = r.pick(7, 9, 14, 15)
    out = 1
    if op >= 14 and r.maybe(0.4):
        a["training_mode"] = 1
        out = r.pick(1, 3)
    if op == 7 and r.maybe(0.3):
        a["spatial"] = 1
    return "BatchNormalization", [("x", x), ("c", r.f(c)), ("c", r.f(c)), ("c", r.f(c)), ("c", r.rand(c).astype(F) + 0.5)], a, op, out


@gen(n=8)
def InstanceNormalization(r):
    x = r.image()
    c = x.shape[1]
    return "InstanceNormalization", [("x", x), ("c", r.f(c)), ("c", r.f(c))], ({"epsilon": 0.1} if r.maybe() else {}), r.pick(7, 22)


@gen(n=12)
def GroupNormalization(r):
    x = r.image(r.pick(3, 4, 5), c=6)
    g = r.pick(1, 2, 3, 6)
    op = r.pick(18, 21, 21)
    n = 6 if op == 21 else g
    a = {"num_groups": g}
    if r.maybe():
        a["epsilon"] = 0.1
    if op == 21 and r.maybe(0.3):
        a["stash_type"] = 1
    return "GroupNormalization", [("x", x), ("c", r.f(n)), ("c", r.f(n))], a, op


@gen(n=16)
def LayerNormalization(r):
    x = r.f(2, 3, 4, 5)
    ax = r.pick(-1, -2, 1, 2, 3, None, -3)
    a = {} if ax is None else {"axis": ax}
    sh = x.shape[(-1 if ax is None else ax) :]
    if r.maybe():
        a["epsilon"] = 0.1
    ins = [("x", x), ("c", r.f(*sh))]
    if r.maybe():
        ins.append(("c", r.f(*sh)))
    return "LayerNormalization", ins, a, 17, r.pick(1, 1, 2, 3)


@gen(n=10)
def RMSNormalization(r):
    x = r.f(2, 3, 4, 5)
    ax = r.pick(-1, -2, 1, 2, None)
    a = {} if ax is None else {"axis": ax}
    sh = x.shape[(-1 if ax is None else ax) :]
    if r.maybe():
        a["epsilon"] = 0.1
    return "RMSNormalization", [("x", x), ("c", r.f(*sh))], a, 23


@gen(n=8)
def LRN(r):
    a = {"size": r.pick(1, 2, 3, 4, 5)}
    for k in "alpha", "beta", "bias":
        if r.maybe():
            a[k] = float(r.rand() + 0.3)
    return "LRN", [("x", r.image(c=6))], a, r.pick(7, 13)


@gen(n=10)
def LpNormalization(r):
    a = {}
    if r.maybe():
        a["axis"] = r.pick(-1, 0, 1, -2, 2)
    if r.maybe():
        a["p"] = r.pick(1, 2)
    return "LpNormalization", [("x", r.f(2, 3, 4))], a, r.pick(7, 22)


@gen(n=6)
def MeanVarianceNormalization(r):
    return "MeanVarianceNormalization", [("x", r.image(4))], ({"axes": r.pick([0, 2, 3], [1, 2, 3], [2, 3], [-1])} if r.maybe(0.7) else {}), r.pick(9, 13)


@gen(n=50)
def Activation(r):
    o = r.pick(
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Elu",
        "Selu",
        "Celu",
        "Softplus",
        "Mish",
        "Swish",
        "Gelu",
        "ThresholdedRelu",
        "Softsign",
        "Erf",
        "Relu",
        "Sigmoid",
        "Tanh",
        "Shrink",
    )
    a = {}
    ok = {
        "HardSigmoid": "alpha beta",
        "LeakyRelu": "alpha",
        "Elu": "alpha",
        "Selu": "alpha gamma",
        "Celu": "alpha",
        "ThresholdedRelu": "alpha",
        "Shrink": "bias lambd",
        "Swish": "alpha",
    }
    for k in ok.get(o, "").split():
        if r.maybe():
            a[k] = float(r.pick(0.3, 1.7, -0.5 if o not in ("Celu",) else 0.9, 0.05))
    if o == "Gelu" and r.maybe(0.7):
        a["approximate"] = r.pick("tanh", "none")
    return (
        o,
        [("x", r.f(2, 3, 4) * r.pick(1, 3, 20))],
        a,
        {
            "Swish": 24,
            "Gelu": 20,
            "Mish": r.pick(18, 22),
            "HardSwish": r.pick(14, 22),
            "Celu": 12,
            "ThresholdedRelu": r.pick(10, 22),
            "Shrink": 9,
            "Erf": r.pick(9, 13),
        }.get(o, r.pick(7, 13, 22) if o not in ("Relu", "Sigmoid", "Tanh", "LeakyRelu") else r.pick(7, 13, 16)),
    )


@gen(n=24)
def Shrink(r):
    return "Shrink", [("x", r.f(3, 4))], {"lambd": r.pick(-0.5, 0.3, 0.0), "bias": r.pick(0.0, 0.2, -1.5)}, 9


@gen(n=6)
def PRelu(r):
    x = r.f(2, 3, 4, 5)
    return "PRelu", [("x", x), ("c", r.f(*r.pick((3, 1, 1), (1,), (5,), (4, 5), (2, 3, 4, 5), (1, 3, 1, 1))))], {}, r.pick(7, 9, 16)


@gen(n=20)
def Clip(r):
    op = r.pick(7, 11, 12, 13)
    x = r.f(2, 3, 4) * 2
    if op < 11:
        a = {}
        if r.maybe():
            a["min"] = -0.5
        if r.maybe():
            a["max"] = 0.7
        return "Clip", [("x", x)], a, op
    t = F
    if op >= 12 and r.maybe(0.4):
        t = r.pick(np.int32, np.int64, np.int8, np.uint8, np.float64)
        x = (np.abs(x) * 5).astype(t)
    lo, hi = (np.array(-0.5, F), np.array(0.7, F)) if t in (F, np.float64) else (np.array(2), np.array(6))
    if r.maybe(0.15):
        lo, hi = hi, lo
    return "Clip", [("x", x), ("c", lo.astype(t)) if r.maybe(0.7) else None, ("c", hi.astype(t)) if r.maybe(0.7) else None], {}, op


@gen(n=24)
def Softmax(r):
    op = r.pick(7, 11, 12, 13, 13)
    x = r.f(*r.pick((2, 3), (2, 3, 4), (2, 3, 4, 5)))
    a = {}
    if r.maybe(0.7):
        a["axis"] = int(r.randint(0 if op < 11 else -x.ndim, x.ndim))
    return r.pick("Softmax", "LogSoftmax", "Hardmax"), [("x", x)], a, op


@gen(n=50)
def Pad(r):
    x = r.image(r.pick(3, 4, 5))
    n = x.ndim
    op = r.pick(7, 10, 11, 13, 18, 19, 21)
    mode = r.pick("constant", "reflect", "edge") if op < 19 else r.pick("constant", "reflect", "edge", "wrap")
    a = {"mode": mode} if r.maybe(0.8) or mode != "constant" else {}
    lo = -2 if r.maybe(0.3) else 0
    axes = None
    if op >= 18 and r.maybe():
        axes = sorted(r.choice(n, r.randint(1, n + 1), False).tolist())
        if r.maybe():
            axes = axes[::-1]
    k = n if axes is None else len(axes)
    at = list(range(n)) if axes is None else axes
    pads = [int(r.randint(lo, 4)) if i > 1 else 0 for i in at] * 1
    pads = pads + [int(r.randint(lo, 4)) if i > 1 else 0 for i in at]
    if op < 11:
        if r.maybe():
            a["value"] = 1.5
        return "Pad", [("x", x)], a | {"pads": pads}, op
    t = r.pick(np.int64) if axes is None or True else np.int32
    ins = [("x", x), ("c", np.array(pads, np.int64)), ("c", np.array(2.5, F)) if r.maybe() else None]
    if axes is not None:
        ins.append(("c", np.array([i - n if r.maybe(0.3) else i for i in axes], t)))
    if r.maybe(0.15):
        ins[0] = ("x", (x * 20).astype(np.int32))
        ins[2] = None if ins[2] is None else ("c", np.array(7, np.int32))
    return "Pad", ins, a, op


@gen(n=140)
def Resize(r):
    op = r.pick(11, 13, 18, 19)
    mode = r.pick("nearest", "nearest", "linear", "cubic")
    x = r.f(1, 2, *[int(r.randint(2, 8)) for _ in range(2)])
    if mode == "linear" and r.maybe(0.15):
        x = r.f(1, 2, 3, 4, 5)
    if mode == "nearest" and r.maybe(0.15):
        x = r.f(2, 3, 5)
    a = {"mode": mode} if mode != "nearest" or r.maybe() else {}
    co = r.pick(
        "half_pixel",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_crop_and_resize",
        None,
        "tf_half_pixel_for_nn" if op < 13 else "half_pixel",
        "half_pixel_symmetric" if op >= 19 else None,
    )
    if co:
        a["coordinate_transformation_mode"] = co
    if mode == "nearest" and r.maybe(0.8):
        a["nearest_mode"] = r.pick("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if mode == "cubic":
        if r.maybe():
            a["cubic_coeff_a"] = r.pick(-0.5, -0.75)
        if r.maybe(0.4):
            a["exclude_outside"] = 1
    if op >= 18 and mode != "nearest" and r.maybe(0.3) and co in (None, "half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel") and x.ndim == 4:
        a["antialias"] = 1
    n = x.ndim
    axes = list(range(n))
    if op >= 18 and r.maybe(0.5):
        axes = list(range(2, n))
        a["axes"] = [i - n if r.maybe(0.4) else i for i in axes]
        if r.maybe(0.2):
            axes, a["axes"] = axes[::-1], a["axes"][::-1]
    roi = None
    if co == "tf_crop_and_resize":
        lo = [0.0 if i < 2 else float(r.uniform(-0.2, 0.4)) for i in axes]
        hi = [1.0 if i < 2 else float(r.uniform(0.5, 1.2)) for i in axes]
        roi = np.array(lo + hi, F)
        if r.maybe():
            a["extrapolation_value"] = 3.0
    elif op < 13:
        roi = np.zeros(0, F)
    if r.maybe():
        s = [1.0 if i < 2 else float(r.pick(0.5, 2, 3, 1.5, 0.6, 2.3, 1)) for i in axes]
        ins = [("x", x), None if roi is None else ("c", roi), ("c", np.array(s, F))]
    else:
        s = [x.shape[i] if i < 2 else int(r.randint(1, 13)) for i in axes]
        if op >= 18 and axes[0] >= 2 and min(a["axes"]) >= 0 and r.maybe(0.4):
            a["keep_aspect_ratio_policy"] = r.pick("not_larger", "not_smaller", "stretch")
        ins = [("x", x), None if roi is None else ("c", roi), ("c", np.zeros(0, F)) if op < 13 else None, ("c", np.array(s, np.int64))]
    return "Resize", ins, a, op


@gen(n=12)
def Upsample(r):
    op = r.pick(7, 9, 10)
    mode = r.pick("nearest", "linear")
    x = r.f(1, 2, 4, 5)
    s = [1.0, 1.0, r.pick(1.0, 2.0, 1.5, 3.0), r.pick(1.0, 2.0, 1.7)]
    a = {"mode": mode}
    if op == 7:
        return "Upsample", [("x", x)], a | {"scales": s}, 7
    if op == 9:
        return "Upsample", [("x", x), ("c", np.array(s, F))], a, 9
    return "Resize", [("x", x), ("c", np.array([1, 1, r.pick(0.5, 0.6, 2, 1.5), r.pick(0.5, 0.4, 3)], F))], a, 10


@gen(n=40)
def Slice(r):
    op = r.pick(7, 10, 13)
    x = r.f(3, 4, 5, 6)
    k = r.randint(1, 4)
    axes = r.choice(4, k, False).tolist()
    big = r.maybe(0.3)
    st = [int(r.pick(r.randint(-8, 8), 0, 1)) for _ in axes]
    en = [int(r.pick(r.randint(-8, 8), 2**63 - 1, -(2**63) + 1 if op >= 10 else 9, 3)) for _ in axes]
    if op < 10:
        en = [max(min(e, 2**31), -(2**31)) for e in en]
        a = {"starts": st, "ends": en}
        if r.maybe(0.8):
            a["axes"] = axes
        return "Slice", [("x", x)], a, op
    steps = [int(r.pick(1, 1, 2, 3, -1, -2, -9, 9)) for _ in axes]
    en = [min(e, 3) if s < 0 else e for e, s in zip(en, steps)]
    t = np.int64
    ax = [i - 4 if r.maybe(0.3) else i for i in axes]
    noax = r.maybe(0.15)
    ins = [
        ("x", x),
        ("c", np.array(st, t)),
        ("c", np.array(en, t)),
        None if noax else ("c", np.array(ax, t)),
        ("c", np.array(steps, t)) if r.maybe(0.7) else None,
    ]
    return "Slice", ins, {}, op


@gen(n=24)
def Split(r):
    op = r.pick(7, 11, 13, 18, 18)
    x = r.f(2, 7, 6)
    ax = r.pick(1, 2, -1, None) if op >= 11 else r.pick(1, 2, None)
    a = {} if ax is None else {"axis": ax}
    d = x.shape[0 if ax is None else ax]
    n = r.pick(*[k for k in (1, 2, 3) if k <= d])
    if r.maybe():
        cut = sorted(r.randint(0, d + 1, n - 1).tolist())
        p = np.diff([0] + cut + [d]).tolist()
        if op < 13:
            return "Split", [("x", x)], a | {"split": p}, op, n
        return "Split", [("x", x), ("c", np.array(p, np.int64))], a, op, n
    if op == 18:
        a["num_outputs"] = n
    return "Split", [("x", x)], a, op, n


@gen(n=10)
def Concat(r):
    ax = r.pick(0, 1, -1, 2, -2)
    sh = [2, 3, 4]
    ins = []
    for _ in range(r.randint(1, 4)):
        s = list(sh)
        s[ax] = int(r.randint(0, 4))
        ins.append(("x" if r.maybe() else "c", r.f(*s)))
    ins[0] = ("x", ins[0][1])
    return "Concat", ins, {"axis": ax}, r.pick(11, 13)


@gen(n=40)
def Gather(r):
    o = r.pick("Gather", "GatherElements", "GatherND")
    x = r.f(3, 4, 5)
    t = r.pick(np.int64, np.int32)
    if o == "Gather":
        ax = r.pick(0, 1, 2, -1, -2, None)
        d = x.shape[ax or 0]
        return (
            o,
            [("x", x), ("c" if r.maybe() else "x", r.randint(-d, d, r.pick((), (1,), (3,), (2, 2))).astype(t))],
            ({} if ax is None else {"axis": ax}),
            r.pick(11, 13),
        )
    if o == "GatherElements":
        ax = r.pick(0, 1, 2, -1, None)
        d = x.shape[ax or 0]
        s = [int(r.randint(1, k + 1)) for k in x.shape]
        s[ax or 0] = int(r.randint(1, 7))
        return o, [("x", x), ("c" if r.maybe() else "x", r.randint(-d, d, s).astype(t))], ({} if ax is None else {"axis": ax}), r.pick(11, 13)
    b = r.pick(0, 0, 1)
    last = r.pick(1, 2) if b else r.pick(1, 2, 3)
    idx = np.stack([r.randint(-x.shape[b + i], x.shape[b + i], ((3,) if b else ()) + (2, 2)) for i in range(last)], -1)
    return o, [("x", x), ("c", idx.astype(np.int64))], ({"batch_dims": b} if b else {}), r.pick(12, 13)


@gen(n=30)
def Scatter(r):
    x = r.f(3, 4, 5)
    op = r.pick(11, 13, 16, 18)
    red = r.pick(None, "none", "add", "mul") if op >= 16 else None
    if op >= 18 and r.maybe(0.3):
        red = r.pick("max", "min")
    a = {} if red is None else {"reduction": red}
    if r.maybe():
        ax = r.pick(0, 1, 2, -1, None)
        d = x.shape[ax or 0]
        s = list(x.shape)
        s[ax or 0] = int(r.randint(1, d + 1))
        idx = np.argsort(r.rand(*x.shape), axis=ax or 0)
        idx = np.take(idx, range(s[ax or 0]), axis=ax or 0)
        if r.maybe(0.4):
            idx = idx - d
        if ax is not None:
            a["axis"] = ax
        return "ScatterElements", [("x", x), ("c", idx.astype(np.int64)), ("x", r.f(*idx.shape))], a, op
    idx = np.array([[0, 1], [2, -1], [-1, 0]])
    if red not in (None, "none") and r.maybe():
        idx = np.array([[0, 1], [0, 1], [-1, 0]])
    return "ScatterND", [("x", x), ("c", idx.astype(np.int64)), ("x", r.f(3, 5))], a, op


@gen(n=40)
def Reduce(r):
    o = r.pick("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp")
    op = r.pick(7, 11, 13, 18)
    x = r.f(2, 3, 4, 5)
    if o == "ReduceLogSum":
        x = np.abs(x) + 0.1
    if r.maybe(0.15) and o in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceSumSquare", "ReduceL2"):
        x = (x * 9).astype(np.int32)
    a = {}
    if r.maybe(0.7):
        a["keepdims"] = r.pick(0, 1)
    k = r.randint(0, 4)
    axes = r.choice(4, k, False).tolist()
    if op >= 11:
        axes = [i - 4 if r.maybe(0.3) else i for i in axes]
    ins = [("x", x)]
    if op >= 18 or op >= 13 and o == "ReduceSum":
        if r.maybe():
            a["noop_with_empty_axes"] = r.pick(0, 1)
        if r.maybe(0.8):
            ins.append(("c", np.array(axes, np.int64)))
    elif axes:
        a["axes"] = axes
    return o, ins, a, op


@gen(n=16)
def ArgMax(r):
    op = r.pick(7, 11, 12, 13)
    x = r.randint(0, 3, (3, 4, 5)).astype(F)
    a = {}
    if r.maybe(0.7):
        a["axis"] = r.pick(0, 1, 2, -1) if op >= 11 else r.pick(0, 1, 2)
    if r.maybe(0.7):
        a["keepdims"] = r.pick(0, 1)
    if op >= 12 and r.maybe():
        a["select_last_index"] = r.pick(0, 1)
    return r.pick("ArgMax", "ArgMin"), [("x", x)], a, op


@gen(n=16)
def TopK(r):
    op = r.pick(7, 10, 11, 24)
    x = np.argsort(r.rand(3, 4, 6), -1).astype(F) if r.maybe(0.6) else r.randint(0, 3, (3, 4, 6)).astype(F)
    a = {}
    if r.maybe(0.7):
        a["axis"] = r.pick(0, 1, 2, -1) if op >= 11 else r.pick(0, 1, 2, -1)
    k = int(r.randint(1, 4))
    if op >= 11:
        if r.maybe():
            a["largest"] = r.pick(0, 1)
        if r.maybe(0.3):
            a["sorted"] = 1
        if r.maybe(0.2):
            x = x.astype(np.int64)
    if op == 7:
        return "TopK", [("x", x)], a | {"k": k}, op, 2
    return "TopK", [("x", x), ("c", np.array([k], np.int64))], a, op, 2


@gen(n=10)
def OneHot(r):
    a = {} if r.maybe() else {"axis": r.pick(-1, 0, 1, -2)}
    return (
        "OneHot",
        [("x", r.randint(-5, 6, (3, 2)).astype(r.pick(np.int64, np.int32))), ("c", np.array(r.pick(5, [5]), np.int64)), ("c", np.array([-1.5, 2.5], F))],
        a,
        r.pick(9, 11),
    )


T = {
    np.float32: 1,
    np.uint8: 2,
    np.int8: 3,
    np.uint16: 4,
    np.int16: 5,
    np.int32: 6,
    np.int64: 7,
    np.bool_: 9,
    np.float16: 10,
    np.float64: 11,
    np.uint32: 12,
    np.uint64: 13,
}


@gen(n=60)
def Cast(r):
    f, t = r.pick(*T), r.pick(*T)
    x = r.f(3, 7) * 40
    if f is np.bool_:
        x = x > 0
    elif np.issubdtype(f, np.floating):
        x = x.astype(f)
        x.flat[:4] = [0.0, -0.5, 0.5, 2.5]
    else:
        x = np.round(np.abs(x) if np.issubdtype(f, np.unsignedinteger) else x).astype(f)
    if np.issubdtype(f, np.floating) and np.issubdtype(t, np.unsignedinteger):
        x = np.abs(x)
    if np.issubdtype(f, np.floating) and np.issubdtype(t, np.integer):
        x = np.clip(x, -120, 120)
    if r.maybe(0.3):
        return "CastLike", [("x", x), ("c", np.zeros(1, t))], {}, 19
    return "Cast", [("x", x)], {"to": T[t]}, r.pick(9, 13, 19)


@gen(n=16)
def Mod(r):
    t = r.pick(np.int32, np.int64, np.int8, np.uint8, F, np.int16, np.uint32)
    x, y = r.f(4, 5) * 20, r.f(*r.pick((5,), (4, 5), (4, 1))) * 6
    if np.issubdtype(t, np.unsignedinteger):
        x, y = np.abs(x), np.abs(y)
    if t is not F:
        y = np.where(np.abs(y) < 1, 3, y)
    x, y = x.astype(t), y.astype(t)
    a = {"fmod": 1} if t is F or r.maybe(0.4) else {}
    return "Mod", [("x", x), ("x", y)], a, r.pick(10, 13)


@gen(n=50)
def Arithmetic(r):
    o = r.pick("Div", "Div", "Mul", "Add", "Sub", "Pow", "Max", "Min", "Mean", "Sum", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")
    t = r.pick(F, F, np.int32, np.int64, np.float64)
    if o in ("Mean", "Sum"):
        t = F
    x, y = r.f(2, 3, 4) * 9, r.f(*r.pick((4,), (3, 1), (1,), (), (2, 3, 4), (5, 1, 1, 4))) * 3
    if o == "Div":
        y = np.where(np.abs(y) < 1, -2, y)
    if o == "Pow":
        x, y = np.abs(x) * 0.2 + 1, np.round(np.abs(y)) if r.maybe() else y * 0.5
    if o == "Pow" and t not in (F, np.float64):
        y = np.abs(y)
    ins = [("x", x.astype(t)), (r.pick("x", "c"), y.astype(t))]
    if o == "Pow" and t is F and r.maybe(0.4):
        ins[1] = ("c", np.round(y).astype(np.int64))
    if o in ("Max", "Min", "Mean", "Sum") and r.maybe():
        ins.append(("x", r.f(3, 4).astype(t)))
    if r.maybe(0.2):
        ins = ins[::-1] if ins[1][0] == "x" and o != "Pow" and o != "Div" else ins
    return (
        o,
        ins,
        {},
        r.pick(12, 13, 16) if o in ("LessOrEqual", "GreaterOrEqual", "Pow") else r.pick(7, 13) if o not in ("Equal", "Less", "Greater", "Max", "Min") else 13,
    )


@gen(n=12)
def Where(r):
    return (
        "Where",
        [
            ("x" if r.maybe() else "c", r.f(*r.pick((2, 3, 4), (4,), (3, 1), (1, 1, 1, 4), ())) > 0),
            ("x", r.f(2, 3, 4)),
            ("x", r.f(*r.pick((4,), (1,), (), (2, 1, 4)))),
        ],
        {},
        r.pick(9, 16),
    )


@gen(n=10)
def Expand(r):
    return (
        "Expand",
        [("x", r.f(*r.pick((3, 1), (1, 4), (3, 4), (1,), ()))), ("c", np.array(r.pick([2, 3, 4], [1, 1], [3, 4], [1], [2, 1, 1, 4][:4]), np.int64))],
        {},
        r.pick(8, 13),
    )


@gen(n=16)
def Shape(r):
    a = {}
    if r.maybe(0.7):
        a["start"] = int(r.randint(-5, 5))
    if r.maybe(0.7):
        a["end"] = int(r.randint(-5, 5))
    return "Shape", [("x", r.f(2, 3, 4))], a, 15


@gen(n=10)
def ConstantOfShape(r):
    t = r.pick(*T)
    v = numpy_helper.from_array(np.array([1 if t is np.bool_ else 3], t))
    return "ConstantOfShape", [("c", np.array(r.pick([2, 3], [1], [], [4, 1, 2]), np.int64))], ({"value": v} if r.maybe(0.8) else {}), r.pick(9, 23)


@gen(n=12)
def Range(r):
    t = r.pick(F, np.int64, np.int32, np.int16, np.float64)
    v = [r.pick(0, 1, -3, 5), r.pick(7, 10, -6, 5), r.pick(1, 2, -1, 3)]
    if t in (F, np.float64):
        v[2] *= r.pick(1, 0.5, 0.3)
    return "Range", [("c", np.array(k, t)) for k in v], {}, 11


@gen(n=12)
def CumSum(r):
    a = {}
    if r.maybe(0.7):
        a["exclusive"] = r.pick(0, 1)
    if r.maybe(0.7):
        a["reverse"] = r.pick(0, 1)
    x = r.f(3, 4, 5)
    if r.maybe(0.3):
        x = (x * 5).astype(np.int64)
    return "CumSum", [("x", x), ("c", np.array(r.pick(0, 1, 2, -1, -3, [1]), r.pick(np.int32, np.int64)))], a, r.pick(11, 14)


@gen(n=20)
def Einsum(r):
    eq, sh = r.pick(
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
        ("...ij,...jk->...ik", [(2, 3, 4), (2, 4, 5)]),
        ("...ij,jk", [(2, 3, 4), (4, 5)]),
        ("bhwc,hkc->bhwk", [(2, 3, 4, 5), (3, 6, 5)]),
        ("ii->i", [(4, 4)]),
        ("ij->ji", [(3, 4)]),
        ("ij", [(3, 4)]),
        ("ba", [(3, 4)]),
        ("i,j->ij", [(3,), (4,)]),
        ("ij->", [(3, 4)]),
        ("bij,bij->b", [(2, 3, 4), (2, 3, 4)]),
        ("...i->...", [(2, 3, 4)]),
        ("a...,...b->ab...", [(2, 3), (3, 4)]),
        ("nhwqc,nhkc->nhwqk", [(2, 2, 3, 3, 4), (2, 2, 5, 4)]),
        ("ij , jk -> ik", [(2, 3), (3, 4)]),
        ("bi,ij,bj->b", [(2, 3), (3, 4), (2, 4)]),
        ("...,...->...", [(3, 4), (3, 4)]),
        ("bii->b", [(2, 3, 3)]),
        ("Ab,bC->AC", [(2, 3), (3, 4)]),
        ("ij,...j->...i", [(3, 4), (2, 2, 4)]),
    )
    return "Einsum", [("x", r.f(*s)) for s in sh], {"equation": eq}, 12


@gen(n=16)
def Gemm(r):
    a = {}
    ta, tb = r.pick(0, 1), r.pick(0, 1)
    if ta:
        a["transA"] = 1
    if tb:
        a["transB"] = 1
    if r.maybe():
        a["alpha"] = 0.3
    if r.maybe():
        a["beta"] = 0.7
    x, w = r.f(3, 4), r.f(4, 5)
    op = r.pick(7, 9, 11, 13)
    ins = [("x", x.T.copy() if ta else x), ("c", w.T.copy() if tb else w)]
    if op < 11 or r.maybe(0.7):
        ins.append(("c", r.f(*r.pick((5,), (1,), (3, 1), (1, 5), (3, 5), ()))))
    return "Gemm", ins, a, op


@gen(n=12)
def MatMul(r):
    s = r.pick(
        ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((2, 3, 4), (4,)), ((4,), (2, 4, 5))
    )
    return "MatMul", [("x", r.f(*s[0])), (r.pick("x", "c"), r.f(*s[1]))], {}, r.pick(7, 9, 13)


@gen(n=12)
def DepthSpace(r):
    if r.maybe():
        op = r.pick(7, 11, 13)
        return "DepthToSpace", [("x", r.f(2, 8, 3, 4))], {"blocksize": 2} | ({"mode": r.pick("DCR", "CRD")} if op >= 11 and r.maybe(0.8) else {}), op
    return "SpaceToDepth", [("x", r.f(2, 3, 4, 6))], {"blocksize": 2}, r.pick(7, 13)


@gen(n=30)
def GridSample(r):
    op = r.pick(16, 20, 22)
    a = {}
    modes = ("bilinear", "nearest", "bicubic") if op == 16 else ("linear", "nearest", "cubic")
    if r.maybe(0.8):
        a["mode"] = r.pick(*modes)
    if r.maybe(0.8):
        a["padding_mode"] = r.pick("zeros", "border", "reflection")
    if r.maybe(0.8):
        a["align_corners"] = r.pick(0, 1)
    return "GridSample", [("x", r.f(2, 3, 4, 5)), ("x", (r.uniform(-1.6, 1.6, (2, 3, 6, 2))).astype(F))], a, op


@gen(n=10)
def Trilu(r):
    a = {} if r.maybe(0.3) else {"upper": r.pick(0, 1)}
    ins = [("x", r.f(2, 4, 5))]
    if r.maybe(0.7):
        ins.append(("c", np.array(r.randint(-5, 6), np.int64)))
    return "Trilu", ins, a, 14


@gen(n=10)
def Tile(r):
    return "Tile", [("x", r.f(2, 3, 4)), ("c", r.randint(0 if r.maybe(0.2) else 1, 4, 3).astype(np.int64))], {}, r.pick(7, 13)


@gen(n=16)
def Squeeze(r):
    op = r.pick(7, 11, 13)
    if r.maybe():
        ax = r.pick([0], [1], [0, 3], [-1] if op >= 11 else [0], [3, 0], [0, -1] if op >= 11 else [1])
        ins = [("x", r.f(3, 4))]
        return ("Unsqueeze", ins, {"axes": ax}, op) if op < 13 else ("Unsqueeze", ins + [("c", np.array(ax, np.int64))], {}, op)
    ax = r.pick([1], [3], [1, 3], [-1] if op >= 11 else [1])
    ins = [("x", r.f(2, 1, 3, 1))]
    if r.maybe(0.2):
        return "Squeeze", ins, {}, op
    return ("Squeeze", ins, {"axes": ax}, op) if op < 13 else ("Squeeze", ins + [("c", np.array(ax, np.int64))], {}, op)


@gen(n=16)
def Reshape(r):
    op = r.pick(7, 13, 14)
    s = r.pick([2, 12], [-1, 4], [0, -1], [0, 0, 2, 2], [4, 0, 2] if False else [2, -1, 1], [24], [1, 24, 1], [0, 3, -1])
    return "Reshape", [("x", r.f(2, 3, 4)), ("c", np.array(s, np.int64))], ({"allowzero": 0} if op == 14 and r.maybe(0.3) else {}), op


@gen(n=8)
def Flatten(r):
    a = {} if r.maybe(0.3) else {"axis": r.pick(0, 1, 2, 3, -1, -3)}
    return "Flatten", [("x", r.f(2, 3, 4))], a, r.pick(11, 13)


@gen(n=6)
def Transpose(r):
    a = {} if r.maybe(0.3) else {"perm": r.permutation(4).tolist()}
    return "Transpose", [("x", r.f(2, 3, 4, 5))], a, r.pick(7, 13)


@gen(n=40)
def Quantize(r):
    op = r.pick(10, 13, 19, 21)
    x = r.f(2, 3, 4, 5) * 4
    qt = r.pick(np.uint8, np.int8)
    per = op >= 13 and r.maybe(0.6)
    ax = r.pick(1, -1, 2, 0, -3) if per else None
    n = x.shape[ax] if per else None
    s = (r.rand(n) * 0.1 + 0.02).astype(F) if per else np.array(0.05, F)
    z = r.randint(0, 9, () if n is None else n).astype(qt)
    a = {"axis": ax} if per and not (ax == 1 and r.maybe()) else {}
    if r.maybe():
        return "QuantizeLinear", [("x", x), ("c", s), ("c", z) if r.maybe(0.8) else None], a, op
    q = r.randint(0 if qt is np.uint8 else -128, 120, x.shape).astype(qt)
    if r.maybe(0.15):
        q = q.astype(np.int32) * 50
        z = None
    return "DequantizeLinear", [("x", q), ("c", s), ("c", z) if z is not None and r.maybe(0.8) else None], a, op


@gen(n=24)
def QConv(r):
    x = r.randint(0, 255, (2, 4, 6, 7)).astype(np.uint8)
    g = r.pick(1, 2, 4)
    w = r.randint(-100, 100, (4, 4 // g, 3, 3)).astype(np.int8)
    a = window(r, {}, x.shape[2:], [3, 3])
    if g > 1:
        a["group"] = g
    if r.maybe(0.3):
        w = np.abs(w).astype(np.uint8) if r.maybe() else w
        ins = [("x", x), ("c", w), ("c", np.array(120, np.uint8)) if r.maybe(0.8) else None]
        if ins[2] is not None and r.maybe():
            ins.append(("c", np.array(0 if w.dtype == np.int8 else 100, w.dtype)))
        return "ConvInteger", ins, a, 10
    per = r.maybe()
    ws = (r.rand(4) * 0.01 + 0.005).astype(F) if per else np.array(0.01, F)
    ins = [
        ("x", x),
        ("c", np.array(0.02, F)),
        ("c", np.array(100, np.uint8)),
        ("c", w),
        ("c", ws),
        ("c", np.zeros(4 if per else (), np.int8)),
        ("c", np.array(0.3, F)),
        ("c", np.array(128, np.uint8)),
    ]
    if r.maybe():
        ins.append(("c", r.randint(-500, 500, 4).astype(np.int32)))
    return "QLinearConv", ins, a, 10


@gen(n=12)
def QMat(r):
    if r.maybe():
        ins = [("x", r.randint(0, 255, (2, 3, 4)).astype(np.uint8)), ("c", r.randint(0, 255, (4, 5)).astype(np.uint8))]
        if r.maybe(0.7):
            ins.append(("c", np.array(9, np.uint8)))
            if r.maybe():
                ins.append(("c", np.array(100, np.uint8)))
        return "MatMulInteger", ins, {}, 10
    return (
        "QLinearMatMul",
        [
            ("x", r.randint(0, 255, (3, 4)).astype(np.uint8)),
            ("c", np.array(0.02, F)),
            ("c", np.array(100, np.uint8)),
            ("c", r.randint(-100, 100, (4, 5)).astype(np.int8)),
            ("c", np.array(0.01, F)),
            ("c", np.array(0, np.int8)),
            ("c", np.array(0.1, F)),
            ("c", np.array(128, np.uint8)),
        ],
        {},
        r.pick(10, 21),
    )


@gen(n=16)
def Misc(r):
    return r.pick(
        ("Dropout", [("x", r.f(3, 4))], {"ratio": 0.3} if r.maybe() else {}, r.pick(7, 10)),
        ("Dropout", [("x", r.f(3, 4)), ("c", np.array(0.3, F)), ("c", np.array(False))], {}, 13),
        ("Dropout", [("x", r.f(3, 4))], {}, 12, 2),
        ("Dropout", [("x", r.f(3, 4)), None, None], {"seed": 3}, 22),
        ("IsInf", [("x", np.array([1, np.inf, -np.inf, np.nan], F))], r.pick({}, {"detect_negative": 0}, {"detect_positive": 0}), r.pick(10, 20)),
        ("Round", [("x", np.array([0.5, 1.5, -0.5, -1.5, 2.4, -2.6], F))], {}, 11),
        ("EyeLike", [("x", r.f(3, 4))], r.pick({}, {"k": 1}, {"k": -1, "dtype": 7}), 9),
        ("Compress", [("x", r.f(3, 4)), ("c", np.array([True, False, True]))], r.pick({"axis": 0}, {"axis": 1}, {}, {"axis": -1}), 11),
        ("ReverseSequence", [("x", r.f(4, 3, 2)), ("c", np.array([1, 2, 4], np.int64))], r.pick({}, {"batch_axis": 1, "time_axis": 0}), 10),
        ("CenterCropPad", [("x", r.f(4, 5, 6)), ("c", np.array([5, 3], np.int64))], r.pick({"axes": [0, 2]}, {"axes": [-1, 1]}), 18),
        ("Size", [("x", r.f(3, 4))], {}, 13),
        ("NonZero", [("c", (r.f(3, 4) > 0).astype(F))], {}, 13),
        ("BitShift", [("x", r.randint(0, 99, 5).astype(np.uint8)), ("c", r.randint(0, 4, 5).astype(np.uint8))], {"direction": r.pick("LEFT", "RIGHT")}, 11),
        ("AffineGrid", [("x", r.f(2, 2, 3)), ("c", np.array([2, 3, 4, 5], np.int64))], r.pick({}, {"align_corners": 1}), 20),
    )


@gen(n=24)
def Attention(r):
    B, H, S, K, D = 2, 4, 5, r.pick(5, 7), 8
    kv = r.pick(4, 2, 1)
    a = {}
    threeD = r.maybe(0.4)
    if threeD:
        q, k, v = r.f(B, S, H * D), r.f(B, K, kv * D), r.f(B, K, kv * D)
        a |= {"q_num_heads": H, "kv_num_heads": kv}
    else:
        q, k, v = r.f(B, H, S, D), r.f(B, kv, K, D), r.f(B, kv, K, D)
    if r.maybe(0.3):
        a["scale"] = 0.2
    if r.maybe(0.3):
        a["is_causal"] = 1
    if r.maybe(0.3):
        a["softcap"] = 2.0
    ins = [("x", q), ("x", k), ("x", v)]
    if r.maybe(0.4):
        ins.append(("c", r.f(*r.pick((S, K), (B, 1, S, K), (B, H, S, K), (1, 1, S, K)))) if r.maybe(0.6) else ("c", np.tril(np.ones((S, K), bool))))
    return "Attention", ins, a, 23


@gen(n=24)
def Microsoft(r):
    o = r.pick(
        "BiasGelu",
        "FastGelu",
        "Gelu",
        "QuickGelu",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "SkipLayerNormalization",
        "SimplifiedLayerNormalization",
        "MultiHeadAttention",
        "QLinearAdd",
        "QLinearGlobalAveragePool",
    )
    d = "com.microsoft"
    if o in ("BiasGelu",):
        return o, [("x", r.f(2, 3, 4)), ("c", r.f(4))], {}, 17, 1, d
    if o == "FastGelu":
        return o, [("x", r.f(2, 3, 4))] + ([("c", r.f(4))] if r.maybe() else []), {}, 17, 1, d
    if o == "Gelu":
        return o, [("x", r.f(2, 3, 4))], {}, 17, 1, d
    if o == "QuickGelu":
        return o, [("x", r.f(2, 3, 4))], ({"alpha": 1.3} if r.maybe() else {}), 17, 1, d
    if o == "FusedConv":
        act = r.pick("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Clip", "HardSigmoid")
        p = {"LeakyRelu": [0.2], "Clip": [-0.3, 0.6], "HardSigmoid": [0.3, 0.4]}.get(act)
        ins = [("x", r.f(1, 4, 5, 6)), ("c", r.f(3, 4, 3, 3)), ("c", r.f(3))]
        if r.maybe(0.3):
            ins.append(("x", r.f(1, 3, 5, 6)))
        return o, ins, {"activation": act, "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]} | ({"activation_params": p} if p else {}), 17, 1, d
    if o == "FusedGemm":
        return o, [("x", r.f(3, 4)), ("c", r.f(5, 4)), ("c", r.f(5))], {"transB": 1, "activation": r.pick("Relu", "Sigmoid", "Tanh")}, 17, 1, d
    if o == "FusedMatMul":
        ta, tb = r.pick(0, 1), r.pick(0, 1)
        return (
            o,
            [("x", r.f(2, 4, 3) if ta else r.f(2, 3, 4)), ("c", r.f(2, 5, 4) if tb else r.f(2, 4, 5))],
            {"transA": ta, "transB": tb, "alpha": 0.5},
            17,
            1,
            d,
        )
    if o == "SkipLayerNormalization":
        return (
            o,
            [("x", r.f(2, 3, 4)), ("x", r.f(2, 3, 4)), ("c", r.f(4)), ("c", r.f(4)) if r.maybe(0.7) else None, ("c", r.f(4)) if r.maybe() else None],
            {"epsilon": r.pick(1e-5, 0.1)},
            17,
            1,
            d,
        )
    if o == "SimplifiedLayerNormalization":
        return o, [("x", r.f(2, 3, 4)), ("c", r.f(4))], {"epsilon": 1e-5, "axis": -1}, 17, 1, ""
    if o == "MultiHeadAttention":
        return (
            o,
            [("x", r.f(2, 5, 8)), ("x", r.f(2, 6, 8)), ("x", r.f(2, 6, 8))] + ([("c", r.f(24))] if r.maybe(0.4) else []),
            {"num_heads": 2} | ({"scale": 0.3} if r.maybe(0.4) else {}),
            17,
            1,
            d,
        )
    if o == "QLinearAdd":
        return (
            o,
            [
                ("x", r.randint(0, 255, (2, 3)).astype(np.uint8)),
                ("c", np.array(0.02, F)),
                ("c", np.array(10, np.uint8)),
                ("x", r.randint(0, 255, (2, 3)).astype(np.uint8)),
                ("c", np.array(0.03, F)),
                ("c", np.array(20, np.uint8)),
                ("c", np.array(0.05, F)),
                ("c", np.array(3, np.uint8)),
            ],
            {},
            17,
            1,
            d,
        )
    return (
        o,
        [
            ("x", r.randint(0, 255, (2, 3, 4, 5)).astype(np.uint8)),
            ("c", np.array(0.02, F)),
            ("c", np.array(10, np.uint8)),
            ("c", np.array(0.03, F)),
            ("c", np.array(20, np.uint8)),
        ],
        {"channels_last": 0},
        17,
        1,
        d,
    )


def build(case):
    op, ins, attrs, opset, *rest = case
    nout = rest[0] if rest else 1
    domain = rest[1] if len(rest) > 1 else ""
    names, inputs, inits, feeds = [], [], [], []
    for i, v in enumerate(ins):
        if v is None:
            names.append("")
            continue
        kind, arr = v
        name = f"i{i}"
        names.append(name)
        if kind == "x":
            inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(arr.dtype), arr.shape))
            feeds.append((name, arr))
        else:
            inits.append(numpy_helper.from_array(arr, name))
    while names and names[-1] == "":
        names.pop()
    outs = [f"o{i}" for i in range(nout)]
    node = helper.make_node(op, names, outs, name="n", domain=domain, **attrs)
    g = helper.make_graph([node], "g", inputs, [onnx.ValueInfoProto(name=o) for o in outs], inits)
    ops = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    m = helper.make_model(g, opset_imports=ops, ir_version=9)
    return m, feeds


def answer(m, feeds):
    so = ort.SessionOptions()
    so.log_severity_level = 4
    so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    so.intra_op_num_threads = 1
    s = ort.InferenceSession(m.SerializeToString(), so, providers=["CPUExecutionProvider"])
    return s.run(None, dict(feeds))


def main(path, seed, factor):
    refused, count = {}, 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name, (draw, n) in GEN.items():
            for k in range(int(np.ceil(n * factor))):
                case = draw(Draw(zlib.crc32(f"{name} {k} {seed}".encode())))
                try:
                    model, feeds = build(case)
                    out = answer(model, feeds)
                except Exception as e:
                    refused.setdefault(name, []).append(str(e)[-160:].replace("\n", " "))
                    continue
                files = {"model.onnx": model.SerializeToString(), "tolerance": b"1e-4 1e-5"}
                files |= {f"in_{i}.pb": numpy_helper.from_array(a, called).SerializeToString() for i, (called, a) in enumerate(feeds)}
                files |= {f"out_{i}.pb": numpy_helper.from_array(np.asarray(a), f"o{i}").SerializeToString() for i, a in enumerate(out)}
                for file, raw in files.items():
                    z.writestr(zipfile.ZipInfo(f"{name}_{k}/{file}", (2026, 1, 1, 0, 0, 0)), raw, zipfile.ZIP_DEFLATED, 9)
                count += 1
    print(count, "cases of onnxruntime", ort.__version__)
    for name, why in refused.items():
        print(f"{name}: {len(why)} left out, such as: {why[0]}")


main(sys.argv[1], int((sys.argv[2:] or [1])[0]), float((sys.argv[3:] or [0.25])[0]))
