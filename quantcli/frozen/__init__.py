"""The frozen directory: its layout, its manifest, its checksums."""
