//! What goes to a name server and comes from it, one question at a time.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use super::*;
use crate::net::resolve::{resolv_conf::Asking, servers::Servers};

#[tokio::test]
async fn a_question_that_is_lost_is_asked_again_until_there_is_an_answer() {
    let lost = Mutex::new(HashMap::new());
    let server = NameServer::start(move |question| {
        let mut lost = lost.lock().unwrap();
        let times = lost.entry(question.kind).or_insert(0);
        *times += 1;
        if *times > 3 { only(question, &["10.0.0.1"]) } else { Vec::new() }
    });
    assert_eq!(found(&asking([&server]), "mx1.test").await, ["10.0.0.1"]);
}

#[tokio::test]
async fn who_only_says_who_else_might_know_is_not_believed_that_there_is_nothing() {
    let good = NameServer::start(|question| only(question, &["10.0.0.1"]));
    let empty = NameServer::start(|question| vec![question.without_recursion(&[])]);
    let root =
        NameServer::start(|question| vec![question.without_recursion(&[Record::server("", 60, "a.root")])]);
    for lame in [&empty, &root] {
        assert_eq!(found(&asking([lame, &good]), "mx1.test").await, ["10.0.0.1"]);
        let said = format!(
            "{} refuses to answer: it only says who else might know (it is no resolver)",
            lame.address
        );
        assert_eq!(fault(&asking([lame]), "mx1.test").await, (HostError::ResolverRefused, said));
    }
    // Of a server's own zone it is enough.
    let own =
        NameServer::start(|question| vec![question.without_recursion(&[Record::nothing_for("test", 60)])]);
    assert_eq!(fault(&asking([&own, &good]), "mx1.test").await.0, HostError::NameNotFound);
}

#[tokio::test]
async fn what_fails_without_the_question_in_it_is_an_answer() {
    let server = NameServer::start(|question| {
        let mut answer = question.answer(NOTIMP, &[])[..12].to_vec();
        answer[5] = 0;
        vec![answer]
    });
    assert_eq!(fault(&asking([&server]), "mx1.test").await.0, HostError::ResolverRefused);
}

#[tokio::test]
async fn what_is_too_long_for_udp_comes_by_tcp_and_has_a_bound() {
    let server = NameServer::start(|question| {
        if !question.is_by_tcp {
            return vec![question.truncated()];
        }
        let all = |of: fn(u16) -> IpAddr| (0..2200).map(of).collect::<Vec<_>>();
        let all = match question.kind {
            A => all(|number| Ipv4Addr::from(0x0a00_0000 + u32::from(number)).into()),
            _ => all(|number| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number).into()),
        };
        let records: Vec<_> =
            all.iter().map(|address| Record::address(&question.name, 60, *address)).collect();
        vec![question.answer(NO_ERROR, &records)]
    });
    assert_eq!(found(&asking([&server]), "many.test").await.len(), 512);
}

#[tokio::test]
async fn what_is_cut_by_udp_and_does_not_say_so_comes_by_tcp() {
    let server = NameServer::start(|question| {
        let records: Vec<_> = (0..100)
            .map(|number| Record::address(&question.name, 60, Ipv4Addr::from(0x0a00_0000 + number).into()))
            .filter(|record| record.kind == question.kind)
            .collect();
        let mut answer = question.answer(NO_ERROR, &records);
        if question.name == "cut.test" && !question.is_by_tcp {
            answer.truncate(512);
        }
        vec![answer]
    });
    let resolver = asking([&server]);
    // One that is whole, whatever its length, is not asked for again.
    for (name, questions) in [("cut.test", 3), ("long.test", 2)] {
        assert_eq!(found(&resolver, name).await.len(), 100, "{name}");
        assert_eq!(server.asked(name), questions, "{name}");
    }
}

#[tokio::test]
async fn no_connection_to_a_server_is_used_twice() {
    let server = NameServer::start(|question| match (question.is_by_tcp, question.is_first) {
        (false, _) => vec![question.truncated()],
        (true, true) => only(question, &["10.0.0.1"]),
        // As of one that somebody between has forgotten.
        (true, false) => Vec::new(),
    });
    let resolver = asking([&server]);
    for name in ["mx1.test", "mx2.test", "mx3.test"] {
        assert_eq!(found(&resolver, name).await, ["10.0.0.1"]);
    }
}

#[tokio::test]
async fn who_has_heard_an_answer_to_another_question_waits_for_his_own() {
    let forged = Mutex::new(HashSet::new());
    let server = NameServer::start(move |question| {
        let mut answers = only(question, &["10.0.0.1"]);
        if forged.lock().unwrap().insert(question.kind) {
            answers[0][0] ^= 1;
        }
        answers
    });
    assert_eq!(found(&asking([&server]), "mx1.test").await, ["10.0.0.1"]);
}

#[tokio::test]
async fn an_answer_to_another_question_is_none() {
    let server = NameServer::start(|question| {
        let forged = Record::address(&question.name, 60, "10.0.0.66".parse().unwrap());
        let mut forged = question.answer(NO_ERROR, &[forged]);
        forged[0] ^= 1;
        [vec![forged], only(question, &["10.0.0.1"])].concat()
    });
    assert_eq!(found(&asking([&server]), "mx1.test").await, ["10.0.0.1"]);
}

#[tokio::test]
async fn an_alias_is_followed_and_a_circle_of_them_ends() {
    let server = NameServer::start(|question| match &*question.name {
        "alias.test" => vec![question.answer(NO_ERROR, &[Record::alias("alias.test", 60, "mx1.test")])],
        "whole.test" if question.kind == A => {
            let address = Record::address("mx1.test", 60, "10.0.0.1".parse().unwrap());
            vec![question.answer(NO_ERROR, &[Record::alias("whole.test", 60, "mx1.test"), address])]
        }
        "mx1.test" => only(question, &["10.0.0.1"]),
        "one.test" => vec![question.answer(NO_ERROR, &[Record::alias("one.test", 60, "other.test")])],
        "other.test" => vec![question.answer(NO_ERROR, &[Record::alias("other.test", 60, "one.test")])],
        _ => vec![question.answer(NO_ERROR, &[])],
    });
    let resolver = asking([&server]);
    assert_eq!(found(&resolver, "alias.test").await, ["10.0.0.1"]);
    assert_eq!(found(&resolver, "whole.test").await, ["10.0.0.1"]);
    let circle = format!("{} says that its aliases (CNAME) go in a circle, or have no end", server.address);
    assert_eq!(fault(&resolver, "one.test").await, (HostError::NameNotFound, circle));
    assert!(server.asked("one.test") + server.asked("other.test") <= 20);
}

#[tokio::test]
async fn of_a_name_one_of_whose_questions_is_lost_both_families_are_found() {
    for lost in [A, AAAA] {
        let is_lost = AtomicBool::new(false);
        let server = NameServer::start(move |question| {
            if question.kind == lost && !is_lost.swap(true, Ordering::Relaxed) {
                return Vec::new();
            }
            only(question, &["10.0.0.1", "2001:db8::1"])
        });
        assert_eq!(found(&asking([&server]), "both.test").await.len(), 2, "{lost}");
    }
}

#[tokio::test]
async fn a_server_that_finds_one_name_slowly_is_not_asked_last_for_others() {
    let first = NameServer::start(|question| match &*question.name {
        "slow.test" => Vec::new(),
        _ => only(question, &["10.0.0.1"]),
    });
    let other = NameServer::start(|question| vec![question.answer(NXDOMAIN, &[])]);
    let resolver = asking([&first, &other]);
    let slow = async {
        assert_eq!(fault(&resolver, "slow.test").await.0, HostError::NameNotFound);
    };
    tokio::join!(slow, async {
        time::sleep(Duration::from_millis(200)).await;
        found(&resolver, "quick.test").await;
    });
    assert_eq!(found(&resolver, "later.test").await, ["10.0.0.1"]);
}

#[tokio::test]
async fn a_server_that_does_not_know_edns_is_asked_without() {
    let server = NameServer::start(|question| {
        if question.has_edns { vec![question.answer(FORMERR, &[])] } else { only(question, &["10.0.0.1"]) }
    });
    let asking = Asking { has_edns: true, ..Asking::these(vec![server.address]) };
    let (found, _) = Servers::new(asking).look_up("mx1.test.", &Arc::default()).await;
    assert_eq!(found.unwrap(), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
}
