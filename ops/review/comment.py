"""The comment: one section a stack, everything long behind a line that opens it, never more than GitHub takes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ops.cost.difference import difference as cost_difference
from ops.cost.tables import markdown_difference, unpriced_notes
from ops.review.text import LIMIT, cut, difference, fenced, masked, one_line, printed, shares
from settings.cost_lines import COLUMNS

MARKER: Final = "<!-- vllm-platform: review -->"
"""First line of every comment: by it the next one finds and replaces it."""
# For what stands around a block that is cut, and for the line that says so.
_MARGIN: Final = 200
_ENDED: Final = re.compile(r"ended with status ([0-9]+)")


@dataclass(frozen=True, kw_only=True)
class StackReview:
    """Both sides of one stack, as `ops.review.side` describes them; None where it is not there, `why` says why.

    results: what a rehearsal or a preview printed, by what it is called; None of one that left nothing, though it should have.
    """

    stack: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    why: str = ""
    results: Mapping[str, str | None] = field(default_factory=dict[str, str | None])

    @property
    def refused(self) -> bool:
        """Whether the stack, as it would be, can not be deployed, or a rehearsal or a preview of it failed."""
        after = self.after
        if after is None:
            return False
        policies, cost = after["policies"], after.get("cost")
        over = cost is not None and cost["budget"] is not None and cost["budget"]["problem"] is not None
        failed = any(text is not None and _status(text) for text in self.results.values())
        return after["problem"] is not None or over or failed or bool(policies and policies["refused"])


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Something that opens. `fence`: a language, for text that others wrote; None for Markdown of ours.

    keep: the part that stays where there is no room for all. A log says at its end what went wrong.
    """

    title: str
    text: str
    fence: str | None = None
    keep: Literal["start", "end"] = "start"

    def markdown(self, room: int) -> str:
        text = cut(self.text, max(0, room), self.keep)
        body = text if self.fence is None else fenced(text, self.fence)
        return f"<details><summary>{self.title}</summary>\n\n{body}\n\n</details>"


def comment(base: str, head: str, reviews: Sequence[StackReview]) -> str:
    """Return the comment on a change from one commit to another. At most LIMIT bytes, secrets masked."""
    head_lines = [MARKER, f"## Review of {head[:12]}, against {base[:12]}", ""]
    if not reviews:
        return "\n".join([*head_lines, "No stack is touched."]) + "\n"
    sections = [(_heading(review), _blocks(review)) for review in reviews]
    frame = "\n".join([*head_lines, *(heading for heading, _ in sections)])
    blocks = [block for _, found in sections for block in found]
    room = LIMIT - len(frame.encode()) - sum(_MARGIN + len(block.title.encode()) for block in blocks)
    given = iter(shares([len(block.text.encode()) for block in blocks], room))
    parts = list(head_lines)
    for heading, found in sections:
        parts += [heading, *(block.markdown(next(given)) for block in found), ""]
    return masked("\n".join(parts)).encode()[:LIMIT].decode(errors="ignore")


def _heading(review: StackReview) -> str:
    after = review.after
    if after is None:
        return f"### {one_line(review.stack)}\n\nThe stack is removed.\n"
    rows = [("checks", _checks(after)), ("policies", _policies(after)), ("changes", _changes(review))]
    rows.append(("cost", _cost(review)))
    rows += [(name, _result(text)) for name, text in review.results.items()]
    table = "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {said} |" for name, said in rows)])
    return f"### {one_line(review.stack)}\n\n{table}\n"


def _result(text: str | None) -> str:
    if text is None:
        return "**not run**: it ended before it could say anything"
    status = _status(text)
    if status:
        return f"**failed** (status {status}), see below"
    return "passed, see below" if text.strip() else "passed, and printed nothing"


def _status(text: str) -> int:
    """Return how a command ended, from the last line of what it printed: `.ci/result` writes it there, of a failure alone."""
    found = _ENDED.fullmatch(text.rstrip().rpartition("\n")[2])
    return int(found[1]) if found else 0


def _checks(after: Mapping[str, Any]) -> str:
    return "no problems" if after["problem"] is None else "**refused**, see below"


def _policies(after: Mapping[str, Any]) -> str:
    policies = after["policies"]
    if policies is None:
        return "not asked"
    found = policies["violations"]
    mandatory = sum(one["level"] == "mandatory" for one in found)
    said = f"{mandatory} mandatory and {len(found) - mandatory} advisory of {policies['rules']} rules do not hold"
    return f"**refused**: {said}" if policies["refused"] else said


def _changes(review: StackReview) -> str:
    before, after = _files(review.before), _files(review.after)
    if review.before is None:
        return f"not compared: {one_line(review.why or 'the stack is new')}"
    if any(side and side["problem"] for side in (review.before, review.after)):
        return "not known: a side can not be rendered"
    new, gone = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    changed = len(difference(before, after)) - new - gone
    return f"{new} new, {changed} changed, {gone} removed of {len(after)} files"


def _cost(review: StackReview) -> str:
    if review.after is None or review.after.get("cost") is None:
        return "not known"
    found = _difference_of_cost(review)
    currency = review.after["cost"]["currency"]
    left_out = "; ".join(map(one_line, unpriced_notes(found)))
    budget = review.after["cost"]["budget"]
    over = " **over its budget**" if budget and budget["problem"] else ""
    if found.before is None:
        behind = f"; {left_out}" if left_out else ""
        return f"{review.after['cost']['total']['expected']:,.2f} {currency} a month expected{behind}{over}"
    if found.total.unpriced:
        return f"not known: {left_out}{over}"
    more = ", ".join(f"{column} {found.total.by(column) or 0:+,.2f}" for column in COLUMNS)
    return f"{more} {currency} a month{f'; {left_out}' if left_out else ''}{over}"


def _difference_of_cost(review: StackReview) -> Any:  # noqa: ANN401 - a Difference, named where it is made
    before = review.before.get("cost") if review.before else None
    after = review.after.get("cost") if review.after else None
    return cost_difference(review.stack, before, after, review.why)


def _blocks(review: StackReview) -> list[_Block]:
    after = review.after
    if after is None:
        return []
    blocks: list[_Block] = []
    if after["problem"]:
        blocks.append(_Block(title="problems", text=after["problem"], fence="text"))
    compared = review.before and not review.before["problem"] and not after["problem"]
    files = difference(_files(review.before), _files(after)) if compared else {}
    if files:
        blocks.append(_Block(title="what changes", text="\n".join(files.values()), fence="diff"))
    if after.get("cost"):
        blocks.append(_Block(title="cost", text=markdown_difference(_difference_of_cost(review))))
    if fit := _fit(review):
        blocks.append(_Block(title="models and pools", text=fit))
    if (policies := after["policies"]) and policies["violations"]:
        lines = [f"{one['level']} {one['rule']}: {one['message']}" for one in policies["violations"]]
        blocks.append(_Block(title="policies", text="\n".join(lines), fence="text"))
    blocks += [
        _Block(title=one_line(name), text=printed(text), fence="text", keep="end")
        for name, text in review.results.items()
        if text
    ]
    return blocks


def _fit(review: StackReview) -> str:
    """Return models and pools that are others than before: what they need, and whether that fits."""
    if review.after and review.after.get("summary") is None:
        return ""
    sides = [_rows(review.before), _rows(review.after)]
    names = [
        name for name in dict.fromkeys((*sides[0], *sides[1])) if sides[0].get(name) != sides[1].get(name)
    ]
    if not names:
        return ""
    rows = [
        f"| {one_line(name)} | {one_line(sides[0].get(name, '-'))} | {one_line(sides[1].get(name, '-'))} |"
        for name in names
    ]
    return "\n".join(["| | before | after |", "| --- | --- | --- |", *rows])


def _rows(side: Mapping[str, Any] | None) -> dict[str, str]:
    summary = side.get("summary") if side else None
    if summary is None:
        return {}
    models = {f"model {one['name']}": _model(one) for one in summary["models"]}
    return {**models, **{f"pool {one['name']}": _pool(one) for one in summary["pools"]}}


def _model(one: Mapping[str, Any]) -> str:
    memory = one["memory"]
    fit = (
        "no pool"
        if memory is None
        else f"{memory['total_mib']:,} of {memory['budget_mib']:,} MiB a GPU, {memory['headroom_mib']:,} left"
    )
    state = "" if one["enabled"] and not one["stopped"] else ", switched off"
    low, high = one["replicas"]
    needed, most = one["gpus_needed"]
    return f"{low} to {high} replicas{state}; {needed} to {most} of {one['gpus_available']} GPUs; {fit}"


def _pool(one: Mapping[str, Any]) -> str:
    low, high = one["nodes"]
    needed = one.get("nodes_needed")
    used = f", its models need {needed[0]} to {needed[1]}" if needed else ""
    return f"{low} to {high} nodes {one['instance']}, {one['capacity']}{used}"


def _files(side: Mapping[str, Any] | None) -> Mapping[str, str]:
    return side["files"] if side else {}
