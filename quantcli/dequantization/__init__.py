"""A frozen directory read back: its entries, their values a few rows at a time, and the original.

Nothing is imported here: reading entries is light, reading values needs torch.
"""
