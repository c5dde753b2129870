//! `pause`: the only program of the infra image. It keeps a pod's namespaces open: it waits for SIGTERM or SIGINT, then
//! ends, and reaps the children that it inherits as process 1.
//!
//! `build.rs` compiles it, without the workspace's lints: without a standard library only `unsafe` code can make a system
//! call. It reads, writes and opens nothing. As process 1 of a namespace it gets only the signals that it requests, so
//! it blocks three signals and waits for them, which needs no signal handler.

#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

/// Numbers of the system calls, from the kernel's tables for each architecture.
#[cfg(target_arch = "x86_64")]
mod number {
    pub const SIGPROCMASK: usize = 14;
    pub const WAIT4: usize = 61;
    pub const EXIT_GROUP: usize = 231;
    pub const SIGTIMEDWAIT: usize = 128;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const SIGPROCMASK: usize = 135;
    pub const WAIT4: usize = 260;
    pub const EXIT_GROUP: usize = 94;
    pub const SIGTIMEDWAIT: usize = 137;
}

// The kernel enters with an aligned stack and no return address.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "call {main}", "ud2", main = sym main);

#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, xzr", "bl {main}", "brk #0", main = sym main);

#[cfg(target_arch = "x86_64")]
unsafe fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let result: isize;
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let result: isize;
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d,
            options(nostack),
        );
    }
    result
}

const SIGINT: isize = 2;
const SIGTERM: isize = 15;
const SIGCHLD: isize = 17;
const WNOHANG: usize = 1;
/// The size of the kernel's signal set in bytes.
const SET_BYTES: usize = 8;

extern "C" fn main() -> ! {
    let set: u64 = (1 << (SIGINT - 1)) | (1 << (SIGTERM - 1)) | (1 << (SIGCHLD - 1));
    let set_at = &raw const set as usize;
    // SAFETY: every passed pointer is null or points at `set`, which outlives the calls.
    unsafe {
        // 0 is SIG_BLOCK: the three signals stay pending until SIGTIMEDWAIT takes them.
        call(number::SIGPROCMASK, 0, set_at, 0, SET_BYTES);
        loop {
            match call(number::SIGTIMEDWAIT, set_at, 0, 0, SET_BYTES) {
                SIGINT | SIGTERM => {
                    call(number::EXIT_GROUP, 0, 0, 0, 0);
                }
                // Signals merge, so one SIGCHLD may report several children.
                SIGCHLD => while call(number::WAIT4, usize::MAX, 0, WNOHANG, 0) > 0 {},
                _ => {}
            }
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
