"""What `compare` cannot do without: import, load two models, run each on every built-in text.

Prints the peak resident memory. With one model, that of a run of it alone.
"""

import json
import sys

import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

import quantcli  # noqa: F401 - with it imported, transformers loads frozen directories
from quantcli.comparison.samples import SampleOptions, gather
from quantcli.process import peak_rss_bytes

disable_progress_bar()
texts = gather(SampleOptions(), needs=["text"], limits={"text": 100}).texts
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
inputs = [tokenizer(item.value, return_tensors="pt") for item in texts]
for path in sys.argv[1:]:
    model = AutoModel.from_pretrained(path, dtype="auto").eval()
    with torch.inference_mode():
        for given in inputs:
            model(**given)
    del model
print(json.dumps({"peak": peak_rss_bytes()}))
