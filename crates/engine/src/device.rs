//! Which devices this build and this machine have, and burn's handle to the one a trial runs on.

use bonfire_domain::spec::DeviceSpec;
use burn::tensor::Device;

use crate::error::DeviceError;

/// A device a trial can be placed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceDescription {
    pub device: DeviceSpec,
    pub name: String,
    /// The device's own memory in bytes; `None` where it is the machine's.
    pub memory: Option<u64>,
}

/// Every device of this build on this machine.
pub fn devices() -> Vec<DeviceDescription> {
    vec![DeviceDescription {
        device: DeviceSpec::Cpu,
        name: crate::numerics::cpu_name(),
        memory: None,
    }]
}

/// Whether a trial may ask for `device` here. Touches no driver.
///
/// # Errors
/// [`DeviceError`]: what is lacking.
pub fn check_device(device: &DeviceSpec) -> Result<(), DeviceError> {
    match device {
        DeviceSpec::Auto | DeviceSpec::Cpu => Ok(()),
        DeviceSpec::Cuda(index) => Err(DeviceError::NoCuda { index: *index }),
    }
}

/// burn's device for training.
///
/// # Errors
/// As [`check_device`].
pub(crate) fn open(device: &DeviceSpec) -> Result<Device, DeviceError> {
    check_device(device)?;
    Ok(Device::flex().autodiff())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(device: DeviceSpec, expected: Option<&str>) {
        let refusal = check_device(&device).err().map(|e| e.to_string());
        assert_eq!(refusal.as_deref(), expected, "{device:?}");
    }

    #[test]
    fn devices_are_refused_with_the_reason() {
        check(DeviceSpec::Auto, None);
        check(DeviceSpec::Cpu, None);
        check(
            DeviceSpec::Cuda(1),
            Some("device cuda:1: this build has no CUDA"),
        );
        for listed in devices() {
            check(listed.device, None);
        }
    }
}
