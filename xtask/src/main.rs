//! Every verb a developer or CI uses.
fn main() {}
