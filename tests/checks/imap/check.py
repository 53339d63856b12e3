"""IMAP: greeting, TLS, login, the number of messages in a mailbox and the age of the newest (RFC 9051, RFC 3501)."""

import _strptime  # noqa: F401  strptime imports it when it first runs, and a sandbox has no files to import from
import json
from datetime import datetime

import wit_world
from componentize_py_types import Err
from wit_world.exports.check import (
    Cause_Judgement, Cause_Network, ConditionalDefault, Description, ErrorDescription, Failure, FailureKind, Field,
    FieldDescription, FieldKind, Job, OwnFailure, Parameter, ParameterKind, Report, TagDescription, Value_Float,
    Value_Integer, Value_Text,
)
from wit_world.imports.network import Connection

NOT_IMAP, REFUSED, NO_STARTTLS, LOGIN_REFUSED, LOGIN_IN_CLEAR = range(1000, 1005)
ERRORS = [
    ErrorDescription(NOT_IMAP, "not-imap", "What the server says is not IMAP."),
    ErrorDescription(REFUSED, "refused", "The server refuses the session, or a command."),
    ErrorDescription(NO_STARTTLS, "starttls-not-offered", "The server does not offer STARTTLS."),
    ErrorDescription(LOGIN_REFUSED, "login-refused", "The server refuses the login."),
    ErrorDescription(LOGIN_IN_CLEAR, "login-in-clear", "Without verified TLS the password is not sent."),
]
LINE_BYTES = 8192
REPLY_LINES = 1000


class Judgement(Exception):
    def __init__(self, kind, code, text):
        self.failure = Failure(Cause_Judgement(OwnFailure(kind, code)), text)


class Session:
    def __init__(self, connection):
        self.connection, self.unread, self.count, self.at = connection, b"", 0, 0

    def line(self):
        while b"\n" not in self.unread:
            received = self.connection.read(LINE_BYTES, None)
            self.unread, self.at = self.unread + received.bytes, received.received_at
            if not received.bytes or len(self.unread) > LINE_BYTES + len(received.bytes):
                text = f"after {self.count} commands: {self.unread[:80]!r} and no end of line"
                raise Judgement(FailureKind.PROTOCOL_ERROR, NOT_IMAP, text)
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode(errors="replace").strip()

    def command(self, text, shown=None, kind=FailureKind.REJECTED, code=REFUSED):
        """Sends a command; its untagged replies, if it is accepted."""
        self.count += 1
        self.connection.write(f"a{self.count} {text}\r\n".encode())
        untagged = []
        while len(untagged) < REPLY_LINES:
            line = self.line()
            if line.startswith("* "):
                untagged.append(line[2:])
            elif line.upper().startswith(f"A{self.count} OK"):
                return untagged
            elif line.startswith(f"a{self.count} "):
                raise Judgement(kind, code, f"{shown or text}: {line}")
            else:
                break
        raise Judgement(FailureKind.PROTOCOL_ERROR, NOT_IMAP, f"{shown or text}: {line!r}")


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def check(job, given, fields):
    session = Session(Connection.connect(job.target))
    connection, verified = session.connection, False
    begun_at = connection.opened().connected_at
    if given["connection"] == "tls":
        secured = connection.start_tls()
        begun_at, verified = secured.secured_at, secured.verify_error is None
    greeting = session.line()
    if not greeting.startswith(("* OK", "* PREAUTH")):
        bye = greeting.startswith("* BYE")
        kind, code = (FailureKind.REJECTED, REFUSED) if bye else (FailureKind.PROTOCOL_ERROR, NOT_IMAP)
        raise Judgement(kind, code, f"greeting: {greeting!r}")
    fields["greeting_time_ms"] = Value_Float((session.at - begun_at) / 1e6)
    fields["greeting"] = Value_Text(greeting[2:])
    capabilities = " ".join(session.command("CAPABILITY")).upper().split()
    if given["connection"] == "starttls":
        if "STARTTLS" not in capabilities:
            raise Judgement(FailureKind.TLS_ERROR, NO_STARTTLS, "STARTTLS is not among the capabilities")
        session.command("STARTTLS", kind=FailureKind.TLS_ERROR)
        verified = connection.start_tls().verify_error is None
        capabilities = " ".join(session.command("CAPABILITY")).upper().split()
    fields["capabilities"] = Value_Text(" ".join(sorted(set(capabilities) - {"CAPABILITY"})))
    if given["username"]:
        if not verified and not given["allow_plaintext_auth"]:
            raise Judgement(FailureKind.AUTH_FAILED, LOGIN_IN_CLEAR, "the password is not sent without verified TLS")
        begun_at = session.at
        login = f"LOGIN {quoted(given['username'])} {quoted(given['password'])}"
        session.command(login, "LOGIN", FailureKind.AUTH_FAILED, LOGIN_REFUSED)
        fields["login_time_ms"] = Value_Float((session.at - begun_at) / 1e6)
        for reply in session.command(f"EXAMINE {quoted(given['mailbox'])}"):
            if reply.upper().endswith(" EXISTS") and reply.split()[0].isdigit():
                fields["messages"] = Value_Integer(min(int(reply.split()[0][:19]), 2**63 - 1))
        if "messages" in fields and fields["messages"].value > 0:
            for reply in session.command("FETCH * (INTERNALDATE)"):
                if 'INTERNALDATE "' in reply:
                    date = reply.partition('INTERNALDATE "')[2].partition('"')[0].strip()
                    age = job.time - int(datetime.strptime(date, "%d-%b-%Y %H:%M:%S %z").timestamp())
                    fields["newest_age_s"] = Value_Integer(max(age, 0))
    session.command("LOGOUT")


class Check(wit_world.exports.Check):
    def describe(self) -> Description:
        def parameter(name, kind, default, doc, choices=(), conditional=()):
            return Parameter(name, kind, False, json.dumps(default), list(conditional), list(choices), True, doc)

        at_tls = ConditionalDefault("connection", '"tls"', "993")
        time, text = ("ms", FieldKind.FLOAT), ("", FieldKind.TEXT)
        return Description(
            "imap", "0.1.0", "imap", "Opens an IMAP session, logs in and looks at a mailbox.",
            [
                parameter("connection", ParameterKind.TEXT, "plain", "When TLS begins.", ["plain", "starttls", "tls"]),
                parameter("port", ParameterKind.PORT, 143, "TCP port.", conditional=[at_tls]),
                parameter("username", ParameterKind.TEXT, "", "User name; empty: no login."),
                parameter("password", ParameterKind.SECRET, "", "Its password."),
                parameter("mailbox", ParameterKind.TEXT, "INBOX", "Mailbox to look at, never changed."),
                parameter("allow_plaintext_auth", ParameterKind.BOOLEAN, False, "Logs in also without verified TLS."),
            ],
            [FieldDescription(name, kind, unit, doc, None, unit == "ms") for name, (unit, kind), doc in [
                ("greeting_time_ms", time, "From connected (or TLS) to the end of the greeting."),
                ("login_time_ms", time, "LOGIN to its reply."),
                ("greeting", text, "The greeting."), ("capabilities", text, "What the server offers."),
                ("messages", ("", FieldKind.INTEGER), "Messages in the mailbox."),
                ("newest_age_s", ("s", FieldKind.INTEGER), "Age of its newest message."),
            ]],
            [TagDescription("connection", "connection", "When TLS begins.")], ERRORS,
        )

    def run(self, job: Job) -> Report:
        fields, failure = {}, None
        try:
            check(job, json.loads(job.parameters), fields)
        except Err as error:
            failure = Failure(Cause_Network(error.value.kind), error.value.text)
        except Judgement as judgement:
            failure = judgement.failure
        except ValueError as error:
            failure = Judgement(FailureKind.PROTOCOL_ERROR, NOT_IMAP, str(error)).failure
        return Report([Field(name, value) for name, value in fields.items()], failure)
