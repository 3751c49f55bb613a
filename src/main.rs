//! The `strongroom` binary: hands over to the library.

fn main() -> std::process::ExitCode {
    strongroom::cli::main()
}
