//! What the parts can do by themselves, on this machine, now: the age library, redb, the bare framework.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use age::x25519::Identity;
use minijinja::Value;
use poem::endpoint::make_sync;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{IntoResponse, Response, Server};
use redb::{Database, TableDefinition};
use sealpost::web::assets::Assets;
use sealpost::web::page::Pages;
use sealpost::words::Words;

/// Bytes read at once from what age opens: its own chunk.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of a value in redb, as large as the message that is sent.
const VALUE_BYTES: usize = 2048;

/// Seconds in which the age library seals `bytes` into a file and the disk has them.
pub fn age_seal(path: &Path, bytes: &[u8], to: &Identity) -> f64 {
    crate::timing::seconds(|| {
        let recipient = to.to_public();
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).unwrap();
        let mut writer = encryptor.wrap_output(File::create(path).unwrap()).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap().sync_all().unwrap();
    })
}

/// Seconds in which the age library opens a file to nowhere.
pub fn age_open(path: &Path, with: &Identity) -> f64 {
    crate::timing::seconds(|| {
        let decryptor = age::Decryptor::new(File::open(path).unwrap()).unwrap();
        let mut reader = decryptor.decrypt(std::iter::once(with as &dyn age::Identity)).unwrap();
        let mut chunk = vec![0; CHUNK_BYTES];
        while reader.read(&mut chunk).unwrap() > 0 {}
    })
}

/// Single durable commits of 2 KB each a second, with the settings of the store: quick repair, which implies two
/// phases.
pub fn redb_commits(path: &Path, seconds: f64) -> f64 {
    const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");
    if path.exists() {
        fs::write(path, b"").unwrap();
    }
    let database = Database::create(path).unwrap();
    let (time, start, mut commits) = (Duration::from_secs_f64(seconds), Instant::now(), 0u64);
    while start.elapsed() < time {
        let value: Vec<u8> = (0..VALUE_BYTES as u64).map(|at| (at * 31 + commits) as u8).collect();
        let mut write = database.begin_write().unwrap();
        write.set_quick_repair(true);
        write.open_table(TABLE).unwrap().insert(commits.to_be_bytes().as_slice(), value.as_slice()).unwrap();
        write.commit().unwrap();
        commits += 1;
    }
    commits as f64 / start.elapsed().as_secs_f64()
}

/// The framework with one handler that renders one page from memory, listening until the program ends.
pub fn bare_page(context: Value) -> SocketAddr {
    let (address, told) = mpsc::channel();
    thread::spawn(move || {
        let assets = Arc::new(Assets::collect());
        let pages = Pages::new(assets, &Arc::new(Words::collect().unwrap())).unwrap();
        let page = make_sync(move |_| -> Response {
            let html = pages.render("pages/folder.html", context.clone()).unwrap();
            html.with_content_type("text/html; charset=utf-8").into_response()
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
            let local = acceptor.local_addr()[0].as_socket_addr().copied().unwrap();
            address.send(local).unwrap();
            Server::new_with_acceptor(acceptor).run(page).await.unwrap();
        });
    });
    told.recv().unwrap()
}
