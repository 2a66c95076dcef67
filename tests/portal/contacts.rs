//! Contacts: they come by themselves, are written down, merged, shared, imported and exported, and are completed.

use serde_json::Value;

use crate::client::{Client, FilePart, Reply, unescape};
use crate::forms::{LEE, Pair, account, compose, contact, contact_of, group, has_fault, pair, read};
use crate::shell::sealpost;
use crate::world::{ADMIN, PASSWORD, World, between};

const KIM: &str = "kim@lake.example";
const UNKNOWN: &str = "0123456789abcdef0123456789abcdef";
const SCRIPT: &str = "<script>alert(1)</script>";

/// What is suggested for a text: names with their addresses.
fn suggested(client: &mut Client, text: &str) -> Vec<(String, Vec<String>)> {
    let query: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let reply = client.get(&format!("/recipients?q={query}")).expect(200);
    let all: Vec<Value> = serde_json::from_str(&reply.text()).unwrap();
    let words = |value: &Value| value.as_str().unwrap().to_owned();
    all.iter()
        .map(|one| (words(&one["name"]), one["addresses"].as_array().unwrap().iter().map(words).collect()))
        .collect()
}

fn names(client: &mut Client, text: &str) -> Vec<String> {
    suggested(client, text).into_iter().map(|(name, _)| name).collect()
}

/// Chooses a file; the page that says what would become of it.
fn look_at(client: &mut Client, name: &str, bytes: &[u8]) -> Reply {
    client.visit("/contacts/import").expect(200);
    client.post_files("/contacts/import", &[], &[FilePart { field: "file", name, kind: "text/csv", bytes }])
}

/// Agrees to what the last page says.
fn agree(client: &mut Client) -> Reply {
    let import = client.hidden("import").unwrap();
    client.post("/contacts/import/confirm", &[("import", &import)])
}

/// Looks at a file and imports it; what was promised.
fn import(client: &mut Client, bytes: &[u8]) -> String {
    let page = unescape(&look_at(client, "contacts.csv", bytes).expect(200).text());
    assert_eq!(agree(client).expect(303).location().as_deref(), Some("/contacts"));
    between(&page, "<h1>", "</h1>").to_owned()
}

/// Somebody of the practice with the full plan.
fn colleague(all: &mut Pair) -> Client {
    all.join("max@riverside.example", "staff_mine", "Max")
}

#[test]
fn both_sides_become_contacts_when_one_registers() {
    let world = World::start();
    let mut ann = world.set_up();
    compose(&mut ann, "", &[("to", LEE), ("relationship", "doctor_mine")], &[]).expect(303);
    assert!(read(&mut ann, "/contacts").contains("No contacts yet"), "not before");
    let mut lee = world.register(&mut ann, LEE, "Lee", "Hill");
    let page = read(&mut ann, "/contacts");
    assert!(page.contains("Lee Hill") && page.contains(LEE) && page.contains("Came by itself"), "{page}");
    assert!(page.contains("+1\u{a0}555\u{a0}0100") && page.contains("1 contact<"), "{page}");
    assert!(read(&mut lee, "/contacts").contains("Dr Ann Rivers"));
    compose(&mut lee, "", &[("to", KIM), ("relationship", "patient")], &[]).expect(303);
    world.register(&mut ann, KIM, "Kim", "Lake");
    assert!(read(&mut lee, "/contacts").contains("Kim Lake") && !read(&mut ann, "/contacts").contains("Kim Lake"));

    // Somebody who has registered becomes a contact of whoever writes to them next; what is deleted stays away.
    compose(&mut ann, "", &[("to", KIM)], &[]).expect(303);
    let kim = contact_of(&mut ann, KIM);
    ann.visit(&format!("/contacts/{kim}")).expect(200);
    ann.post(&format!("/contacts/{kim}/delete"), &[]).expect(303);
    compose(&mut ann, "", &[("to", KIM)], &[]).expect(303);
    assert!(!read(&mut ann, "/contacts").contains(KIM));
}

#[test]
fn a_contact_that_came_by_itself_becomes_ones_own_when_it_is_edited() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    let id = contact_of(&mut ann, LEE);
    ann.visit(&format!("/contacts/{id}")).expect(200);
    let fields = [("first_name", "Leonora"), ("last_name", "Hill"), ("email", LEE), ("notes", "Phones after two.")];
    ann.post(&format!("/contacts/{id}"), &fields).expect(303);
    lee.visit("/profile").expect(200);
    lee.post("/profile", &[("first_name", "Lea"), ("last_name", "Hill"), ("time_zone", "UTC")]).expect(303);
    let page = read(&mut ann, "/contacts");
    assert!(page.contains("Leonora Hill") && !page.contains("Came by itself") && page.contains("1 contact<"), "{page}");
    assert!(read(&mut ann, &format!("/contacts/{id}")).contains("Phones after two."));
    drop(world);
}

#[test]
fn contacts_are_written_down_corrected_and_deleted() {
    let Pair { world: _world, mut ann, .. } = pair();
    let fields = [
        ("first_name", "Kim"),
        ("last_name", "Lake"),
        ("practice", "Lakeside Orthodontics"),
        ("email", "Kim <KIM@lake.example>, kim@home.example"),
        ("office_phone", "+1 555 0111"),
        ("notes", "Tuesdays\r\nonly."),
    ];
    ann.visit("/contacts/new").expect(200);
    ann.post("/contacts", &fields).expect(303);
    let id = contact_of(&mut ann, KIM);
    let page = read(&mut ann, &format!("/contacts/{id}"));
    for text in ["value=\"Kim\"", "Lakeside Orthodontics", "kim@lake.example, kim@home.example", "Tuesdays\nonly."] {
        assert!(page.contains(text), "{text}: {page}");
    }
    for (field, value) in [
        ("email", ""),
        ("email", "nobody"),
        ("email", "a@x.example b@x.example c@x.example d@x.example e@x.example f@x.example"),
        ("email", LEE),
        ("office_phone", "call me"),
        ("first_name", &"x".repeat(81)),
        ("practice", &"x".repeat(101)),
        ("notes", &"x".repeat(2001)),
    ] {
        let mut wrong = fields.to_vec();
        wrong.retain(|(name, _)| *name != field);
        wrong.push((field, value));
        let page = ann.post(&format!("/contacts/{id}"), &wrong).expect(422).text();
        assert!(has_fault(&page, field), "{field}: {page}");
    }
    let page = read(&mut ann, "/contacts?q=lakes+ki");
    assert!(page.contains("Kim Lake") && !page.contains("Lee Hill"), "{page}");
    assert!(read(&mut ann, "/contacts?q=nobody").contains("Nobody found"));
    let team = group(&mut ann, "Team", "kim@home.example, lee@hillside.example");
    ann.visit(&format!("/contacts/{id}")).expect(200);
    ann.post(&format!("/contacts/{id}/delete"), &[]).expect(303);
    assert!(!read(&mut ann, "/contacts").contains(KIM));
    ann.get(&format!("/contacts/{id}")).expect(404);
    let page = read(&mut ann, &format!("/contacts/groups/{team}"));
    assert!(page.contains(LEE) && !page.contains("kim@home"), "taken out of the groups too: {page}");
}

#[test]
fn two_contacts_become_one() {
    let Pair { world: _world, mut ann, .. } = pair();
    let first = contact(&mut ann, &[("first_name", "Kim"), ("email", KIM), ("notes", "Tuesdays.")]);
    let other = [("first_name", "K."), ("last_name", "Lake"), ("email", "kim@home.example"), ("notes", "Likes tea.")];
    let other = contact(&mut ann, &other);
    ann.visit(&format!("/contacts/{first}")).expect(200);
    for wrong in ["", &first, "0123456789abcdef0123456789abcdef"] {
        let status = ann.post(&format!("/contacts/{first}/merge"), &[("other", wrong)]).status;
        assert!([404, 422].contains(&status), "{wrong}: {status}");
    }
    ann.post(&format!("/contacts/{first}/merge"), &[("other", &other)]).expect(303);
    let page = read(&mut ann, &format!("/contacts/{first}"));
    for text in ["value=\"Kim\"", "value=\"Lake\"", "kim@lake.example, kim@home.example", "Tuesdays.\n\nLikes tea."] {
        assert!(page.contains(text), "{text}: {page}");
    }
    ann.get(&format!("/contacts/{other}")).expect(404);
    let lee = contact_of(&mut ann, LEE);
    ann.post(&format!("/contacts/{lee}/merge"), &[("other", &first)]).expect(303);
    let page = read(&mut ann, &format!("/contacts/{lee}"));
    assert!(page.contains("lee@hillside.example, kim@lake.example, kim@home.example"), "{page}");
    assert!(read(&mut ann, "/contacts").contains("1 contact<"));
}

#[test]
fn the_practice_shares_contacts_and_nobody_else_sees_them() {
    let mut all = pair();
    let mut max = colleague(&mut all);
    let mut ola = all.join("ola@north.example", "doctor_other", "Ola");
    let olas = account(&mut all.ann, "ola@north.example");
    let Pair { world: _world, mut ann, mut lee, .. } = all;
    let plan = [("first_name", "Ola"), ("last_name", "Third"), ("email", "ola@north.example"), ("full_plan", "1")];
    ann.visit("/people").expect(200);
    ann.post(&format!("/people/{olas}"), &plan).expect(303);
    let own = contact(&mut ann, &[("first_name", "Own"), ("email", "own@lake.example")]);
    let shared = [("first_name", "Kim"), ("email", KIM), ("notes", "Ask for Joe."), ("shared", "1")];
    let kim = contact(&mut ann, &shared);
    let page = read(&mut max, "/contacts");
    assert!(page.contains(KIM) && page.contains("Shared by the practice") && !page.contains("own@lake"), "{page}");
    max.get(&format!("/contacts/{own}")).expect(404);
    assert!(read(&mut max, &format!("/contacts/{kim}")).contains("Ask for Joe."));
    max.post(&format!("/contacts/{kim}"), &[("first_name", "Kimberly"), ("email", KIM), ("shared", "1")]).expect(303);
    assert!(read(&mut ann, "/contacts").contains("Kimberly"));
    assert_eq!(names(&mut max, "kimb"), ["Kimberly"]);

    // With the full plan, but of another practice; and without it.
    let page = read(&mut ola, "/contacts");
    assert!(page.contains("Dr Ann Rivers") && !page.contains(KIM), "{page}");
    ola.get(&format!("/contacts/{kim}")).expect(404);
    assert!(!read(&mut ola, "/contacts/new").contains("Share with the practice"));
    ola.post("/contacts", &[("first_name", "Sly"), ("email", "sly@x.example"), ("shared", "1")]).expect(404);
    assert_eq!(names(&mut ola, "kim"), [""; 0]);
    assert_eq!(names(&mut ola, "max"), [""; 0], "nor the people of the practice");
    lee.get(&format!("/contacts/{kim}")).expect(404);

    // Taken back, it is whoever's took it.
    max.visit(&format!("/contacts/{kim}")).expect(200);
    max.post(&format!("/contacts/{kim}"), &[("first_name", "Kimberly"), ("email", KIM)]).expect(303);
    assert!(read(&mut max, "/contacts").contains(KIM) && !read(&mut ann, "/contacts").contains(KIM));
}

#[test]
fn without_the_full_plan_there_are_no_contacts() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    let page = read(&mut lee, "/inbox");
    assert!(!page.contains("/contacts") && read(&mut ann, "/inbox").contains("href=\"/contacts\""), "{page}");
    for route in crate::routes::all().into_iter().filter(|route| route.path.starts_with("/contacts")) {
        let path = route.path.replace(":id", UNKNOWN).replace(":group", UNKNOWN);
        let fields = [("first_name", "A"), ("email", KIM), ("name", "N"), ("members", KIM), ("import", UNKNOWN)];
        let file = FilePart { field: "file", name: "a.csv", kind: "text/csv", bytes: b"email\na@b.example" };
        let reply = match (route.method.as_str(), path.as_str()) {
            ("GET", path) => lee.get(path),
            (_, "/contacts/import") => lee.post_files(&path, &[], &[file]),
            (_, path) => lee.post(path, &fields),
        };
        assert_eq!(reply.status, 404, "{route:?} {path}: {}", reply.text());
    }
    lee.get("/recipients?q=ann").expect(403);
    drop(world);
}

#[test]
fn completion_knows_names_practices_addresses_and_groups_most_used_first() {
    let mut all = pair();
    colleague(&mut all);
    let Pair { world: _world, mut ann, .. } = all;
    for (first, practice, email) in [
        ("Kim", "Lakeside", KIM),
        ("Kira", "Lakeside", "kira@lake.example, kira@home.example"),
        ("Jürgen", "Müller & Söhne", "jm@mueller.example"),
    ] {
        contact(&mut ann, &[("first_name", first), ("practice", practice), ("email", email)]);
    }
    group(&mut ann, "Lake people", "kim@lake.example, kira@lake.example");
    assert_eq!(names(&mut ann, "ki"), ["Kim", "Kira"]);
    for _ in 0..2 {
        compose(&mut ann, "", &[("to", "kira@lake.example"), ("relationship", "doctor_other")], &[]).expect(303);
    }
    assert_eq!(names(&mut ann, "ki"), ["Kira", "Kim"], "most used first");
    assert_eq!(names(&mut ann, "lake"), ["Kira", "Kim", "Lake people"]);
    let both = vec![KIM.to_owned(), "kira@lake.example".to_owned()];
    assert_eq!(suggested(&mut ann, "lake peo"), [("Lake people".to_owned(), both)]);
    assert_eq!(suggested(&mut ann, "kira@h"), [("Kira".to_owned(), vec!["kira@home.example".to_owned()])]);
    assert_eq!(names(&mut ann, "MULLER jur"), ["Jürgen"]);
    assert_eq!(names(&mut ann, "max"), ["Max Third"], "of the practice, though never written down");
    assert_eq!(names(&mut ann, "admin@"), [""; 0], "never oneself");
    assert_eq!(names(&mut ann, "").len(), 6);
    for odd in ["\"'<>", "%00", "* OR 1=1", ".*", &"x".repeat(500)] {
        suggested(&mut ann, odd);
    }
    assert!(read(&mut ann, "/compose?to=kim").contains("data-found="));
}

#[test]
fn groups_are_made_changed_and_deleted() {
    let Pair { world: _world, mut ann, .. } = pair();
    let id = group(&mut ann, "Recall", "lee@hillside.example; kim@lake.example");
    let page = read(&mut ann, "/contacts/groups");
    assert!(page.contains("2 people") && page.contains("Lee Hill, kim@lake.example"), "{page}");
    assert!(page.contains("/compose?to=lee%40hillside.example%2C+kim%40lake.example"), "{page}");
    let many: String = (0..101).map(|n| format!("p{n}@x.example,")).collect();
    for (name, members, field) in [
        ("", KIM, "name"),
        ("recall", KIM, "name"),
        ("B", "", "members"),
        ("B", "x", "members"),
        ("B", &many, "members"),
    ] {
        let page = ann.post("/contacts/groups", &[("name", name), ("members", members)]).expect(422).text();
        assert!(has_fault(&page, field), "{name} {field}: {page}");
    }
    ann.visit(&format!("/contacts/groups/{id}")).expect(200);
    ann.post(&format!("/contacts/groups/{id}"), &[("name", "Recall 2027"), ("members", KIM)]).expect(303);
    assert!(read(&mut ann, "/contacts/groups").contains("1 person"));
    ann.post(&format!("/contacts/groups/{id}/delete"), &[]).expect(303);
    assert!(read(&mut ann, "/contacts/groups").contains("No groups yet"));
}

#[test]
fn a_file_is_looked_at_and_then_imported_whole() {
    let Pair { world: _world, mut ann, .. } = pair();
    contact(&mut ann, &[("first_name", "Kim"), ("email", KIM), ("notes", "Keep me.")]);
    let file = concat!(
        "\u{feff}Name;Email;Phone;Company\r\n",
        "Kim Lake;kim@lake.example;+1 555 0111;\r\n",
        "Lee Hill;lee@hillside.example;;\r\n",
        "Zoë van Dyk;zoe@dyk.example;;\"Dyk; Sons\"\r\n",
        "Nobody;;;\r\n",
        "Bad;not an address;;\r\n",
        "Zoë again;ZOE@dyk.example;;\r\n",
        "Call;call@x.example;call me;\r\n",
        "Nils;nils@north.example;;\r\n"
    );
    let page = unescape(&look_at(&mut ann, "contacts.csv", file.as_bytes()).expect(200).text());
    assert_eq!(between(&page, "<h1>", "</h1>"), "2 new, 1 changed, 4 lines left out");
    assert!(page.contains("1 line is in your contacts already."), "{page}");
    for (line, why) in [
        (5, "There is no e-mail address."),
        (6, "“not an address” is not an e-mail address"),
        (7, "The same address stands on line 4."),
        (8, "A phone number has digits"),
    ] {
        let told = between(&page, &format!("Line {line}</span>"), "</li>");
        assert!(told.contains(why), "{line}: {told}");
    }
    assert!(!read(&mut ann, "/contacts").contains("zoe@dyk.example"), "nothing yet");
    ann.page = page.clone();
    let done = agree(&mut ann).expect(303);
    let page = unescape(&ann.follow(done).expect(200).text());
    assert!(page.contains("Imported: 2 new and 1 changed contacts.") && page.contains("4 contacts"), "{page}");
    let kim = contact_of(&mut ann, KIM);
    let page = read(&mut ann, &format!("/contacts/{kim}"));
    assert!(page.contains("value=\"Lake\"") && page.contains("Keep me.") && page.contains("+1 555 0111"), "{page}");
    let page = read(&mut ann, "/contacts?q=zoe");
    assert!(page.contains("Dyk; Sons"), "{page}");
    assert!(look_at(&mut ann, "again.csv", file.as_bytes()).expect(200).text().contains("brings nothing new"));
}

#[test]
fn what_was_agreed_to_is_what_is_done() {
    let mut all = pair();
    let mut max = colleague(&mut all);
    let Pair { world, mut ann, .. } = all;
    let file = b"name,email\nKim,kim@lake.example\n";
    look_at(&mut ann, "a.csv", file).expect(200);
    let (page, import) = (ann.page.clone(), ann.hidden("import").unwrap());
    max.visit("/contacts").expect(200);
    let reply = max.post("/contacts/import/confirm", &[("import", &import)]).expect(303);
    assert_eq!(reply.location().as_deref(), Some("/contacts/import"), "another's file");
    assert!(!read(&mut max, "/contacts").contains(KIM));
    contact(&mut ann, &[("first_name", "K."), ("email", KIM)]);
    ann.page = page;
    let again = agree(&mut ann).expect(409).text();
    assert!(again.contains("0 new, 1 changed") && again.contains("changed meanwhile"), "{again}");
    ann.page = again;
    agree(&mut ann).expect(303);
    assert!(read(&mut ann, "/contacts").contains("Kim"));
    let reply = ann.post("/contacts/import/confirm", &[("import", &import)]).expect(303);
    assert_eq!(reply.location().as_deref(), Some("/contacts/import"), "once only");
    assert!(read(&mut ann, "/contacts/import").contains("not waiting any more"));
    ann.post("/contacts/import/confirm", &[("import", "x")]).expect(404);
    drop(world);
}

#[test]
fn files_that_are_none_are_refused_and_change_nothing() {
    let Pair { world: _world, mut ann, .. } = pair();
    let many: String = (0..10_001).map(|n| format!("p{n}@x.example\n")).collect();
    let many = format!("email\n{many}");
    let large = format!("email\n{}", "a@b.example\n".repeat(500_000));
    let refused: [(&[u8], &str); 8] = [
        (b"", "Choose a file"),
        (b"hello", "names no column"),
        (b"a,b\n1,2\n", "names no column"),
        (b"\xff\xfe\x00a", "not in UTF-8"),
        (b"PK\x03\x04\x00\x00zip", "names no column"),
        (b"email\n", "no contact in this file"),
        (many.as_bytes(), "At most 10000 contacts"),
        (large.as_bytes(), "5 MB at most"),
    ];
    for (bytes, why) in refused {
        let page = unescape(&look_at(&mut ann, "x.csv", bytes).expect(422).text());
        assert!(has_fault(&page, "file") && page.contains(why), "{why}: {page}");
    }
    ann.visit("/contacts/import").expect(200);
    ann.post_files("/contacts/import", &[], &[]).expect(422);
    for odd in [
        "email\n\"never ends,\n,,,\n\"\"\"",
        "email,email,email\n,,\n\u{0},\u{0},\u{0}",
        "BEGIN:VCARD\nVERSION:3.0\nEMAIL:a@x.example",
        "BEGIN:VCARD\r\nVERSION:9\r\nEND:VCARD\r\n",
        "begin:vcard\nversion:4.0\nn:;;;;;;;;;;\n\\\\\\;:\nend:vcard\nstray",
    ] {
        let page = look_at(&mut ann, "odd.csv", odd.as_bytes()).expect(200).text();
        assert!(
            page.contains("0 new, 0 changed") && page.contains("left out") && !page.contains("Import these"),
            "{odd:?}: {page}"
        );
    }
    assert!(read(&mut ann, "/contacts").contains("1 contact<"));
}

#[test]
fn what_is_exported_comes_back_as_it_was() {
    let Pair { world: _world, mut ann, .. } = pair();
    let odd = [
        ("first_name", "=HYPERLINK(1)"),
        ("last_name", "Lake; \"jr\", \\n"),
        ("practice", "@cmd"),
        ("email", "+kim@lake.example, kim@home.example"),
        ("office_phone", "+1 555 0111"),
        ("notes", "-2+3\nSecond line"),
    ];
    contact(&mut ann, &odd);
    let csv = ann.get("/contacts/export.csv").expect(200);
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"contacts.csv\""));
    let text = csv.text();
    assert!(text.contains(LEE) && text.contains("'=HYPERLINK(1)") && text.contains("'@cmd"), "{text}");
    for line in text.trim_start_matches('\u{feff}').lines() {
        assert!(line.split(',').all(|cell| !cell.trim_matches('"').starts_with(['=', '+', '-', '@'])), "{line}");
    }
    let cards = ann.get("/contacts/export.vcf").expect(200);
    assert!(cards.text().contains("BEGIN:VCARD\r\nVERSION:3.0\r\n"));
    for file in [&csv, &cards] {
        let page = look_at(&mut ann, "again", &file.body).expect(200).text();
        assert!(page.contains("0 new, 0 changed, 0 lines left out"), "{page}");
    }
    for file in [&csv, &cards] {
        let id = contact_of(&mut ann, "+kim@lake.example");
        ann.post(&format!("/contacts/{id}/delete"), &[]).expect(303);
        import(&mut ann, &file.body);
        let id = contact_of(&mut ann, "+kim@lake.example");
        let page = read(&mut ann, &format!("/contacts/{id}"));
        for (_, value) in odd {
            assert!(page.contains(value), "{value}: {page}");
        }
    }
}

#[test]
fn scripts_in_every_field_are_shown_as_text() {
    let Pair { world: _world, mut ann, .. } = pair();
    let fields =
        [("first_name", SCRIPT), ("last_name", SCRIPT), ("practice", SCRIPT), ("email", KIM), ("notes", SCRIPT)];
    let id = contact(&mut ann, &fields);
    let team = group(&mut ann, "Team", KIM);
    ann.visit(&format!("/contacts/groups/{team}")).expect(200);
    ann.post(&format!("/contacts/groups/{team}"), &[("name", SCRIPT), ("members", KIM)]).expect(303);
    let file = format!("name,email,company\n{SCRIPT},sly@x.example,{SCRIPT}\n{SCRIPT},{SCRIPT},\n");
    let preview = look_at(&mut ann, SCRIPT, file.as_bytes()).expect(200).text();
    ann.page = preview.clone();
    agree(&mut ann).expect(303);
    let paths = ["/contacts", "/contacts/groups", "/contacts?q=%3Cscript%3Ealert"];
    let own = [format!("/contacts/{id}"), format!("/contacts/groups/{team}")];
    let pages = paths.into_iter().chain(own.iter().map(String::as_str)).map(|path| ann.visit(path).expect(200).text());
    for page in pages.collect::<Vec<_>>().iter().chain([&preview]) {
        assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains(SCRIPT), "{page}");
    }
    assert!(!ann.get("/recipients?q=alert").expect(200).header("content-type").unwrap().contains("html"));
}

#[test]
fn the_list_has_pages() {
    let Pair { world: _world, mut ann, .. } = pair();
    let file: String = (0..120).map(|n| format!("Person {n:03},p{n}@x.example\n")).collect();
    assert_eq!(import(&mut ann, format!("name,email\n{file}").as_bytes()), "120 new, 0 changed, 0 lines left out");
    let shown = |page: &str| page.matches("<li class=\"contact\">").count();
    let first = read(&mut ann, "/contacts?q=person");
    assert!(shown(&first) == 50 && first.contains("/contacts?q=person&page=2") && first.contains("120 contacts"));
    assert_eq!(shown(&read(&mut ann, "/contacts?q=person&page=3")), 20);
    for odd in ["page=0", "page=x", "page=18446744073709551615", "page=99999"] {
        ann.get(&format!("/contacts?{odd}")).expect(200);
    }
}

#[test]
fn contacts_live_through_a_restart_and_a_recovery() {
    let mut world = World::start();
    let (mut ann, _, words) = world.set_up_with_kit();
    contact(&mut ann, &[("first_name", "Kim"), ("email", KIM), ("notes", "Tuesdays.")]);
    group(&mut ann, "Team", KIM);
    world.restart();
    ann.moved(world.address);
    world.sign_in(&mut ann, ADMIN);
    assert!(read(&mut ann, "/contacts").contains(KIM));
    world.stop();
    let (done, said) = sealpost(&world, &["recovery", ADMIN], &[&words.join(" "), PASSWORD]);
    assert!(done, "{said}");
    world.restart();
    ann.moved(world.address);
    world.sign_in(&mut ann, ADMIN);
    assert!(read(&mut ann, "/contacts").contains(KIM) && read(&mut ann, "/contacts/groups").contains("Team"));
}
