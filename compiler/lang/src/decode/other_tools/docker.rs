//! Words of Docker and Compose for settings of a container that are not in this version, or not in a container.

use super::answer::Answer::{self, Says};
use crate::codes::{NOT_DONE, OTHER_TOOL};

const CPUS: Answer = Says(
    OTHER_TOOL,
    "a container cannot be bound to certain cores or weights yet",
    "`resources cpu=0.5` reserves cores, and `max-cpu` limits them.",
);
const MEMORY: Answer = Says(
    OTHER_TOOL,
    "memory is set in `resources`; swap and its limits are not in this version yet",
    "For example: `resources memory=\"256MiB\" max-memory=\"512MiB\"`",
);
const PIDS: Answer = Says(
    OTHER_TOOL,
    "the number of processes will be limited by `pids` in `resources`, which is not in this version yet",
    "",
);
const SHM: Answer = Says(
    OTHER_TOOL,
    "the size of `/dev/shm` will be `shm` in `resources`, which is not in this version yet",
    "",
);
const GPU: Answer = Says(
    OTHER_TOOL,
    "graphics processors will be `gpu` in `resources`, which is not in this version yet",
    "",
);
const SECURITY: Answer = Says(
    OTHER_TOOL,
    "security options will be `security`, which is not in this version yet",
    "`user` is: `user \"1000:1000\"`.",
);
const DEVICE: Answer =
    Says(OTHER_TOOL, "devices will be `device`, which is not in this version yet", "");
const CAPABILITY: Answer = Says(
    OTHER_TOOL,
    "kernel capabilities will be set by `capability`, which is not in this version yet",
    "",
);
const LOG: Answer =
    Says(OTHER_TOOL, "the log driver will be `log`, which is not in this version yet", "");
const READ_ONLY: Answer = Says(
    OTHER_TOOL,
    "a read-only file system will be `read-only-root`, which is not in this version yet",
    "A mount is read-only by `read-only=#true`.",
);
const GROUPS: Answer =
    Says(OTHER_TOOL, "more groups will be `groups`, which is not in this version yet", "");
const POD_NETWORK: Answer = Says(
    OTHER_TOOL,
    "names and addresses are the pod's: its containers share one network",
    "Pods reach each other by name.",
);
const SYSCTL: Answer = Says(OTHER_TOOL, "kernel settings are the pod's", "");
const NAMESPACES: Answer = Says(
    NOT_DONE,
    "a container cannot join the namespaces of its host or of another pod",
    "The containers of a pod share one network.",
);
const RUNTIME: Answer =
    Says(NOT_DONE, "the runtime of a container is that of its host's engine", "Leave it out.");
const VOLUMES_FROM: Answer = Says(
    OTHER_TOOL,
    "volumes are shared by name: each container mounts those it needs",
    "For example: `mount data \"/data\"`",
);
const HOOKS: Answer = Says(
    NOT_DONE,
    "there are no hooks in a container",
    "To run something first, use an `init`; `stop` sets how a container is stopped.",
);

pub(super) static DOCKER: &[(&str, Answer)] = &[
    ("add-host", POD_NETWORK),
    ("attach", LOG),
    ("blkio-config", CPUS),
    ("cap-add", CAPABILITY),
    ("cap-drop", CAPABILITY),
    ("capabilities", CAPABILITY),
    ("cgroup", NAMESPACES),
    ("cgroup-parent", NAMESPACES),
    ("cpu-count", CPUS),
    ("cpu-percent", CPUS),
    ("cpu-period", CPUS),
    ("cpu-quota", CPUS),
    ("cpu-rt-period", CPUS),
    ("cpu-rt-runtime", CPUS),
    ("cpu-shares", CPUS),
    ("cpuset", CPUS),
    ("cpuset-cpus", CPUS),
    ("cpuset-mems", CPUS),
    ("credential-spec", SECURITY),
    ("device-cgroup-rules", DEVICE),
    ("devices", DEVICE),
    ("dns", POD_NETWORK),
    ("dns-opt", POD_NETWORK),
    ("dns-search", POD_NETWORK),
    ("domainname", POD_NETWORK),
    ("external-links", POD_NETWORK),
    ("extra-hosts", POD_NETWORK),
    ("gpus", GPU),
    ("group-add", GROUPS),
    ("host-aliases", POD_NETWORK),
    ("host-name", POD_NETWORK),
    ("hostname", POD_NETWORK),
    ("ip", POD_NETWORK),
    ("ip6", POD_NETWORK),
    ("ipc", NAMESPACES),
    ("isolation", RUNTIME),
    ("link-local-ips", POD_NETWORK),
    ("log-driver", LOG),
    ("log-opt", LOG),
    ("logging", LOG),
    ("mac-address", POD_NETWORK),
    ("mem-swappiness", MEMORY),
    ("memory-reservation", MEMORY),
    ("memory-swap", MEMORY),
    ("memswap-limit", MEMORY),
    ("oom-kill-disable", MEMORY),
    ("oom-score-adj", MEMORY),
    ("pid", NAMESPACES),
    ("pids-limit", PIDS),
    ("post-start", HOOKS),
    ("pre-stop", HOOKS),
    ("read-only", READ_ONLY),
    ("runtime", RUNTIME),
    ("security-opt", SECURITY),
    ("security-options", SECURITY),
    ("shm-size", SHM),
    ("storage-opt", RUNTIME),
    ("sysctl", SYSCTL),
    ("sysctls", SYSCTL),
    ("use-api-socket", SECURITY),
    ("userns", NAMESPACES),
    ("userns-mode", NAMESPACES),
    ("uts", NAMESPACES),
    ("volumes-from", VOLUMES_FROM),
];
