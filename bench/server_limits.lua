#!lua name=ffgrant_bench
-- SPDX-License-Identifier: Apache-2.0
--
-- Defines functions with which the functions of the claim path are compared. ffgrant_bench_bare
-- only answers. ffgrant_bench_issue, _claim and _fused each make the data commands of one call,
-- without a check or a decision. These three store the server's own time, because adding an entry
-- to an index costs less if all scores are equal. ffgrant_bench_forget removes a benchmark's
-- executions from a server that the benchmark doesn't own. The benchmark loads this library beside
-- the one that it measures. If it doesn't own the server, it removes this library at the end.

-- Takes the KEYS and ARGV of ff_claim_execution, and answers like ff_claim_execution.
redis.register_function('ffgrant_bench_bare', function(_, args)
  return { 1, 'OK', args[6], '1', '1999999999999', args[9], '0', 'initial' }
end)

-- Returns the server's time in milliseconds, as text.
local function time_text(call)
  local time = call('TIME')
  return time[1] .. string.sub('00000' .. time[2], -6, -4)
end

-- Makes the data commands of ff_issue_claim_grant.
redis.register_function('ffgrant_bench_issue', function(keys, args)
  local call = redis.call
  local time = time_text(call)
  call('HMGET', keys[1], 'lifecycle_phase', 'eligibility_state', 'required_capabilities')
  call('EXISTS', keys[2])
  call('ZSCORE', keys[3], args[1])
  call('HSET', keys[2],
    'worker_id', args[2], 'worker_instance_id', args[3], 'lane_id', args[4],
    'capability_hash', args[5], 'route_snapshot_json', args[7], 'admission_summary', args[8],
    'created_at', time, 'grant_expires_at', time)
  call('PEXPIREAT', keys[2], '1999999999999')
  return { 1, 'OK', args[1] }
end)

local function lease_commands(call, core, id, args, lease_id, attempt_id, attempt, attempts, lease,
                              lease_expiry, worker_leases, active, time)
  call('HSET', attempt,
    'attempt_id', attempt_id, 'execution_id', id, 'attempt_index', '0', 'attempt_type', 'initial',
    'attempt_state', 'started', 'created_at', time, 'started_at', time, 'lease_id', lease_id,
    'lease_epoch', '1', 'worker_id', args[2], 'worker_instance_id', args[3])
  call('ZADD', attempts, time, '0')
  call('HSET', attempt .. ':usage', 'last_usage_report_seq', '0')
  call('HSET', core,
    'lifecycle_phase', 'active', 'ownership_state', 'leased', 'eligibility_state', 'not_applicable',
    'attempt_state', 'running_attempt', 'current_lease_epoch', '1', 'total_attempt_count', '1',
    'started_at', time, 'blocking_reason', 'none', 'blocking_detail', '', 'public_state', 'active',
    'current_attempt_index', '0', 'current_attempt_id', attempt_id, 'current_lease_id', lease_id,
    'current_worker_id', args[2], 'current_worker_instance_id', args[3], 'current_lane', args[4],
    'lease_acquired_at', time, 'lease_expires_at', time, 'lease_last_renewed_at', time,
    'lease_renewal_deadline', time, 'last_transition_at', time, 'last_mutation_at', time)
  call('HSET', lease,
    'lease_id', lease_id, 'lease_epoch', '1', 'execution_id', id, 'attempt_id', attempt_id,
    'worker_id', args[2], 'worker_instance_id', args[3], 'acquired_at', time, 'expires_at', time,
    'last_renewed_at', time, 'renewal_deadline', time)
  call('ZADD', lease_expiry, time, id)
  call('SADD', worker_leases, id)
  call('ZADD', active, time, id)
end

-- Makes the data commands of ff_claim_execution for an execution that was never claimed.
redis.register_function('ffgrant_bench_claim', function(keys, args)
  local call, id = redis.call, args[1]
  local time = time_text(call)
  call('HMGET', keys[1], 'lifecycle_phase', 'ownership_state', 'eligibility_state',
    'attempt_state', 'terminal_outcome', 'current_lease_epoch', 'total_attempt_count')
  call('HMGET', keys[2], 'worker_id', 'grant_expires_at')
  call('DEL', keys[2], keys[10])
  lease_commands(call, keys[1], id, args, args[6], args[9], keys[6], keys[9], keys[10], keys[4],
    keys[5], keys[12], time)
  call('ZREM', keys[3], id)
  call('XADD', keys[11], 'MAXLEN', '~', '1000', '*',
    'event', 'acquired', 'lease_id', args[6], 'lease_epoch', '1', 'attempt_id', args[9],
    'attempt_index', '0', 'worker_id', args[2], 'ts', time)
  return { 1, 'OK', args[6], '1', '1999999999999', args[9], '0', 'initial' }
end)

-- Makes the data commands of ff_issue_grant_and_claim.
redis.register_function('ffgrant_bench_fused', function(keys, args)
  local call, id = redis.call, args[1]
  local time = time_text(call)
  call('HMGET', keys[1], 'lifecycle_phase', 'ownership_state', 'eligibility_state',
    'attempt_state', 'terminal_outcome', 'current_lease_epoch', 'total_attempt_count')
  call('EXISTS', keys[2])
  call('ZREM', keys[3], id)
  call('DEL', keys[7])
  lease_commands(call, keys[1], id, args, args[6], args[8],
    'ff:attempt:' .. string.sub(keys[1], 9, -6) .. ':0', keys[6], keys[7], keys[4], keys[5],
    keys[9], time)
  call('XADD', keys[8], 'MAXLEN', '~', '1000', '*',
    'event', 'acquired', 'lease_id', args[6], 'lease_epoch', '1', 'attempt_id', args[8],
    'attempt_index', '0', 'worker_id', args[2], 'reason', 'issue_grant_and_claim',
    'ts', time)
  return { 1, 'OK', args[6], '1', '0' }
end)

-- Removes an execution that had at most one attempt. KEYS: the execution's core. ARGV: the
-- execution's id, lane and worker instance.
redis.register_function('ffgrant_bench_forget', function(keys, args)
  local call, id = redis.call, args[1]
  local stem, tag = string.sub(keys[1], 1, -5), string.match(keys[1], '{[^}]*}')
  local attempt = 'ff:attempt:' .. string.sub(keys[1], 9, -6) .. ':0'
  call('DEL', keys[1], stem .. 'payload', stem .. 'policy', stem .. 'tags', stem .. 'claim_grant',
    stem .. 'attempts', stem .. 'lease:current', stem .. 'lease:history', stem .. 'result', attempt,
    attempt .. ':usage')
  local index = 'ff:idx:' .. tag .. ':'
  for _, name in ipairs({ 'eligible', 'delayed', 'active', 'terminal' }) do
    call('ZREM', index .. 'lane:' .. args[2] .. ':' .. name, id)
  end
  for _, name in ipairs({ 'lease_expiry', 'attempt_timeout', 'execution_deadline' }) do
    call('ZREM', index .. name, id)
  end
  call('SREM', index .. 'all_executions', id)
  call('SREM', index .. 'worker:' .. args[3] .. ':leases', id)
  return 1
end)
