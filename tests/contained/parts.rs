//! One harm at a time with the parts of a run: a hostile check's job among good ones in; what it says against its description
//! on its line, or at most as many lines as its operator allows, each of its own series, in time and within memory.

use std::collections::BTreeSet;

use sonde_host::{
    catalogue::HostError,
    report::{Outcome, Report},
    sandbox::Limits,
    value::Value,
};

use support::{hostile, points};

use crate::{
    process::{ALONE, Log},
    running::alone_in_a_round,
    yard::{Checks, SECRET, Yard, load},
};

/// What a run may have.
const LINES: u32 = 64;

/// The harm, and what its job's line then says.
const FAILURES: &[(&str, HostError, &str)] = &[
    ("parts-without-end", HostError::CheckMemory, "wasm trap: "),
    ("very-many-parts", HostError::CheckLimit, "more than 4096 KiB handed over in one call"),
    ("part-unannounced", HostError::CheckReport, "a part `smtp` is reported but not announced"),
    ("part-unannounced-at-the-end", HostError::CheckReport, "a part `smtp` is reported but not announced"),
    ("part-tag-unannounced", HostError::CheckReport, "tag `box.result` is reported but not announced"),
    ("part-tag-twice", HostError::CheckReport, "tag `box.name` is reported twice"),
    (
        "part-field-unannounced",
        HostError::CheckReport,
        "field `box.error_code` is reported but not announced",
    ),
    ("part-field-twice", HostError::CheckReport, "field `box.count` is reported twice"),
    (
        "part-field-retyped",
        HostError::CheckReport,
        "field `box.count` is announced as integer and reported as float",
    ),
    ("part-code-forged", HostError::CheckReport, "error code 201 is not announced"),
];

/// The harm, and how many parts then have a line and how many have none.
const LINES_OF: &[(&str, usize, u32)] = &[
    ("parts", 2, 0),
    ("many-parts", 63, 9937),
    ("many-parts-alike", 1, 9999),
    ("parts-alike", 4, 9),
    ("part-forged-tags", 1, 0),
    ("part-long-tags", 1, 0),
    ("part-secret", 1, 0),
    ("part-texts", 63, 0),
];

/// None of them is another job's, another check's, or another part's.
fn assert_series(harm: &str, lines: &str) {
    let points = points(lines);
    let measurements: Vec<&str> = points.iter().map(|point| &*point.measurement).collect();
    assert_eq!(measurements[0], "parts", "{lines}");
    let of_parts = &measurements[1..];
    assert!(of_parts.iter().all(|name| ["parts_box", "parts_texts"].contains(name)), "{lines}");
    assert!(points.iter().all(|point| point.tags["job"] == harm), "{lines}");
    assert!(
        points.iter().all(|point| point.tags.get("name").is_none_or(|name| name.len() <= 128)),
        "{lines}"
    );
    let known = ["job", "server", "port", "result", "name", "zone"];
    assert!(points.iter().flat_map(|point| point.tags.keys()).all(|key| known.contains(&&**key)), "{lines}");
    let series: BTreeSet<_> = lines.lines().map(|line| line.split_once(" result_code=").unwrap().0).collect();
    assert_eq!(series.len(), points.len(), "{lines}");
}

#[tokio::test]
async fn a_check_that_harms_with_its_parts_is_contained() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    for (name, lines) in [("parts", LINES), ("parts-without-lines", 1)] {
        let limits = Limits { lines, ..Limits::default() };
        load(&mut sandbox, name, &hostile("parts"), limits).await.unwrap();
    }
    let yard = Yard::new(sandbox);
    drop(log.lines());

    for (harm, expected, text) in FAILURES.iter().copied() {
        // Nor does it help that nobody would have seen it.
        for check in ["parts", "parts-without-lines"] {
            let (report, lines) = alone_in_a_round(&yard, &mut log, harm, check).await;
            let failure = report.failure.as_ref().unwrap_or_else(|| panic!("{harm} succeeded"));
            assert_eq!(failure.code, expected.code(), "{harm}: {failure:?}");
            assert!(failure.text.contains(text), "{harm}: {failure:?}");
            assert_eq!((report.parts.len(), report.parts_dropped), (0, 0), "{harm}: {lines}");
            assert_eq!(points(&lines)[0].code("parts_dropped"), 0, "{harm}: {lines}");
        }
    }
    for (harm, kept, dropped) in LINES_OF.iter().copied() {
        let (report, lines) = alone_in_a_round(&yard, &mut log, harm, "parts").await;
        assert_eq!(
            (report.outcome(), report.parts.len(), report.parts_dropped),
            (Outcome::Success, kept, dropped),
            "{lines}"
        );
        assert_eq!(points(&lines)[0].code("parts_dropped"), i64::from(dropped), "{harm}: {lines}");
        println!("{harm}: {:?}", report.used);
        assert!(report.used.cpu < Limits::default().cpu_time, "{harm}: {:?}", report.used);
        assert_series(harm, &lines);
        assert_texts(harm, &report, &lines);

        let (report, lines) = alone_in_a_round(&yard, &mut log, harm, "parts-without-lines").await;
        let all = u32::try_from(kept).unwrap() + dropped;
        assert_eq!((report.parts.len(), report.parts_dropped, lines.lines().count()), (0, all, 1), "{lines}");
    }
}

/// What one harm or another wrote.
fn assert_texts(harm: &str, report: &Report, lines: &str) {
    let points = points(lines);
    let tag = |name: &str| points[1].tags.get(name).map(String::as_str);
    match harm {
        "parts" => {
            assert_eq!(
                (tag("name"), tag("result"), points[1].code("count")),
                (Some("in"), Some("success"), 7)
            );
            let out = (&*points[2].tags["result"], points[2].code("error_code"), points[2].text("error"));
            assert_eq!(out, ("rejected", 1000, "full"), "{lines}");
            // It is the part's failure, not its job's.
            assert_eq!((&*points[0].tags["result"], points[0].code("error_code")), ("success", 0), "{lines}");
        }
        "part-forged-tags" => {
            let forged = "x,job=forged,result=success result_code=9i 1 smtp,job=forged state=1i";
            assert_eq!((tag("name"), tag("zone")), (Some(forged), Some("a=b,c d")), "{lines}");
            assert_eq!((tag("result"), points[1].code("result_code")), (Some("success"), 0), "{lines}");
        }
        "part-secret" => {
            assert!(!lines.contains(&SECRET[..5]), "{lines}");
            assert_eq!(
                (tag("name"), points[1].text("said"), points[1].text("error")),
                (Some("***"), "***", "***")
            );
        }
        "part-texts" => {
            let fields = report.parts.iter().flat_map(|part| &part.fields);
            let is_cut = |value: &Value| matches!(value, Value::Text(text) if text.len() == 256);
            assert_eq!(fields.filter(|(_, value)| is_cut(value)).count(), 63 * 90, "{lines}");
        }
        _ => {}
    }
}
