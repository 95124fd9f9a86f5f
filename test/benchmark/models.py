"""The models whose training steps are measured."""

MODELS = {
    "gpt2": dict(family="gpt", size="gpt2", layers=12, heads=12, width=768, vocab=50257, batch=4, sequence=64, steps=5),
    "gpt2-long": dict(family="gpt", size="gpt2", layers=12, heads=12, width=768, vocab=50257, batch=1, sequence=1024, steps=3),
    "char": dict(family="gpt", size="char", layers=4, heads=4, width=128, vocab=65, batch=12, sequence=64, steps=100),
    "mlp": dict(family="mlp", layers="784,256,10", batch=64, steps=400),
}


def model_flags(model):
    """Ingot's flags that say which model."""
    flags = [model["family"], f"--batch={model['batch']}"]
    if model["family"] == "mlp":
        return flags + [f"--layers={model['layers']}"]
    return flags + [f"--size={model['size']}", f"--sequence={model['sequence']}", f"--vocab={model['vocab']}"]
