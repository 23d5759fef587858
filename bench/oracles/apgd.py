"""APGD and the feature attack by their authors' code, for lib/attack/testdata.

    python bench/oracles/apgd.py cifar500.npz resnet20.safetensors SPURIOUS_IMAGENET SPURIOSITY_RANKINGS lib/attack/testdata/apgd.npz

with images and checkouts as in spurious.py. All is computed in double precision. The ascent starts at sin(12.9898 i) / 4 of pixel i, in
[H, W, 3], from the image, brought to the radius. What is raised is the projection of the weighted features of class 8 on a direction
all of whose coefficients are one, that is, the logit less its bias.
"""
import contextlib
import io
import sys
import types

import numpy as np
import torch

import ast
import math

import torch_models

image_file, weight_file, imagenet, rankings, out = sys.argv[1:]
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double  # the attack converts its images
torch.Tensor.cuda = lambda self: self


def functions(path, *names, **more):
    tree = ast.parse(open(path).read())
    kept = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name in names]
    space = {"np": np, "torch": torch, "nn": torch.nn, "math": math, "tqdm": lambda x: x, **more}
    exec(compile(ast.Module(kept, []), path, "exec"), space)
    return types.SimpleNamespace(**{n: space[n] for n in names})


x, labels = torch_models.images(image_file)
model = torch_models.cifar_resnet(weight_file).double()
head = model.net.linear
from captum._utils.common import _format_output
from captum._utils.gradient import _forward_layer_eval

with_grad = functions(f"{imagenet}/neural_pca/activations.py", "activations_with_grad", _format_output=_format_output, _forward_layer_eval=_forward_layer_eval).activations_with_grad
attack = functions(f"{imagenet}/neural_pca/adversarial_attacks/act_apgd.py", "ActivationAPGDAttack", activations_with_grad=with_grad).ActivationAPGDAttack

x = x[[10, 40, 480]].double()
golden = {"images": x.permute(0, 2, 3, 1).contiguous().numpy().astype(np.float32)}
push = (np.sin(12.9898 * np.arange(32 * 32 * 3)) / 4).reshape(32, 32, 3)
push = torch.from_numpy(push).permute(2, 0, 1)[None]
for norm, eps, steps in (("L2", 1.5, 40), ("Linf", 8 / 255, 25)):
    start = push / push.norm() * eps if norm == "L2" else push / push.abs().max() * eps
    start = (x + start).clamp(0, 1).float().double()
    with contextlib.redirect_stdout(io.StringIO()):
        a = attack(model, n_iter=steps, norm=norm, eps=eps, loss="obj_full", last_layer=head, eigenvecs=np.ones((64, 1)), target_cls=8, verbose=False)
        a.eigenvecs = torch.full((64, 1), 1 / 64)  # their factor is the sum of the column, which then is one
        a.init_hyperparam(x)
        y = torch.zeros(len(x), dtype=torch.long)
        found = a.attack_single_run(x, y, x_init=start)
    best = found[0] if isinstance(found, tuple) else found
    with torch.no_grad():
        value = (model(best)[:, 8] - head.bias[8])
    golden[norm] = best.detach().permute(0, 2, 3, 1).contiguous().numpy().astype(np.float32)
    golden[norm + "_start"] = start.permute(0, 2, 3, 1).contiguous().numpy().astype(np.float32)
    golden[norm + "_value"] = value.numpy()
    print(norm, value.numpy(), [float((best - x).flatten(1).norm(dim=1)[i]) for i in range(3)])

features = types.SimpleNamespace()
seen = []
head.register_forward_hook(lambda m, i, o: seen.append(i[0]))


def encoder(images):
    seen.clear()
    model(images)
    return seen[0]


feature = functions(f"{rankings}/spuriosity_rankings.py", "feature_attack", "grad_step").feature_attack
images, values = feature(encoder, x.clone(), [7, 7, 7], step_size=0.5, iterations=10)
golden["feature_attack"] = images.permute(0, 2, 3, 1).contiguous().numpy().astype(np.float32)
golden["feature_attack_value"] = values.astype(np.float64)
print("feature attack", values)
np.savez_compressed(out, **golden)
