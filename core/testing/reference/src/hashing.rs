// SPDX-License-Identifier: Apache-2.0
//! CRC16, partitions of ids and lanes, cluster slots.

use crate::border::{Status, View, guard};
use crate::ids::{RawUuid, config_of};
use ff_core::partition::{
    PartitionConfig, budget_partition, flow_partition, quota_partition, solo_partition,
};
use ff_core::types::{BudgetId, FlowId, LaneId, QuotaPolicyId};
use uuid::Uuid;

/// The hash function that ff-core uses.
pub fn crc16(bytes: &[u8]) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(bytes)
}

/// Follows the rule of the cluster specification: hashes the bytes between the first `{` and the
/// next `}`, or the whole key if there are no such bytes.
pub fn hash_slot(key: &[u8]) -> u16 {
    let find =
        |from: usize, byte: u8| key[from..].iter().position(|b| *b == byte).map(|i| from + i);
    let tag = find(0, b'{')
        .and_then(|open| find(open + 1, b'}').map(|close| &key[open + 1..close]))
        .filter(|tag| !tag.is_empty());
    crc16(tag.unwrap_or(key)) & 0x3FFF
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_uuid_partition(
    family: u32,
    id: *const RawUuid,
    count: u16,
    index: *mut u16,
) -> Status {
    guard(|| {
        let uuid = Uuid::from_bytes(unsafe { (*id).bytes });
        let config = PartitionConfig {
            num_flow_partitions: count,
            num_budget_partitions: count,
            num_quota_partitions: count,
        };
        let partition = match family {
            0 => flow_partition(&FlowId::from_uuid(uuid), &config),
            2 => budget_partition(&BudgetId::from_uuid(uuid), &config),
            3 => quota_partition(&QuotaPolicyId::from_uuid(uuid), &config),
            _ => return Err(Status::InvalidArgument),
        };
        unsafe { *index = partition.index };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_lane_partition(lane: View, count: u16, index: *mut u16) -> Status {
    guard(|| {
        let lane = LaneId::new(unsafe { lane.text()? });
        unsafe { *index = solo_partition(&lane, &config_of(count)).index };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_crc16(bytes: View, crc: *mut u16) -> Status {
    guard(|| {
        unsafe { *crc = crc16(bytes.bytes()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_hash_slot(key: View, slot: *mut u16) -> Status {
    guard(|| {
        unsafe { *slot = hash_slot(key.bytes()) };
        Ok(())
    })
}
