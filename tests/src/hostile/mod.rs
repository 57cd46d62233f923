//! Input that nobody means well with: bytes that are no commands, more of everything than anybody needs, and payloads that
//! are not what they say.

mod bytes;
mod targets;
