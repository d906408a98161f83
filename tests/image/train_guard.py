"""Trains a tiny model until it answers a few prompts as it shall, in seconds. Run with the Python of .venv-engine.

Arguments: folder of a model as `vllm serve` takes it, folder of the new one. stdin: a JSON list of pairs, a prompt as the
chat template makes it, and the answer. The model learns nothing else: what it says to another prompt is anybody's guess.
"""

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

STEPS: Final = 400
"""60 are enough, 10 s of one core with what is imported."""
RATE: Final = 2e-3
ENOUGH: Final = 0.005
"""Loss for each token: at temperature 0 all of them are certain."""
IGNORED: Final = -100
"""What PyTorch's cross entropy leaves out: the prompt, and what fills a row up."""


def train(origin: Path, made: Path, pairs: list[tuple[str, str]]) -> None:
    """Write the trained model. Raises SystemExit where it was not learned."""
    # Any: where types are checked neither is installed.
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(origin)
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(origin, dtype=torch.float32)
    rows = [
        (tokenizer.encode(prompt), tokenizer.encode(answer + tokenizer.eos_token)) for prompt, answer in pairs
    ]
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    inputs, labels = (torch.full((len(rows), length), fill) for fill in (tokenizer.pad_token_id, IGNORED))
    for row, (prompt, answer) in enumerate(rows):
        end = len(prompt) + len(answer)
        inputs[row, :end] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : end] = torch.tensor(answer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        loss = model(input_ids=inputs, labels=labels).loss
        if loss.item() < ENOUGH:
            shutil.copytree(origin, made)
            model.to(torch.bfloat16).save_pretrained(made)
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    sys.exit(f"the answers were not learned in {STEPS} steps")


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]), json.load(sys.stdin))
