//! A new migration must be compiled in, and the macro that embeds them only notices changes of those it has.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
