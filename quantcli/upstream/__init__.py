"""What is not public in transformers, torch, Quanto and huggingface_hub, a module per library.

Each function here states what it does and, with `relies_on`, which private names it needs. The
canary tests check every one of those names. Nothing outside this package touches a private name.
"""
