//! Many jobs of the built-in check, judged one after the other.

use super::*;
use crate::sandbox::{Judge, Sandbox};

#[tokio::test]
async fn of_many_jobs_each_is_refused_for_what_is_wrong_with_it_alone() {
    let sandbox = Sandbox::new().unwrap();
    let smtp = Check::built_in(&sandbox).await.unwrap();
    let is_wrong = |job: usize| job % 50 == 7;
    // Of some the parameters are those of the job before, also of some that are refused.
    let table = |job: usize| {
        let to = if is_wrong(job) || is_wrong(job - job.min(1)) { "nobody" } else { "a@b.example" };
        let from = job / 3;
        format!(
            "[[job]]\nname = \"{job}\"\nhost = \"h{job}\"\n[job.parameters]\nfrom = \"{from}@b.example\"\nto = [\"{to}\"]\n"
        )
    };
    let text: String = (0..300).map(table).collect();
    let plan = of_text(Path::new("sonde.toml"), &text).unwrap();
    let mut judge = Judge::new();
    for (number, planned) in plan.jobs.iter().enumerate() {
        let among = planned.validated(&smtp, &mut judge).await.map(drop);
        let alone = planned.validated(&smtp, &mut Judge::new()).await.map(drop);
        assert_eq!(among, alone);
        assert_eq!(among.is_err(), is_wrong(number) || is_wrong(number - number.min(1)), "{number}");
    }
}
