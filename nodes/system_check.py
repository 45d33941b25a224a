"""The node that says what is installed, which files there are and what fits."""

from __future__ import annotations

from comfy_api.latest import io, ui

from .host import reporting, system


class LeVoSystemCheck(io.ComfyNode):
    """Tells what a bug report wants to know, and what fits the card."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoSystemCheck",
            display_name="LeVo System Check",
            category="audio/LeVo/loaders",
            description="Says which versions are installed, which model files are there or missing, and "
            "what fits the card; loads nothing and uses no network. Its text is made for bug reports.",
            inputs=[
                io.Float.Input(
                    "card_gb",
                    default=0.0,
                    min=0.0,
                    max=1_000.0,
                    step=1.0,
                    tooltip="What fits a card of this size, as it is sold (8, 12, 24); 0 is this machine.",
                ),
                io.Int.Input(
                    "takes", default=1, min=1, max=16, tooltip="How many takes are composed at once."
                ),
            ],
            outputs=[io.String.Output(display_name="report", tooltip="The text, for a bug report.")],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        # Equal to nothing, so that it always runs: files and free memory change.
        return float("nan")

    @classmethod
    def execute(cls, card_gb: float, takes: int) -> io.NodeOutput:
        report = system.report(card_gb, takes)
        reporting.show_text(cls.hidden.unique_id, report)
        return io.NodeOutput(report, ui=ui.PreviewText(report))
