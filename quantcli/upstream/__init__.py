"""What quantcli uses of other libraries that is not their public API, a module per library."""
