"""The only package that knows ComfyUI beyond its node API."""
