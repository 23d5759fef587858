"""Missingness by others' code, for lib/missing/testdata: scikit-image's SLIC, torchvision's blur, the authors' LIME (scikit-learn's Ridge) and vision
transformer, the package lime, and onnxruntime on the ONNX transformer with its tokens cut out.

    python bench/oracles/missing.py MISSINGNESS imagenet2.npz lib/missing/testdata/missing.npz

where bench/oracles/dump wrote the photographs (imagenet images.zip 200 2), and MISSINGNESS is a checkout of MadryLab/missingness. Besides the packages of the
README it takes lime==0.2.0.1 and scikit-image==0.26.0.
"""
import ast
import collections.abc
import glob
import os
import sys
import types
from functools import partial

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from lime.lime_image import LimeImageExplainer
from skimage.segmentation import slic
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances

import torch_models

authors, photo_file, out = sys.argv[1:]
torch.set_num_threads(1)
torch.Tensor.cuda = lambda self: self
rng = np.random.default_rng(0)
golden = {}

# An image that needs no data: smooth colours, with an edge.
h, w = 60, 52
y, x = np.mgrid[:h, :w]
small = np.stack([np.sin(x / 9 + k) * np.cos(y / (7 + k)) / 2 + 0.5 for k in range(3)], -1)
small[(x - 20) ** 2 + (y - 33) ** 2 < 150] = (0.9, 0.3, 0.1)
small = np.clip(small + rng.normal(0, 0.03, small.shape), 0, 1).astype(np.float32)
golden["small"] = small
photos, _ = torch_models.images(photo_file)
photos = photos.permute(0, 2, 3, 1).numpy()


def superpixels(image, **more):
    return slic(image.astype(np.float64), start_label=0, **{"n_segments": 150, "compactness": 10, "sigma": 1, **more}).astype(np.int16)


golden["slic_small"] = superpixels(small, n_segments=30)
golden["slic_small_loose"] = superpixels(small, n_segments=30, compactness=0.5, sigma=0)
golden["slic_grey"] = superpixels(small[..., 0], n_segments=20, compactness=0.1, channel_axis=None)
golden["slic_photos"] = np.stack([superpixels(p) for p in photos])
golden["blur"] = torchvision.transforms.GaussianBlur(21, 10)(torch.from_numpy(small).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()

# The authors' regression, as it is in their file.
tree = ast.parse(open(f"{authors}/patch_ablation/lime.py").read())
space = {"np": np, "Ridge": Ridge}
exec(compile(ast.Module([n for n in tree.body if getattr(n, "name", "") == "fit_lime_model"], []), "lime.py", "exec"), space)

# A network of few weights: one hidden layer on an image of 24 x 20, cut into 15 segments.
net = {"hidden.weight": rng.normal(0, 0.05, (12, 24 * 20 * 3)), "hidden.bias": rng.normal(0, 0.1, 12), "linear.weight": rng.normal(0, 1, (4, 12)), "linear.bias": rng.normal(0, 0.1, 4)}
net = {k: v.astype(np.float32) for k, v in net.items()}
golden.update({"net_" + k: v for k, v in net.items()})


def classify(images):
    flat = np.asarray(images, np.float64).reshape(len(images), -1)
    hidden = np.maximum(flat @ net["hidden.weight"].T.astype(np.float64) + net["hidden.bias"], 0)
    logits = hidden @ net["linear.weight"].T.astype(np.float64) + net["linear.bias"]
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


images = rng.uniform(0, 1, (3, 24, 20, 3)).astype(np.float32)
labels = np.stack([superpixels(i, n_segments=15, compactness=100) for i in images])
golden["lime_images"], golden["lime_segments"] = images, labels
counts = labels.reshape(3, -1).max(1) + 1
total = counts.max() + 3  # the authors have columns without a segment
keep = np.random.RandomState(1).binomial(1, 0.5, size=(300, total))
golden["lime_keep"] = keep.astype(np.float32)
for i, image in enumerate(images):
    whole = classify(image[None]).argmax()
    for name, columns in (("own", counts[i]), ("authors", total)):
        k = keep[:, :columns]
        origin = np.zeros((1, columns))
        origin[:, : counts[i]] = 1
        distances = pairwise_distances(k, origin, metric="cosine").ravel()
        masked = np.stack([np.where(np.isin(labels[i], np.where(row[: counts[i]] == 0)[0])[..., None], 0, image) for row in keep])
        _, coefficients = space["fit_lime_model"](distances, k, classify(masked)[:, whole])
        golden[f"lime_{name}_{i}"] = coefficients[: counts[i]]
    # The package lime draws its own masks.
    seen = []
    explainer = LimeImageExplainer(kernel_width=0.25, random_state=i, verbose=False)
    draw = explainer.data_labels
    explainer.data_labels = lambda *a, **b: seen.append(draw(*a, **b)) or seen[-1]
    found = explainer.explain_instance(
        image.astype(np.float64), classify, labels=(whole,), top_labels=None, hide_color=0, num_samples=200, segmentation_fn=lambda _: labels[i])
    coefficients = np.zeros(counts[i])
    for segment, value in found.local_exp[whole]:
        coefficients[segment] = value
    golden[f"limepackage_keep_{i}"] = seen[0][0].astype(np.float32)
    golden[f"limepackage_{i}"] = coefficients
    golden[f"limepackage_fit_{i}"] = np.array([found.intercept[whole], found.score])

# The authors' transformer, at the size of a small one.
sys.path.insert(0, f"{authors}/src")
sys.modules["torch._six"] = types.SimpleNamespace(container_abcs=collections.abc)  # of an older PyTorch
from models.vision_transformer import VisionTransformer  # noqa: E402

torch.manual_seed(0)
vit = VisionTransformer(img_size=(12, 16), patch_size=4, in_chans=3, num_classes=5, embed_dim=16, depth=2, num_heads=4, mlp_ratio=4, qkv_bias=True, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6)).eval()
with torch.no_grad():
    for p in vit.parameters():
        p.normal_(0, 0.3)
state = {k: v.numpy() for k, v in vit.state_dict().items()}
weights = {
    # A patch's pixels lie there as rows, columns, channels.
    "patches.weight": state["patch_embed.proj.weight"].transpose(0, 2, 3, 1).reshape(16, -1),
    "patches.bias": state["patch_embed.proj.bias"],
    "class": state["cls_token"],
    "positions": state["pos_embed"],
    "norm.weight": state["norm.weight"], "norm.bias": state["norm.bias"],
    "linear.weight": state["head.weight"], "linear.bias": state["head.bias"],
}
for i in range(2):
    ours, theirs = f"block{i + 1}", f"blocks.{i}"
    for kind in ("weight", "bias"):
        for a, b in zip(("query", "key", "value"), np.split(state[f"{theirs}.attn.qkv.{kind}"], 3)):
            weights[f"{ours}.attention.{a}.{kind}"] = b
        for a, b in (("attention.out", "attn.proj"), ("norm1", "norm1"), ("norm2", "norm2"), ("wide", "mlp.fc1"), ("narrow", "mlp.fc2")):
            weights[f"{ours}.{a}.{kind}"] = state[f"{theirs}.{b}.{kind}"]
golden.update({"vit_" + k: np.ascontiguousarray(v) for k, v in weights.items()})
x = rng.uniform(0, 1, (3, 12, 16, 3)).astype(np.float32)
golden["vit_images"] = x
keep = np.array([[1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0], [0] * 11 + [1], [1] * 12], np.float32)
golden["vit_keep"] = keep
with torch.no_grad():
    t = torch.from_numpy(x).permute(0, 3, 1, 2)
    golden["vit_whole"] = vit(t).numpy()
    golden["vit_dropped"] = np.concatenate([vit(t[i : i + 1], patch_mask=torch.tensor([0] + [j + 1 for j in range(12) if keep[i, j]])).numpy() for i in range(3)])

# The foreground network's backbone with 90 and 23 of its 256 patches: a graph that begins at its tokens.
path = glob.glob(os.path.join(torch_models.ASSETS, "vit-focus", "*.onnx"))[0]
model = onnx.load(path)
tokens, class_token = "/backbone/embeddings/Add_output_0", "/backbone/layernorm/Add_1_output_0"
model.graph.output.extend([onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in (tokens, class_token)])
whole = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
normal = ((photos - mean) / std).transpose(0, 3, 1, 2)
before, after = whole.run([tokens, class_token], {"input_image": normal})
golden["onnx_whole"] = after[:, 0]
end = next(i for i, node in enumerate(model.graph.node) if class_token in node.output)
kept = [node for node in model.graph.node[: end + 1] if tokens not in node.output]
for node in kept:
    node.input[:] = ["loose" if n == tokens else n for n in node.input]
del model.graph.node[:]
model.graph.node.extend(kept)
model.graph.input.append(onnx.helper.make_tensor_value_info("loose", onnx.TensorProto.FLOAT, ["N", "T", 384]))
del model.graph.output[:]
model.graph.output.append(onnx.helper.make_tensor_value_info(class_token, onnx.TensorProto.FLOAT, None))
cut = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
keep = np.zeros((2, 256), np.float32)
for i, count in enumerate((90, 23)):
    keep[i, rng.permutation(256)[:count]] = 1
golden["onnx_keep"] = keep
golden["onnx_dropped"] = np.stack([
    cut.run(None, {"input_image": normal[i : i + 1], "loose": before[i : i + 1, np.concatenate([[0], 1 + np.where(keep[i])[0]])]})[0][0, 0] for i in range(2)])
np.savez_compressed(out, **golden)
