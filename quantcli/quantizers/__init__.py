"""Weight rows to codes and scales: bit for bit as Quanto computes them, or compensated."""
