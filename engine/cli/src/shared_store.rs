//! Several engines for one cluster: the store that `--store` names, and the name of this machine there.

use std::time::Duration;

use tally_control::Sharing;
use tally_control::lease::{Bounds, Common};
use tally_store::Etcd;
use tally_transport::TlsPaths;

use crate::args;
use crate::errors::CliError;
use crate::history::who;

/// Returns the settings of a loop that runs beside others; `None` where no store is named. `common` are the
/// declarations that were shared when it last ran.
///
/// # Errors
/// When files cannot be used, or plain text would leave this machine without `--store-plain`.
pub fn sharing(
    args: &args::StoreArgs,
    cluster: &str,
    common: Common,
) -> Result<Option<Sharing>, CliError> {
    let Some(address) = &args.store else { return Ok(None) };
    let tls = match (&args.store_ca, &args.store_cert, &args.store_key) {
        (Some(ca), Some(cert), Some(key)) => {
            Some(TlsPaths { ca: ca.clone(), cert: cert.clone(), key: key.clone() })
        }
        // The command line takes all three or none.
        _ => None,
    };
    let lasts = Duration::from_secs(u64::from(args.lease));
    let limit = Duration::from_millis(Bounds::new(lasts).call_ms);
    let store = Etcd::new(address, cluster, tls.as_ref(), args.store_plain, limit);
    let store = store.map_err(|error| {
        let help = match error.fault {
            tally_host::TransportError::PlainTcp { .. } => {
                "Its readers learn what runs where, and its writers decide who leads. Give \
                 --store-ca, --store-cert and --store-key, or --store-plain where the network is \
                 yours alone."
                    .to_owned()
            }
            ref fault => fault.help(),
        };
        CliError::Usage(error.to_string(), help)
    })?;
    Ok(Some(Sharing {
        store: std::sync::Arc::new(store),
        name: args.name.clone().unwrap_or_else(|| format!("{}:{}", who(), std::process::id())),
        lasts,
        supersede: args.supersede,
        common,
        slept_ms,
    }))
}

/// Returns for how long this machine has slept since it was started, in milliseconds: the program's clock stops
/// meanwhile, and a lease does not.
#[cfg(target_os = "linux")]
fn slept_ms() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let ms = |clock| {
        let now = clock_gettime(clock);
        now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000)
    };
    // Read in this order, so that the time in between counts as slept: that is the safe side.
    let awake = ms(ClockId::Monotonic);
    u64::try_from(ms(ClockId::Boottime).saturating_sub(awake)).unwrap_or(0)
}

/// On other systems this is unknown: the margin of the lease and the names of containers protect the cluster.
#[cfg(not(target_os = "linux"))]
fn slept_ms() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(store: &str) -> args::StoreArgs {
        args::StoreArgs {
            store: Some(store.parse().unwrap()),
            store_ca: None,
            store_cert: None,
            store_key: None,
            store_plain: false,
            lease: 15,
            name: None,
            supersede: false,
        }
    }

    #[test]
    fn a_store_beyond_this_machine_wants_tls_or_a_word() {
        let open = |args: &args::StoreArgs| sharing(args, "shop", Common::default());
        assert!(open(&args("etcd://127.0.0.1:2379")).unwrap().is_some());
        let far = args("etcd://10.9.8.7");
        let Err(CliError::Usage(what, help)) = open(&far) else { panic!("it is taken") };
        assert!(what.contains("10.9.8.7:2379"), "{what}");
        assert!(help.contains("--store-plain"), "{help}");
        assert!(open(&args::StoreArgs { store_plain: true, ..far }).unwrap().is_some());
        assert!(open(&args::StoreArgs { store: None, ..args("etcd://a") }).unwrap().is_none());
    }

    #[test]
    fn the_time_that_was_slept_only_grows() {
        let before = slept_ms();
        let after = slept_ms();
        // A millisecond may fall between the two clocks.
        assert!(after + 2 >= before && after <= before + 2, "{before} {after}");
    }
}
