"""Text that goes into a comment: masked, fenced, and no longer than there is room for."""

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

LIMIT: Final = 65_536
"""Bytes that a comment may have: GitHub refuses more characters, and a character is a byte at least."""
MASK: Final = "[masked]"
_SECRETS: Final = (
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",  # access keys of AWS
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    r"\bpul-[0-9a-f]{40}\b",  # access tokens of Pulumi
    r"\bhvs\.[A-Za-z0-9_-]{20,}",  # tokens of Vault
    r"\bhf_[A-Za-z0-9]{20,}",  # of Hugging Face
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",  # of Slack
    r"\bgl(?:pat|ptt|rt|dt|cbt|ft|imt|agent|oas|soat)-[A-Za-z0-9_-]{16,}",  # of GitLab
    r"(?<=://)[^\s/:@\"']*:[^\s/\"']+(?=@)",  # user and password of an address
    r"\bv1:[A-Za-z0-9+/=]{8,}:[A-Za-z0-9+/=]{8,}",  # what Pulumi encrypted
    r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",  # signed tokens
    r"(?<=[Bb]earer )(?=\S*[0-9])[A-Za-z0-9._~+/-]{16,}=*",  # what stands in a header
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
)
_PATTERN: Final = re.compile("|".join(_SECRETS), re.DOTALL)
# What holds a secret, by its name, and the value behind it. Names that go on (secretName, max_tokens) hold none,
# nor does the switch `--secret` of `pulumi config set`.
_HOLDER: Final = r"(?:secret(?:[ _-]?(?:access)?[_-]?key)?|token|password|passwd|passphrase|pwd|api[_-]?key|access[_-]?key|private[_-]?key)"
_HELD: Final = re.compile(
    rf"""(?P<name>(?:{_HOLDER}["']?[ \t]*(?:=(?!=)|:(?!:))|(?<!\S)--(?!secret[ \t])[\w-]{{0,40}}?{_HOLDER}(?=[ \t]+[^-\s]))[ \t]*)"""
    r"""(?P<value>"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\S+)""",
    re.IGNORECASE,
)
# The name of a Secret, in the words of charts.
_REFERENCE: Final = re.compile(r"(?:existing|pull|tls|ca)[_-]?secret\b", re.IGNORECASE)
_LONGEST_REFERENCE: Final = 10
# What stands where a secret could: nothing, a switch, what is masked already, or what is filled in later.
_HARMLESS: Final = re.compile(
    r"""(?:true|false|null|none|""|''|\[(?:secret|masked)\]|\[known|output<\S*|\$[{(]\S*|[\[{(<]+)[\]}),;:.`]*""",
    re.IGNORECASE,
)
_SECRET_NAME: Final = re.compile(r"SECRET|TOKEN|PASSWORD|PASSPHRASE|PRIVATE_KEY", re.IGNORECASE)
# A shorter value is found in text that is no secret.
_LEAST_SECRET: Final = 8
_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_CONTEXT_LINES: Final = 2


def masked(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Take out what looks like a secret, and the values of this process's variables that are called like one."""
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and len(value) >= _LEAST_SECRET:
            text = text.replace(value, MASK)
    return _PATTERN.sub(MASK, text)


def printed(text: str) -> str:
    """Return what a command printed, without colours: as `masked`, and without what stands behind the name of a secret."""

    def hide(found: re.Match[str]) -> str:
        start = found.start()
        said = f"{found.string[max(0, start - _LONGEST_REFERENCE) : start]}{found['name']}"
        if _REFERENCE.search(said) or _HARMLESS.fullmatch(found["value"]):
            return found[0]
        return f"{found['name']}{MASK}"

    return _HELD.sub(hide, masked(_CONTROL.sub("", text)))


def fenced(text: str, language: str = "") -> str:
    """Put text that somebody else wrote where it is neither read as Markdown nor able to end that."""
    text = _CONTROL.sub("", text).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def one_line(text: str) -> str:
    """Return text for a cell or a heading: one line of it, in which nothing is Markdown or HTML, and nobody is called."""
    line = " ".join(_CONTROL.sub("", text).split())
    return re.sub(r"([\\`*_{}\[\]<>|#@!~])", r"\\\1", line).replace("\\@", "@\u200b").replace("\\<", "&lt;")


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Return the unified difference of every file that is not the same, by path."""
    return {
        path: "\n".join(
            difflib.unified_diff(
                before.get(path, "").splitlines(),
                after.get(path, "").splitlines(),
                fromfile=f"before/{path}" if path in before else "nothing",
                tofile=f"after/{path}" if path in after else "nothing",
                lineterm="",
                n=_CONTEXT_LINES,
            )
        )
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    }


def cut(text: str, room: int, keep: Literal["start", "end"] = "start") -> str:
    """Return as many whole lines as `room` bytes hold, from the start or from the end, and how many are left out."""
    if len(text.encode()) <= room:
        return text
    lines = text.splitlines()
    kept: list[str] = []
    used = 0
    for line in lines if keep == "start" else reversed(lines):
        used += len(line.encode()) + 1
        if used > room:
            break
        kept.append(line)
    left_out = f"… {len(lines) - len(kept)} lines are left out"
    return "\n".join([*kept, left_out] if keep == "start" else [left_out, *reversed(kept)])


def shares(sizes: Sequence[int], room: int) -> list[int]:
    """Divide room: whoever needs less than an equal share leaves the rest to the others."""
    given = [0] * len(sizes)
    left, waiting = room, sorted(range(len(sizes)), key=lambda index: sizes[index])
    while waiting:
        index = waiting.pop(0)
        given[index] = min(sizes[index], left // (len(waiting) + 1))
        left -= given[index]
    return given
