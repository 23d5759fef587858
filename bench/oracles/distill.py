"""Losses and measures of distillation by their authors' program, for lib/distill/testdata.

    pip install torch==2.15.0 numpy==2.4.6 scipy==1.17.1 tqdm netcal==1.4.0
    python bench/oracles/distill.py GNOSIS lib/distill/testdata/distill.npz

GNOSIS is a checkout of samuelstanton/gnosis. Its files run as they are, on the CPU; modules that they import and that are not asked for are
empty.
"""
import sys
import types

import numpy as np
import torch
import torch.nn as nn
from netcal.metrics import ECE

gnosis, out_file = sys.argv[1:]
sys.path.insert(0, gnosis)
torch.set_num_threads(1)


def stub(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


stub("upcycle", cuda=stub("upcycle.cuda", try_cuda=lambda *x: x if len(x) > 1 else x[0]))
stub("omegaconf", ListConfig=type("ListConfig", (list,), {}))
stub("torchvision")
stub("torchvision.models")
stub("torchvision.models.inception", inception_v3=None)
for package in ("gnosis", "gnosis.boilerplate", "gnosis.utils", "gnosis.models", "gnosis.distillation"):  # without what their __init__ imports
    stub(package).__path__ = [f"{gnosis}/{package.replace('.', '/')}"]

from cka import CKA  # noqa: E402
from gnosis.boilerplate.eval_epoch import eval_epoch  # noqa: E402
from gnosis.distillation import classification as losses  # noqa: E402
from gnosis.utils.initialization import interpolate_net  # noqa: E402
from gnosis.utils.metrics import preact_cka  # noqa: E402

golden = {}
rng = np.random.default_rng(20)

# Losses, in double precision: a teacher of three members, temperatures by example, and the gradient by the student's logits.
n, k, batch = 50, 6, 16
members = (2 * rng.normal(size=(n, 3, k))).astype(np.float32)
student = (2 * rng.normal(size=(n, k)) + members.mean(1)).astype(np.float32)
labels = rng.integers(0, k, n)
golden |= {"members": members, "student": student, "labels": labels.astype(np.int64)}
ensemble = losses.reduce_ensemble_logits(torch.tensor(members).double())
golden["ensemble"] = ensemble.numpy()
temperatures = torch.tensor(rng.choice([1.0, 2.5, 4.0], size=(n, 1)))
golden["temperatures"] = temperatures.numpy()
for name, fn in {"soft": losses.TeacherStudentFwdCrossEntLoss(), "kl": losses.TeacherStudentKLLoss(), "brier": losses.BrierLoss()}.items():
    for how, t in {"one": torch.ones(n, 1), "four": torch.full((n, 1), 4.0), "mixed": temperatures}.items():
        s = torch.tensor(student).double().requires_grad_(True)
        loss = fn(torch.tensor(members).double(), s, t.double())
        golden[f"{name}_{how}"] = loss.item()
        golden[f"{name}_{how}_gradient"] = torch.autograd.grad(loss, s)[0].numpy()
# With labels: the first 30 have one.
s = torch.tensor(student).double()
for alpha in (0.0, 0.3, 1.0):
    whole = losses.ClassifierStudentLoss(lambda x: x, losses.TeacherStudentFwdCrossEntLoss(), alpha)
    golden[f"alpha_{alpha}"] = whole(s, torch.tensor(labels), ensemble, torch.full((n, 1), 4.0).double())[0].item()


# Measures, as an epoch of evaluation logs them, in batches of 16, the last of which has 2.
class Says(nn.Module):
    """A network that says, of the images with these numbers, what is known already."""

    def __init__(self, logits, blocks):
        super().__init__()
        self.logits, self.blocks = torch.tensor(logits), [torch.tensor(b) for b in blocks]

    def forward(self, numbers):
        return self.logits[numbers.long()]

    def preacts(self, numbers):
        return [b[numbers.long()] for b in self.blocks]


class Teacher(nn.Module):
    def __init__(self, *components):
        super().__init__()
        self.components = nn.ModuleList(components)

    def forward(self, numbers):
        return torch.stack([c(numbers) for c in self.components], 1)


blocks = [[rng.normal(size=(n, 4, 6, 6)).astype(np.float32), rng.normal(size=(n, 8, 3, 3)).astype(np.float32)] for _ in range(2)]
blocks[1] = [(0.6 * a + 0.8 * b).astype(np.float32) for a, b in zip(*blocks)]
loader = [(torch.arange(lo, min(lo + batch, n)), torch.tensor(labels[lo:lo + batch])) for lo in range(0, n, batch)]
net = Says(student.astype(np.float64), blocks[1])
score = losses.ClassifierStudentLoss(net, losses.TeacherStudentFwdCrossEntLoss(), 0.0)
several = Teacher(*[Says(members[:, i].astype(np.float64), blocks[0]) for i in range(3)])
logged = eval_epoch(net, loader, 0, lambda x, y, t: score(x, y, t, torch.ones(len(x), 1)), teacher=several)
one = Teacher(several.components[0])
logged_one = eval_epoch(net, loader, 0, lambda x, y, t: score(x, y, t, torch.ones(len(x), 1)), teacher=one)
for name in ("test_acc", "test_ece", "test_nll", "test_ts_agree", "test_ts_kl"):
    golden[name] = logged[name]
golden["test_ts_kl_one"], golden["test_ts_agree_one"] = logged_one["test_ts_kl"], logged_one["test_ts_agree"]
# The right ones, by PyTorch and netcal, over all images.
t, s = torch.log_softmax(ensemble, -1), torch.log_softmax(torch.tensor(student).double(), -1)
golden["kl"] = torch.nn.functional.kl_div(s, t, reduction="batchmean", log_target=True).item()
golden["nll"] = torch.nn.functional.nll_loss(s, torch.tensor(labels)).item()
golden["ece10"] = ECE(10).measure(s.exp().numpy(), labels)

# CKA: NHWC is how ours lie.
for i, (a, b) in enumerate(zip(*blocks)):
    golden[f"block{i}_teacher"], golden[f"block{i}_student"] = a.transpose(0, 2, 3, 1), b.transpose(0, 2, 3, 1)
    x, y = (v.astype(np.float64).transpose(0, 2, 3, 1) for v in (a, b))
    golden[f"linear_flat{i}"] = CKA.linear_CKA(x.reshape(n, -1), y.reshape(n, -1))
    golden[f"linear_mean{i}"] = CKA.linear_CKA(x.mean((1, 2)), y.mean((1, 2)))
    golden[f"kernel_mean{i}"] = CKA.kernel_CKA(x.mean((1, 2)), y.mean((1, 2)))
whole = [(torch.arange(n), torch.tensor(labels))]
double = [Says(student, [b.astype(np.float64) for b in blocks[i]]) for i in range(2)]
golden["released_cka"] = preact_cka(*double, whole)


# Near the teacher, with statistics refreshed by three batches, of which the last is smaller.
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 5, 3, padding=1, bias=False), nn.BatchNorm2d(5)
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


def state(net, whose):
    for name, w in net.state_dict().items():
        if w.dtype == torch.float32:
            golden[f"{whose}/{name}"] = (w.permute(2, 3, 1, 0) if w.dim() == 4 else w).numpy().copy()


torch.manual_seed(20)
images = torch.rand(20, 3, 6, 6)
golden["images"] = images.permute(0, 2, 3, 1).numpy()
nets = [Net(), Net()]
for m in nets:  # statistics and scales that are not those of the start
    for bn in (m.bn1, m.bn2):
        nn.init.uniform_(bn.weight, 0.5, 1.5)
        nn.init.uniform_(bn.bias, -0.3, 0.3)
    m.train()
    m(torch.rand(16, 3, 6, 6) * 2)
    m.eval()
state(nets[0], "teacher")
state(nets[1], "student")
start = {name: w.clone() for name, w in nets[1].state_dict().items()}
for r in (0.0, 0.1, 1.0):
    nets[1].load_state_dict(start)
    near = interpolate_net(nets[1], nets[0].state_dict(), r, [(images[lo:lo + 8], None) for lo in (0, 8, 16)])
    state(near, f"near{r}")
    golden[f"near{r}_logits"] = near(images).detach().numpy()

np.savez_compressed(out_file, **{name: np.asarray(v) for name, v in golden.items()})
for name, v in golden.items():
    print(name, np.asarray(v).ravel()[:4])
