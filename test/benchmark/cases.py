"""What the cases of kernels.py are made of: graph IR, operands, PyTorch's side."""
import collections

import torch


def shape(*sizes):
    return "tensor<" + "".join(f"{size}x" for size in sizes) + "f32>"


def argument(name, type, role="input", more=""):
    return f'%{name}: {type} {{graph.name = "{name}", graph.role = "{role}"{more}}}'


def forward(arguments, body, results):
    """@forward of (name, type) inputs; results are (value, name, type)."""
    inputs = ", ".join(argument(name, type) for name, type in arguments)
    types = ", ".join(f'{type} {{graph.name = "{name}"}}' for _, name, type in results)
    values = ", ".join(value for value, _, _ in results)
    return f"func.func @forward({inputs}) -> ({types}) {{\n{body}\nreturn {values} : {', '.join(type for *_, type in results)}\n}}"


def gradients(parameters, inputs, body, loss):
    """@forward with a loss, whose gradients for the parameters are wanted."""
    ports = [argument(name, type, "parameter") for name, type in parameters] + [argument(name, type) for name, type in inputs]
    return f'func.func @forward({", ".join(ports)}) -> (tensor<f32> {{graph.name = "loss"}}) {{\n{body}\nreturn {loss} : tensor<f32>\n}}'


def dotted(type, rank):
    """Σ y·dy: the loss whose gradients are those for a cotangent dy."""
    dimensions = ", ".join(map(str, range(rank)))
    return f"%p = graph.mul %y, %dy : {type}\n%l = graph.reduce sum %p [{dimensions}] : {type} -> tensor<f32>"


Indices = collections.namedtuple("Indices", "limit shape")  # an operand: integers in [0, limit)
Scaled = collections.namedtuple("Scaled", "shape factor")  # an operand: normal numbers times the factor


class Case:
    """`text` compiles to Ingot's side; `peer(tensors)` makes the function that PyTorch runs and returns its
    results by the names of Ingot's ports."""

    def __init__(self, name, text, operands, peer, updates=()):
        self.name, self.text, self.operands, self.peer, self.updates = name, text, operands, peer, updates


def with_gradients(operands, wanted, function):
    """PyTorch's forward and backward pass for the cotangent dy."""
    leaves = [operands[name].clone().requires_grad_() for name in wanted]

    def run():
        y = function(*leaves)
        values = torch.autograd.grad(y, leaves, operands["dy"])
        return {"y": y.detach(), **{f"gradient.{name}": value for name, value in zip(wanted, values)}}

    return run
