//! What people do on the pages, in as few words as a test needs.

use std::thread;

use data_encoding::BASE64;

pub use crate::client::messages;
use crate::client::{Client, FilePart, Reply, unescape};
use crate::world::{World, between};

/// The form's values where a test does not care.
const USUAL: [(&str, &str); 5] = [
    ("relationship", "doctor_other"),
    ("subject", "Tooth 14"),
    ("body", "Please look at it."),
    ("expires", "30"),
    ("action", "send"),
];

/// The administrator, and somebody who was written to and has registered on the free plan.
pub struct Pair {
    pub world: World,
    pub ann: Client,
    pub lee: Client,
    /// Path of the conversation.
    pub thread: String,
    /// Identifier of its one message, which Lee has not opened.
    pub message: String,
}

pub const LEE: &str = "lee@hillside.example";

/// Sets up, writes, registers.
pub fn pair() -> Pair {
    let world = World::start();
    let mut ann = world.set_up();
    let thread = compose(&mut ann, "", &[("to", LEE)], &[]).expect(303).location().unwrap();
    let lee = world.register(&mut ann, LEE, "Lee", "Hill");
    let message = messages(&ann.get(&thread).expect(200).text()).remove(0);
    Pair { world, ann, lee, thread, message }
}

impl Pair {
    /// One more person, written to by the administrator.
    pub fn join(&mut self, address: &str, relationship: &str, first: &str) -> Client {
        compose(&mut self.ann, "", &[("to", address), ("relationship", relationship)], &[]).expect(303);
        self.world.register(&mut self.ann, address, first, "Third")
    }

    /// The identifier of somebody's account.
    pub fn account(&mut self, address: &str) -> String {
        account(&mut self.ann, address)
    }
}

/// The identifier of somebody's account, from the people page.
pub fn account(manager: &mut Client, address: &str) -> String {
    between(&person(manager, address), "href=\"/people/", "\"").to_owned()
}

/// What the people page says of somebody.
pub fn person(manager: &mut Client, address: &str) -> String {
    let page = read(manager, "/people");
    let found = page.split("<li class=\"person\">").skip(1).find(|person| person.contains(address));
    found.unwrap_or_else(|| panic!("{address} is not on the people page")).to_owned()
}

/// Writes somebody down in one's contacts; the contact's identifier.
pub fn contact(owner: &mut Client, own: &[(&str, &str)]) -> String {
    owner.visit("/contacts/new").expect(200);
    owner.post("/contacts", own).expect(303);
    let email = own.iter().find(|(name, _)| *name == "email").unwrap().1.split(',').next().unwrap();
    contact_of(owner, email)
}

/// The identifier of the contact with this address.
pub fn contact_of(owner: &mut Client, email: &str) -> String {
    let page = read(owner, "/contacts");
    let line = page.split("<li class=\"contact\">").skip(1).find(|line| line.contains(email));
    between(line.unwrap_or_else(|| panic!("{email} is no contact:\n{page}")), "href=\"/contacts/", "\"").to_owned()
}

/// Makes a group; its identifier.
pub fn group(owner: &mut Client, name: &str, members: &str) -> String {
    owner.visit("/contacts/groups/new").expect(200);
    owner.post("/contacts/groups", &[("name", name), ("members", members)]).expect(303);
    let page = read(owner, "/contacts/groups");
    let line =
        page.split("<li class=\"contact\">").skip(1).find(|line| line.contains(&format!(">{name}</a>"))).unwrap();
    between(line, "href=\"/contacts/groups/", "\"").to_owned()
}

/// The whole form as a browser would send it: its hidden fields, these values, the usual ones for the rest.
pub fn filled<'f>(page: &'f [(&'static str, String)], own: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let hidden = page.iter().map(|(name, value)| (*name, value.as_str()));
    let fields: Vec<_> = hidden.chain(USUAL).filter(|(name, _)| own.iter().all(|(mine, _)| mine != name)).collect();
    [fields.as_slice(), own].concat()
}

/// The hidden fields of the form on the last page.
pub fn hidden(client: &Client) -> Vec<(&'static str, String)> {
    ["draft", "revision", "reply", "all", "forward", "to"]
        .map(|name| (name, client.hidden(name).unwrap_or_default()))
        .to_vec()
}

/// Opens the form at `/compose` and this query, fills it in and sends it.
pub fn compose(from: &mut Client, query: &str, own: &[(&str, &str)], files: &[FilePart<'_>]) -> Reply {
    from.visit(&format!("/compose{query}")).expect(200);
    let page = hidden(from);
    from.post_files("/compose", &filled(&page, own), files)
}

/// Answers a message, a second later, so that it stands behind it.
pub fn reply(world: &World, from: &mut Client, to: &str, body: &str) -> Reply {
    world.turn(1);
    compose(from, &format!("?reply={to}"), &[("subject", "Re: Tooth 14"), ("body", body)], &[]).expect(303)
}

/// Begins a draft without writing anything; its identifier.
pub fn draft(client: &mut Client) -> String {
    client.visit("/compose").expect(200);
    client.hidden("draft").unwrap()
}

/// A small text file.
pub fn file<'f>(name: &'f str, bytes: &'f [u8]) -> FilePart<'f> {
    FilePart { field: "files[]", name, kind: "application/octet-stream", bytes }
}

/// Addresses of the files on a conversation's page.
pub fn file_urls(page: &str) -> Vec<String> {
    page.split("<a class=\"file ").skip(1).map(|rest| between(rest, "href=\"", "\"").to_owned()).collect()
}

/// The page at a path as a person reads it.
pub fn read(client: &mut Client, path: &str) -> String {
    unescape(&client.visit(path).expect(200).text())
}

/// A conversation without the list beside it.
pub fn conversation(client: &mut Client, path: &str) -> String {
    let page = read(client, path);
    page.split_once("<div class=\"messages\">").expect("a conversation").1.to_owned()
}

/// Whether a page has a fault beside this field.
pub fn has_fault(page: &str, field: &str) -> bool {
    page.contains(&format!("id=\"{field}-error\""))
}

/// A second tab of the same browser.
pub fn tab(world: &World, of: &Client) -> Client {
    let mut twin = world.client();
    (twin.cookies, twin.page) = (of.cookies.clone(), of.page.clone());
    twin
}

/// Does two things at the same time.
pub fn both<A: Send, B: Send>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        (one, other.join().unwrap())
    })
}

/// A request of the upload protocol, as the page's script sends it.
pub fn tus(client: &mut Client, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let csrf = client.csrf().unwrap_or_default();
    let own = [("Tus-Resumable", "1.0.0"), ("X-CSRF-Token", csrf.as_str()), ("Accept", "application/json")];
    let kept: Vec<_> = own.into_iter().filter(|(name, _)| headers.iter().all(|(given, _)| given != name)).collect();
    client.send(method, path, &[kept.as_slice(), headers].concat(), body)
}

/// Asks to begin an upload.
pub fn offer(client: &mut Client, draft: &str, name: &str, length: u64) -> Reply {
    let metadata = format!("filename {}", BASE64.encode(name.as_bytes()));
    let length = length.to_string();
    let headers = [("Upload-Length", length.as_str()), ("Upload-Metadata", metadata.as_str())];
    tus(client, "POST", &format!("/drafts/{draft}/files"), &headers, b"")
}

/// Begins an upload; its path.
pub fn begin(client: &mut Client, draft: &str, name: &str, length: u64) -> String {
    offer(client, draft, name, length).expect(201).location().unwrap()
}

/// Sends more of an upload.
pub fn append(client: &mut Client, upload: &str, offset: u64, bytes: &[u8]) -> Reply {
    let offset = offset.to_string();
    let headers = [("Content-Type", "application/offset+octet-stream"), ("Upload-Offset", offset.as_str())];
    tus(client, "PATCH", upload, &headers, bytes)
}

/// How far an upload has come; none when there is no such upload for this person.
pub fn offset(client: &mut Client, upload: &str) -> Option<u64> {
    let reply = tus(client, "HEAD", upload, &[], b"");
    let offset = reply.header("upload-offset").map(|offset| offset.parse().unwrap());
    assert_eq!(reply.status, if offset.is_some() { 200 } else { 404 });
    offset
}

/// Uploads a whole file to a draft.
pub fn upload(client: &mut Client, draft: &str, name: &str, bytes: &[u8]) {
    let path = begin(client, draft, name, bytes.len() as u64);
    if !bytes.is_empty() {
        append(client, &path, 0, bytes).expect(204);
    }
}

/// Bytes that look like anything, the same each time.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}
