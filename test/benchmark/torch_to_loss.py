"""PyTorch's side of to_loss.py: torch_to_loss.py TEXT THREADS STEPS EVERY BATCHES SEED."""
import json
import math
import sys

import torch
import torch.nn.functional as F

text, (threads, steps, every, batches, seed) = sys.argv[1], map(int, sys.argv[2:])
torch.set_num_threads(threads)
torch.manual_seed(seed)
LAYERS, HEADS, WIDTH, SEQUENCE, BATCH, RATE, WARMUP = 4, 4, 128, 64, 12, 1e-3, 100


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.c_attn, self.c_proj = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.c_fc, self.c_out = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).split(WIDTH, -1))
        x = x + self.c_proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.c_out(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt(torch.nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.wte, self.wpe = torch.nn.Embedding(vocabulary, WIDTH), torch.nn.Embedding(SEQUENCE, WIDTH)
        self.blocks, self.ln_f = torch.nn.Sequential(*(Block() for _ in range(LAYERS))), torch.nn.LayerNorm(WIDTH)
        for name, parameter in self.named_parameters():  # GPT-2's initial values
            if parameter.dim() == 2:
                residual = "c_proj" in name or "c_out" in name
                torch.nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * LAYERS) if residual else 0.02)
            elif "ln_" not in name:
                torch.nn.init.zeros_(parameter)

    def forward(self, tokens, targets):
        x = self.blocks(self.wte(tokens) + self.wpe.weight[: tokens.shape[1]])
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


with open(text, encoding="utf-8") as file:
    characters = file.read()
index = {character: place for place, character in enumerate(sorted(set(characters)))}
tokens = torch.tensor([index[character] for character in characters])
cut = len(tokens) - len(tokens) // 10
training, validation = tokens[:cut], tokens[cut:]


def batch(source, starts):
    windows = torch.stack([source[start : start + SEQUENCE + 1] for start in starts])
    return windows[:, :-1], windows[:, 1:]


def evaluate():
    spread = torch.linspace(0, len(validation) - SEQUENCE - 1, batches * BATCH).long().view(batches, BATCH)
    with torch.no_grad():
        return sum(model(*batch(validation, starts)).item() for starts in spread) / batches


model = Gpt(len(index))
optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
for step in range(steps):
    if step % every == 0:
        print(json.dumps({"evaluation": {"step": step, "loss": evaluate()}}), flush=True)
    after = (step - WARMUP) / (steps - WARMUP)
    optimizer.param_groups[0]["lr"] = RATE * ((step + 1) / WARMUP if step < WARMUP else 0.5 * (1 + math.cos(math.pi * after)))
    optimizer.zero_grad(set_to_none=True)
    model(*batch(training, torch.randint(len(training) - SEQUENCE, (BATCH,)))).backward()
    optimizer.step()
