//! `bonfire-bench [GROUP [ID ...]]`: one JSON object a line.

fn main() -> std::process::ExitCode {
    bonfire_bench::main()
}
