"""PyTorch's side of step.py: fused AdamW, weights from Ingot's initial checkpoint, eager or by torch.compile.

torch_step.py FOLDER THREADS STEPS [compile] prints one JSON object a step, as Ingot does.
"""
import glob
import json
import sys
import time

import numpy
import safetensors.torch
import torch
import torch.nn.functional as F

folder, threads, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
with open(f"{folder}/model.json") as file:
    model = json.load(file)
checkpoint = safetensors.torch.load_file(glob.glob(f"{folder}/initial/*.safetensors")[0])
weights = {name: value.clone().requires_grad_() for name, value in checkpoint.items()
           if not name.startswith(("adam.", "sgd."))}
del checkpoint
inputs = torch.from_numpy(numpy.load(f"{folder}/inputs.npy"))
targets = torch.from_numpy(numpy.load(f"{folder}/targets.npy")).long().flatten()


def gpt(tokens):
    width, heads = model["width"], model["heads"]
    x = F.embedding(tokens.long(), weights["wte.weight"]) + weights["wpe.weight"][: tokens.shape[1]]
    for layer in range(model["layers"]):
        w = lambda name: weights[f"h.{layer}.{name}"]
        h = F.layer_norm(x, (width,), w("ln_1.weight"), w("ln_1.bias"))
        qkv = F.linear(h, w("attn.c_attn.weight"), w("attn.c_attn.bias"))
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in qkv.split(width, dim=-1))
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + F.linear(h, w("attn.c_proj.weight"), w("attn.c_proj.bias"))
        h = F.layer_norm(x, (width,), w("ln_2.weight"), w("ln_2.bias"))
        h = F.gelu(F.linear(h, w("mlp.c_fc.weight"), w("mlp.c_fc.bias")), approximate="tanh")
        x = x + F.linear(h, w("mlp.c_proj.weight"), w("mlp.c_proj.bias"))
    return F.linear(F.layer_norm(x, (width,), weights["ln_f.weight"], weights["ln_f.bias"]), weights["wte.weight"])


def mlp(x):
    names = sorted({name.rsplit(".", 1)[0] for name in weights})
    for name in names:
        x = F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
        if name != names[-1]:
            x = F.relu(x)
    return x


forward = gpt if model["family"] == "gpt" else mlp


def loss_of(batch, labels):
    return F.cross_entropy(forward(batch).flatten(0, -2), labels)


if "compile" in sys.argv[4:]:
    loss_of = torch.compile(loss_of)
optimizer = torch.optim.AdamW(weights.values(), lr=1e-4, weight_decay=0.01, fused=True)
for step in range(1, steps + 1):
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(inputs, targets)
    loss.backward()
    optimizer.step()
    value = loss.item()
    print(json.dumps({"step": step, "loss": value, "ms": 1e3 * (time.perf_counter() - start)}), flush=True)
