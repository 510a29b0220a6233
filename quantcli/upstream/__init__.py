"""What is not public in transformers, torch, Quanto and huggingface_hub.

A module's name starts with that of its library. Each function states what it does and, with
`relies_on`, which private names it needs; so does each class that derives from a private one. The
canary tests check every one of those names. No other package uses a private name.
"""
