//! The command line: `sealpost` serves, `sealpost check` looks before, `sealpost demo` shows what it is.

use std::io::{BufWriter, IsTerminal, Write, stderr, stdin, stdout};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sealpost::config::{Config, Flags, LogFormat};
use sealpost::crypto::kit::Kit;
use sealpost::crypto::media;
use sealpost::demo::Demo;
use sealpost::domain::{Error, Portal, SystemClock};
use sealpost::serve;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;

/// What failed, as a sentence for whoever typed the command.
type Failure = Box<dyn std::error::Error>;

/// The secure post room of a small practice.
#[derive(Parser)]
#[command(name = "sealpost", version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    told: Told,
}

#[derive(Args, Default)]
struct Told {
    /// Configuration file [default: ./sealpost.toml, when there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the data [default: ./data].
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the portal (what happens without a command).
    Serve(Told),
    /// Say what is good and what is not about the configuration, without starting anything.
    Check(Told),
    /// Look before you install: a throw-away practice on this machine, with people, letters and files in it.
    ///
    /// Prints who can sign in with what. Everything in it is invented. Its data lies in a temporary folder of its own,
    /// which is removed when it ends: with Ctrl-C, or with the signal TERM. It reads no configuration file, and sends
    /// nothing anywhere.
    Demo {
        /// Where to listen: on this machine's own address only.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Unlock an account, or check the audit log. The server must be stopped meanwhile.
    #[command(subcommand)]
    Admin(Admin),
    /// Give an account a new password with the printed recovery kit. The server must be stopped meanwhile.
    ///
    /// Asks for the kit's 24 words, or its AGE-SECRET-KEY line, and for the new password.
    Recovery {
        /// User name of the account.
        email: String,
        #[command(flatten)]
        told: Told,
    },
}

#[derive(Subcommand)]
enum Admin {
    /// Unlock an account after wrong passwords.
    Unlock {
        /// User name of the account.
        email: String,
        #[command(flatten)]
        told: Told,
    },
    /// Check that nobody has changed the audit log.
    Audit {
        /// Print every entry as well: when, who, what, on what.
        #[arg(long)]
        list: bool,
        #[command(flatten)]
        told: Told,
    },
}

impl Told {
    fn load(&self) -> Result<Config, Failure> {
        let flags = Flags { config: self.config.clone(), data: self.data.clone(), listen: self.listen };
        Ok(Config::load(&flags)?)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or(Command::Serve(cli.told)) {
        Command::Serve(told) => serve(&told),
        Command::Check(told) => check(&told),
        Command::Demo { listen } => demo(listen),
        Command::Admin(Admin::Unlock { email, told }) => unlock(&told, &email),
        Command::Admin(Admin::Audit { list, told }) => audit(&told, list),
        Command::Recovery { email, told } => recover(&told, &email),
    };
    match done {
        Ok(code) => code,
        Err(fault) => {
            _ = writeln!(stderr(), "{fault}");
            ExitCode::FAILURE
        }
    }
}

fn serve(told: &Told) -> Result<ExitCode, Failure> {
    let config = told.load()?;
    let threads = ready(&config)?;
    for warning in config.warnings() {
        tracing::info!("{warning}");
    }
    threads.block_on(async {
        let running = serve::start(config, Arc::new(SystemClock)).await?;
        match &running.setup_link {
            Some(link) => writeln!(stdout(), "Set up your practice: {link}")?,
            None => writeln!(stdout(), "Sealpost is ready on {}.", running.addr)?,
        }
        serve::asked_to_stop()?.await;
        running.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// What a serving process needs before it opens anything.
fn ready(config: &Config) -> Result<Runtime, Failure> {
    log(config)?;
    log_panics();
    no_core_dumps()?;
    all_open_files()?;
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn demo(listen: SocketAddr) -> Result<ExitCode, Failure> {
    let demo = Demo::new(listen)?;
    let threads = ready(&demo.config)?;
    threads.block_on(async {
        // Heard from the beginning, so that nothing is left of a demonstration that is stopped before it is open.
        let stop = serve::asked_to_stop()?;
        let shown = demo.start().await?;
        writeln!(stdout(), "{}", shown.welcome)?;
        stop.await;
        shown.end().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// The portal, for a command of the shell: the store's lock keeps a running server and this apart.
fn portal(told: &Told) -> Result<Arc<Portal>, Failure> {
    let config = told.load()?;
    if !config.data.join("sealpost.redb").exists() {
        return Err(format!("There is no Sealpost in {}.", config.data.display()).into());
    }
    Ok(serve::open_portal(&config, Arc::new(SystemClock))?)
}

fn unlock(told: &Told, email: &str) -> Result<ExitCode, Failure> {
    portal(told)?.unlock_by_email(email).map_err(in_words)?;
    writeln!(stdout(), "{email} is unlocked.")?;
    Ok(ExitCode::SUCCESS)
}

fn audit(told: &Told, list: bool) -> Result<ExitCode, Failure> {
    let portal = portal(told)?;
    if list {
        let (mut out, mut written) = (BufWriter::new(stdout()), Ok(()));
        portal.each_audit_line(|line| {
            if written.is_ok() {
                written = writeln!(out, "{line}");
            }
        })?;
        written.and_then(|()| out.flush())?;
    }
    match portal.verify_audit() {
        Ok(entries) => writeln!(stdout(), "The audit log is whole: {entries} entries.")?,
        Err(Error::Conflict) => return Err("The audit log was changed, or a part of it is missing.".into()),
        Err(fault) => return Err(fault.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn recover(told: &Told, email: &str) -> Result<ExitCode, Failure> {
    let portal = portal(told)?;
    let mut lines = stdin().lines();
    let mut ask = |what: &str| -> Result<SecretString, Failure> {
        write!(stdout(), "{what}: ")?;
        stdout().flush()?;
        Ok(SecretString::from(lines.next().transpose()?.unwrap_or_default()))
    };
    let kit = Kit::parse(ask("The 24 words of the recovery kit, or its AGE-SECRET-KEY line")?.expose_secret())?;
    let password = ask("New password")?;
    portal.recover(&kit, email, &password).map_err(in_words)?;
    writeln!(stdout(), "\nThe password is changed. Every session of {email} has ended.")?;
    Ok(ExitCode::SUCCESS)
}

/// What the domain answers, as a sentence for whoever typed a command.
fn in_words(error: Error) -> Failure {
    match error {
        Error::NotFound => "There is no such account, or it is not registered yet.".into(),
        Error::Denied => "This kit belongs to another practice, or a newer one has been printed since.".into(),
        Error::Invalid { message, .. } => message.to_string().into(),
        other => other.into(),
    }
}

fn check(told: &Told) -> Result<ExitCode, Failure> {
    let config = told.load()?;
    let mut out = stdout();
    writeln!(out, "Listens on:   {}", config.listen)?;
    writeln!(out, "People use:   {}", config.public_url)?;
    writeln!(out, "Data folder:  {} ({})", config.data.display(), state(&config.data))?;
    writeln!(out, "Host key:     {} ({})", config.host_key.path().display(), state(config.host_key.path()))?;
    if config.data.exists() {
        writeln!(out, "File system:  {}", media::inspect(&config.data)?.text)?;
    }
    match &config.smtp {
        Some(smtp) => writeln!(out, "Mail server:  {} port {} ({:?})", smtp.host, smtp.port, smtp.tls)?,
        None => writeln!(out, "Mail server:  none")?,
    }
    for warning in config.warnings() {
        writeln!(out, "Note: {warning}")?;
    }
    writeln!(out, "The configuration is good.")?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a file or folder of ours is there, and ours alone.
fn state(path: &Path) -> &'static str {
    match std::fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 == 0 => "there, closed to others",
        Ok(_) => "there, but OPEN TO OTHERS: chmod go= it",
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => "made at the first start",
        Err(_) => "there is no access to it",
    }
}

/// A memory image of this process would hold keys and messages in the clear.
fn no_core_dumps() -> std::io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Ok(setrlimit(Resource::Core, none)?)
}

/// Takes as many open files as the system grants: connections and files on their way need more than the usual 1024.
fn all_open_files() -> std::io::Result<()> {
    let granted = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: granted, maximum: granted })?)
}

/// One subscriber for the process: text for people at a terminal, JSON for machines.
fn log(config: &Config) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.filter)
        .map_err(|fault| format!("log_filter `{}` cannot be read: {fault}.", config.log.filter))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_target(false);
    let json = match config.log.format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    if json {
        lines.json().init()
    } else {
        lines.with_ansi(stderr().is_terminal()).init()
    }
    Ok(())
}

/// The place of a panic, never its message: that could quote what was being handled.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a task panicked");
    }));
}
