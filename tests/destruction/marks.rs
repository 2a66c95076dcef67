//! Marks: words that stand nowhere but in what people write, so that finding one on a disk means that content is there
//! in the clear, in whatever form a program might have left it.

use data_encoding::{BASE64, HEXLOWER};
use memchr::memmem;

/// What every mark begins with. Looked for instead of each mark: one pass finds them all.
pub const PREFIX: &str = "Qz7vKpWxMark";

/// The mark of one thing, by its kind and number.
pub fn mark(kind: &str, number: usize) -> String {
    format!("{PREFIX}{kind}{number:03}")
}

/// The forms in which a mark is looked for.
pub fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let wide = |encode: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(encode).collect();
    let mut forms = vec![
        ("UTF-8", text.as_bytes().to_vec()),
        ("lower case", text.to_ascii_lowercase().into_bytes()),
        ("upper case", text.to_ascii_uppercase().into_bytes()),
        ("UTF-16, little end first", wide(u16::to_le_bytes)),
        ("UTF-16, big end first", wide(u16::to_be_bytes)),
        ("hexadecimal", HEXLOWER.encode(text.as_bytes()).into_bytes()),
    ];
    // Base64 depends on what stands before: three alignments, without the characters that the neighbours decide.
    for skipped in 0..3 {
        let whole = &text.as_bytes()[skipped..];
        let whole = &whole[..whole.len() / 3 * 3];
        forms.push(("Base64", BASE64.encode(whole).into_bytes()));
    }
    forms
}

/// Where the bytes show a mark in any form.
pub fn found_in(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for (form, pattern) in forms(PREFIX) {
        for at in memmem::find_iter(bytes, &pattern).take(5) {
            let shown = bytes[at.saturating_sub(16)..].iter().take(80);
            let shown: String = shown.map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '·' }).collect();
            found.push(format!("{form} at {at}: {shown}"));
        }
    }
    found
}

#[test]
fn every_form_of_a_mark_is_found() {
    let text = format!("aa{}zz", mark("subject", 17));
    for (form, bytes) in forms(&text) {
        for offset in 0..3 {
            let buried = [&[7; 100][..offset + 90], &bytes, &[9; 50]].concat();
            assert!(!found_in(&buried).is_empty(), "{form}");
        }
    }
    assert!(found_in(b"nothing of the kind").is_empty());
}
