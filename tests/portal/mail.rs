//! Letters handed to real mail servers: what arrives, what a refusal means, and that no server can hold us up.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sealpost::config::{Smtp, SmtpTls};
use sealpost::gateway::mail::{Date, Delivery, Letter, Postman};

use crate::smtp::{BadServer, MailServer, Manner};

/// What a server that says nothing is given here.
const SHORT: Duration = Duration::from_millis(200);
/// Far less than the real patience, far more than this machine needs for a few commands.
const SOON: Duration = Duration::from_secs(10);

fn letter() -> Letter {
    Letter {
        id: "00ff17".into(),
        template: "notice",
        to: "ana@patients.example".into(),
        recipient: "Ana Díaz".into(),
        sender: "Dr. Žofie Nowak".into(),
        practice: "Praxis am Park".into(),
        host: "Praxis am Park".into(),
        link: "https://post.example.org/register/t0k3n_with-all-of-its-characters_0123456789".into(),
        invited: true,
        expires: Date { iso: "2026-03-09".into(), short: "9 Mar".into(), long: "Monday 9 March 2026".into() },
        created: 1_700_000_000,
    }
}

fn smtp(port: u16) -> Smtp {
    Smtp {
        host: "127.0.0.1".into(),
        port,
        tls: SmtpTls::None,
        user: None,
        password: None,
        from: "post@practice.example".into(),
        ca_file: None,
    }
}

fn postman(smtp: &Smtp) -> Postman {
    Postman::new(Some(smtp), "https://post.example.org").unwrap()
}

fn later(delivery: Delivery) -> String {
    match delivery {
        Delivery::Later { log } => log,
        other => panic!("must be tried again: {other:?}"),
    }
}

#[tokio::test]
async fn a_letter_arrives_once_with_both_parts() {
    let folder = tempfile::tempdir().unwrap();
    let server = MailServer::start(folder.path());
    let (postman, letter) = (postman(&smtp(server.address.port())), letter());
    assert_eq!(postman.deliver(&letter).await, Delivery::Over);
    let mails = server.wait_for(1);
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    for (name, value) in [
        ("X-MailFrom", "post@practice.example"),
        ("X-RcptTo", "ana@patients.example"),
        ("To", "ana@patients.example"),
        ("From", "\"Praxis am Park via Sealpost\" <post@practice.example>"),
        ("Date", "Tue, 14 Nov 2023 22:13:20 +0000"),
        ("Message-ID", "<00ff17@post.example.org>"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
    ] {
        assert_eq!(mail.header(name), Some(value), "{name}");
    }
    assert!(mail.headers.iter().all(|(name, _)| !name.to_ascii_lowercase().starts_with("list-")));
    assert!(mail.raw.is_ascii(), "no server needs an extension for it");
    assert_eq!(mail.links(), [letter.link.as_str()]);
    let seen = postman.render(&letter).unwrap();
    assert_eq!(mail.part("text/plain").unwrap().trim_end(), seen.text.trim_end());
    assert_eq!(mail.part("text/html").unwrap().trim_end(), seen.html.trim_end());
}

#[tokio::test]
async fn a_repeated_letter_keeps_its_message_id() {
    let folder = tempfile::tempdir().unwrap();
    let server = MailServer::start(folder.path());
    let postman = postman(&smtp(server.address.port()));
    assert_eq!(postman.deliver(&letter()).await, Delivery::Over);
    assert_eq!(postman.deliver(&letter()).await, Delivery::Over);
    let mails = server.wait_for(2);
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
}

#[tokio::test]
async fn names_reach_one_recipient_and_add_no_header() {
    let folder = tempfile::tempdir().unwrap();
    let server = MailServer::start(folder.path());
    let postman = postman(&smtp(server.address.port()));
    let mut plain = letter();
    assert_eq!(postman.deliver(&plain).await, Delivery::Over);
    let evil = "A\r\nBcc: eve@evil.example\r\n.\r\nRCPT TO:<eve@evil.example>\0\u{202E}<eve@evil.example>, B";
    for field in [&mut plain.sender, &mut plain.practice, &mut plain.recipient, &mut plain.host] {
        *field = evil.to_owned();
    }
    assert_eq!(postman.deliver(&plain).await, Delivery::Over);
    let mails = server.wait_for(2);
    let names = |at: usize| mails[at].headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    assert_eq!((mails.len(), names(1)), (2, names(0)));
    assert_eq!(mails[1].header("X-RcptTo"), Some("ana@patients.example"));
    assert!(mails[1].header("From").unwrap().ends_with("<post@practice.example>"));
    assert!(mails[1].part("text/html").unwrap().contains("&lt;eve@evil.example&gt;"));
}

#[tokio::test]
async fn a_refused_recipient_is_told_in_plain_words_and_logged_without_the_address() {
    let server = BadServer::start(Manner::Refuses);
    let Delivery::Refused { reason, log } = postman(&smtp(server.address.port())).deliver(&letter()).await else {
        panic!("550 is final");
    };
    assert_eq!(reason, "The mail server says that there is no such mailbox.");
    assert_eq!(log, "The mail server answered RCPT with 550 5.1.1.");
}

#[tokio::test]
async fn an_address_that_is_none_reaches_no_server() {
    let server = BadServer::start(Manner::Refuses);
    let postman = postman(&smtp(server.address.port()));
    for to in
        ["", "ana", "ana@patients.example\r\nRCPT TO:<eve@evil.example>", "žofie@patients.example", "a b@c.example"]
    {
        let delivery = postman.deliver(&Letter { to: to.into(), ..letter() }).await;
        assert!(matches!(delivery, Delivery::Refused { .. }), "{to:?}: {delivery:?}");
    }
    assert_eq!(server.callers(), 0);
}

#[tokio::test]
async fn a_deferred_letter_is_tried_again() {
    let server = BadServer::start(Manner::Defers);
    let log = later(postman(&smtp(server.address.port())).deliver(&letter()).await);
    assert_eq!(log, "The mail server answered RCPT with 451 4.3.0.");
}

#[tokio::test]
async fn a_silent_server_is_given_up_soon() {
    let server = BadServer::start(Manner::Silent);
    let begun = Instant::now();
    let log = later(postman(&smtp(server.address.port())).with_patience(SHORT).deliver(&letter()).await);
    assert_eq!(log, "The mail server did not answer in time at connecting.");
    assert!(begun.elapsed() >= SHORT && begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(server.callers(), 1);
}

#[tokio::test]
async fn a_server_that_is_down_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = MailServer::start(folder.path());
    let postman = postman(&smtp(server.address.port()));
    server.stop();
    let log = later(postman.deliver(&letter()).await);
    assert!(log.contains("connecting") && log.to_lowercase().contains("refused"), "{log}");
    server.resume();
    assert_eq!(postman.deliver(&letter()).await, Delivery::Over);
    assert_eq!(server.wait_for(1).len(), 1);
}

#[tokio::test]
async fn without_a_server_letters_wait() {
    let postman = Postman::new(None, "https://post.example.org").unwrap();
    assert_eq!(later(postman.deliver(&letter()).await), "No mail server is configured.");
}

/// A certificate for `name`, signed by itself, and its key.
fn certificate(folder: &Path, name: &str) -> (String, String) {
    let at = |end: &str| folder.join(format!("{name}.{end}")).to_str().expect("UTF-8").to_owned();
    let (certificate, key) = (at("pem"), at("key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=mail", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-addext", &format!("subjectAltName={name}"), "-keyout", &key, "-out", &certificate])
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl runs").success(), "a certificate");
    (certificate, key)
}

#[tokio::test]
async fn starttls_is_asked_for_and_never_done_without() {
    let folder = tempfile::tempdir().unwrap();
    let server = MailServer::start(folder.path());
    let smtp = Smtp { tls: SmtpTls::Starttls, ..smtp(server.address.port()) };
    let log = later(postman(&smtp).deliver(&letter()).await);
    assert!(log.contains("at STARTTLS"), "{log}");
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_certificate_must_be_vouched_for_and_name_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let (right, right_key) = certificate(folder.path(), "IP:127.0.0.1");
    let (other, other_key) = certificate(folder.path(), "DNS:other.example");
    let server = MailServer::start_tls(&folder.path().join("right"), &right, &right_key);
    let misnamed = MailServer::start_tls(&folder.path().join("other"), &other, &other_key);
    let to = |server: &MailServer, authority: Option<&str>| {
        let ca_file = authority.map(Into::into);
        postman(&Smtp { tls: SmtpTls::Starttls, ca_file, ..smtp(server.address.port()) })
    };
    for (server, authority) in [(&server, None), (&server, Some(other.as_str())), (&misnamed, Some(other.as_str()))] {
        let log = later(to(server, authority).deliver(&letter()).await);
        assert!(log.contains("STARTTLS") && log.contains("certificate"), "{log}");
    }
    assert_eq!(to(&server, Some(&right)).deliver(&letter()).await, Delivery::Over);
    assert_eq!((server.wait_for(1).len(), misnamed.mails().len()), (1, 0));
}
