"""What tests share: ComfyUI, the pack, released files made small, golden outputs, stand-ins."""
