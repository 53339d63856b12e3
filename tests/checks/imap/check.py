"""IMAP: greeting, TLS, login, the number of messages in a mailbox and the age of the newest; and what further mailboxes hold,
each a part (RFC 9051, RFC 3501)."""

import _strptime  # noqa: F401  strptime imports it when it first runs, and a sandbox has no files to import from
import re
from datetime import datetime

import sonde
from sonde import Failed

NOT_IMAP, REFUSED, NO_STARTTLS, LOGIN_REFUSED, LOGIN_IN_CLEAR, NO_MAILBOX = range(1000, 1006)
REPLY_LINES = 1000


class Session(sonde.Lines):
    count = 0

    def command(self, text, shown=None, refused=("rejected", REFUSED)):
        """Sends a command; its untagged replies, if it is accepted."""
        self.count, untagged = self.count + 1, []
        self.connection.write(f"a{self.count} {text}\r\n".encode())
        while (line := self.next(shown or text)).startswith("* ") and len(untagged) < REPLY_LINES:
            untagged.append(line[2:])
        if line.upper().startswith(f"A{self.count} OK"):
            return untagged
        how = refused if line.startswith(f"a{self.count} ") else ("protocol-error", NOT_IMAP)
        raise Failed(*how, f"{shown or text}: {line}")

    def status(self, mailbox):
        """A mailbox, which need not be there (RFC 9051, section 6.3.11). Of what the server says only numbers are taken."""
        part, numbers = sonde.Part("mailbox", mailbox=mailbox), re.compile("(MESSAGES|UNSEEN) ([0-9]+)", re.IGNORECASE)
        try:
            for reply in self.command(f"STATUS {quoted(mailbox)} (MESSAGES UNSEEN)", refused=("rejected", NO_MAILBOX)):
                if reply.upper().startswith("STATUS "):
                    part |= {name.lower(): int(of[:19]) for name, of in numbers.findall(reply.rpartition("(")[2])}
        except Failed as failed:
            if failed.code != NO_MAILBOX:
                raise
            part.failed = failed
        return part

    def capabilities(self):
        return set(" ".join(self.command("CAPABILITY")).upper().split()) - {"CAPABILITY"}


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def age(date, now):
    try:
        return max(now - int(datetime.strptime(date, "%d-%b-%Y %H:%M:%S %z").timestamp()), 0)
    except ValueError as error:
        raise Failed("protocol-error", NOT_IMAP, str(error)) from None


class Check(sonde.Check):
    name, version, measurement = "imap", "0.1.0", "imap"
    doc = "Opens an IMAP session, logs in and looks at a mailbox."
    parameters = [
        sonde.parameter("connection", "text", "When TLS begins.", "plain", choices=["plain", "starttls", "tls"]),
        sonde.parameter("port", "port", "TCP port.", 143, when=[("connection", "tls", 993)]),
        sonde.parameter("username", "text", "User name; empty: no login.", ""),
        sonde.parameter("password", "secret", "Its password.", ""),
        sonde.parameter("mailbox", "text", "Mailbox to look at, never changed.", "INBOX"),
        sonde.parameter("mailboxes", "text-list", "Further ones, of which only the numbers of messages are asked.", []),
        sonde.parameter("allow_plaintext_auth", "boolean", "Logs in also without TLS, and where the server failed verification.", False),
    ]
    fields = [
        sonde.field("greeting_time_ms", "float", "From connected (or TLS) to the end of the greeting.", "ms", phase=True),
        sonde.field("login_time_ms", "float", "LOGIN to its reply.", "ms", phase=True),
        sonde.field("greeting", "text", "The greeting."),
        sonde.field("capabilities", "text", "What the server offers."),
        sonde.field("response_code", "integer", "-1: the log-in was not tried, and nobody refused it."),
        sonde.field("messages", "integer", "Messages in the mailbox."),
        sonde.field("newest_age_s", "integer", "Age of its newest message.", "s"),
    ]
    parts = [
        sonde.part("mailbox", "One of `mailboxes`.", {"mailbox": "Its name."}, [
            sonde.field("messages", "integer", "Messages in it."),
            sonde.field("unseen", "integer", "Those of them that nobody has seen."),
        ]),
    ]
    tags = [sonde.tag("connection", "connection", "When TLS begins.")]
    errors = [
        sonde.error(NOT_IMAP, "not-imap", "What the server says is not IMAP."),
        sonde.error(REFUSED, "refused", "The server refuses the session, or a command."),
        sonde.error(NO_STARTTLS, "starttls-not-offered", "The server does not offer STARTTLS."),
        sonde.error(LOGIN_REFUSED, "login-refused", "The server refuses the login."),
        sonde.error(LOGIN_IN_CLEAR, "login-in-clear", "Without TLS, and to a server that failed verification, the password is not sent."),
        sonde.error(NO_MAILBOX, "no-mailbox", "A mailbox does not exist, or cannot be looked at."),
    ]

    def judge(self, job, given):
        if given["username"] and not given["password"]:
            yield sonde.refusal("expected beside `username`", parameter="password")

    def measure(self, job, given, report):
        connection = sonde.Connection.connect(job.target)
        session = Session(connection, NOT_IMAP)
        secured = connection.start_tls() if given["connection"] == "tls" else None
        begun_at = secured.secured_at if secured else connection.opened().connected_at
        greeting = session.next("greeting")
        if not greeting.startswith(("* OK", "* PREAUTH")):
            how = ("rejected", REFUSED) if greeting.startswith("* BYE") else ("protocol-error", NOT_IMAP)
            raise Failed(*how, f"greeting: {greeting!r}")
        report["greeting_time_ms"], report["greeting"] = sonde.ms(begun_at, session.at), greeting[2:]
        if given["connection"] == "starttls":
            if "STARTTLS" not in session.capabilities():
                raise Failed("tls-error", NO_STARTTLS, "STARTTLS is not among the capabilities")
            session.command("STARTTLS", refused=("tls-error", REFUSED))
            secured = connection.start_tls()
        report["capabilities"] = " ".join(sorted(session.capabilities()))
        if given["username"]:
            if not (given["allow_plaintext_auth"] or secured and not isinstance(secured.verification, sonde.Unverified)):
                report["response_code"] = -1
                raise Failed("auth-failed", LOGIN_IN_CLEAR, "the password is not sent without TLS, nor to a server that failed verification")
            begun_at, login = session.at, f"LOGIN {quoted(given['username'])} {quoted(given['password'])}"
            session.command(login, "LOGIN", ("auth-failed", LOGIN_REFUSED))
            report["login_time_ms"] = sonde.ms(begun_at, session.at)
            for reply in session.command(f"EXAMINE {quoted(given['mailbox'])}"):
                if exists := re.fullmatch(r"([0-9]+) EXISTS", reply, re.IGNORECASE):
                    report["messages"] = int(exists[1][:19])
            for reply in session.command("FETCH * (INTERNALDATE)") if report.get("messages") else []:
                if date := re.search('INTERNALDATE "([^"]*)', reply):
                    report["newest_age_s"] = age(date[1].strip(), job.round_started_at_s)
            mailboxes = given["mailboxes"] if isinstance(given["mailboxes"], list) else [given["mailboxes"]]
            for mailbox in dict.fromkeys(mailboxes):
                report.parts.append(session.status(mailbox))
        session.command("LOGOUT")
