"""JAX's side of step.py: one jitted, donated training step, weights from Ingot's initial checkpoint.

jax_step.py FOLDER STEPS prints one JSON object a step, as Ingot does. Activations are 2-D, [batch · tokens, width]:
XLA's CPU backend is a third slower on the 3-D form.
"""
import functools
import glob
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy
from safetensors.numpy import load_file

folder, steps = sys.argv[1], int(sys.argv[2])
with open(f"{folder}/model.json") as file:
    model = json.load(file)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def layer_norm(x, scale, bias):
    mean = x.mean(-1, keepdims=True)
    variance = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + bias


def gpt(weights, tokens):
    batch, sequence = tokens.shape
    width, heads = model["width"], model["heads"]
    linear = lambda x, name: x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    norm = lambda x, name: layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
    split = lambda x: x.reshape(batch, sequence, heads, width // heads).transpose(0, 2, 1, 3)
    mask = jnp.tril(jnp.ones((sequence, sequence), bool))
    x = weights["wte.weight"][tokens.reshape(-1)] + jnp.tile(weights["wpe.weight"][:sequence], (batch, 1))
    for layer in range(model["layers"]):
        q, k, v = map(split, jnp.split(linear(norm(x, f"h.{layer}.ln_1"), f"h.{layer}.attn.c_attn"), 3, axis=-1))
        scores = jnp.where(mask, q @ k.transpose(0, 1, 3, 2) * (width // heads) ** -0.5, -jnp.inf)
        h = (jax.nn.softmax(scores, axis=-1) @ v).transpose(0, 2, 1, 3).reshape(batch * sequence, width)
        x = x + linear(h, f"h.{layer}.attn.c_proj")
        h = jax.nn.gelu(linear(norm(x, f"h.{layer}.ln_2"), f"h.{layer}.mlp.c_fc"), approximate=True)
        x = x + linear(h, f"h.{layer}.mlp.c_proj")
    return norm(x, "ln_f") @ weights["wte.weight"].T


def mlp(weights, x):
    names = sorted({name.rsplit(".", 1)[0] for name in weights})
    for name in names:
        x = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        if name != names[-1]:
            x = jax.nn.relu(x)
    return x


def loss_of(weights, inputs, targets):
    logits = (gpt if model["family"] == "gpt" else mlp)(weights, inputs)
    chosen = jnp.take_along_axis(logits, targets.reshape(-1, 1), axis=-1)[:, 0]
    return (jax.nn.logsumexp(logits, axis=-1) - chosen).mean()


@functools.partial(jax.jit, donate_argnums=(0, 1, 2))
def train_step(weights, first, second, step, inputs, targets):
    loss, gradients = jax.value_and_grad(loss_of)(weights, inputs, targets)
    step = step.astype(jnp.float32)
    correction1, correction2 = 1 - 0.9 ** step, 1 - 0.999 ** step
    new = {}, {}, {}
    for name, gradient in gradients.items():
        m = 0.9 * first[name] + 0.1 * gradient
        v = 0.999 * second[name] + 0.001 * gradient * gradient
        update = (m / correction1) / (jnp.sqrt(v / correction2) + 1e-8)
        for part, value in zip(new, (weights[name] * (1 - 1e-4 * 0.01) - 1e-4 * update, m, v)):
            part[name] = value
    return (*new, loss)


checkpoint = load_file(glob.glob(f"{folder}/initial/*.safetensors")[0])
weights = {name: jnp.asarray(value) for name, value in checkpoint.items() if not name.startswith(("adam.", "sgd."))}
del checkpoint
first = {name: jnp.zeros_like(value) for name, value in weights.items()}
second = {name: jnp.zeros_like(value) for name, value in weights.items()}
inputs, targets = (jnp.asarray(numpy.load(f"{folder}/{name}.npy")) for name in ("inputs", "targets"))
for step in range(1, steps + 1):
    start = time.perf_counter()
    weights, first, second, loss = train_step(weights, first, second, jnp.asarray(step), inputs, targets)
    value = float(loss)
    jax.block_until_ready(weights)
    print(json.dumps({"step": step, "loss": value, "ms": 1e3 * (time.perf_counter() - start)}), flush=True)
