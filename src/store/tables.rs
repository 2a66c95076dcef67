//! Every table, on one screen: how its keys are laid out, what its values are, what seals them.
//!
//! Keys are bytes that we encode: fixed width, big-endian, ordered as they are read. Values are records
//! ([`Record`](super::Record)) unless the line says otherwise. A *guarded* table carries a MAC under the host key on
//! every row: somebody who can write to the database cannot make a row that is believed. A *plain* table holds what is
//! worthless to forge or is sealed by itself.

/// One table of the store. The constants below are the only ones there are.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The table's name in the database file.
    pub name: &'static str,
    /// Whether every row carries a MAC under the host key.
    pub guarded: bool,
    /// The table's place in [`ALL`].
    pub(super) place: usize,
}

/// Declares the tables and, from the same lines, [`ALL`]: a table cannot be declared and then not be opened.
macro_rules! tables {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $guard:ident;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "the constants' names, counted")]
        enum Place { $($constant),* }

        $($(#[$doc])* pub const $constant: Table =
            Table { name: $name, guarded: guarded!($guard), place: Place::$constant as usize };)*

        /// Every table, in the order declared; all of them are created when the store is opened.
        pub const ALL: &[Table] = &[$($constant),*];
    };
}

/// The two words that [`tables!`] takes for a table's guard.
macro_rules! guarded {
    (guarded) => {
        true
    };
    (plain) => {
        false
    };
}

tables! {
    /// What the store and the portal know of themselves. Key: a short text. Value: a record, a type for each key.
    /// Sealed by: nothing, it holds no content.
    META = "meta", guarded;

    /// The slots in use. Key: slot index, u64. Value: the slot's tag, 16 bytes, no record. Written by the store alone;
    /// at start every slot without a row here is erased. Sealed by: nothing, a tag tells nothing about its slot.
    SLOTS = "slots", plain;

    /// The blobs in use. Key: blob id, 16 bytes. Value: a record of who has it. At start every blob without a row here
    /// is removed. Sealed by: nothing; the blob's bytes are an age file.
    BLOBS = "blobs", plain;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_table_has_a_name_of_its_own_and_knows_its_place() {
        let names: BTreeSet<_> = ALL.iter().map(|table| table.name).collect();
        assert_eq!(names.len(), ALL.len());
        for (place, table) in ALL.iter().enumerate() {
            assert_eq!(table.place, place, "{}", table.name);
        }
    }
}
