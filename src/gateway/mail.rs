//! Mail: letters made from templates and handed to the mail server. A letter knows names, a link and a date; there is
//! no way to put a word of a message into one.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::address::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::extension::ClientId;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use rust_embed::RustEmbed;
use serde::Serialize;

pub use super::smtp::{Delivery, TlsError};

use super::smtp::Server;
use crate::config::Smtp;
use crate::words::said::Said;
use crate::words::{FillError, Words, WordsError, fill};

/// Characters of a name that a letter shows; the rest is cut off.
const NAME_CHARS_MAX: usize = 120;

const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
const SUPPRESS: HeaderName = HeaderName::new_from_ascii_str("X-Auto-Response-Suppress");

#[derive(RustEmbed)]
#[folder = "ui/mail/"]
struct Templates;

/// A letter, filled in, without a word of any message.
#[derive(Clone)]
pub struct Letter {
    /// Hexadecimal; the same at every try, so that a receiver can tell a repeated letter by its Message-ID.
    pub id: String,
    /// A folder of `ui/mail/`: `notice` or `ask`.
    pub template: &'static str,
    /// The address.
    pub to: String,
    /// Name of whom the letter is for.
    pub recipient: String,
    /// Name of who wrote the message; in `ask`, of who asks.
    pub sender: String,
    /// Name of the sender's practice; empty for a sender without one.
    pub practice: String,
    /// Name of the practice that runs the server.
    pub host: String,
    /// Where it leads.
    pub link: String,
    /// Whether the recipient has not registered yet.
    pub invited: bool,
    /// Until when the message can be read.
    pub expires: Date,
    /// When the letter was written: seconds since 1970, UTC.
    pub created: i64,
}

/// A date as templates take it, made by whoever knows the reader's time zone.
#[derive(Clone, Debug, Serialize)]
pub struct Date {
    /// For machines: `2026-03-09`.
    pub iso: String,
    /// For lists: `9 Mar`.
    pub short: Said,
    /// For sentences: `Monday 9 March 2026`.
    pub long: Said,
}

/// A letter as its reader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The part for programs that show text.
    pub text: String,
    /// The part for programs that show pages.
    pub html: String,
}

/// Why letters cannot be made or sent. All but the last three are found at start, and so is a broken template.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The configured sender address is none.
    #[error("smtp.from is not an e-mail address.")]
    From,
    /// The configured web address has no host that could stand in a Message-ID.
    #[error("public_url has no host.")]
    PublicUrl,
    /// The mail server's connection could not be prepared.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A translation is of no use.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// A template is missing, broken or asks for what a letter does not have.
    #[error("A letter's template failed: {0}.")]
    Template(#[from] minijinja::Error),
    /// A text of ours has a wrong placeholder.
    #[error("A letter's text failed: {0}.")]
    Text(#[from] FillError),
    /// The parts could not be put together.
    #[error("A letter could not be put together: {0}.")]
    Compose(lettre::error::Error),
}

/// Makes letters and hands them to the mail server.
pub struct Postman {
    templates: Environment<'static>,
    words: Arc<Words>,
    server: Option<(Server, Address)>,
    /// How we are called: in EHLO, and behind the `@` of a Message-ID.
    name: String,
}

impl Postman {
    /// Compiles the templates and prepares the connection; nothing is sent. Without `smtp` letters can be shown but
    /// not delivered. `public_url` is the configured one.
    pub fn new(smtp: Option<&Smtp>, public_url: &str) -> Result<Self, MailError> {
        let words = Arc::new(Words::collect()?);
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        words.teach(&mut templates);
        for path in Templates::iter() {
            if let Some(file) = Templates::get(&path) {
                let text = String::from_utf8_lossy(&file.data).into_owned();
                templates.add_template_owned(path.into_owned(), text)?;
            }
        }
        let hello = client_id(public_url).ok_or(MailError::PublicUrl)?;
        let name = hello.to_string();
        let server = match smtp {
            None => None,
            Some(smtp) => {
                let from = smtp.from.parse().map_err(|_| MailError::From)?;
                Some((Server::new(smtp, hello)?, from))
            }
        };
        Ok(Self { templates, words, server, name })
    }

    /// Gives the server this long to connect, and for each answer, in place of 30 seconds.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        if let Some((server, _)) = &mut self.server {
            server.patience = patience;
        }
        self
    }

    /// Whether there is a mail server; without one, letters wait on the outbox page.
    pub fn has_server(&self) -> bool {
        self.server.is_some()
    }

    /// The letter as its reader will see it.
    pub fn render(&self, letter: &Letter) -> Result<Rendered, MailError> {
        let context = context! {
            recipient => one_line(&letter.recipient),
            sender => one_line(&letter.sender),
            practice => one_line(practice(letter)),
            host => one_line(&letter.host),
            link => letter.link.as_str(),
            invited => letter.invited,
            expires => Value::from(Serde(letter.expires.clone())),
        };
        let part = |file: &str, context: &Value| -> Result<String, MailError> {
            let template = self.templates.get_template(&format!("{}/{file}", letter.template))?;
            Ok(template.render(context)?)
        };
        Ok(Rendered {
            subject: part("subject.txt", &context)?.split_whitespace().collect::<Vec<_>>().join(" "),
            text: format!("{}\n", part("body.txt", &context)?.trim()),
            html: part("body.html", &context)?,
        })
    }

    /// Hands the letter to the mail server: one mail, one recipient. Ends in bounded time.
    pub async fn deliver(&self, letter: &Letter) -> Delivery {
        let Some((server, from)) = &self.server else {
            return Delivery::Later { log: "No mail server is configured.".to_owned() };
        };
        // SMTP without extensions carries ASCII addresses only, and browsers accept no others.
        let Some(to) = letter.to.parse::<Address>().ok().filter(|_| letter.to.is_ascii()) else {
            return Delivery::Refused {
                reason: "This is not an e-mail address that mail can be sent to.".to_owned(),
                log: "The recipient's address cannot be used.".to_owned(),
            };
        };
        match self.compose(letter, from, &to) {
            Ok(mail) => server.hand_over(from, &to, &mail).await,
            Err(fault) => Delivery::Later { log: fault.to_string() },
        }
    }

    /// The mail as it goes over the wire. Marked as automatic, so that holiday notes do not answer it.
    fn compose(&self, letter: &Letter, from: &Address, to: &Address) -> Result<Vec<u8>, MailError> {
        let Rendered { subject, text, html } = self.render(letter)?;
        let of = self.words.look_up("", "{practice} via Sealpost");
        let of = fill(of, |name| (name == "practice").then(|| one_line(practice(letter))))?;
        let id: String = letter.id.chars().filter(char::is_ascii_alphanumeric).collect();
        let created = Duration::from_secs(u64::try_from(letter.created).unwrap_or(0));
        let mail = Message::builder()
            .date(UNIX_EPOCH + created)
            .message_id(Some(format!("<{id}@{}>", self.name)))
            .from(Mailbox::new(Some(of), from.clone()))
            .to(Mailbox::new(None, to.clone()))
            .subject(subject)
            .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
            .raw_header(HeaderValue::new(SUPPRESS, "All".to_owned()))
            .multipart(MultiPart::alternative_plain_html(text, html));
        Ok(mail.map_err(MailError::Compose)?.formatted())
    }
}

/// A patient writes in nobody's name; such a letter comes from the practice that runs the server.
fn practice(letter: &Letter) -> &str {
    if letter.practice.trim().is_empty() { &letter.host } else { &letter.practice }
}

/// A name that somebody chose, fit for one line of a header: without line breaks and other control characters, without
/// the marks that turn the direction of writing (they could make a name read as an address), and of bounded length.
fn one_line(name: &str) -> String {
    let turns = |c: &char| {
        let mark = matches!(c, '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}');
        mark || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}')
    };
    let kept = name.chars().filter(|c| !turns(c)).map(|c| if c.is_control() { ' ' } else { c });
    let spaced: String = kept.collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(NAME_CHARS_MAX).collect()
}

/// The host of our pages, as SMTP writes hosts.
fn client_id(public_url: &str) -> Option<ClientId> {
    let url = url::Url::parse(public_url).ok()?;
    let host = url.host_str()?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Some(match (bare.parse::<Ipv4Addr>(), bare.parse::<Ipv6Addr>()) {
        (Ok(address), _) => ClientId::Ipv4(address),
        (_, Ok(address)) => ClientId::Ipv6(address),
        _ => ClientId::Domain(bare.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SmtpTls;

    fn letter(template: &'static str) -> Letter {
        Letter {
            id: "0a1b".into(),
            template,
            to: "ana@patients.example".into(),
            recipient: "Ana <i>Díaz</i>".into(),
            sender: "Dr. Žofie Nowak".into(),
            practice: "Praxis am Park".into(),
            host: "Praxis am Park".into(),
            link: "https://post.example.org/register/t0k3n".into(),
            invited: true,
            expires: Date { iso: "2026-03-09".into(), short: "9 Mar".into(), long: "Monday 9 March 2026".into() },
            created: 1_700_000_000,
        }
    }

    fn smtp() -> Smtp {
        Smtp {
            host: "127.0.0.1".into(),
            port: 25,
            tls: SmtpTls::None,
            user: None,
            password: None,
            from: "post@practice.example".into(),
            ca_file: None,
        }
    }

    fn postman() -> Postman {
        Postman::new(Some(&smtp()), "https://post.example.org").unwrap()
    }

    /// The header lines, joined where they were folded, of what would go over the wire.
    fn headers(letter: &Letter) -> Vec<String> {
        let from: Address = "post@practice.example".parse().unwrap();
        let to: Address = letter.to.parse().unwrap();
        let mail = String::from_utf8(postman().compose(letter, &from, &to).unwrap()).unwrap();
        assert!(mail.is_ascii() && !mail.replace("\r\n", "").contains(['\r', '\n', '\0']), "{mail}");
        let head = mail.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").replace("\r\n\t", " ");
        head.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_notice_says_who_until_when_and_where() {
        let made = postman().render(&letter("notice")).unwrap();
        assert_eq!(made.subject, "Dr. Žofie Nowak sent you a secure message");
        for part in [&made.text, &made.html] {
            assert!(part.contains("Monday 9 March 2026") && part.contains("Praxis am Park"), "{part}");
        }
        assert!(made.text.contains("\nhttps://post.example.org/register/t0k3n\n"), "{}", made.text);
        assert!(made.text.contains("Ana <i>Díaz</i>") && made.text.contains("confirm who you are"));
        assert!(!made.html.contains("<i>") && made.html.contains("Ana &lt;i&gt;D"), "names are escaped");
        let again = postman().render(&Letter { invited: false, ..letter("notice") }).unwrap();
        assert!(again.text.contains("sign in") && !again.text.contains("confirm who you are"));
    }

    #[test]
    fn every_template_can_be_made() {
        let mut names: Vec<String> =
            Templates::iter().filter_map(|path| Some(path.split_once('/')?.0.to_owned())).collect();
        names.dedup();
        assert!(names.contains(&"notice".to_owned()) && names.contains(&"ask".to_owned()));
        for name in names {
            let made = postman().render(&letter(Box::leak(name.into_boxed_str()))).unwrap();
            assert!(!made.subject.is_empty() && made.text.contains("https://") && made.html.contains("https:"));
        }
        assert!(postman().render(&letter("none")).is_err());
    }

    #[test]
    fn a_mail_has_the_headers_of_an_automatic_letter() {
        let headers = headers(&letter("notice"));
        for expected in [
            "Date: Tue, 14 Nov 2023 22:13:20 +0000",
            "Message-ID: <0a1b@post.example.org>",
            "From: \"Praxis am Park via Sealpost\" <post@practice.example>",
            "To: ana@patients.example",
            "Auto-Submitted: auto-generated",
            "X-Auto-Response-Suppress: All",
            "MIME-Version: 1.0",
        ] {
            assert!(headers.iter().any(|line| line == expected), "{expected} in {headers:#?}");
        }
        assert!(headers.iter().any(|line| line.starts_with("Content-Type: multipart/alternative;")));
        assert!(!headers.iter().any(|line| line.to_ascii_lowercase().starts_with("list-")));
    }

    #[test]
    fn names_do_not_become_headers() {
        for evil in [
            "A\r\nBcc: eve@evil.example",
            "A\nBcc: eve@evil.example\n\nhello",
            "A\r\n\r\n<p>hello",
            "A\0Bcc: eve@evil.example",
            "A\u{85}\u{2028}Bcc: eve@evil.example",
            "\"A\" <eve@evil.example>, B",
            "=?utf-8?q?A=0D=0ABcc:_eve?=",
            "\u{202E}elpmaxe.live\u{2066}",
        ] {
            let mut hostile = letter("notice");
            for field in [&mut hostile.sender, &mut hostile.practice, &mut hostile.recipient, &mut hostile.host] {
                *field = evil.to_owned();
            }
            hostile.id = evil.to_owned();
            let headers = headers(&hostile);
            let names: Vec<_> = headers.iter().filter_map(|line| Some(line.split_once(':')?.0)).collect();
            let expected = [
                "Date",
                "Message-ID",
                "From",
                "To",
                "Subject",
                "Auto-Submitted",
                "X-Auto-Response-Suppress",
                "MIME-Version",
                "Content-Type",
            ];
            assert_eq!((names.len(), headers.len()), (expected.len(), expected.len()), "{evil:?}: {headers:#?}");
            assert!(expected.iter().all(|name| names.contains(name)), "{evil:?}: {names:?}");
            assert!(headers.iter().any(|line| line.starts_with("From: ") && line.ends_with("<post@practice.example>")));
            let subject = postman().render(&hostile).unwrap().subject;
            assert!(
                !subject.contains(|c: char| c.is_control() || ('\u{2028}'..='\u{202E}').contains(&c)),
                "{subject:?}"
            );
        }
    }

    #[test]
    fn names_are_bounded_and_keep_their_letters() {
        assert_eq!(one_line("  Dr.\t Žofie \u{200F}نور "), "Dr. Žofie نور");
        assert_eq!(one_line(&"é".repeat(5000)).chars().count(), NAME_CHARS_MAX);
        let from_host = headers(&Letter { practice: " ".into(), host: "Host".into(), ..letter("notice") });
        assert!(from_host.iter().any(|line| line.starts_with("From: \"Host via Sealpost\"")), "{from_host:#?}");
    }

    #[test]
    fn a_message_id_names_our_host_as_mail_writes_hosts() {
        let name = |url: &str| client_id(url).map(|id| id.to_string());
        assert_eq!(name("https://post.example.org:8443").unwrap(), "post.example.org");
        assert_eq!(name("http://127.0.0.1:8080").unwrap(), "[127.0.0.1]");
        assert_eq!(name("http://[::1]:8080").unwrap(), "[IPv6:::1]");
        assert_eq!(name("nonsense"), None);
    }

    #[test]
    fn what_cannot_work_is_found_at_start() {
        let fault = |smtp: Smtp| Postman::new(Some(&smtp), "https://post.example.org").err().unwrap().to_string();
        assert!(fault(Smtp { from: "post@".into(), ..smtp() }).contains("smtp.from"));
        let no_file = Some("/nonexistent/authority.pem".into());
        let tls = Smtp { tls: SmtpTls::Tls, ..smtp() };
        assert!(fault(Smtp { ca_file: no_file, ..tls.clone() }).contains("smtp.ca_file"));
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(fault(Smtp { ca_file: Some(empty.path().into()), ..tls }).contains("no certificate"));
        assert!(Postman::new(None, "nonsense").is_err());
        assert!(!Postman::new(None, "https://post.example.org").unwrap().has_server());
    }
}
