//! The table of routes as the program has it, read from its source, so that a proof about every route meets the new ones
//! too: an identifier or a route that a test does not know stops it.

/// One way to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// As the table has it: `/messages/:id/files/:file`.
    pub path: String,
}

/// Every route.
pub fn all() -> Vec<Route> {
    parse(include_str!("../../src/web/routes.rs"))
}

/// Those that change something.
pub fn changing() -> Vec<Route> {
    all().into_iter().filter(|route| !matches!(route.method.as_str(), "GET" | "HEAD" | "OPTIONS")).collect()
}

fn parse(source: &str) -> Vec<Route> {
    let mut routes = Vec::new();
    let (table, helpers) = source.split_once("\nfn ").unwrap_or((source, ""));
    for entry in table.split(".at(\"").skip(1) {
        let (path, handler) = entry.split_once("\", ").expect("a path and its handlers");
        let mut methods = methods_of(handler);
        if methods.is_empty() {
            let helper = handler.split("()").next().unwrap();
            let (_, body) = format!("\nfn {helpers}")
                .split_once(&format!("\nfn {helper}()"))
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .unwrap_or_default();
            methods = methods_of(body.split("\n}").next().unwrap_or_default());
        }
        assert!(!methods.is_empty(), "no method is read from {handler}");
        routes.extend(methods.into_iter().map(|method| Route { method, path: path.to_owned() }));
    }
    routes
}

fn methods_of(handler: &str) -> Vec<String> {
    let mut methods = Vec::new();
    for (mark, method) in [("get(", "GET"), ("post(", "POST")] {
        let called = handler.match_indices(mark).any(|(at, _)| !handler[..at].ends_with(|c: char| c.is_alphanumeric()));
        if called {
            methods.push(method.to_owned());
        }
    }
    let named = handler.split("Method::").skip(1);
    methods.extend(named.map(|rest| rest.chars().take_while(char::is_ascii_uppercase).collect()));
    methods
}

mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole() {
        let routes = all();
        let has = |method: &str, path: &str| routes.iter().any(|route| route.method == method && route.path == path);
        assert!(has("GET", "/inbox") && has("GET", "/sign-in") && has("POST", "/sign-in") && has("POST", "/setup"));
        assert!(has("DELETE", "/drafts/:id/files/:file") && has("OPTIONS", "/uploads"));
        assert!(["HEAD", "PATCH", "DELETE"].iter().all(|method| has(method, "/uploads/:id")));
        let lines = include_str!("../../src/web/routes.rs").matches(".at(\"").count();
        let mut paths: Vec<_> = routes.iter().map(|route| &route.path).collect();
        paths.dedup();
        assert_eq!(paths.len(), lines);
        assert!(!changing().iter().any(|route| route.method == "GET") && changing().len() > 25);
    }
}
