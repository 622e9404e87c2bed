//! Enums that are closed: every variant has a name and a meaning, which are written once, at its declaration.

/// One value of a closed label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// How it is written in labels, log fields and status texts.
    pub name: &'static str,
    /// What it says, in one sentence.
    pub meaning: &'static str,
}

/// Declares an enum whose variants have a name and whose doc comments are kept as text.
macro_rules! closed_enum {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $Enum:ident {
            $( $(#[doc = $meaning:literal])+ $Variant:ident = $name:literal, )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $visibility enum $Enum {
            $( $(#[doc = $meaning])+ $Variant, )+
        }

        impl $Enum {
            /// Every variant, in the order of declaration: `ALL[v as usize] == v`.
            $visibility const ALL: [Self; Self::VALUES.len()] = [$( Self::$Variant, )+];

            /// Name and meaning of every variant, in the order of [`Self::ALL`].
            $visibility const VALUES: &'static [Value] = &[
                $( Value { name: $name, meaning: concat!($( $meaning ),+).trim_ascii() }, )+
            ];

            /// The name used in labels, log fields and status texts.
            #[must_use]
            $visibility const fn as_str(self) -> &'static str {
                Self::VALUES[self as usize].name
            }
        }

        // Counters are kept in arrays that are made from `ALL` and indexed by the variant.
        const _: () = {
            let mut index = 0;
            while index < $Enum::ALL.len() {
                assert!($Enum::ALL[index] as usize == index);
                index += 1;
            }
        };

        impl std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use closed_enum;
