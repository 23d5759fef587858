"""Attributions by captum, for lib/attrib/testdata.

    python bench/oracles/attributions.py cifar cifar4.npz resnet20.safetensors lib/attrib/testdata/resnet20.npz
    python bench/oracles/attributions.py squeezenet imagenet2.npz - lib/attrib/testdata/squeezenet.npz
    python bench/oracles/attributions.py efficientnet imagenet2.npz - lib/attrib/testdata/efficientnet-lite0.npz

where bench/oracles/dump wrote the images: cifar10 test.zip 2500 4 and imagenet images.zip 200 2. Of attributions
of large images every fourth row and column are kept. All is computed in double precision: near the kinks of
its ReLUs a network's gradient jumps, so that two correct programs in single precision differ by some thousandths. "second" is the class with the second highest logit.
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from captum.attr import InputXGradient, IntegratedGradients, LayerGradCam, NoiseTunnel, Occlusion, Saliency
from captum.attr._core import noise_tunnel

import torch_models

kind, image_file, weight_file, out = sys.argv[1:]
x, _ = torch_models.images(image_file)
if kind == "cifar":
    model = torch_models.cifar_resnet(weight_file)
    layer, window, stride = model.net.layer3, 8, 3
elif kind == "squeezenet":
    model = torch_models.squeezenet()
    layer, window, stride = model.net.features[12], 64, 40
else:
    model = torch_models.efficientnet_lite0()
    layer, window, stride = model.net._blocks[14], 64, 40
model, x = model.double(), x.double()
side = x.shape[2]
keep = 1 if side <= 64 else 4

with torch.no_grad():
    second = model(x).topk(2).indices[:, 1]


def pack(a):
    return a.detach().permute(0, 2, 3, 1)[:, ::keep, ::keep].contiguous().numpy().astype(np.float32)


golden = {"second": second.numpy().astype(np.int64)}
golden["gradient"] = pack(Saliency(model).attribute(x, second, abs=False))
golden["saliency"] = pack(Saliency(model).attribute(x, second, abs=True))
golden["input_x_gradient"] = pack(InputXGradient(model).attribute(x, second))
steps = 50 if kind == "cifar" else 8
for name, method in (("integrated_gradients", "gausslegendre"), ("integrated_gradients_riemann", "riemann_middle")):
    a, delta = IntegratedGradients(model).attribute(
        x, torch.zeros_like(x), second, method=method, n_steps=steps, internal_batch_size=8, return_convergence_delta=True)
    golden[name], golden[name + "_delta"] = pack(a), delta.numpy().astype(np.float64)

# SmoothGrad with four draws of the same noise for all images: sin(12.9898 i) * 1.5 at element i of [4, H, W, 3].
noise = torch.from_numpy((1.5 * np.sin(12.9898 * np.arange(4 * side * side * 3, dtype=np.float64))).astype(np.float32))
noise = noise.view(4, side, side, 3).permute(0, 3, 1, 2).double()
spread = (x.float().amax((1, 2, 3)) - x.float().amin((1, 2, 3))) * 0.15
original = noise_tunnel.torch.normal
noise_tunnel.torch.normal = lambda mean, std: std * noise
parts = []
for i in range(len(x)):
    tunnel = NoiseTunnel(Saliency(model))
    parts.append(tunnel.attribute(x[i : i + 1], nt_type="smoothgrad", nt_samples=4, stdevs=float(spread[i]), target=int(second[i]), abs=False))
noise_tunnel.torch.normal = original
golden["smoothgrad"] = pack(torch.cat(parts))

for name, relu in (("gradcam", True), ("gradcam_signed", False)):
    a = LayerGradCam(model, layer).attribute(x, second, relu_attributions=relu)
    golden[name] = pack(F.interpolate(a, (side, side), mode="bilinear", align_corners=False))
golden["occlusion"] = pack(
    Occlusion(model).attribute(x, sliding_window_shapes=(3, window, window), strides=(3, stride, stride), baselines=0.5, target=second)[:, :1])
np.savez_compressed(out, **golden)
for k, v in golden.items():
    print(k, v.shape, float(np.abs(v).max()))
