//! What people wrote, as markup that is safe to show: paragraphs, line breaks and links, everything else as text.

/// Longest address that becomes a link, in bytes.
const LINK_BYTES_MAX: usize = 2000;

/// Escapes text for HTML, between tags and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Paragraphs at blank lines, breaks at line ends, `http` and `https` addresses as links that say where they lead.
pub fn to_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len() * 2);
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.trim_matches('\n')).filter(|p| !p.trim().is_empty());
    for paragraph in paragraphs {
        html.push_str("<p>");
        for (number, line) in paragraph.lines().enumerate() {
            if number > 0 {
                html.push_str("<br>");
            }
            push_line(&mut html, line);
        }
        html.push_str("</p>");
    }
    html
}

fn push_line(html: &mut String, line: &str) {
    let mut rest = line;
    while let Some(at) = link_start(rest) {
        let (before, from) = rest.split_at(at);
        let (link, after) = from.split_at(link_end(from));
        html.push_str(&escape(before));
        if link.len() > LINK_BYTES_MAX {
            html.push_str(&escape(link));
        } else {
            let link = escape(link);
            html.push_str(&format!(
                "<a href=\"{link}\" rel=\"noopener noreferrer nofollow\" target=\"_blank\">{link}</a>"
            ));
        }
        rest = after;
    }
    html.push_str(&escape(rest));
}

fn link_start(text: &str) -> Option<usize> {
    let starts = ["https://", "http://"].map(|scheme| {
        text.match_indices(scheme).map(|(at, _)| at).find(|at| {
            let before = text.get(..*at).and_then(|before| before.chars().next_back());
            let host = text.get(at + scheme.len()..).and_then(|rest| rest.chars().next());
            before.is_none_or(|c| !c.is_alphanumeric()) && host.is_some_and(char::is_alphanumeric)
        })
    });
    starts.into_iter().flatten().min()
}

/// Where a link ends: at white space or a character that no address has, without the sentence's own punctuation.
fn link_end(text: &str) -> usize {
    let end =
        text.find(|c: char| c.is_whitespace() || c.is_control() || "<>\"`{}|\\^".contains(c)).unwrap_or(text.len());
    let link = text.get(..end).unwrap_or(text);
    let mut trimmed = link.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']);
    while trimmed.ends_with(')') && trimmed.matches(')').count() > trimmed.matches('(').count() {
        trimmed = trimmed.get(..trimmed.len() - 1).unwrap_or_default();
    }
    trimmed.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(to_html("<script>alert(1)</script>"), "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>");
        assert_eq!(to_html("a & \"b\"\nc\n\n\n\nd"), "<p>a &amp; &quot;b&quot;<br>c</p><p>d</p>");
        assert_eq!(to_html("\n \n"), "");
    }

    #[test]
    fn only_web_addresses_become_links() {
        let link =
            |url: &str| format!("<a href=\"{url}\" rel=\"noopener noreferrer nofollow\" target=\"_blank\">{url}</a>");
        assert_eq!(
            to_html("see https://example.org/a?b=1."),
            format!("<p>see {}.</p>", link("https://example.org/a?b=1"))
        );
        assert_eq!(to_html("(http://a.b/(c))"), format!("<p>({})</p>", link("http://a.b/(c)")));
        for plain in ["javascript:alert(1)", "data:text/html,x", "xhttps://a", "https://", "https:// a", "ftp://a.b"] {
            assert!(!to_html(plain).contains("<a"), "{plain}");
        }
        let tricky = to_html("https://a.b/\"onmouseover=alert(1)");
        assert!(tricky.starts_with(&format!("<p>{}&quot;", link("https://a.b/"))), "{tricky}");
    }
}
