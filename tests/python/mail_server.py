"""A real SMTP server for the tests. Prints its port, then one JSON line per message. Ends with its standard input."""

import email
import email.policy
import json
import socket
import sys

from aiosmtpd.controller import Controller


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body(("plain",))
        html = message.get_body(("html",))
        line = json.dumps(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "subject": message["subject"],
                "message_id": message["message-id"],
                "text": text.get_content() if text else None,
                "html": html.get_content() if html else None,
            }
        )
        try:
            print(line, flush=True)
        except BrokenPipeError:
            return "451 the tests are over"
        return "250 OK"


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    controller = Controller(Mailbox(), hostname="127.0.0.1", port=port, ready_timeout=30)
    if port == 0:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            controller.port = probe.getsockname()[1]
    controller.start()
    print(json.dumps({"port": controller.port}), flush=True)
    sys.stdin.read()
    controller.stop()
