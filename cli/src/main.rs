//! The binary: three lines over the library.
fn main() -> std::process::ExitCode {
    bonfire::main()
}
