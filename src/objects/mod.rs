//! What a request means for an object. Plaintext exists here only while a request is answered.

pub mod fields;
pub mod patch;
pub mod record;
