//! Background work of the loop.

use std::pin::Pin;

/// A boxed future that the loop polls beside others.
pub(crate) type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;
