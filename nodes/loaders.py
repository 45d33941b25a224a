"""The nodes that load models."""

from __future__ import annotations

from comfy_api.latest import io

from ..levo.kinds import Kind
from .host import fits, folders, graphs
from .host.precision import AUTO, DTYPES, FLASH, FP8, INT4, INT8, SDPA
from .loading import load_encoder, load_lelm, load_renderer, load_separator, load_vae
from .sockets import (
    LelmSocket,
    LoadedStyleEncoder,
    RendererSocket,
    SeparatorSocket,
    StyleEncoderSocket,
    VaeSocket,
)
from .verify import verify_files, verify_input

CATEGORY = "audio/LeVo/loaders"
DTYPE_CHOICES = [AUTO, *DTYPES]
AS_WEIGHTS = "as weights"  # of keys and values
FILE_HINT = "Files belong in ComfyUI/models/levo, in folders of any depth; the built-in models need none."


def _file_input(
    kind: Kind, name: str = "checkpoint", tooltip: str = "Which weights to load."
) -> io.Combo.Input:
    options = folders.choices(kind)
    hint = f"{tooltip} {FILE_HINT}{fits.hint(kind)}"
    return io.Combo.Input(name, options=options, default=options[0], tooltip=hint)


def _dtype_input(auto: str, *more: str) -> io.Combo.Input:
    return io.Combo.Input(
        "dtype",
        options=[*DTYPE_CHOICES, *more],
        default=AUTO,
        tooltip=f"Number format of the weights. auto: {auto}",
    )


def _attention_input(auto: str) -> io.Combo.Input:
    return io.Combo.Input(
        "attention",
        options=[AUTO, SDPA, FLASH],
        default=AUTO,
        optional=True,  # prompts from before it was there still run
        tooltip=f"What computes attention; changes speed, and sound by rounding alone. auto: {auto} "
        "sdpa: torch's own. flash_attn: the package of this name, which must be installed.",
    )


class LeVoLoadLeLM(io.ComfyNode):
    """Loads the language model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoLoadLeLM",
            display_name="LeVo Load LeLM",
            category=CATEGORY,
            description="Loads LeLM, the language model that composes: lyrics and style to song tokens.",
            inputs=[
                _file_input(Kind.LELM),
                _dtype_input(
                    "fp16 where the GPU is fast at it, else bf16; on a CPU fp16, computed in fp32; else "
                    "fp32. int8: large matrices take half the memory of fp16 and are rounded more. "
                    "int4: a quarter, and rounded far more. fp8_e4m3fn: larger than int8, rounded more.",
                    INT8,
                    INT4,
                    FP8,
                ),
                _attention_input("flash_attn where it is installed and fits, else sdpa."),
                io.Combo.Input(
                    "compile",
                    options=[graphs.AUTO, graphs.ON, graphs.OFF],
                    default=graphs.AUTO,
                    optional=True,  # prompts from before it was there still run
                    tooltip="Whether torch.compile fuses the small operations of a step, which takes some "
                    "seconds once; changes speed, and sound by rounding alone. auto: for songs of 30 s and "
                    "more on NVIDIA cards with Triton.",
                ),
                verify_input(),
                io.Combo.Input(
                    "cache",
                    options=[AS_WEIGHTS, INT8],
                    default=AS_WEIGHTS,
                    optional=True,  # prompts from before it was there still run
                    tooltip="Number format of what LeLM keeps of a song as it composes: keys and values. "
                    "int8: half the memory of fp16, for long songs and many takes on small cards; rounds "
                    "more. Meant for NVIDIA cards: elsewhere each step takes longer.",
                ),
            ],
            outputs=[LelmSocket.Output(display_name="lelm", tooltip="The language model.")],
        )

    @classmethod
    def validate_inputs(cls, checkpoint: str | None = None) -> bool | str:
        return folders.choice_error(Kind.LELM, checkpoint) or True

    @classmethod
    def fingerprint_inputs(
        cls,
        checkpoint: str | None = None,
        dtype: str | None = None,
        attention: str = AUTO,
        compile: str = graphs.AUTO,
        cache: str = AS_WEIGHTS,
        **_: object,
    ) -> tuple:
        return folders.fingerprint(Kind.LELM, checkpoint), dtype, attention, compile, cache

    @classmethod
    def execute(
        cls,
        checkpoint: str,
        dtype: str,
        attention: str = AUTO,
        compile: str = graphs.AUTO,
        verify: bool = False,
        cache: str = AS_WEIGHTS,
    ) -> io.NodeOutput:
        verify_files(verify, (Kind.LELM, checkpoint))
        return io.NodeOutput(load_lelm(checkpoint, dtype, attention, compile, cache == INT8))


class LeVoLoadRenderer(io.ComfyNode):
    """Loads the flow transformer and its codebooks."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoLoadRenderer",
            display_name="LeVo Load Renderer",
            category=CATEGORY,
            description="Loads the renderer (the septoken file): song tokens to latents by flow matching.",
            inputs=[
                _file_input(Kind.RENDERER),
                _dtype_input(
                    "fp16 on an NVIDIA card that is fast at it, as published: matrices alone are rounded; "
                    "elsewhere fp32. fp8_e4m3fn: matrices take half the memory of fp16 and are rounded far "
                    "more; for cards that are too small.",
                    FP8,
                ),
                _attention_input("as ComfyUI was started."),
                verify_input(),
            ],
            outputs=[
                RendererSocket.Output(display_name="renderer", tooltip="The renderer, for LeVo Render.")
            ],
        )

    @classmethod
    def validate_inputs(cls, checkpoint: str | None = None) -> bool | str:
        return folders.choice_error(Kind.RENDERER, checkpoint) or True

    @classmethod
    def fingerprint_inputs(
        cls,
        checkpoint: str | None = None,
        dtype: str | None = None,
        attention: str = AUTO,
        **_: object,
    ) -> tuple:
        return folders.fingerprint(Kind.RENDERER, checkpoint), dtype, attention

    @classmethod
    def execute(
        cls, checkpoint: str, dtype: str, attention: str = AUTO, verify: bool = False
    ) -> io.NodeOutput:
        verify_files(verify, (Kind.RENDERER, checkpoint))
        return io.NodeOutput(load_renderer(checkpoint, dtype, attention))


class LeVoLoadVAE(io.ComfyNode):
    """Loads the autoencoder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoLoadVAE",
            display_name="LeVo Load VAE",
            category=CATEGORY,
            description="Loads the autoencoder that turns latents into 48 kHz stereo.",
            inputs=[
                _file_input(Kind.VAE),
                _dtype_input("fp32, because rounding is audible here."),
                verify_input(),
            ],
            outputs=[VaeSocket.Output(display_name="vae", tooltip="The autoencoder, for LeVo Decode.")],
        )

    @classmethod
    def validate_inputs(cls, checkpoint: str | None = None) -> bool | str:
        return folders.choice_error(Kind.VAE, checkpoint) or True

    @classmethod
    def fingerprint_inputs(
        cls, checkpoint: str | None = None, dtype: str | None = None, **_: object
    ) -> tuple:
        return folders.fingerprint(Kind.VAE, checkpoint), dtype

    @classmethod
    def execute(cls, checkpoint: str, dtype: str, verify: bool = False) -> io.NodeOutput:
        verify_files(verify, (Kind.VAE, checkpoint))
        return io.NodeOutput(load_vae(checkpoint, dtype))


class LeVoLoadSeparator(io.ComfyNode):
    """Loads HTDemucs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoLoadSeparator",
            display_name="LeVo Load Separator",
            category=CATEGORY,
            description="Loads HTDemucs, which splits a song into vocals, drums, bass and the rest.",
            inputs=[_file_input(Kind.SEPARATOR), verify_input()],
            outputs=[
                SeparatorSocket.Output(
                    display_name="separator",
                    tooltip="The separator, for LeVo Split Vocals or LeVo Style from Audio.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, checkpoint: str | None = None) -> bool | str:
        return folders.choice_error(Kind.SEPARATOR, checkpoint) or True

    @classmethod
    def fingerprint_inputs(cls, checkpoint: str | None = None, **_: object) -> tuple:
        return folders.fingerprint(Kind.SEPARATOR, checkpoint)

    @classmethod
    def execute(cls, checkpoint: str, verify: bool = False) -> io.NodeOutput:
        verify_files(verify, (Kind.SEPARATOR, checkpoint))
        return io.NodeOutput(load_separator(checkpoint))


class LeVoLoadStyleEncoder(io.ComfyNode):
    """Loads the encoders of both tokenizer files."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoLoadStyleEncoder",
            display_name="LeVo Load Style Encoder",
            category=CATEGORY,
            description="Loads the style encoder, from the encode side of both released tokenizer files.",
            inputs=[
                _file_input(
                    Kind.TRACK_ENCODER,
                    "septoken",
                    "The septoken file, which holds the renderer too: encodes vocals and accompaniment.",
                ),
                _file_input(
                    Kind.MIXED_ENCODER,
                    "one_rvq",
                    "The 1rvq file, model_2_fixed.safetensors: encodes the mix.",
                ),
                verify_input(),
            ],
            outputs=[
                StyleEncoderSocket.Output(
                    display_name="style encoder", tooltip="The style encoder, for LeVo Style from Audio."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, septoken: str | None = None) -> bool | str:
        # An error is shown at every input that is named here: the other file is checked when it runs.
        return folders.choice_error(Kind.TRACK_ENCODER, septoken) or True

    @classmethod
    def fingerprint_inputs(
        cls, septoken: str | None = None, one_rvq: str | None = None, **_: object
    ) -> tuple:
        chosen = ((Kind.TRACK_ENCODER, septoken), (Kind.MIXED_ENCODER, one_rvq))
        return tuple(folders.fingerprint(kind, choice) for kind, choice in chosen)

    @classmethod
    def execute(cls, septoken: str, one_rvq: str, verify: bool = False) -> io.NodeOutput:
        verify_files(verify, (Kind.TRACK_ENCODER, septoken), (Kind.MIXED_ENCODER, one_rvq))
        tracks = load_encoder(Kind.TRACK_ENCODER, septoken)
        mixed = load_encoder(Kind.MIXED_ENCODER, one_rvq)
        return io.NodeOutput(LoadedStyleEncoder(tracks, mixed))
