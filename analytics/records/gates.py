"""The gate chain: mode, strategy lock, attribution contract, hard budget, in this order. What a gate refuses is kept too."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from analytics.contracts.findings import Finding, Severity
from analytics.contracts.judging import Judge, Verdict
from analytics.contracts.parameters import UTM_FIELDS
from analytics.records.drafts import CONTEXT_FIELDS, Draft, Submission, refused_claim
from analytics.records.quotas import refused_by_budgets
from analytics.records.refusals import (
    BUDGET_GATE,
    CONTRACT_GATE,
    LOCK_GATE,
    MODE_GATE,
    SHAPE,
    ContractViolation,
    Refusal,
)
from northstar.context import RequestContext
from northstar.errors import FieldError, ModeMismatch, NorthstarError, StrategyLocked, TenantMismatch
from routing.holding import held_ingest
from storage.kinds.analytics_store import AnalyticsStore

FINDINGS_KEPT: Final = 100
"""Of one record: an address made of mistakes would have more than a row can hold."""
_JUDGED = (*UTM_FIELDS, "click_ids", "ad_platform", "landing_url", "referrer")


def pass_gates(submission: Submission, drafts: Sequence[Draft], store: AnalyticsStore) -> None:
    """Ask every gate about every draft that none has refused yet; what they say stands in the drafts.

    Raises BackendUnavailable when what a gate must know can be neither read nor remembered; then nothing was decided.
    """
    context = submission.context
    for draft in drafts:
        _mode_gate(context, draft)
    _lock_gate(context, drafts)
    _contract_gate(context, drafts)
    _budget_gate(submission, drafts, store)
    for draft in drafts:
        if draft.refusal and draft.refusal.gate != SHAPE:
            _keep_refusal(submission, draft, draft.refusal)


def _waiting(drafts: Iterable[Draft]) -> list[Draft]:
    return [draft for draft in drafts if draft.refusal is None]


def _mode_gate(context: RequestContext, draft: Draft) -> None:
    """A record may repeat whose it is; what says something else belongs elsewhere."""
    sent = draft.sent
    if draft.refusal or not isinstance(sent, dict) or CONTEXT_FIELDS.isdisjoint(sent):
        return
    error = _elsewhere(context, sent)
    if error:
        draft.refusal = Refusal(MODE_GATE, error)


def _elsewhere(context: RequestContext, sent: dict[str, Any]) -> NorthstarError | None:
    mode = sent.get("mode")
    if mode is not None and mode.lower() != context.mode:
        return ModeMismatch(
            f"The record names mode {mode[:40]!a}, but tenant {context.tenant_id} is in mode {context.mode}.",
            fix="Leave mode out of the record.",
        )
    for name, own in (("tenant_id", context.tenant_id), ("env", context.env), ("project_id", context.project_id)):
        told = sent.get(name)
        if told is not None and told != own:
            return TenantMismatch(
                f"The record names {name} {told[:64]!a}, but it was sent for {own!a}.",
                fix=f"Leave {name} out of the record; the API key and the context headers say it.",
            )
    return None


def _lock_gate(context: RequestContext, drafts: Sequence[Draft]) -> None:
    waiting = _waiting(drafts)
    error: StrategyLocked | None = held_ingest(context) if waiting else None
    if error:
        for draft in waiting:
            draft.refusal = Refusal(LOCK_GATE, error)


def _contract_gate(context: RequestContext, drafts: Sequence[Draft]) -> None:
    waiting = _waiting(drafts)
    if not waiting:
        return
    judge = Judge(context)
    verdicts: dict[tuple[Any, ...], Verdict] = {}
    for draft in waiting:
        get = draft.row.get
        asked = tuple([get(name) for name in _JUDGED if name != "click_ids"])
        verdict = None if "click_ids" in draft.row else verdicts.get(asked)
        if verdict is None:
            verdict = judge.judge(draft.row)
            if "click_ids" not in draft.row:
                verdicts[asked] = verdict
        _apply(verdict, draft)


def _apply(verdict: Verdict, draft: Draft) -> None:
    """Write into the row what the contract says of it, and let the gate close where it must."""
    row = draft.row
    row["channel"], row["channel_rule"] = verdict.channel, verdict.channel_rule
    if verdict.contract_id is None and not verdict.findings:
        return
    row["contract"] = {
        "id": verdict.contract_id,
        "version": verdict.version,
        "mode": verdict.mode,
        "platform": verdict.platform,
    }
    if verdict.findings:
        row["findings"] = [asdict(one) for one in verdict.findings[:FINDINGS_KEPT]]
    reported = {name: value for name, value in verdict.normalised.items() if row.get(name) != value}
    if reported:
        row["reported"] = reported
        row["rewrites"] = [asdict(one) for one in verdict.rewrites[:FINDINGS_KEPT]]
    if verdict.click_ids is not None and "click_ids" in row:
        row["click_ids"] = dict(verdict.click_ids)
    if verdict.landing_url is not None:
        row["landing_url"] = verdict.landing_url
    if verdict.decision == "quarantine":
        draft.quarantined = True
    elif verdict.decision == "block":
        draft.refusal = Refusal(CONTRACT_GATE, _violation(verdict))


def _violation(verdict: Verdict) -> ContractViolation:
    wrong = [one for one in verdict.findings if one.severity == Severity.ERROR]
    fields = dict.fromkeys(one.field for one in wrong)
    return ContractViolation(
        f"The record breaks version {verdict.version} of the contract for {verdict.platform} in {', '.join(fields)}.",
        fix=f"Correct the fields in `errors`, or the contract: PUT /api/v1/analytics/contracts/{verdict.platform}.",
        errors=[_field_error(one) for one in wrong[:FINDINGS_KEPT]],
    )


def _field_error(finding: Finding) -> FieldError:
    expected = f" Expected {finding.expected}." if finding.expected else ""
    return FieldError(finding.field, finding.code, f"Got {finding.got!a}.{expected} {finding.hint}".strip())


def _budget_gate(submission: Submission, drafts: Sequence[Draft], store: AnalyticsStore) -> None:
    waiting = [draft for draft in _waiting(drafts) if not draft.quarantined]
    for draft, error in refused_by_budgets(submission, waiting, store):
        draft.refusal = Refusal(BUDGET_GATE, error)


def _keep_refusal(submission: Submission, draft: Draft, refusal: Refusal) -> None:
    """A refused record has a row of its own, and leaves its id free: it may be sent again."""
    row = draft.row
    row["sent"] = {name: row[name] for name in ("status", "error_message")} | {
        name: draft.sent[name] for name in CONTEXT_FIELDS & draft.sent.keys()
    }
    row["status"], row["error_message"] = "gatechainerror", refusal.error.told()
    draft.claim = refused_claim(submission, draft)
