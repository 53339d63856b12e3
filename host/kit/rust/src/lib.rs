//! NAME: reads the first line that a server says, times it, and looks whether it contains a text.

mod sonde;
mod wit {
    wit_bindgen::generate!({ path: "wit", world: "checker" });
}

use sonde::*;

const UNEXPECTED: u32 = 1000;

struct Hello;

wit::export!(Hello with_types_in wit);

impl Check for Hello {
    fn description() -> Description {
        Description {
            parameters: vec![
                parameter("port", ParameterKind::Port, Json::Null, "TCP port."),
                parameter("expect", ParameterKind::Text, "", "Text that the line must contain."),
            ],
            fields: vec![
                phase("greeting_time_ms", "From connected to the line's end."),
                field("greeting", FieldKind::Text, "", "The line."),
            ],
            errors: vec![error(
                UNEXPECTED,
                "unexpected-greeting",
                "There is no line, or `expect` is not in it.",
            )],
            ..description(
                "NAME",
                env!("CARGO_PKG_VERSION"),
                "MEASUREMENT",
                "Reads the first line that a server says.",
            )
        }
    }

    fn measure(job: &Job, given: &Json, report: &mut Report) -> Result<(), Failure> {
        let connection = Connection::connect(&job.target)?;
        let mut lines = Lines::new(&connection, UNEXPECTED);
        let greeting = lines.next("greeting")?;
        report.set("greeting_time_ms", ms(connection.opened().connected_at, lines.at));
        report.set("greeting", Value::Text(greeting.clone()));
        let expect = given["expect"].as_str().unwrap_or_default();
        if greeting.contains(expect) {
            return Ok(());
        }
        let text = format!("expected {expect:?} in {greeting:?}");
        Err(failed(FailureKind::StringMismatch, UNEXPECTED, text))
    }
}
