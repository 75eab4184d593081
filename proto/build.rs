//! Compiles the .proto files with `protox` (no `protoc` on the machine) and writes the descriptors for reflection.

use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut protos = protox::Compiler::new(["proto"])?;
    protos
        .include_source_info(true)
        .include_imports(true)
        .open_files(["bonfire.proto"])?;
    // `compile_fds` ignores `file_descriptor_set_path`: the set for reflection is written here.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("bonfire.bin"), protos.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .compile_fds(protos.file_descriptor_set())?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
