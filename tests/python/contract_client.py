"""Drives cases from another language, with nothing but the wire contract: type names, ids, payloads.

Prints one JSON document: what was asked and what came back. The caller compares.
"""

import asyncio
import json
import os
import sys

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy

TASK_QUEUE = "recourse"


def contract(contract_id: str) -> dict:
    return {
        "id": contract_id,
        "title": "Logo",
        "kind": "fixed_price",
        "currency": "USD",
        "client": {"id": "cl-py", "name": "Cleo", "email": "cleo@example.com"},
        "freelancer": {"id": "fl-py", "name": "Finn", "email": "finn@example.com"},
        "a_field_of_a_later_version": True,
    }


async def status_in(handle, stage: str) -> dict:
    """The status once the case is in a stage. Signals have no answer, so it is asked for until then."""
    status = None
    for _ in range(200):
        try:
            status = await handle.query("status")
            if status["stage"] == stage:
                return status
        except Exception as error:  # the dispute may not have been started yet
            status = str(error)
        await asyncio.sleep(0.05)
    raise SystemExit(f"never in stage {stage}: {status}")


async def refused(handle, update: str, payload) -> str:
    try:
        await handle.execute_update(update, payload)
    except WorkflowUpdateFailedError as error:
        return str(error.cause)
    return "taken"


async def main(address: str, namespace: str, contract_id: str) -> dict:
    client = await Client.connect(address, namespace=namespace)
    freelancer = {"party": "freelancer", "id": "fl-py"}
    parties = {"client": {"party": "client", "id": "cl-py"}}

    deposited = await client.execute_workflow(
        "EscrowDeposit",
        {
            "contract": contract(contract_id),
            "deposit": "d-1",
            "amount": 30000,
            "source": {"id": "card-py", "verified": True},
        },
        id=f"escrow-deposit:{contract_id}:d-1",
        task_queue=TASK_QUEUE,
    )

    request = await client.start_workflow(
        "RefundRequest",
        {"contract": contract(contract_id), "pay_now": 10000, "reason": "unfinished"},
        id=f"refund-request:{contract_id}",
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    # The signal may well arrive before the case has learnt what is held: it must wait, not be lost.
    await request.signal(
        "dispute",
        {
            "by": freelancer,
            "amount": 15000,
            "reason": "work_delivered",
            "details": "It is done.",
            "evidence": [
                {"sha256": "ab" * 32, "name": "chat.pdf", "size": 12345, "media_type": "application/pdf"}
            ],
        },
    )
    disputed = await status_in(request, "disputed")

    dispute = client.get_workflow_handle(f"dispute:{contract_id}")
    claimed = await status_in(dispute, "awaiting_client")
    not_allowed = await refused(dispute, "accept", {"by": freelancer, "of": "claim"})
    invalid = await refused(dispute, "reject", {"by": parties["client"]})
    await dispute.signal("reject", "not an object")
    updated = await dispute.execute_update(
        "reject",
        {"by": parties["client"], "of": "claim", "reason": "incomplete", "details": "Half is missing.", "key": "r-1"},
    )
    await dispute.signal("propose", {"by": {"party": "mediator", "id": "med-1"}, "to_freelancer": 9000, "rationale": "Half."})
    proposed = await status_in(dispute, "awaiting_parties")
    await dispute.signal("accept", {"by": parties["client"], "of": "resolution"})
    await dispute.signal("accept", {"by": freelancer, "of": "resolution"})
    return {
        "deposited": deposited,
        "disputed": disputed,
        "claimed": claimed,
        "not_allowed": not_allowed,
        "invalid": invalid,
        "updated": updated,
        "proposed": proposed,
        "dispute_result": await dispute.result(),
        "result": await request.result(),
        "closed": await dispute.query("status"),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:4]))), flush=True)
    # The client's own threads can outlive the interpreter's shutdown, which then aborts now and then: leave without it.
    os._exit(0)
