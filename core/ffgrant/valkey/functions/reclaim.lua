-- SPDX-License-Identifier: Apache-2.0

-- ---- ffgrant_reclaim_execution ------------------------------------------------------

-- Returns the cap on reclaims: the one in the execution's own policy, or else the caller's.
local function reclaim_cap(core_key, default)
  local policy_json = call('GET', (gsub(core_key, ':core$', ':policy')))
  if policy_json then
    local decoded, policy = pcall(cjson.decode, policy_json)
    if decoded and type(policy) == 'table' and policy.max_reclaim_count ~= nil then
      -- If the policy's cap is no number, the reference is left without a cap and then fails. Here
      -- the caller's cap is used, which is safe.
      return tonumber(policy.max_reclaim_count) or default
    end
  end
  return default
end

-- Ends an execution that was reclaimed too often: it fails, and is never retried.
local function fail_for_good(keys, id, core, now_text)
  local core_key, instance = keys[1], core[5]
  call('HSET', core_key,
    'lifecycle_phase', 'terminal',
    'ownership_state', 'unowned',
    'eligibility_state', 'not_applicable',
    'attempt_state', 'attempt_terminal',
    'terminal_outcome', 'failed',
    'blocking_reason', 'none',
    'blocking_detail', '',
    'public_state', 'failed',
    'current_lease_id', '',
    'current_worker_id', '',
    'current_worker_instance_id', '',
    'last_transition_at', now_text,
    'last_mutation_at', now_text,
    'completed_at', now_text,
    'failure_reason', 'max_reclaims_exceeded')
  call('DEL', keys[8])
  call('ZREM', keys[10], id)
  call('SREM', keys[11], id)
  if is_set(instance) then
    call('SREM', index_key(core_key, 'worker:' .. instance .. ':leases'), id)
  end
  call('ZREM', keys[12], id)
  call('ZREM', keys[13], id)
  call('ZREM', keys[14], id)
  local lane = core[6] or core[7] or 'default'
  call('ZADD', index_key(core_key, 'lane:' .. lane .. ':terminal'), now_text, id)
end

-- Ends the attempt whose lease was lost, and closes its stream.
local function interrupt_attempt(attempt, stream_meta, reason, now_text)
  call('HSET', attempt,
    'attempt_state', 'interrupted_reclaimed',
    'ended_at', now_text,
    'failure_reason', reason)
  if call('EXISTS', stream_meta) == 1 then
    call('HSET', stream_meta, 'closed_at', now_text, 'closed_reason', 'reclaimed')
  end
end

local function write_reclaim(keys, lease, index, old_index, reason, reclaim_count)
  local core_key = keys[1]
  local attempt = attempt_key(core_key, index)
  call('HSET', attempt,
    'attempt_id', lease.attempt_id,
    'execution_id', lease.id,
    'attempt_index', index,
    'attempt_type', 'reclaim',
    'attempt_state', 'started',
    'created_at', lease.now,
    'started_at', lease.now,
    'lease_id', lease.lease_id,
    'lease_epoch', lease.epoch,
    'worker_id', lease.worker,
    'worker_instance_id', lease.instance,
    'reclaim_reason', reason,
    'previous_attempt_index', old_index)
  call('ZADD', keys[7], lease.now, index)
  call('HSET', attempt .. ':usage', 'last_usage_report_seq', '0')
  call('DEL', keys[8])
  write_lease(keys[8], { lease.id, lease.worker, lease.instance }, lease.lease_id, lease.attempt_id,
    lease.epoch, lease.now, lease.expires_at, lease.deadline)
  call('HSET', core_key,
    'lifecycle_phase', 'active',
    'ownership_state', 'leased',
    'eligibility_state', 'not_applicable',
    'attempt_state', 'running_attempt',
    'terminal_outcome', 'none',
    'current_lease_epoch', lease.epoch,
    'total_attempt_count', next_number(index),
    'blocking_reason', 'none',
    'blocking_detail', '',
    'public_state', 'active',
    'current_attempt_index', index,
    'current_attempt_id', lease.attempt_id,
    'current_lease_id', lease.lease_id,
    'current_worker_id', lease.worker,
    'current_worker_instance_id', lease.instance,
    'current_lane', lease.lane,
    'lease_acquired_at', lease.now,
    'lease_expires_at', lease.expires_at,
    'lease_last_renewed_at', lease.now,
    'lease_renewal_deadline', lease.deadline,
    'last_transition_at', lease.now,
    'last_mutation_at', lease.now,
    'lease_expired_at', '',
    'lease_revoked_at', '',
    'lease_revoke_reason', '',
    'lease_reclaim_count', next_number(reclaim_count))
end

register('ffgrant_reclaim_execution', 14, 7, function(keys, args)
  local ttl, rejection = milliseconds_of(args[6], 'lease_ttl_ms')
  if rejection then return rejection end
  local default_cap
  default_cap, rejection = number_of(args[9] or '100', 'default_max_reclaim_count')
  if rejection then return rejection end
  local core_key, id = keys[1], args[1]
  local now, now_text = clock()

  local core = call('HMGET', core_key, 'lifecycle_phase', 'ownership_state', 'current_lease_epoch',
    'total_attempt_count', 'current_worker_instance_id', 'lane_id', 'current_lane',
    'lease_reclaim_count', 'current_attempt_index')
  local ownership, old_instance = core[2], core[5]
  rejection = check_reclaimable(core_key, core[1], ownership)
  if rejection then return rejection end
  local cap = reclaim_cap(core_key, default_cap)
  if (tonumber(core[8]) or 0) >= cap then
    fail_for_good(keys, id, core, now_text)
    return { 0, 'max_retries_exhausted', tostring(cap) }
  end
  -- A reclaim grant expires only with its key, so no expiry is compared here.
  rejection = check_grant(call('HMGET', keys[2], 'worker_id'), args[2])
  if rejection then return rejection end

  local lease = {
    id = id, worker = args[2], instance = args[3], lane = args[4], lease_id = args[5],
    attempt_id = args[7], epoch = next_number(core[3] or '0'), now = now_text,
    expires_at = time_digits(now + ttl), deadline = time_digits(now + floor(ttl * 2 / 3)),
  }
  local reason = 'lease_' .. ownership
  call('DEL', keys[2])
  interrupt_attempt(keys[3], keys[4], reason, now_text)
  local index = core[4] or '0'
  write_reclaim(keys, lease, index, core[9] or '0', reason, core[8] or '0')
  if is_set(old_instance) and old_instance ~= lease.instance then
    call('SREM', index_key(core_key, 'worker:' .. old_instance .. ':leases'), id)
  end
  index_lease(id, lease.expires_at, keys[10], keys[11], keys[12])
  call('XADD', keys[9], 'MAXLEN', '~', HISTORY_LENGTH, '*',
    'event', 'reclaimed',
    'old_lease_epoch', core[3] or '',
    'new_lease_id', lease.lease_id,
    'new_lease_epoch', lease.epoch,
    'new_attempt_id', lease.attempt_id,
    'new_attempt_index', index,
    'worker_id', lease.worker,
    'ts', now_text)
  return { 1, 'OK', lease.lease_id, lease.epoch, lease.expires_at, lease.attempt_id, index,
           'reclaim' }
end)
