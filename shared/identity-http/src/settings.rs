use switchyard_identity::IdentitySettings;
use switchyard_settings::Environment;

/// Reads identity's settings; `None` where something is missing or malformed, which `environment` has noted then.
pub fn read_settings(environment: &mut Environment) -> Option<IdentitySettings> {
    let read = IdentitySettings::parse(|name| environment.text(name).map(str::to_owned));
    let faults = match read {
        Ok(settings) => return Some(settings),
        Err(faults) => faults.0,
    };
    for fault in faults {
        environment.fault(fault.name, fault.message);
    }
    None
}
