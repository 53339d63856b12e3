//! Many jobs of the built-in check, judged one after the other.

use super::*;
use crate::sandbox::{Judge, Sandbox};

#[tokio::test]
async fn of_many_jobs_each_is_refused_for_what_is_wrong_with_it_alone() {
    let sandbox = Sandbox::new().unwrap();
    let smtp = Check::built_in(&sandbox).await.unwrap();
    let is_wrong = |job: usize| job % 50 == 7;
    let table = |job: usize| {
        let to = if is_wrong(job) { format!("nobody-{job}") } else { "a@b.example".to_owned() };
        format!(
            "[[job]]\nname = \"{job}\"\nhost = \"h\"\n[job.parameters]\nfrom = \"a@b.example\"\nto = [\"{to}\"]\n"
        )
    };
    let text: String = (0..300).map(table).collect();
    let plan = of_text(Path::new("sonde.toml"), &text).unwrap();
    let mut judge = Judge::new();
    for (number, planned) in plan.jobs.iter().enumerate() {
        let among = planned.validated(&smtp, &mut judge).await.map(drop);
        let alone = planned.validated(&smtp, &mut Judge::new()).await.map(drop);
        assert_eq!(among, alone);
        assert_eq!(among.is_err(), is_wrong(number), "{number}");
    }
}
