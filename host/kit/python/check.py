"""NAME: reads the first line that a server says, times it, and looks whether it contains a text."""

import sonde

UNEXPECTED = 1000


class Check(sonde.Check):
    name, version, measurement = "NAME", "0.1.0", "MEASUREMENT"
    doc = "Reads the first line that a server says."
    parameters = [
        sonde.parameter("port", "port", "TCP port.", required=True),
        sonde.parameter("expect", "text", "Text that the line must contain.", default=""),
    ]
    fields = [
        sonde.field("greeting_time_ms", "float", "From connected to the line's end.", unit="ms", phase=True),
        sonde.field("greeting", "text", "The line."),
    ]
    errors = [sonde.error(UNEXPECTED, "unexpected-greeting", "There is no line, or `expect` is not in it.")]

    def measure(self, job, given, report):
        connection = sonde.Connection.connect(job.target)
        lines = sonde.Lines(connection, UNEXPECTED)
        greeting = lines.next("greeting")
        report["greeting_time_ms"] = sonde.ms(connection.opened().connected_at, lines.at)
        report["greeting"] = greeting
        if given["expect"] not in greeting:
            raise sonde.Failed("string-mismatch", UNEXPECTED, f"expected {given['expect']!r} in {greeting!r}")
