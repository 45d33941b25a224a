"""What JSON, HTML, Markdown and shells do to a text so that it survives them, undone. Knows no lyrics."""

from __future__ import annotations

import html
import re

MOST_LAYERS = 4  # text that went through more programs than that is not believed

_CONTROL = {"n": "\n", "N": "\n", "r": "\n", "t": " ", "b": " ", "f": " ", "v": " "}
# An apostrophe in a text that a shell quotes.
_SHELL_APOSTROPHE = re.compile(r"""(?<!')'(?:\\''|"'"')""")
# Doubled backslashes are what two programs in a row leave; one that ends a line joins lines in a shell.
_BACKSLASH = re.compile(
    r"(?<!\\)\\+(?:r\\+n|u(?P<four>[0-9a-fA-F]{4})|u\{(?P<code>[0-9a-fA-F]{1,6})\}|x(?P<two>[0-9a-fA-F]{2})"
    r"|(?P<control>[nNrtbfv])|(?P<mark>[^\w\s\\]|_)|(?=\s|$))"
)
_AMPERSANDS = re.compile(r"&(?:(?:amp|AMP|#0{0,9}38|#[xX]0{0,9}26);)+")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_COMMENT = re.compile(r"<!--[^<>]*-->")
_HEADING = re.compile(r"<h[1-6](?:\s[^<>]*)?>", re.IGNORECASE)
_BREAK = re.compile(
    r"</?(?:br|p|div|li|ul|ol|tr|td|th|table|hr|body|html|pre|section|blockquote|h[1-6])(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_INLINE = re.compile(
    r"</?(?:b|i|u|s|em|strong|small|span|font|a|sup|sub|mark|center|code|tt)(?:\s[^<>]*)?/?>", re.IGNORECASE
)
# A text in the quotes of JSON or of a shell; a section is the first thing in it.
_OPENING = re.compile(r"(\s*)\$?((?:\\*[\"'])+)(?=\s*\[)")


def unwrapped(text: str) -> str:
    """A text without the quotes of JSON or of a shell around the whole of it."""
    opening = _OPENING.match(text)
    if not opening:
        return text
    body = text[opening.end() :].rstrip().removesuffix(",")
    for quote in opening[2].replace("\\", ""):
        if not body.endswith(quote):
            return text
        body = body[:-1].rstrip("\\")
    return opening[1] + body


def undone(line: str) -> str:
    """One layer of escapes of a line undone; "\\n" where one of them stands for the end of a line."""
    if "'" in line:
        line = _SHELL_APOSTROPHE.sub("'", line)
    if "\\" in line:
        line = _BACKSLASH.sub(_unescaped, line)
    if "&" in line:
        line = _ENTITY.sub(lambda entity: html.unescape(entity[0]), _AMPERSANDS.sub("&", line))
    if "<" in line:
        line = _BREAK.sub("\n", _HEADING.sub("\n# ", _COMMENT.sub(" ", line)))
        line = _INLINE.sub("", line)
    return line


def _unescaped(match: re.Match[str]) -> str:
    code = match["four"] or match["code"] or match["two"]
    if code:
        return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else match[0]
    if match["mark"]:
        return match["mark"]
    return _CONTROL[match["control"]] if match["control"] else "\n" if "r" in match[0] else ""
