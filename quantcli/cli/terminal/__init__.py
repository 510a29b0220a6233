"""How the commands write: streams and their width, messages, tables that fit, progress."""
