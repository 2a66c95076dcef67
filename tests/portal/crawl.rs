//! Looking changes nothing: every page asked for by GET, by everybody, leaves everything as it was.

use crate::forms::{
    LEE, Pair, account, compose, contact, draft, file, file_urls, filled, group, hidden, messages, pair, read, upload,
};
use crate::routes::all;
use crate::world::between;

#[test]
fn every_page_can_be_looked_at_and_nothing_is_different() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    let thread = compose(&mut ann, "", &[("to", LEE)], &[file("a.txt", b"a")]).expect(303).location().unwrap();
    compose(&mut ann, "", &[("to", "kim@hillside.example")], &[]).expect(303);
    let page = read(&mut lee, &thread);
    let (message, attached) = (messages(&page).remove(0), file_urls(&page).remove(0));
    let written = draft(&mut ann);
    upload(&mut ann, &written, "kept.txt", b"kept");
    let form = hidden(&ann);
    ann.post_files("/compose", &filled(&form, &[("to", LEE), ("action", "save")]), &[]).expect(303);
    let kim = account(&mut ann, "kim@hillside.example");
    let link = world.link_to(&mut ann, "kim@hillside.example");
    let max = contact(&mut ann, &[("first_name", "Max"), ("email", "max@lake.example")]);
    let recall = group(&mut ann, "Recall", "max@lake.example");
    let setup = world.setup_link.clone().unwrap();
    let sheet = read(&mut ann, &format!("/compose?draft={written}"));
    let style = between(&sheet, "href=\"/assets/", "\"").to_owned();
    let queries =
        [format!("/compose?draft={written}"), format!("/compose?reply={message}"), "/drafts?before=00".into()];
    let mut paths: Vec<String> = vec!["/recipients?address=lee@hillside.example".into(), "/recipients?q=le".into()];
    paths.extend(queries);
    // A stream that goes on has tests of its own.
    for route in all().into_iter().filter(|route| route.method == "GET" && route.path != "/events") {
        let path = match route.path.as_str() {
            "/assets/:version/*path" => format!("/assets/{style}"),
            "/setup/:token" => setup.clone(),
            "/register/:token" => link.clone(),
            "/messages/:id/files/:file" => attached.clone(),
            path if path.starts_with("/messages/") => path.replace(":id", &message),
            path if path.starts_with("/threads/") => path.replace("/threads/:id", &thread),
            path if path.starts_with("/people/") => path.replace(":id", &kim),
            path if path.starts_with("/contacts/groups/:") => path.replace(":group", &recall),
            path if path.starts_with("/contacts/:") => path.replace(":id", &max),
            path => path.to_owned(),
        };
        assert!(!path.contains("/:"), "an identifier of {path} is not known here: add it");
        paths.push(path);
    }
    let shown =
        ["/inbox", "/sent", "/drafts", "/people", "/profile", "/settings/practice", "/outbox", "/contacts", &thread];
    let before = shown.map(|path| read(&mut ann, path));
    let mut scanner = world.client();
    for path in &paths {
        for client in [&mut scanner, &mut lee, &mut ann] {
            for method in ["GET", "HEAD"] {
                let reply = client.send(method, path, &[], b"");
                assert!(reply.status < 500, "{method} {path}: {}", reply.status);
            }
        }
    }
    assert_eq!(before, shown.map(|path| read(&mut ann, path)));
    assert_eq!(world.blobs(), 2);
    let mut kim = world.register_by(&mut ann, &link, "kim@hillside.example", "Kim", "Hill");
    assert!(read(&mut kim, "/inbox").contains("Tooth 14"));
}
