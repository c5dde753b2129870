//! Opening a simulated host whose state is a file.

use std::path::Path;

use tally_host::HostError;

use crate::file::SimFile;
use crate::host::{SimHost, SimOptions};
use crate::store::StateBackend;

/// Opens the simulated host called `name` in the spec, whose state is `folder/SIM.jsonl`; the file
/// is created by the first mutating call.
///
/// # Errors
/// [`HostError::SimulatedFile`] when the file exists and is damaged, or is not the file of a simulated host.
pub fn open_file(
    name: &str,
    folder: &Path,
    sim: &str,
    options: SimOptions,
) -> Result<SimHost, HostError> {
    let path = folder.join(format!("{sim}.jsonl"));
    // Two hosts with one seed would give out the same IDs.
    let seed = sim.bytes().fold(options.seed, |seed, byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut file = SimFile::new(path, seed);
    file.read_only(|_| ())?;
    Ok(SimHost::with_store(name, StateBackend::File(Box::new(file)), options))
}
