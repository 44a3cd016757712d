//! Everything that tests spoor from outside.
