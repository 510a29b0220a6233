"""Run a model on the texts of a file as they are, and print the seconds that this took."""

import json
import sys
import time
from pathlib import Path

import texts
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="auto").eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
lines = [json.loads(line)["text"] for line in Path(sys.argv[2]).read_text().splitlines()]
options = {"return_tensors": "pt", "truncation": True, "max_length": texts.LENGTH}
inputs = [tokenizer(line, **options) for line in lines]
with torch.no_grad():
    model(**inputs[0])
    began = time.perf_counter()
    for each in inputs:
        model(**each)
print(json.dumps({"seconds": time.perf_counter() - began}))
