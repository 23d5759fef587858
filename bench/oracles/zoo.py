"""Graphs of torchvision's and timm's networks by both of torch's ONNX exporters, for lib/model/testdata/zoo.zip.

    pip install torch==2.15.0 torchvision==0.29.2 timm==1.0.31 onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2
    python bench/oracles/zoo.py FOLDER [NAME...]
    python bench/oracles/zoo.py FOLDER lib/model/testdata/zoo.zip

The first form exports networks, all that are not in the folder yet, as whole files: a reader can be tried with them. Their weights are those of a
formula. Then each large tensor of the file gets numbers by another formula, of its own name in the file, so that the graph can be kept without them;
torch gets the same numbers: what the exporter has folded, transposed or renamed is found again by its values. Beside each file lie the logits of two
images by onnxruntime, and the gradient of one of the first image's logits by torch in double precision, every 17th value.

The second form packs the graphs. The large tensors are said to lie in weights.bin beside the graph, one behind the other, and networks.json says how
to make them: centre + scale * (2 * hashed(name) - 1). What says where in the program a node comes from is left out.
"""
import json
import logging
import os
import sys
import tempfile
import warnings
import zipfile

import numpy as np
import onnx
import onnxruntime
import timm
import torch
import torchvision
from onnx import numpy_helper
from timm.models import mlp_mixer

from hashed import hashed

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
CLASSES = 10
tv = torchvision.models


def t(name, **arguments):
    return lambda: timm.create_model(name, num_classes=CLASSES, **arguments)


def resnet(block, layers, **arguments):
    return lambda: tv.ResNet(block, layers, num_classes=CLASSES, **arguments)


def vit(name, **arguments):
    return t(name, **{"img_size": 64, "depth": 3, "embed_dim": 96, "num_heads": 3} | arguments)


def mixer(**arguments):
    return lambda: mlp_mixer.MlpMixer(CLASSES, 64, num_blocks=3, embed_dim=96, **arguments)


def swin_v2():
    return tv.swin_transformer.SwinTransformer([4, 4], 24, [2, 2, 2], [1, 2, 4], [4, 4], num_classes=CLASSES, block=tv.swin_transformer.SwinTransformerBlockV2,
                                               norm_layer=torch.nn.LayerNorm, downsample_layer=tv.swin_transformer.PatchMergingV2)


def vgg(name):
    """With a narrower classifier: 123 million weights less."""
    net = getattr(tv, name)(weights=None, num_classes=CLASSES)
    net.classifier[0], net.classifier[3], net.classifier[6] = torch.nn.Linear(25088, 64), torch.nn.Linear(64, 64), torch.nn.Linear(64, CLASSES)
    return net


def c(name, **arguments):
    return lambda: getattr(tv, name)(weights=None, num_classes=CLASSES, **arguments)


# What is exported: the network, how it is made, the side of its images, and the forms: exporter (ts: TorchScript's, dyn: dynamo's, raw: dynamo's without
# optimisation), opset and batch (N: dynamic). Depths and widths are small where that leaves the structure as it is.
tvr = tv.resnet.Bottleneck
NETWORKS = {
    "resnet18": (c("resnet18"), 64, "ts13/1 ts17/1 dyn20/N"),
    "resnet50": (resnet(tvr, [2, 2, 2, 2]), 64, "dyn20/N"),
    "wide_resnet50_2": (resnet(tvr, [1, 1, 1, 1], width_per_group=128), 64, "ts17/1"),
    "resnext50_32x4d": (resnet(tvr, [1, 1, 1, 1], groups=32, width_per_group=4), 64, "dyn20/1"),
    "resnet26d": (t("resnet26d"), 64, "ts17/N"),
    "resnetv2_50": (t("resnetv2_50", layers=(1, 1, 1, 1)), 64, "dyn20/N"),
    "seresnext26t": (t("seresnext26t_32x4d"), 64, "ts17/N"),
    "vgg11": (lambda: vgg("vgg11"), 224, "ts13/N"),
    "vgg11_bn": (lambda: vgg("vgg11_bn"), 224, "dyn18/N"),
    "alexnet": (c("alexnet"), 224, "dyn20/1"),
    "densenet121": (lambda: tv.DenseNet(16, (2, 3, 4, 2), 32, num_classes=CLASSES), 64, "ts17/N"),
    "densenet_timm": (t("densenet121", growth_rate=16, block_config=(2, 3, 4, 2)), 64, "dyn20/N"),
    "inception_v3": (lambda: tv.inception_v3(weights=None, num_classes=CLASSES, transform_input=True, init_weights=False), 96, "ts17/1"),
    "inception_v4": (t("inception_v4"), 96, "dyn20/N"),
    "googlenet": (lambda: tv.googlenet(weights=None, num_classes=CLASSES, transform_input=True, init_weights=False), 64, "ts17/N"),
    "mobilenet_v2": (c("mobilenet_v2"), 64, "ts13/N ts17/1 dyn20/N"),
    "mobilenet_v3_small": (c("mobilenet_v3_small"), 64, "ts17/N"),
    "mobilenetv4_conv_small": (t("mobilenetv4_conv_small_050"), 64, "dyn20/N"),
    "shufflenet_v2_x0_5": (c("shufflenet_v2_x0_5"), 64, "ts13/1"),
    "squeezenet1_1": (c("squeezenet1_1"), 64, "ts13/N"),
    "mnasnet0_5": (c("mnasnet0_5"), 64, "dyn20/1"),
    "efficientnet_b0": (c("efficientnet_b0"), 64, "dyn20/N"),
    "efficientnetv2": (t("tf_efficientnetv2_b0"), 64, "ts17/N"),
    "regnet_y_400mf": (c("regnet_y_400mf"), 64, "ts17/1"),
    "convnext": (t("convnext_atto", depths=(1, 1, 2, 1)), 64, "raw20/N"),
    "convnextv2": (t("convnextv2_atto", depths=(1, 1, 2, 1)), 64, "ts17/N"),
    "vit": (vit("vit_tiny_patch16_224"), 64, "ts17/N dyn20/N"),
    "vit_tv": (lambda: tv.VisionTransformer(64, 16, 3, 3, 96, 192, num_classes=CLASSES), 64, "ts17/1 dyn20/N"),
    "deit_distilled": (vit("deit_tiny_distilled_patch16_224"), 64, "dyn20/1"),
    "swin": (t("swin_tiny_patch4_window7_224", img_size=64, window_size=4, embed_dim=24, depths=(2, 2, 2), num_heads=(1, 2, 4)), 64, "ts17/N"),
    "swinv2_tv": (swin_v2, 64, "raw20/N"),
    "maxvit_tv": (lambda: tv.MaxVit((64, 64), 16, 4, [16, 32, 64], [1, 1, 1], 16, 0.0, num_classes=CLASSES), 64, "ts17/N"),
    "beit": (vit("beit_base_patch16_224"), 64, "ts17/N"),
    "cait": (vit("cait_xxs24_224"), 64, "ts17/1"),
    "xcit": (vit("xcit_nano_12_p16_224", num_heads=4), 64, "dyn20/N"),
    "levit": (t("levit_128s"), 224, "ts17/N"),
    "mobilevit": (t("mobilevit_xxs"), 64, "dyn20/N"),
    "mobilevitv2": (t("mobilevitv2_050"), 64, "ts17/N"),
    "edgenext": (t("edgenext_xx_small"), 64, "dyn20/N"),
    "poolformer": (t("poolformer_s12"), 64, "ts17/N"),
    "efficientformer": (t("efficientformer_l1"), 224, "dyn20/1"),
    "efficientformerv2": (t("efficientformerv2_s0"), 224, "ts17/N"),
    "efficientvit_b0": (t("efficientvit_b0"), 64, "dyn20/N"),
    "efficientvit_m0": (t("efficientvit_m0", img_size=64), 64, "ts17/1"),
    "repvgg": (t("repvgg_a0"), 64, "dyn20/1"),
    "ghostnet": (t("ghostnet_050"), 64, "ts17/N"),
    "hrnet": (t("hrnet_w18_small"), 64, "dyn20/1"),
    "dla34": (t("dla34"), 64, "ts17/N"),
    "nfnet": (t("eca_nfnet_l0"), 64, "dyn20/N"),
    "mixer": (mixer(), 64, "ts17/1"),
    "resmlp": (mixer(block_layer=mlp_mixer.ResBlock, norm_layer=mlp_mixer.Affine, mlp_ratio=4), 64, "dyn20/N"),
    "gmlp": (mixer(block_layer=mlp_mixer.SpatialGatingBlock, mlp_layer=mlp_mixer.GatedMlp, mlp_ratio=6), 64, "ts17/N"),
    "pvt_v2_b0": (t("pvt_v2_b0"), 64, "dyn20/N"),
    "twins_pcpvt": (t("twins_pcpvt_small", img_size=64, depths=(1, 1, 2, 1)), 64, "ts17/N"),
    "fastvit": (t("fastvit_t8"), 64, "dyn20/N"),
    "coatnet": (t("coatnet_nano_rw_224", img_size=64), 64, "ts17/N"),
    "clip_vit": (vit("vit_base_patch32_clip_224", img_size=96), 96, "dyn20/1"),
}


def filled(name, shape, centre, scale):
    return (centre + scale * (2 * hashed(name, int(np.prod(shape))) - 1)).astype(np.float32).reshape(shape)


def formula(name, shape):
    """Around what, and how far from it, a weight's numbers lie."""
    fan = int(np.prod(shape[1:]))
    if name.endswith("running_mean"):
        return 0.0, 0.1
    if name.endswith("running_var"):
        return 1.0, 0.3
    if name.endswith(("bias", "token", "embed", "embedding", "bias_table", "beta", "rel_h", "rel_w", "height_rel", "width_rel")) or ".rel" in name:
        return 0.0, 0.1
    if len(shape) <= 1 or len(shape) == 3 or fan == 1:
        return 1.0, 0.2
    return 0.0, round(float(np.sqrt(4.5 / fan)), 6)


def export(net, x, form, dynamic):
    kind, opset = form.rstrip("0123456789"), int(form.lstrip("abcdefghijklmnopqrstuvwxyz"))
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/f.onnx"
        names = {"input_names": ["image"], "output_names": ["logits"], "opset_version": opset}
        if kind == "ts":
            torch.onnx.export(net, (x,), path, dynamo=False, dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}} if dynamic else None, **names)
        else:
            torch.onnx.export(net, (x,), path, dynamo=True, verbose=False, optimize=kind != "raw",
                              dynamic_shapes=({0: torch.export.Dim("N")},) if dynamic else None, **names)
        return onnx.load(path)


class Matching:
    """Finds a file's tensors in a network by their values."""

    def __init__(self, net):
        self.net, self.state = net, {k: v for k, v in list(net.named_parameters()) + list(net.named_buffers()) if v.is_floating_point() and v.numel()}
        self.exact, self.turned = {}, {}
        for name, v in self.state.items():
            a = v.detach().numpy()
            self.exact[a.tobytes()] = name
            if a.ndim >= 2:
                self.turned[np.ascontiguousarray(a.reshape(a.shape[0], -1).T).tobytes()] = name
        self.norms = [m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm) and m.running_var is not None]

    def find(self, a):
        raw = a.tobytes()
        if raw in self.exact:
            return self.exact[raw], False
        return self.turned.get(raw), True

    def folded(self, a):
        """The kernel and the normalisation that were multiplied to make one, or nothing."""
        for name, v in self.state.items():
            if tuple(v.shape) != a.shape:
                continue
            w = v.detach().numpy().astype(np.float64).reshape(len(a), -1)
            w[w == 0] = 1e-30
            r = a.reshape(len(a), -1) / w
            if not np.allclose(r, np.median(r, 1, keepdims=True), rtol=1e-3):
                continue
            for m in self.norms:
                if m.num_features == len(a) and np.allclose((m.weight / torch.sqrt(m.running_var + m.eps)).detach().numpy(), np.median(r, 1), rtol=1e-3):
                    return name, m
        return None


LEAST = 24  # numbers: tensors with fewer stay in the file


def renumbered(model, net):
    """Gives a file's tensors new numbers, and the same ones to the network. Returns how each is made, and what was not found."""
    found, recipe, lost, new = Matching(net), [], [], {}
    tensors = {i.name: i for i in model.graph.initializer}
    for n in model.graph.node:
        for a in n.attribute:
            if a.type == onnx.AttributeProto.TENSOR and np.prod(a.t.dims) >= LEAST:
                lost.append((n.output[0], tuple(a.t.dims)))
    biases = {}  # of folded layers
    with torch.no_grad():
        for n in model.graph.node:
            if n.op_type not in ("Conv", "Gemm") or n.input[1] not in tensors:
                continue
            a = numpy_helper.to_array(tensors[n.input[1]])
            if found.find(a)[0] or not (pair := found.folded(a)):
                continue
            if len(n.input) < 3 or n.input[2] not in tensors:
                continue
            name, norm = pair
            fan = int(np.prod(a.shape[1:]))
            recipe.append((n.input[1], a.shape, 0.0, round(float(np.sqrt(4.5 / fan)), 6)))
            w = torch.from_numpy(filled(*recipe[-1]))
            new[name] = w.double()
            bias = name.removesuffix("weight") + "bias"
            if bias in found.state:
                new[bias] = torch.zeros_like(found.state[bias]).double()
            b = numpy_helper.to_array(tensors[n.input[2]])
            if len(b) >= LEAST:
                recipe.append((n.input[2], b.shape, 0.0, 0.1))
                b = filled(*recipe[-1])
            biases[n.input[2]] = True
            norm.double()
            norm.weight.data = torch.ones(len(b)).double()
            norm.running_mean.data = torch.zeros(len(b)).double()
            norm.running_var.data = torch.full((len(b),), 1 - norm.eps, dtype=torch.float64)
            norm.bias.data = torch.from_numpy(b.copy()).double()
        done = {r[0] for r in recipe} | set(biases)
        for name, i in tensors.items():
            if name in done or i.data_type != onnx.TensorProto.FLOAT or np.prod(i.dims) < LEAST:
                continue
            a = numpy_helper.to_array(i)
            of, turned = found.find(a)
            if of is None:
                lost.append((name, a.shape))
                continue
            centre, scale = formula(of, tuple(found.state[of].shape))
            if of in new:  # the same weight in another form
                lost.append((name, a.shape))
                continue
            if of not in net.state_dict():
                continue  # no weight but a constant
            recipe.append((name, a.shape, centre, scale))
            v = filled(*recipe[-1])
            shape = tuple(found.state[of].shape)
            new[of] = torch.from_numpy(v.reshape(-1, shape[0]).T.copy().reshape(shape) if turned else v.reshape(shape)).double()
        net.double()
        state = net.state_dict()
        for name, v in new.items():
            state[name].copy_(v)
    for r in recipe:
        i = tensors[r[0]]
        i.ClearField("float_data")
        i.raw_data = filled(*r).tobytes()
    return recipe, lost


def answer(raw, images, dynamic):
    o = onnxruntime.SessionOptions()
    o.log_severity_level, o.intra_op_num_threads = 3, 2
    s = onnxruntime.InferenceSession(raw, o, providers=["CPUExecutionProvider"])
    feed = lambda x: s.run(None, {s.get_inputs()[0].name: x})[0]
    return feed(images) if dynamic else np.concatenate([feed(images[i:i + 1]) for i in range(len(images))])


def made(name, form):
    make, side, _ = NETWORKS[name]
    form, batch = form.split("/")
    dynamic = batch == "N"
    torch.manual_seed(0)
    net = make().eval()
    with torch.no_grad():
        for k, v in net.state_dict().items():
            if v.is_floating_point():
                v.copy_(torch.from_numpy(filled(k, tuple(v.shape), *formula(k, tuple(v.shape)))))
    images = filled("images", (2, side, side, 3), 0.5, 0.5).transpose(0, 3, 1, 2)
    model = export(net, torch.from_numpy(np.ascontiguousarray(images if dynamic else images[:1])), form, dynamic)
    recipe, lost = renumbered(model, net)
    y = answer(model.SerializeToString(), np.ascontiguousarray(images), dynamic)
    x = torch.from_numpy(np.ascontiguousarray(images)).double().requires_grad_()
    z = net(x)
    of = 3
    if z[0, of] == 0:  # behind a last ReLU nothing depends on the image
        of = int(z[0].argmax())
    z[0, of].backward()
    largest = np.abs(y).max()
    off = np.abs(y - z.detach().numpy()).max() / largest
    gradient = x.grad[0].permute(1, 2, 0).numpy().ravel()
    print(f"{name} {form}: {len(model.graph.node)} nodes, {len(recipe)} tensors renumbered, {len(lost)} kept, images differ by {np.abs(y[0] - y[1]).max() / largest:.2g}, onnxruntime from torch {off:.1e}", flush=True)
    assert off < 1e-4, "torch has not got the file's numbers"
    about = {"name": f"{name}_{form}", "network": name, "side": side, "dynamic": dynamic, "class": of, "weights": [(n, int(np.prod(shape)), centre, scale) for n, shape, centre, scale in recipe],
             "logits": [float(f"{v:.8g}") for v in y.ravel()], "gradient": [float(f"{v:.5g}") for v in gradient[::17]]}
    return model, about


def packed(model, about):
    """A graph without its large tensors."""
    weights, offset = {w[0]: w for w in about["weights"]}, 0
    order = []
    for i in model.graph.initializer:
        if i.name not in weights:
            continue
        order.append(weights[i.name])
        size = 4 * weights[i.name][1]
        i.ClearField("raw_data")
        i.data_location = onnx.TensorProto.EXTERNAL
        for key, value in ("location", "weights.bin"), ("offset", offset), ("length", size):
            entry = i.external_data.add()
            entry.key, entry.value = key, str(value)
        offset += size
    about["weights"] = order
    del model.graph.value_info[:]
    for message in (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output, *model.functions, *(n for f in model.functions for n in f.node)):
        message.ClearField("doc_string")
        del message.metadata_props[:]
    return model.SerializeToString()


def pack(folder, path):
    def put(z, name, raw):
        z.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), raw, zipfile.ZIP_DEFLATED, 9)

    everything = []
    with zipfile.ZipFile(path, "w") as z:
        for name, (_, _, forms) in NETWORKS.items():
            for form in forms.split():
                key = f"{folder}/{name}_{form.split('/')[0]}"
                with open(key + ".json") as f:
                    about = json.load(f)
                about["every"] = 17 * max(1, len(about["gradient"]) // 700)
                about["gradient"] = about["gradient"][::about["every"] // 17]
                put(z, about["name"] + ".onnx", packed(onnx.load(key + ".onnx"), about))
                everything.append(about)
        put(z, "networks.json", "[\n" + ",\n".join(json.dumps(a, separators=(",", ":")) for a in everything) + "\n]\n")


def main():
    folder, *rest = sys.argv[1:]
    if rest and rest[0].endswith(".zip"):
        return pack(folder, rest[0])
    os.makedirs(folder, exist_ok=True)
    failed = []
    for name in rest or NETWORKS:
        for form in NETWORKS[name][2].split():
            key = f"{folder}/{name}_{form.split('/')[0]}"
            if os.path.exists(key + ".json"):
                continue
            try:
                model, about = made(name, form)
            except Exception as e:
                failed.append(f"{name} {form}: {type(e).__name__}: {str(e)[:300]}")
                print("FAILED", failed[-1], flush=True)
                continue
            onnx.save(model, key + ".onnx")
            with open(key + ".json", "w") as f:
                json.dump(about, f)
    if failed:
        sys.exit("\n".join(failed))


main()
