// SPDX-License-Identifier: Apache-2.0
//! FlowFabric's own code behind the C interface that `ffgrant_reference.h` documents.

pub mod arena;
pub mod border;
pub mod hashing;
pub mod ids;
pub mod json;
pub mod json_error;
pub mod key_names;
pub mod prepared;
pub mod shapes;
pub mod values;
