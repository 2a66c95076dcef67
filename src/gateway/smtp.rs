//! One conversation with the mail server, and what its answers mean for a letter.
//!
//! The steps are taken one by one, because the same code means different things at different steps: a refused
//! recipient is news for the sender, a refused sign-in is our own misconfiguration and must not look like one.

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use lettre::address::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;

use crate::config::{Smtp, SmtpTls};

/// How long the server may take to connect, and to answer each command.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long a good-bye may take: the letter's fate is known by then.
const GOODBYE: Duration = Duration::from_secs(2);
/// Conversations at once.
const CONVERSATIONS_MAX: usize = 4;
/// Characters of an error's own text that a log line takes over.
const CAUSE_CHARS_MAX: usize = 200;

const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The mail server has taken it.
    Over,
    /// Not now: to be tried again.
    Later {
        /// For the log: a sentence with codes, without addresses or anything that the server said.
        log: String,
    },
    /// Never: trying again would not help.
    Refused {
        /// For the sender of the message: a sentence in plain words.
        reason: String,
        /// For the log, as above.
        log: String,
    },
}

/// The mail server and how to speak with it.
pub(super) struct Server {
    host: String,
    port: u16,
    protection: Protection,
    credentials: Option<Credentials>,
    hello: ClientId,
    conversations: Semaphore,
    pub(super) patience: Duration,
}

enum Protection {
    None,
    Starttls(TlsParameters),
    Tls(TlsParameters),
}

/// Why the connection could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The authority could not be read.
    #[error("smtp.ca_file could not be read: {0}.")]
    Unreadable(io::Error),
    /// It is no certificate, or the server's name cannot stand in one.
    #[error("TLS to the mail server could not be set up: {0}.")]
    Unusable(Error),
    /// A file without any certificate would trust nobody.
    #[error("smtp.ca_file holds no certificate.")]
    Empty,
}

/// The parts of a conversation, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connect,
    Starttls,
    SignIn,
    Sender,
    Recipient,
    Data,
    Content,
}

/// Where a conversation ended, and how.
struct Fault {
    step: Step,
    /// None: the server's time was up.
    cause: Option<Error>,
}

/// The class of an enhanced status is that of the code; these are its subject and detail (RFC 3463).
type Status = (u16, u16);

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Later,
    Full,
    Refused(&'static str),
}

impl Server {
    /// Prepares the connection; nothing is opened yet. `hello` is how we introduce ourselves.
    pub(super) fn new(smtp: &Smtp, hello: ClientId) -> Result<Self, TlsError> {
        let host = smtp.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let protection = match smtp.tls {
            SmtpTls::None => Protection::None,
            SmtpTls::Starttls => Protection::Starttls(trust(smtp, &host)?),
            SmtpTls::Tls => Protection::Tls(trust(smtp, &host)?),
        };
        let credentials = smtp.user.clone().zip(smtp.password.as_ref());
        let credentials =
            credentials.map(|(user, password)| Credentials::new(user, password.expose_secret().to_owned()));
        let conversations = Semaphore::new(CONVERSATIONS_MAX);
        Ok(Self { host, port: smtp.port, protection, credentials, hello, conversations, patience: PATIENCE })
    }

    /// Hands over one mail to one recipient. Ends in bounded time, whatever the server does.
    pub(super) async fn hand_over(&self, from: &Address, to: &Address, mail: &[u8]) -> Delivery {
        let Ok(_permit) = self.conversations.acquire().await else {
            return Delivery::Later { log: "No conversation with the mail server is possible any more.".to_owned() };
        };
        match self.converse(from, to, mail).await {
            Ok(()) => Delivery::Over,
            Err(fault) => fault.judge(),
        }
    }

    async fn converse(&self, from: &Address, to: &Address, mail: &[u8]) -> Result<(), Fault> {
        let mut line = self.connect().await?;
        let outcome = self.speak(&mut line, from, to, mail).await;
        // Only manners, so nobody waits for long, and nothing can fail. A line that broke has nobody to say it to, and
        // one whose TLS failed must not be spoken on again.
        let answered = |fault: &Fault| fault.cause.as_ref().is_some_and(|error| error.status().is_some());
        if outcome.as_ref().err().is_none_or(answered) {
            let _ = tokio::time::timeout(self.patience.min(GOODBYE), line.abort()).await;
        }
        outcome
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Fault> {
        let tls = match &self.protection {
            Protection::Tls(trust) => Some(trust.clone()),
            Protection::None | Protection::Starttls(_) => None,
        };
        // Half of the time for one address, so that a dead one leaves some for the next.
        let at = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(at, Some(self.patience / 2), &self.hello, tls, None);
        self.bounded(Step::Connect, connecting).await
    }

    async fn speak(
        &self,
        line: &mut AsyncSmtpConnection,
        from: &Address,
        to: &Address,
        mail: &[u8],
    ) -> Result<(), Fault> {
        if let Protection::Starttls(trust) = &self.protection {
            self.bounded(Step::Starttls, line.starttls(trust.clone(), &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            self.bounded(Step::SignIn, line.auth(&[Mechanism::Plain, Mechanism::Login], credentials)).await?;
        }
        self.bounded(Step::Sender, line.command(Mail::new(Some(from.clone()), Vec::new()))).await?;
        self.bounded(Step::Recipient, line.command(Rcpt::new(to.clone(), Vec::new()))).await?;
        self.bounded(Step::Data, line.command(Data)).await?;
        self.bounded(Step::Content, line.message(mail)).await?;
        Ok(())
    }

    async fn bounded<T>(&self, step: Step, act: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
        match tokio::time::timeout(self.patience, act).await {
            Ok(done) => done.map_err(|error| Fault { step, cause: Some(error) }),
            Err(_) => Err(Fault { step, cause: None }),
        }
    }
}

/// Whom to believe: the public authorities, or the configured one in their place.
fn trust(smtp: &Smtp, host: &str) -> Result<TlsParameters, TlsError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    builder = match &smtp.ca_file {
        None => builder.certificate_store(CertificateStore::WebpkiRoots),
        Some(path) => {
            let pem = std::fs::read(path).map_err(TlsError::Unreadable)?;
            if !pem.windows(PEM_BEGIN.len()).any(|part| part == PEM_BEGIN) {
                return Err(TlsError::Empty);
            }
            let authority = Certificate::from_pem(&pem).map_err(TlsError::Unusable)?;
            builder.certificate_store(CertificateStore::None).add_root_certificate(authority)
        }
    };
    builder.build().map_err(TlsError::Unusable)
}

impl Fault {
    fn judge(&self) -> Delivery {
        let Some(error) = &self.cause else {
            return Delivery::Later { log: format!("The mail server did not answer in time at {}.", self.step) };
        };
        let Some(code) = error.status().map(u16::from) else {
            return Delivery::Later { log: format!("The mail server failed at {}: {}.", self.step, self.told(error)) };
        };
        let said = error.source().map(ToString::to_string).unwrap_or_default();
        let status = enhanced_status(&said);
        let mut log = format!("The mail server answered {} with {code}", self.step);
        if let Some((subject, detail)) = status {
            log.push_str(&format!(" {}.{subject}.{detail}", code / 100));
        }
        match verdict(self.step, code, status) {
            Verdict::Later => Delivery::Later { log: log + "." },
            Verdict::Full => Delivery::Later { log: log + ": the mailbox is full." },
            Verdict::Refused(reason) => Delivery::Refused { reason: reason.to_owned(), log: log + "." },
        }
    }

    /// What an error that is no answer says. Before the envelope its whole text, which an administrator needs to mend
    /// a certificate; later only its kind, because the text may quote the recipient, and sign-in's the credentials.
    fn told(&self, error: &Error) -> String {
        if matches!(self.step, Step::Connect | Step::Starttls) {
            let text: String = error.to_string().chars().filter(|c| !c.is_control()).take(CAUSE_CHARS_MAX).collect();
            return text.trim_end_matches('.').to_owned();
        }
        let mut cause = error.source();
        while let Some(inner) = cause {
            if let Some(inner) = inner.downcast_ref::<io::Error>() {
                return inner.kind().to_string();
            }
            cause = inner.source();
        }
        let kind = if error.is_client() { "it lacks what the configuration asks for" } else { "not an SMTP answer" };
        kind.to_owned()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Starttls => "STARTTLS",
            Self::SignIn => "AUTH",
            Self::Sender => "MAIL",
            Self::Recipient => "RCPT",
            Self::Data => "DATA",
            Self::Content => "the end of DATA",
        })
    }
}

/// Reads `5.1.1` off the beginning of an answer's text (RFC 2034).
fn enhanced_status(text: &str) -> Option<Status> {
    let mut parts = text.split_whitespace().next()?.splitn(3, '.');
    let mut number = || parts.next()?.parse::<u16>().ok().filter(|number| *number < 1000);
    let (class, subject, detail) = (number()?, number()?, number()?);
    matches!(class, 2 | 4 | 5).then_some((subject, detail))
}

const NO_SUCH_MAILBOX: &str = "The mail server says that there is no such mailbox.";
const ADDRESS_REFUSED: &str = "The mail server does not accept mail for this address.";
const NOTICE_REFUSED: &str = "The mail server did not accept the notice.";

fn verdict(step: Step, code: u16, status: Option<Status>) -> Verdict {
    // Wrong commands, missing sign-in, a sender address that it does not like: ours to mend, not the recipient's fault.
    let ours = matches!(code, 500 | 502..=504 | 530 | 534 | 535 | 538) || matches!(status, Some((1, 7 | 8)));
    let about_letter = matches!(step, Step::Recipient | Step::Data | Step::Content);
    if code < 500 || ours || !about_letter {
        return Verdict::Later;
    }
    if status == Some((2, 2)) || (code == 552 && status.is_none_or(|(subject, _)| subject != 7)) {
        return Verdict::Full;
    }
    let unknown = match status {
        Some((1, _)) => true,
        // Some large servers say 550 5.5.0 of an unknown mailbox.
        None | Some((0 | 5, _)) => step == Step::Recipient && matches!(code, 550 | 551 | 553),
        Some(_) => false,
    };
    match step {
        _ if unknown => Verdict::Refused(NO_SUCH_MAILBOX),
        Step::Recipient => Verdict::Refused(ADDRESS_REFUSED),
        _ => Verdict::Refused(NOTICE_REFUSED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_mailbox_is_said_in_plain_words() {
        for (code, status) in
            [(550, None), (551, None), (553, None), (550, Some((1, 1))), (501, Some((1, 3))), (550, Some((5, 0)))]
        {
            assert_eq!(verdict(Step::Recipient, code, status), Verdict::Refused(NO_SUCH_MAILBOX), "{code} {status:?}");
        }
        assert_eq!(verdict(Step::Content, 550, Some((1, 1))), Verdict::Refused(NO_SUCH_MAILBOX));
    }

    #[test]
    fn other_refusals_are_not_taken_for_an_unknown_mailbox() {
        assert_eq!(verdict(Step::Recipient, 550, Some((7, 1))), Verdict::Refused(ADDRESS_REFUSED));
        assert_eq!(verdict(Step::Recipient, 554, None), Verdict::Refused(ADDRESS_REFUSED));
        assert_eq!(verdict(Step::Content, 550, None), Verdict::Refused(NOTICE_REFUSED));
        assert_eq!(verdict(Step::Content, 552, Some((7, 0))), Verdict::Refused(NOTICE_REFUSED));
        assert_eq!(verdict(Step::Data, 554, Some((5, 1))), Verdict::Refused(NOTICE_REFUSED));
    }

    #[test]
    fn a_full_mailbox_may_be_emptied() {
        for (code, status) in [(552, None), (552, Some((2, 2))), (550, Some((2, 2))), (554, Some((2, 2)))] {
            assert_eq!(verdict(Step::Recipient, code, status), Verdict::Full, "{code} {status:?}");
        }
    }

    #[test]
    fn what_is_ours_to_mend_never_refuses_a_letter() {
        for step in [Step::Connect, Step::Starttls, Step::SignIn, Step::Sender] {
            assert_eq!(verdict(step, 550, Some((1, 1))), Verdict::Later, "{step}");
            assert_eq!(verdict(step, 535, Some((7, 8))), Verdict::Later, "{step}");
        }
        for (code, status) in [(530, Some((7, 0))), (503, Some((5, 1))), (550, Some((1, 8))), (451, None)] {
            assert_eq!(verdict(Step::Recipient, code, status), Verdict::Later, "{code} {status:?}");
        }
    }

    #[test]
    fn enhanced_status_is_read_strictly() {
        assert_eq!(enhanced_status("5.1.1 <a@b.example>: no"), Some((1, 1)));
        assert_eq!(enhanced_status("4.2.2"), Some((2, 2)));
        for other in ["", "no", "5.1", "5.1.1.1 x", "9.1.1 x", "5.1.1000", "a.b.c", "<5.1.1>"] {
            assert_eq!(enhanced_status(other), None, "{other}");
        }
    }
}
