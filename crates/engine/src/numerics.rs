//! The numerics class: inside one class equal work gives equal bits.

use std::fs::File;
use std::io::Read;

/// Build, engine, CPU model and the instruction set level that the kernels choose at run time, as one line.
///
/// It reads the running binary; call it once.
pub fn numerics_class() -> String {
    format!(
        "build {} burn-flex 0.22.1 {} {}",
        build_id(),
        cpu_name(),
        instruction_set()
    )
}

/// How many threads of this process compute.
pub fn threads() -> u32 {
    rayon::current_num_threads() as u32
}

/// The CPU's model name as the system gives it.
pub(crate) fn cpu_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    model.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

#[cfg(target_arch = "x86_64")]
fn instruction_set() -> &'static str {
    if std::is_x86_feature_detected!("avx512f") {
        "avx512"
    } else if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        "avx2"
    } else {
        "sse2"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn instruction_set() -> &'static str {
    std::env::consts::ARCH
}

/// The linker's build id of the running binary; the first 20 bytes of its BLAKE3 where the linker wrote none.
fn build_id() -> String {
    let Ok(mut file) = File::open("/proc/self/exe") else {
        return concat!("unknown ", env!("CARGO_PKG_VERSION")).to_owned();
    };
    let mut bytes = Vec::new();
    let head = file.by_ref().take(1 << 16).read_to_end(&mut bytes);
    if let Some(id) = head.ok().and_then(|_| elf_build_id(&bytes)) {
        return id.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes);
    match hasher.update_reader(file) {
        Ok(_) => hasher.finalize().to_hex()[..40].to_owned(),
        Err(_) => concat!("unknown ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

/// The `NT_GNU_BUILD_ID` note of a little-endian 64-bit ELF file, if it lies within `bytes`.
///
/// Source: System V ABI, "ELF-64 Object File Format", program headers and notes.
fn elf_build_id(bytes: &[u8]) -> Option<&[u8]> {
    const PT_NOTE: u64 = 4;
    const NT_GNU_BUILD_ID: u64 = 3;
    let number = |at: usize, width: usize| -> Option<u64> {
        let part = bytes.get(at..at.checked_add(width)?)?;
        Some(
            part.iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let header = usize::try_from(table.checked_add(index * size)?).ok()?;
        if number(header, 4)? != PT_NOTE {
            continue;
        }
        let mut at = usize::try_from(number(header + 8, 8)?).ok()?;
        let end = at.checked_add(usize::try_from(number(header + 32, 8)?).ok()?)?;
        while at + 12 <= end {
            let name = usize::try_from(number(at, 4)?).ok()?;
            let size = usize::try_from(number(at + 4, 4)?).ok()?;
            let start = at + 12 + name.next_multiple_of(4);
            if number(at + 8, 4)? == NT_GNU_BUILD_ID
                && bytes.get(at + 12..at + 12 + name)? == b"GNU\0"
            {
                return bytes.get(start..start.checked_add(size)?);
            }
            at = start.checked_add(size.next_multiple_of(4))?;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<&[u8]>) {
        assert_eq!(elf_build_id(bytes), expected);
    }

    /// A header, one program header for notes, and one note.
    fn elf(kind: u8, name: &[u8; 4], id: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 120];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (file[32], file[54], file[56]) = (64, 56, 1);
        (file[64], file[72], file[96]) = (4, 120, 16 + id.len() as u8);
        file.extend([4, 0, 0, 0, id.len() as u8, 0, 0, 0, kind, 0, 0, 0]);
        file.extend(name);
        file.extend(id);
        file
    }

    #[test]
    fn build_ids_are_read_from_notes() {
        check(&elf(3, b"GNU\0", &[1, 2, 3, 4]), Some(&[1, 2, 3, 4]));
        check(&elf(1, b"GNU\0", &[1, 2, 3, 4]), None);
        check(&elf(3, b"Go\0\0", &[1, 2, 3, 4]), None);
        check(&elf(3, b"GNU\0", &[1, 2, 3, 4])[..130], None);
        check(b"#!/bin/sh", None);
        check(b"", None);
    }

    #[test]
    fn the_class_is_stable_and_names_the_build() {
        let class = numerics_class();
        assert_eq!(class, numerics_class());
        assert!(class.starts_with("build ") && class.len() > 40, "{class}");
    }
}
