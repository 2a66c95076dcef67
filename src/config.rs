//! Boot configuration: parsed once, handed down, never global.
//!
//! Sources, the later one wins: the TOML file (`--config`, else `./sealpost.toml` when it is there), the environment
//! (`SEALPOST_…`), the flags `--data` and `--listen`; systemd credentials win for the two secrets that they can carry.
//! A key that nobody knows is refused by name, so that a misspelt one does not silently mean its default.
//!
//! What belongs to a practice (its name, expiry, idle time) is not here but in the database, on the settings pages.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

/// The file that is read when `--config` names none and it exists in the working directory.
pub const FILE_DEFAULT: &str = "sealpost.toml";
/// Memory of one password derivation, KiB (RFC 9106, second recommended choice); may only be raised.
pub const PASSWORD_MEMORY_KIB_MIN: u32 = 64 * 1024;
/// Passes of one password derivation; may only be raised.
pub const PASSWORD_PASSES_MIN: u32 = 3;
/// Ceilings of the same two, so that a slip of the finger does not make every sign-in take minutes.
const PASSWORD_MEMORY_KIB_MAX: u32 = 4 * 1024 * 1024;
const PASSWORD_PASSES_MAX: u32 = 64;
/// Seconds that uploads in flight are given at shutdown, by default and at most.
const SHUTDOWN_SECONDS: u64 = 30;
const SHUTDOWN_SECONDS_MAX: u64 = 600;
/// The same for a demonstration, whose uploads nobody will miss.
const DEMO_SHUTDOWN_SECONDS: u64 = 2;
/// Connections open at once, by default and at most.
const CONNECTIONS: usize = 1024;
const CONNECTIONS_MAX: usize = 65_536;
/// Characters that a `metrics_token` needs to be no guess.
const METRICS_TOKEN_MIN: usize = 16;

const CREDENTIAL_HOST_KEY: &str = "sealpost-host-key";
const CREDENTIAL_SMTP_PASSWORD: &str = "smtp-password";

/// Everything the program is told from outside before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the listener binds. Plain HTTP: loopback, or behind a declared proxy.
    pub listen: SocketAddr,
    /// The data folder, absolute. Everything in it may be backed up; the host key is never in it.
    pub data: PathBuf,
    /// Where the host key lies.
    pub host_key: HostKeyPlace,
    /// What every link in a notice begins with. Port 0 only until the listener knows its own.
    pub public_url: PublicUrl,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The mail server; none means the built-in outbox page.
    pub smtp: Option<Smtp>,
    /// Start although the file system does not overwrite in place.
    pub accept_weak_erase: bool,
    /// Opens `/metrics` to whoever shows it as a bearer token.
    pub metrics_token: Option<SecretString>,
    /// What is logged, and how it looks.
    pub log: Log,
    /// Cost of one password derivation.
    pub password_cost: PasswordCost,
    /// How long requests in flight may go on after the stop signal.
    pub shutdown: Duration,
    /// Connections open at once; one too many is told to come back later.
    pub max_connections: usize,
    /// Whether this is a demonstration, which every page says.
    pub demo: bool,
}

/// Where the host key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeyPlace {
    /// A file of ours beside the data folder; made on the first start.
    File(PathBuf),
    /// A systemd credential: read only, never created.
    Credential(PathBuf),
}

impl HostKeyPlace {
    /// The path to read.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Credential(path) => path,
        }
    }
}

/// The mail server that notices are handed to.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Host name or address; also the name that its certificate must show.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// User name, when the server asks for one.
    pub user: Option<String>,
    /// Password to go with it.
    pub password: Option<SecretString>,
    /// The sender address of every notice.
    pub from: String,
    /// A PEM file with the authority to trust in place of the public ones.
    pub ca_file: Option<PathBuf>,
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// Plain at first, TLS before anything is said; refused when the server offers none.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// No protection: only to a server on this machine.
    None,
}

/// What is logged.
#[derive(Clone, Debug)]
pub struct Log {
    /// A filter as `tracing` reads it: `info`, `sealpost=debug`.
    pub filter: String,
    /// Lines for people or for machines.
    pub format: LogFormat,
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// Cost of one argon2id derivation with one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// A scheme, host and port: what links begin with and what a browser calls the origin of our pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    https: bool,
    host: String,
    port: u16,
}

impl PublicUrl {
    /// Plain HTTP on this address: what a loopback installation is called.
    pub fn http(at: SocketAddr) -> Self {
        let host = match at.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { https: false, host, port: at.port() }
    }

    /// Whether pages are reached over TLS (ended by a proxy in front of us).
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether the host is this machine itself.
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }

    /// The port, written out or implied by the scheme.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The origin as browsers write it: no path, no final slash, the scheme's own port left out.
impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, port) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == port { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text).map_err(|fault| format!("`{text}` is not a URL: {fault}"))?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(format!("a web address begins with https:// or http://, not {other}:")),
        };
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) if bare && anonymous => Ok(Self { https, host: host.to_owned(), port }),
            _ => Err(format!("`{text}` must be a scheme, a host and perhaps a port, and nothing more")),
        }
    }
}

/// Why the program does not start. Every message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("The configuration file {} could not be read: {source}.", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key or a value that we do not know.
    #[error("{}, line {line}: {message}.", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong there; names the key.
        message: String,
    },
    /// A variable of the environment that we do not know or cannot read.
    #[error("The environment variable {name}: {message}.")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// Values that are readable but must not be.
    #[error("{0}")]
    Refused(String),
}

fn refuse<T>(sentence: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Refused(sentence.into()))
}

/// What the command line may say.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// `--data FOLDER`.
    pub data: Option<PathBuf>,
    /// `--listen ADDRESS:PORT`.
    pub listen: Option<SocketAddr>,
}

/// The keys of the file, as written. The environment fills the same shape.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: Option<SocketAddr>,
    data: Option<PathBuf>,
    host_key: Option<PathBuf>,
    public_url: Option<String>,
    trusted_proxies: Option<Vec<String>>,
    accept_weak_erase: Option<bool>,
    metrics_token: Option<SecretString>,
    log_filter: Option<String>,
    log_format: Option<LogFormat>,
    password_memory_kib: Option<u32>,
    password_passes: Option<u32>,
    shutdown_seconds: Option<u64>,
    max_connections: Option<usize>,
    smtp: Option<RawSmtp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSmtp {
    host: Option<String>,
    port: Option<u16>,
    tls: Option<SmtpTls>,
    user: Option<String>,
    password: Option<SecretString>,
    from: Option<String>,
    ca_file: Option<PathBuf>,
}

impl Config {
    /// Reads every source and checks the whole.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let env = environment(|name| name.starts_with("SEALPOST_") || name == "CREDENTIALS_DIRECTORY");
        let file = match &flags.config {
            Some(path) => Some(path.clone()),
            None => Some(PathBuf::from(FILE_DEFAULT)).filter(|path| path.exists()),
        };
        let mut raw = match file {
            Some(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
                Raw::from_toml(&path, &text)?
            }
            None => Raw::default(),
        };
        raw.take_env(&env)?;
        raw.take_flags(flags);
        raw.take_credentials(&env, Path::exists, |path| {
            std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.into(), source })
        })
    }

    /// A private installation on a free loopback port, everything else by default: for trying out and for tests.
    pub fn loopback(data: &Path) -> Result<Self, ConfigError> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Raw { listen: Some(listen), data: Some(data.into()), ..Raw::default() }.check(None)
    }

    /// A demonstration on loopback, everything else by default. Nothing is read from outside but how to log.
    pub fn demo(listen: SocketAddr, data: &Path) -> Result<Self, ConfigError> {
        if !listen.ip().is_loopback() {
            return refuse(format!(
                "A demonstration is for whoever sits at this machine, and others could reach {listen}. Listen on \
                 127.0.0.1 or on [::1]."
            ));
        }
        let mut raw = Raw {
            listen: Some(listen),
            data: Some(data.into()),
            log_filter: Some("warn".to_owned()),
            shutdown_seconds: Some(DEMO_SHUTDOWN_SECONDS),
            ..Raw::default()
        };
        raw.take_env(&environment(|name| name.starts_with("SEALPOST_LOG_")))?;
        Ok(Self { demo: true, ..raw.check(None)? })
    }

    /// What `check` and the start say to be careful about; empty when there is nothing.
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.smtp.is_none() {
            found.push("No mail server is configured: notices wait on the outbox page.".to_owned());
        }
        if self.accept_weak_erase {
            found.push("accept_weak_erase is set: destroyed messages may stay readable on the disk.".to_owned());
        }
        found
    }
}

/// The variables of the environment whose names are asked for.
fn environment(is_ours: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let readable = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(readable).filter(|(name, _)| is_ours(name)).collect()
}

impl Raw {
    fn from_toml(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|fault| {
            let before = fault.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            ConfigError::Malformed {
                path: path.into(),
                line: before.matches('\n').count() + 1,
                message: fault.message().trim_end_matches('.').to_owned(),
            }
        })
    }

    fn take_env(&mut self, env: &[(String, String)]) -> Result<(), ConfigError> {
        for (name, value) in env {
            let Some(key) = name.strip_prefix("SEALPOST_") else { continue };
            let mut faulty = Ok(());
            match key {
                "LISTEN" => self.listen = parsed(value, &mut faulty),
                "DATA" => self.data = Some(value.into()),
                "HOST_KEY" => self.host_key = Some(value.into()),
                "PUBLIC_URL" => self.public_url = Some(value.clone()),
                "TRUSTED_PROXIES" => {
                    let nets = value.split(',').map(str::trim).filter(|net| !net.is_empty());
                    self.trusted_proxies = Some(nets.map(str::to_owned).collect());
                }
                "ACCEPT_WEAK_ERASE" => self.accept_weak_erase = parsed(value, &mut faulty),
                "METRICS_TOKEN" => self.metrics_token = Some(value.as_str().into()),
                "LOG_FILTER" => self.log_filter = Some(value.clone()),
                "LOG_FORMAT" => self.log_format = word(value, &mut faulty),
                "PASSWORD_MEMORY_KIB" => self.password_memory_kib = parsed(value, &mut faulty),
                "PASSWORD_PASSES" => self.password_passes = parsed(value, &mut faulty),
                "SHUTDOWN_SECONDS" => self.shutdown_seconds = parsed(value, &mut faulty),
                "MAX_CONNECTIONS" => self.max_connections = parsed(value, &mut faulty),
                _ => match key.strip_prefix("SMTP_") {
                    Some(key) => faulty = self.smtp.get_or_insert_default().take_env(key, value),
                    None => faulty = Err("there is no such setting".to_owned()),
                },
            }
            faulty.map_err(|message| ConfigError::Variable { name: name.clone(), message })?;
        }
        Ok(())
    }

    fn take_flags(&mut self, flags: &Flags) {
        self.data = flags.data.clone().or(self.data.take());
        self.listen = flags.listen.or(self.listen);
    }

    /// The last source; `exists` and `read` are the file system.
    fn take_credentials(
        mut self,
        env: &[(String, String)],
        exists: impl Fn(&Path) -> bool,
        read: impl Fn(&Path) -> Result<String, ConfigError>,
    ) -> Result<Config, ConfigError> {
        let folder = env.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY").map(|(_, path)| Path::new(path));
        let given = |name: &str| folder.map(|folder| folder.join(name)).filter(|path| exists(path));
        if let (Some(path), Some(smtp)) = (given(CREDENTIAL_SMTP_PASSWORD), &mut self.smtp) {
            smtp.password = Some(read(&path)?.trim_end_matches(['\r', '\n']).into());
        }
        self.check(given(CREDENTIAL_HOST_KEY))
    }

    fn check(self, host_key_credential: Option<PathBuf>) -> Result<Config, ConfigError> {
        let listen = self.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
        let data = absolute(self.data.unwrap_or_else(|| PathBuf::from("data")))?;
        let host_key = match host_key_credential {
            Some(path) => HostKeyPlace::Credential(path),
            None => HostKeyPlace::File(host_key_path(&data, self.host_key)?),
        };
        let public_url = match self.public_url {
            Some(text) => match text.parse() {
                Ok(url) => url,
                Err(fault) => return refuse(format!("public_url: {fault}.")),
            },
            None => PublicUrl::http(listen),
        };
        let trusted_proxies = networks(self.trusted_proxies.unwrap_or_default())?;
        check_exposure(listen, &public_url, &trusted_proxies)?;
        if let Some(token) = &self.metrics_token
            && secrecy::ExposeSecret::expose_secret(token).len() < METRICS_TOKEN_MIN
        {
            return refuse(format!("metrics_token needs at least {METRICS_TOKEN_MIN} characters."));
        }
        Ok(Config {
            listen,
            data,
            host_key,
            public_url,
            trusted_proxies,
            smtp: self.smtp.map(RawSmtp::check).transpose()?,
            accept_weak_erase: self.accept_weak_erase.unwrap_or(false),
            metrics_token: self.metrics_token,
            log: Log {
                filter: self.log_filter.unwrap_or_else(|| "info".to_owned()),
                format: self.log_format.unwrap_or(LogFormat::Auto),
            },
            password_cost: PasswordCost {
                memory_kib: within(
                    "password_memory_kib",
                    self.password_memory_kib.unwrap_or(PASSWORD_MEMORY_KIB_MIN),
                    PASSWORD_MEMORY_KIB_MIN..=PASSWORD_MEMORY_KIB_MAX,
                )?,
                passes: within(
                    "password_passes",
                    self.password_passes.unwrap_or(PASSWORD_PASSES_MIN),
                    PASSWORD_PASSES_MIN..=PASSWORD_PASSES_MAX,
                )?,
            },
            shutdown: Duration::from_secs(within(
                "shutdown_seconds",
                self.shutdown_seconds.unwrap_or(SHUTDOWN_SECONDS),
                0..=SHUTDOWN_SECONDS_MAX,
            )?),
            max_connections: within(
                "max_connections",
                self.max_connections.unwrap_or(CONNECTIONS),
                1..=CONNECTIONS_MAX,
            )?,
            demo: false,
        })
    }
}

impl RawSmtp {
    fn take_env(&mut self, key: &str, value: &str) -> Result<(), String> {
        let mut faulty = Ok(());
        match key {
            "HOST" => self.host = Some(value.to_owned()),
            "PORT" => self.port = parsed(value, &mut faulty),
            "TLS" => self.tls = word(value, &mut faulty),
            "USER" => self.user = Some(value.to_owned()),
            "PASSWORD" => self.password = Some(value.into()),
            "FROM" => self.from = Some(value.to_owned()),
            "CA_FILE" => self.ca_file = Some(value.into()),
            _ => faulty = Err("there is no such setting".to_owned()),
        }
        faulty
    }

    fn check(self) -> Result<Smtp, ConfigError> {
        let Some(host) = self.host.filter(|host| !host.is_empty()) else {
            return refuse("smtp.host is missing: name the mail server, or leave out the whole [smtp] section.");
        };
        let Some(from) = self.from.filter(|from| from.contains('@')) else {
            return refuse("smtp.from is missing: notices need an e-mail address to come from.");
        };
        let tls = self.tls.unwrap_or(SmtpTls::Starttls);
        if tls == SmtpTls::None && !is_loopback_host(&host) {
            return refuse(format!(
                "smtp.tls = \"none\" is allowed only to a mail server on this machine, and {host} is another one: \
                 use \"starttls\" or \"tls\"."
            ));
        }
        if self.user.is_some() != self.password.is_some() {
            return refuse("smtp.user and smtp.password belong together: give both or neither.");
        }
        let port = self.port.unwrap_or(match tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        });
        Ok(Smtp { host, port, tls, user: self.user, password: self.password, from, ca_file: self.ca_file })
    }
}

/// Nothing secret travels in the clear over a network: not to us, and not from a proxy to the people.
fn check_exposure(listen: SocketAddr, public_url: &PublicUrl, proxies: &[IpNet]) -> Result<(), ConfigError> {
    let declared = !proxies.is_empty() && public_url.is_https();
    if declared || (listen.ip().is_loopback() && !public_url.is_https() && public_url.is_loopback()) {
        return Ok(());
    }
    if !listen.ip().is_loopback() {
        return refuse(format!(
            "Sealpost speaks plain HTTP and would listen on {listen}, where others can read along. Listen on \
             127.0.0.1, or put a TLS proxy in front: set trusted_proxies to its address and public_url to the \
             https:// address that people use."
        ));
    }
    if public_url.is_https() {
        return refuse(format!(
            "public_url is {public_url}, but Sealpost itself speaks plain HTTP. Set trusted_proxies to the address of \
             the TLS proxy in front of it (127.0.0.1/32 when that runs on this machine)."
        ));
    }
    refuse(format!(
        "public_url is {public_url}: people would send passwords in the clear. Use an https:// address and name the \
         TLS proxy in trusted_proxies."
    ))
}

/// Beside the data folder, never inside: whoever copies the data must not copy its key along.
fn host_key_path(data: &Path, given: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    let path = match given {
        Some(path) => absolute(path)?,
        None => {
            let Some(name) = data.file_name() else {
                return refuse("data must be a folder with a name, so that the host key can lie beside it.");
            };
            let mut name = name.to_owned();
            name.push(".host-key");
            data.with_file_name(name)
        }
    };
    if path.starts_with(data) {
        return refuse(format!(
            "host_key is {}, inside the data folder: a backup of the data would carry its own key. Put it elsewhere.",
            path.display()
        ));
    }
    Ok(path)
}

/// Absolute and without `.` and `..`, so that "inside the data folder" can be told by comparing.
fn absolute(path: PathBuf) -> Result<PathBuf, ConfigError> {
    use std::path::Component;
    let whole = std::path::absolute(&path).map_err(|source| ConfigError::Unreadable { path, source })?;
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    Ok(plain)
}

fn networks(texts: Vec<String>) -> Result<Vec<IpNet>, ConfigError> {
    let parse = |text: &String| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
    let mut nets = Vec::with_capacity(texts.len());
    for text in &texts {
        match parse(text) {
            Some(net) => nets.push(net),
            None => return refuse(format!("trusted_proxies: `{text}` is no address and no network like 10.0.0.0/8.")),
        }
    }
    Ok(nets)
}

fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn within<T: PartialOrd + fmt::Display>(
    key: &str,
    value: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, ConfigError> {
    if range.contains(&value) {
        return Ok(value);
    }
    refuse(format!("{key} is {value}; it must be from {} to {}.", range.start(), range.end()))
}

fn parsed<T: FromStr<Err: fmt::Display>>(value: &str, faulty: &mut Result<(), String>) -> Option<T> {
    value.parse().map_err(|fault: T::Err| *faulty = Err(format!("`{value}` cannot be read: {fault}"))).ok()
}

/// One of the words that serde knows for `T`.
fn word<T: serde::de::DeserializeOwned>(value: &str, faulty: &mut Result<(), String>) -> Option<T> {
    use serde::de::IntoDeserializer;
    let words: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = value.into_deserializer();
    T::deserialize(words).map_err(|fault| *faulty = Err(fault.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn file(text: &str) -> Result<Config, ConfigError> {
        Raw::from_toml(Path::new("sealpost.toml"), text)?.check(None)
    }

    fn refusal(text: &str) -> String {
        file(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn nothing_said_is_a_loopback_installation() {
        let config = file("").unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.public_url.to_string(), "http://127.0.0.1:8080");
        assert!(config.data.is_absolute() && config.data.ends_with("data"));
        let beside = config.data.with_file_name("data.host-key");
        assert_eq!(config.host_key, HostKeyPlace::File(beside));
        assert_eq!(config.password_cost, PasswordCost { memory_kib: 65_536, passes: 3 });
        assert!(config.smtp.is_none());
    }

    #[test]
    fn unknown_keys_are_refused_by_name_and_line() {
        let said = refusal("listen = \"127.0.0.1:1\"\nlistn = \"127.0.0.1:1\"\n");
        assert!(said.contains("line 2") && said.contains("`listn`"), "{said}");
        assert!(refusal("[smtp]\nhots = \"mail\"").contains("`hots`"));
        let mut raw = Raw::default();
        let fault = raw.take_env(&[("SEALPOST_LISTN".into(), "x".into())]).unwrap_err().to_string();
        assert!(fault.contains("SEALPOST_LISTN"), "{fault}");
        assert!(raw.take_env(&[("SEALPOST_SMTP_HOTS".into(), "x".into())]).is_err());
    }

    #[test]
    fn environment_beats_file_and_flags_beat_both() {
        let text =
            "listen = \"127.0.0.1:1\"\ndata = \"/a\"\naccept_weak_erase = false\n[smtp]\nhost = \"a\"\nfrom = \"a@b\"";
        let mut raw = Raw::from_toml(Path::new("f"), text).unwrap();
        let env = [
            ("SEALPOST_LISTEN", "127.0.0.1:2"),
            ("SEALPOST_DATA", "/b"),
            ("SEALPOST_ACCEPT_WEAK_ERASE", "true"),
            ("SEALPOST_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("SEALPOST_SMTP_TLS", "tls"),
            ("SEALPOST_LOG_FORMAT", "json"),
        ];
        raw.take_env(&env.map(|(k, v)| (k.into(), v.into()))).unwrap();
        raw.take_flags(&Flags { data: Some("/c".into()), ..Flags::default() });
        let config = raw.check(None).unwrap();
        assert_eq!((config.listen.port(), config.data), (2, PathBuf::from("/c")));
        assert!(config.accept_weak_erase);
        assert_eq!(config.trusted_proxies, ["10.0.0.0/8".parse::<IpNet>().unwrap(), "::1/128".parse().unwrap()]);
        let smtp = config.smtp.unwrap();
        assert_eq!((smtp.host.as_str(), smtp.tls, smtp.port), ("a", SmtpTls::Tls, 465));
        assert_eq!(config.log.format, LogFormat::Json);
    }

    #[test]
    fn values_that_cannot_be_read_name_their_variable() {
        for (name, value) in [
            ("SEALPOST_LISTEN", "here"),
            ("SEALPOST_SMTP_TLS", "maybe"),
            ("SEALPOST_ACCEPT_WEAK_ERASE", "yes"),
            ("SEALPOST_MAX_CONNECTIONS", "-1"),
        ] {
            let fault = Raw::default().take_env(&[(name.into(), value.into())]).unwrap_err().to_string();
            assert!(fault.contains(name), "{fault}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine_or_behind_a_declared_proxy() {
        assert!(refusal("listen = \"0.0.0.0:80\"").contains("trusted_proxies"));
        assert!(refusal("listen = \"[::]:80\"\ntrusted_proxies = [\"10.0.0.1\"]").contains("public_url"));
        assert!(refusal("public_url = \"https://mail.example.org\"").contains("trusted_proxies"));
        assert!(refusal("public_url = \"http://mail.example.org\"").contains("in the clear"));
        let open = "trusted_proxies = [\"10.0.0.1\"]\npublic_url = \"https://mail.example.org\"";
        assert!(file(open).is_ok());
        assert!(file(&format!("listen = \"0.0.0.0:80\"\n{open}")).is_ok());
        assert!(file("public_url = \"http://localhost:8080\"").is_ok());
        assert!(file("listen = \"[::1]:80\"").is_ok());
    }

    #[test]
    fn public_url_is_an_origin() {
        let url = |text: &str| text.parse::<PublicUrl>();
        assert_eq!(url("https://Mail.Example.org:443/").unwrap().to_string(), "https://mail.example.org");
        assert_eq!(url("https://mail.example.org:8443").unwrap().to_string(), "https://mail.example.org:8443");
        for bad in ["https://a/b", "https://a/?q", "https://u@a", "ftp://a", "a.example", "https://"] {
            assert!(url(bad).is_err(), "{bad}");
        }
        assert_eq!(PublicUrl::http("[::1]:80".parse().unwrap()).to_string(), "http://[::1]");
    }

    #[test]
    fn the_host_key_is_never_inside_the_data() {
        assert!(refusal("data = \"/srv/post\"\nhost_key = \"/srv/post/key\"").contains("inside"));
        assert!(refusal("data = \"/srv/post\"\nhost_key = \"/srv/x/../post/key\"").contains("inside"));
        assert!(refusal("data = \"/\"").contains("name"));
        assert!(file("data = \"/srv/post\"\nhost_key = \"/srv/post.key\"").is_ok());
    }

    #[test]
    fn credentials_win() {
        let text = "host_key = \"/k\"\n[smtp]\nhost = \"a\"\nfrom = \"a@b\"\nuser = \"u\"\npassword = \"old\"";
        let raw = Raw::from_toml(Path::new("f"), text).unwrap();
        let env = [("CREDENTIALS_DIRECTORY".to_owned(), "/run/c".to_owned())];
        let config = raw.take_credentials(&env, |_| true, |_| Ok("new\n".to_owned())).unwrap();
        assert_eq!(config.host_key, HostKeyPlace::Credential("/run/c/sealpost-host-key".into()));
        assert_eq!(config.smtp.unwrap().password.unwrap().expose_secret(), "new");
    }

    #[test]
    fn mail_is_protected_on_its_way() {
        let smtp = |rest: &str| format!("[smtp]\nfrom = \"a@b\"\n{rest}");
        assert!(refusal(&smtp("host = \"mail.example.org\"\ntls = \"none\"")).contains("this machine"));
        assert!(file(&smtp("host = \"127.0.0.1\"\ntls = \"none\"")).is_ok());
        assert!(refusal(&smtp("host = \"m\"\nuser = \"u\"")).contains("both or neither"));
        assert!(refusal("[smtp]\nhost = \"m\"").contains("smtp.from"));
        assert!(refusal("[smtp]\nfrom = \"a@b\"").contains("smtp.host"));
    }

    #[test]
    fn costs_only_go_up_and_limits_have_ends() {
        assert!(refusal("password_memory_kib = 19456").contains("65536"));
        assert!(refusal("password_passes = 2").contains("password_passes"));
        assert!(file("password_memory_kib = 131072\npassword_passes = 4").is_ok());
        assert!(refusal("max_connections = 0").contains("max_connections"));
        assert!(refusal("metrics_token = \"short\"").contains("16"));
    }

    #[test]
    fn secrets_do_not_print() {
        let text = "metrics_token = \"0123456789abcdef\"\n[smtp]\nhost = \"a\"\nfrom = \"a@b\"\nuser = \"u\"\npassword = \"hush\"";
        let shown = format!("{:?}", file(text).unwrap());
        assert!(!shown.contains("hush") && !shown.contains("0123456789abcdef"), "{shown}");
    }
}
