"""What a check is made of: a description from plain values, a report from dictionaries, failures as exceptions.

A check is a class `Check` on the one here. The interface's words, such as `text-list`, are texts. Yours to change.
"""

import json

import wit_world
from componentize_py_types import Err
from wit_world.exports import check as wit
from wit_world.imports.network import Connection, ErrorKind, Verification_Failed as Unverified  # noqa: F401  for checks

LINE_BYTES, LEAST, MOST = 8192, -(2**63), 2**63 - 1

tag, endpoint, error = wit.TagDescription, wit.EndpointDescription, wit.ErrorDescription


def parameter(name, kind, doc, default=None, required=False, choices=(), when=(), endpoint=None, single_line=True):
    """`when`: defaults that depend on another parameter, each as (its name, its value, the default then)."""
    conditional = [wit.ConditionalDefault(other, json.dumps(equals), json.dumps(then)) for other, equals, then in when]
    default, kind = None if default is None else json.dumps(default), _word(wit.ParameterKind, kind)
    return wit.Parameter(name, kind, required, default, conditional, list(choices), single_line, endpoint, doc)


def field(name, kind, doc, unit="", phase=False, unreported=None):
    """`unreported`: its value on the line of a run that could not report."""
    kind = _word(wit.FieldKind, kind)
    return wit.FieldDescription(name, kind, unit, doc, None if unreported is None else _value(kind, unreported), phase)


def part(name, doc, tags, fields):
    """`tags`: what each of them is, by its name."""
    return wit.PartDescription(name, doc, [wit.PartTag(*tag) for tag in tags.items()], fields)


def refusal(text, about="job", **named):
    """Why a job cannot be run; it is about `parameter="…"`, `endpoint="…"`, the "host", the "timeout", or the "job"."""
    about, *name = next(iter(named.items()), [about])
    return wit.Refusal(getattr(wit, f"Subject_{about.title()}")(*name), str(text))


class Failed(Exception):
    """The check's own judgement: its kind, one of the announced codes, and for people what was tried and what came."""

    def __init__(self, kind, code, text):
        super().__init__(text)
        self.code = code
        self.failure = wit.Failure(wit.Cause_Judgement(wit.OwnFailure(_word(wit.FailureKind, kind), int(code))), str(text))


class Check(wit_world.exports.Check):
    """A check gives these, and overrides `measure`, and `judge` where a parameter's kind does not say all."""

    name = version = measurement = doc = ""
    parameters, fields, tags, endpoints, parts, errors = [], [], [], [], [], []

    def judge(self, job, given):
        """Gives a `refusal` for all that is wrong with a job with these parameters."""
        return []

    def measure(self, job, given, report):
        """Fills the report. What is in it stays there if this fails, by `Failed` or because a network call does."""
        raise NotImplementedError

    def describe(self):
        about = self.name, self.version, self.measurement, self.doc
        return wit.Description(*about, self.parameters, self.fields, self.tags, self.endpoints, self.parts, self.errors)

    def validate(self, job):
        return list(self.judge(job, json.loads(job.parameters)) or ())

    def run(self, job):
        report, of = Report(), {kind.name: kind.fields for kind in self.parts}
        try:
            self.measure(job, json.loads(job.parameters), report)
        except (Failed, Err) as failed:
            report.failed = failed
        parts = [wit.Part(part.kind, part.tags, *_found(part, of.get(part.kind, []))) for part in report.parts]
        fields, failure = _found(report, self.fields)
        return wit.Report(fields, parts, failure)


class Part(dict):
    """Values by the names of their fields; None: not measured. `failed`: the exception that says what is wrong with it."""

    def __init__(self, kind, **tags):
        self.kind, self.failed = kind, None
        self.tags = [wit.TagValue(name, str(value)) for name, value in tags.items()]


class Report(Part):
    """The same for the whole run; `parts` are to be appended to."""

    def __init__(self):
        super().__init__(None)
        self.parts = []


class Lines:
    """Reads what a peer says. Fails with `code` where it closes, or says over `limit` bytes, inside a line."""

    def __init__(self, connection, code, limit=LINE_BYTES):
        self.connection, self.code, self.limit, self.unread, self.at = connection, code, limit, b"", 0

    def next(self, what):
        """The next line, without white space around it; then `at` is when its end arrived. `what` is for the failure."""
        while b"\n" not in self.unread:
            received = self.connection.read(self.limit, None)
            self.unread, self.at = self.unread + received.bytes, received.received_at
            if not received.bytes or len(self.unread) > self.limit + len(received.bytes):
                why = "the line is too long" if received.bytes else "the peer closes"
                raise Failed("protocol-error", self.code, f"{what}: {why}: {self.unread[:80]!r}")
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode(errors="replace").strip()


def ms(begin, end):
    """Milliseconds from one instant to another."""
    return (end - begin) / 1e6


def granted(job, name):
    """The job's further endpoint of that name; None: it has none."""
    return next((one.endpoint for one in job.endpoints if one.name == name), None)


def _word(enum, word):
    return enum[word.upper().replace("-", "_")]


def _value(kind, value):
    """Where it is nothing of the kind, the host says which field it is."""
    if isinstance(value, bool):
        return wit.Value_Boolean(value)
    if not isinstance(value, int | float):
        return wit.Value_Text(str(value))
    if kind == wit.FieldKind.INTEGER and value.is_integer():
        return wit.Value_Integer(int(max(LEAST, min(value, MOST))))
    return wit.Value_Float(value)


def _found(part, announced):
    kinds = {field.name: field.kind for field in announced}
    fields = [wit.Field(name, _value(kinds.get(name), value)) for name, value in part.items() if value is not None]
    if isinstance(part.failed, Err):
        return fields, wit.Failure(wit.Cause_Network(part.failed.value.kind), part.failed.value.text)
    return fields, part.failed and part.failed.failure
