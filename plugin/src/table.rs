//! Tables whose rows are the cases of an enum, so that a name with a slip of the pen does not compile.

/// Makes the enum, the list of its cases, and the way from a case to its row.
macro_rules! table {
    ($(#[$about:meta])* pub enum $Table:ident of $Row:ident { $($Case:ident = $row:expr;)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[expect(missing_docs, reason = "a row says what it is")]
        pub enum $Table { $($Case),+ }

        impl $Table {
            /// All cases, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$Case),+];

            /// What the table says of it.
            #[must_use]
            pub const fn row(self) -> $Row {
                match self { $(Self::$Case => $row),+ }
            }
        }
    };
}

pub(crate) use table;
