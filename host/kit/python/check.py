"""NAME: reads the first line that a server says, times it, and looks whether it contains a text."""

import json

import wit_world
from componentize_py_types import Err
from wit_world.exports.check import (
    Cause_Judgement, Cause_Network, Description, ErrorDescription, Failure, FailureKind, Field, FieldDescription,
    FieldKind, Job, OwnFailure, Parameter, ParameterKind, Report, Value_Float, Value_Text,
)
from wit_world.imports.network import Connection, Error

UNEXPECTED = 1000
LINE_BYTES = 4096


def parameter(name, kind, default, doc):
    return Parameter(name, kind, default is None, default, [], [], True, doc)


class Check(wit_world.exports.Check):
    def describe(self) -> Description:
        return Description(
            name="NAME",
            version="0.1.0",
            measurement="MEASUREMENT",
            doc="Reads the first line that a server says.",
            parameters=[
                parameter("port", ParameterKind.PORT, None, "TCP port."),
                parameter("expect", ParameterKind.TEXT, '""', "Text that the line must contain."),
            ],
            fields=[
                FieldDescription("greeting_time_ms", FieldKind.FLOAT, "ms", "From connected to the line's end.", None, True),
                FieldDescription("greeting", FieldKind.TEXT, "", "The line.", None, False),
            ],
            tags=[],
            errors=[ErrorDescription(UNEXPECTED, "unexpected-greeting", "The line does not contain `expect`.")],
        )

    def run(self, job: Job) -> Report:
        expect = json.loads(job.parameters)["expect"]
        fields = []
        try:
            with Connection.connect(job.target) as connection:
                line = b""
                while not line.endswith(b"\n") and len(line) < LINE_BYTES:
                    received = connection.read(LINE_BYTES, None)
                    line += received.bytes
                    if not received.bytes:
                        break
                elapsed_ns = received.received_at - connection.opened().connected_at
        except Err as err:
            error: Error = err.value
            return Report(fields, Failure(Cause_Network(error.kind), error.text))
        text = line.decode(errors="replace").strip()
        fields.append(Field("greeting_time_ms", Value_Float(elapsed_ns / 1e6)))
        fields.append(Field("greeting", Value_Text(text)))
        if not text or expect not in text:
            cause = Cause_Judgement(OwnFailure(FailureKind.STRING_MISMATCH, UNEXPECTED))
            return Report(fields, Failure(cause, f"expected {expect!r} in {text!r}"))
        return Report(fields, None)
