"""Label Studio's labelling configs: rendered, parsed, and read back."""
