-- SPDX-License-Identifier: Apache-2.0

-- ---- ffgrant_claim_execution, ffgrant_claim_resumed_execution, ffgrant_issue_grant_and_claim --

-- In all three functions ARGV begins with execution id, worker, worker instance and lane.

local function write_lease(key, args, lease_id, attempt_id, epoch, now, expires_at, deadline)
  call('HSET', key,
    'lease_id', lease_id,
    'lease_epoch', epoch,
    'execution_id', args[1],
    'attempt_id', attempt_id,
    'worker_id', args[2],
    'worker_instance_id', args[3],
    'acquired_at', now,
    'expires_at', expires_at,
    'last_renewed_at', now,
    'renewal_deadline', deadline)
end

-- Returns the fields that are stored for a policy, or nil if there is no policy. Returns nil and
-- the rejection if the text is no JSON object or array, or can't be stored.
local function policy_fields(json)
  if not json or json == '' or json == '{}' then return nil end
  local fields = {}
  local decoded, policy = pcall(cjson.decode, json)
  if not decoded or type(policy) ~= 'table' then
    return nil, invalid('attempt_policy_json is malformed')
  end
  for name, value in pairs(policy) do
    if type(value) == 'table' then
      decoded, value = pcall(cjson.encode, value)
      -- The table holds a number such as 1e999, which cjson reads as infinite but does not write.
      if not decoded then return nil, invalid('attempt_policy_json is malformed') end
    end
    fields[#fields + 1] = tostring(name)
    fields[#fields + 1] = tostring(value)
  end
  return fields
end

-- Writes the origin of a retry or a replay into the attempt's record, and blanks the core's fields
-- that said it.
local function write_lineage(core_key, attempt, kind)
  local pending = call('HMGET', core_key, 'pending_retry_reason', 'pending_replay_reason',
    'pending_replay_requested_by', 'pending_previous_attempt_index')
  if kind == 'retry' then
    call('HSET', attempt,
      'retry_reason', pending[1] or '',
      'previous_attempt_index', pending[4] or '')
  else
    call('HSET', attempt,
      'replay_reason', pending[2] or '',
      'replay_requested_by', pending[3] or '',
      'replayed_from_attempt_index', pending[4] or '')
  end
  call('HSET', core_key,
    'pending_retry_reason', '',
    'pending_replay_reason', '',
    'pending_replay_requested_by', '',
    'pending_previous_attempt_index', '')
end

local KIND_OF_ATTEMPT = { pending_retry_attempt = 'retry', pending_replay_attempt = 'replay' }

-- Writes attempt `index` and the core fields that go with it. Returns the attempt's kind: initial,
-- retry or replay. For an initial attempt the pending lineage is not written again, because it is
-- already empty. The outcome is never written again, because an execution that may be claimed has
-- no outcome yet.
local function write_first_claim(core_key, attempts_key, args, lease_id, attempt_id, epoch, index,
                                 attempt_state, policy, now, expires_at, deadline)
  local kind = KIND_OF_ATTEMPT[attempt_state] or 'initial'
  local started_at = attempt_state ~= 'pending_first_attempt' and
      call('HGET', core_key, 'started_at')
  local attempt = attempt_key(core_key, index)
  call('HSET', attempt,
    'attempt_id', attempt_id,
    'execution_id', args[1],
    'attempt_index', index,
    'attempt_type', kind,
    'attempt_state', 'started',
    'created_at', now,
    'started_at', now,
    'lease_id', lease_id,
    'lease_epoch', epoch,
    'worker_id', args[2],
    'worker_instance_id', args[3])
  if kind ~= 'initial' then write_lineage(core_key, attempt, kind) end
  call('ZADD', attempts_key, now, index)
  call('HSET', attempt .. ':usage', 'last_usage_report_seq', '0')
  if policy then
    for i = 1, #policy, 2 do call('HSET', attempt .. ':policy', policy[i], policy[i + 1]) end
  end
  call('HSET', core_key,
    'lifecycle_phase', 'active',
    'ownership_state', 'leased',
    'eligibility_state', 'not_applicable',
    'attempt_state', 'running_attempt',
    'current_lease_epoch', epoch,
    'total_attempt_count', next_number(index),
    'started_at', is_set(started_at) and started_at or now,
    'blocking_reason', 'none',
    'blocking_detail', '',
    'public_state', 'active',
    'current_attempt_index', index,
    'current_attempt_id', attempt_id,
    'current_lease_id', lease_id,
    'current_worker_id', args[2],
    'current_worker_instance_id', args[3],
    'current_lane', args[4],
    'lease_acquired_at', now,
    'lease_expires_at', expires_at,
    'lease_last_renewed_at', now,
    'lease_renewal_deadline', deadline,
    'last_transition_at', now,
    'last_mutation_at', now)
  return kind
end

-- Writes into the attempt and the core that the attempt goes on under a new lease.
local function write_resumed_claim(core_key, attempt, args, lease_id, epoch, now, expires_at,
                                   deadline)
  call('HSET', attempt,
    'attempt_state', 'started',
    'resumed_at', now,
    'lease_id', lease_id,
    'lease_epoch', epoch,
    'worker_id', args[2],
    'worker_instance_id', args[3],
    'suspended_at', '',
    'suspension_id', '')
  call('HSET', core_key,
    'lifecycle_phase', 'active',
    'ownership_state', 'leased',
    'eligibility_state', 'not_applicable',
    'attempt_state', 'running_attempt',
    'terminal_outcome', 'none',
    'current_lease_epoch', epoch,
    'blocking_reason', 'none',
    'blocking_detail', '',
    'public_state', 'active',
    'current_lease_id', lease_id,
    'current_worker_id', args[2],
    'current_worker_instance_id', args[3],
    'current_lane', args[4],
    'lease_acquired_at', now,
    'lease_expires_at', expires_at,
    'lease_last_renewed_at', now,
    'lease_renewal_deadline', deadline,
    'last_transition_at', now,
    'last_mutation_at', now,
    'lease_expired_at', '',
    'lease_revoked_at', '',
    'lease_revoke_reason', '')
end

-- Puts the execution into the indexes where it belongs while it is leased.
local function index_lease(id, expires_at, lease_expiry, worker_leases, active)
  call('ZADD', lease_expiry, expires_at, id)
  call('SADD', worker_leases, id)
  call('ZADD', active, expires_at, id)
end

-- Returns the rejection if there is no grant, or if the grant is for another worker than `worker`.
-- Whether the grant has expired is not checked here.
local function check_grant(grant, worker)
  if grant[1] and grant[1] == worker then return nil end
  return { 0, 'invalid_claim_grant' }
end

local function grant_expired(grant, now)
  return is_set(grant[2]) and tonumber(grant[2]) < now
end

-- Returns the optional arguments of a claim, which are ARGV from `i` on: the attempt's policy (its
-- fields), the attempt's timeout and the execution's deadline. The fourth value is the rejection,
-- if there is one.
local function optional_arguments(args, i)
  local policy, timeout, deadline, rejection
  timeout, rejection = optional_milliseconds_of(args[i + 1], 'attempt_timeout_ms')
  if rejection then return nil, nil, nil, rejection end
  deadline, rejection = optional_time_of(args[i + 2], 'execution_deadline_at')
  if rejection then return nil, nil, nil, rejection end
  policy, rejection = policy_fields(args[i])
  return policy, timeout, deadline, rejection
end

-- Reads the fields that decide whether an execution can be claimed, and those that its next lease
-- follows from.
local function read_claimable(core_key)
  return call('HMGET', core_key, 'lifecycle_phase', 'ownership_state', 'eligibility_state',
    'attempt_state', 'terminal_outcome', 'current_lease_epoch', 'total_attempt_count')
end

register('ffgrant_claim_execution', 14, 9, function(keys, args)
  local ttl, renew_before, timeout, deadline, policy, rejection
  ttl, rejection = milliseconds_of(args[7], 'lease_ttl_ms')
  if rejection then return rejection end
  renew_before, rejection = milliseconds_of(args[8], 'renew_before_ms')
  if rejection then return rejection end
  policy, timeout, deadline, rejection = optional_arguments(args, 10)
  if rejection then return rejection end
  local core_key, id = keys[1], args[1]
  local now, now_text = clock()

  local core = read_claimable(core_key)
  local attempt_state = core[4]
  if core[1] ~= 'runnable' then
    if call('EXISTS', core_key) == 0 then return { 0, 'execution_not_found' } end
    return { 0, 'execution_not_leaseable' }
  end
  if core[2] ~= 'unowned' then return { 0, 'lease_conflict' } end
  if core[3] ~= 'eligible_now' or core[5] ~= 'none' then
    return { 0, 'execution_not_leaseable' }
  end
  if attempt_state == 'running_attempt' then return { 0, 'active_attempt_exists' } end
  if attempt_state == 'attempt_interrupted' then return { 0, 'use_claim_resumed_execution' } end
  local grant = call('HMGET', keys[2], 'worker_id', 'grant_expires_at')
  rejection = check_grant(grant, args[2])
  if rejection then return rejection end
  if grant_expired(grant, now) then return { 0, 'claim_grant_expired' } end

  local lease_id, attempt_id = args[6], args[9]
  local epoch, index = next_number(core[6] or '0'), core[7] or '0'
  local expires_at, lease_key = time_digits(now + ttl), keys[10]
  local lease_deadline = time_digits(now + renew_before)
  call('DEL', keys[2], lease_key)
  local kind = write_first_claim(core_key, keys[9], args, lease_id, attempt_id, epoch, index,
    attempt_state, policy, now_text, expires_at, lease_deadline)
  write_lease(lease_key, args, lease_id, attempt_id, epoch, now_text, expires_at, lease_deadline)
  call('ZREM', keys[3], id)
  index_lease(id, expires_at, keys[4], keys[5], keys[12])
  if timeout then call('ZADD', keys[13], now + timeout, id) end
  if deadline then call('ZADD', keys[14], deadline, id) end
  call('XADD', keys[11], 'MAXLEN', '~', HISTORY_LENGTH, '*',
    'event', 'acquired',
    'lease_id', lease_id,
    'lease_epoch', epoch,
    'attempt_id', attempt_id,
    'attempt_index', index,
    'worker_id', args[2],
    'ts', now_text)
  return { 1, 'OK', lease_id, epoch, expires_at, attempt_id, index, kind }
end)

-- Goes on with the interrupted attempt under a new lease, and returns the lease's expiry. `index`
-- and `attempt_id` are the attempt's own, and `attempt` is its key. The other keys are KEYS of the
-- function that calls resume_claim().
local function resume_claim(core_key, attempt, index, attempt_id, epoch, args, ttl, now, now_text,
                            lease_key, eligible, lease_expiry, worker_leases, active, history_key,
                            reason)
  local id, lease_id = args[1], args[6]
  local expires_at, deadline = time_digits(now + ttl), time_digits(now + floor(ttl * 2 / 3))
  write_resumed_claim(core_key, attempt, args, lease_id, epoch, now_text, expires_at, deadline)
  write_lease(lease_key, args, lease_id, attempt_id, epoch, now_text, expires_at, deadline)
  call('ZREM', eligible, id)
  index_lease(id, expires_at, lease_expiry, worker_leases, active)
  call('XADD', history_key, 'MAXLEN', '~', HISTORY_LENGTH, '*',
    'event', 'acquired',
    'lease_id', lease_id,
    'lease_epoch', epoch,
    'attempt_index', index,
    'attempt_id', attempt_id,
    'worker_id', args[2],
    'reason', reason,
    'ts', now_text)
  return expires_at
end

register('ffgrant_claim_resumed_execution', 11, 7, function(keys, args)
  local ttl, remaining, rejection
  ttl, rejection = milliseconds_of(args[7], 'lease_ttl_ms')
  if rejection then return rejection end
  remaining, rejection = optional_milliseconds_of(args[8], 'remaining_attempt_timeout_ms')
  if rejection then return rejection end
  local core_key, id = keys[1], args[1]
  local now, now_text = clock()

  local core = call('HMGET', core_key, 'lifecycle_phase', 'attempt_state', 'current_lease_epoch',
    'current_attempt_index', 'current_attempt_id')
  if core[1] ~= 'runnable' then
    if call('EXISTS', core_key) == 0 then return { 0, 'execution_not_found' } end
    return { 0, 'execution_not_leaseable' }
  end
  if core[2] ~= 'attempt_interrupted' then return { 0, 'not_a_resumed_execution' } end
  local grant = call('HMGET', keys[2], 'worker_id', 'grant_expires_at')
  rejection = check_grant(grant, args[2])
  if rejection then return rejection end
  if grant_expired(grant, now) then
    call('DEL', keys[2])
    return { 0, 'claim_grant_expired' }
  end

  local index, attempt_id, epoch = core[4] or '', core[5] or '', next_number(core[3] or '0')
  call('DEL', keys[2], keys[7])
  local expires_at = resume_claim(core_key, keys[6], index, attempt_id, epoch, args, ttl, now,
    now_text, keys[7], keys[3], keys[4], keys[5], keys[9], keys[8], 'claim_resumed')
  if remaining and remaining > 0 then call('ZADD', keys[10], now + remaining, id) end
  return { 1, 'OK', args[6], epoch, expires_at, attempt_id, index, 'resumed' }
end)

-- Issues a grant and claims it in one step, so the grant is never written.
register('ffgrant_issue_grant_and_claim', 11, 8, function(keys, args)
  local ttl, timeout, deadline, policy, rejection
  ttl, rejection = milliseconds_of(args[7], 'lease_ttl_ms')
  if rejection then return rejection end
  policy, timeout, deadline, rejection = optional_arguments(args, 9)
  if rejection then return rejection end
  local core_key, id = keys[1], args[1]
  local now, now_text = clock()

  local core = read_claimable(core_key)
  local attempt_state = core[4]
  if core[1] ~= 'runnable' then
    if call('EXISTS', core_key) == 0 then return { 0, 'execution_not_found' } end
    return { 0, 'execution_not_eligible' }
  end
  if core[2] ~= 'unowned' then return { 0, 'lease_conflict' } end
  if core[5] ~= 'none' then return { 0, 'execution_not_eligible' } end
  if attempt_state == 'running_attempt' then return { 0, 'active_attempt_exists' } end
  if call('EXISTS', keys[2]) == 1 then return { 0, 'grant_already_exists' } end

  local lease_id, epoch = args[6], next_number(core[6] or '0')
  if attempt_state == 'attempt_interrupted' then
    local current = call('HMGET', core_key, 'current_attempt_index', 'current_attempt_id')
    local index = current[1] or ''
    call('DEL', keys[7])
    resume_claim(core_key, attempt_key(core_key, index), index, current[2] or '', epoch, args, ttl,
      now, now_text, keys[7], keys[3], keys[4], keys[5], keys[9], keys[8],
      'issue_grant_and_claim_resumed')
    return { 1, 'OK', lease_id, epoch, index }
  end

  if core[3] ~= 'eligible_now' and call('ZSCORE', keys[3], id) then
    return { 0, 'execution_not_eligible' }
  end
  -- For an eligible execution ZREM is the first write; if it removes nothing, nothing has been
  -- written.
  if core[3] ~= 'eligible_now' or call('ZREM', keys[3], id) == 0 then
    return { 0, 'execution_not_in_eligible_set' }
  end
  local attempt_id, index = args[8], core[7] or '0'
  local expires_at, lease_deadline = time_digits(now + ttl), time_digits(now + floor(ttl * 2 / 3))
  call('DEL', keys[7])
  write_first_claim(core_key, keys[6], args, lease_id, attempt_id, epoch, index, attempt_state,
    policy, now_text, expires_at, lease_deadline)
  write_lease(keys[7], args, lease_id, attempt_id, epoch, now_text, expires_at, lease_deadline)
  index_lease(id, expires_at, keys[4], keys[5], keys[9])
  if timeout then call('ZADD', keys[10], now + timeout, id) end
  if deadline then call('ZADD', keys[11], deadline, id) end
  call('XADD', keys[8], 'MAXLEN', '~', HISTORY_LENGTH, '*',
    'event', 'acquired',
    'lease_id', lease_id,
    'lease_epoch', epoch,
    'attempt_id', attempt_id,
    'attempt_index', index,
    'worker_id', args[2],
    'reason', 'issue_grant_and_claim',
    'ts', now_text)
  return { 1, 'OK', lease_id, epoch, index }
end)
