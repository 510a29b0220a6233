"""The kinds of modules that can be quantized: a file each, and what they have in common.

`layout` computes what is stored from shapes alone. Everything else imports torch and Quanto.
"""

from __future__ import annotations
