-- SPDX-License-Identifier: Apache-2.0

-- ---- fences, ffgrant_renew_lease, ffgrant_mark_lease_expired_if_due, ffgrant_revoke_lease -----

-- These are the indexes of the fields in the answer of read_lease().
local PHASE, OWNERSHIP, EXPIRES_AT, LEASE_ID, EPOCH, ATTEMPT_ID, ATTEMPT_INDEX, OUTCOME, REVOKED_AT,
    ELIGIBILITY, WORKER, INSTANCE, FLOW = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

local function read_lease(core_key)
  return call('HMGET', core_key, 'lifecycle_phase', 'ownership_state', 'lease_expires_at',
    'current_lease_id', 'current_lease_epoch', 'current_attempt_id', 'current_attempt_index',
    'terminal_outcome', 'lease_revoked_at', 'eligibility_state', 'current_worker_id',
    'current_worker_instance_id', 'flow_id')
end

local function not_active(core)
  return { 0, 'execution_not_active', core[OUTCOME] or '', core[EPOCH] or '', core[PHASE] or '',
           core[ATTEMPT_ID] or '' }
end

-- Closes the stream of the attempt, if there is one and it is still open.
local function close_stream_of_expired(core_key, index, now_text)
  if not is_set(index) then return end
  -- ff:exec:{fp:7}:<id>:core --> ff:stream:{fp:7}:<id>:<index>:meta
  local meta = 'ff:stream:' .. sub(core_key, 9, -6) .. ':' .. index .. ':meta'
  if call('EXISTS', meta) == 0 or is_set(call('HGET', meta, 'closed_at')) then return end
  call('HSET', meta, 'closed_at', now_text, 'closed_reason', 'lease_expired')
end

-- Marks a lease that has run out; from then on the execution can be reclaimed.
local function mark_expired(core_key, history_key, core, now_text)
  if core[OWNERSHIP] == 'lease_expired_reclaimable' then return end
  call('HSET', core_key,
    'lifecycle_phase', core[PHASE],
    'ownership_state', 'lease_expired_reclaimable',
    'eligibility_state', core[ELIGIBILITY] or 'not_applicable',
    'attempt_state', 'attempt_interrupted',
    'terminal_outcome', core[OUTCOME] or 'none',
    'blocking_reason', 'waiting_for_worker',
    'blocking_detail', 'lease expired, awaiting reclaim',
    'public_state', 'active',
    'last_mutation_at', now_text,
    'lease_expired_at', now_text)
  call('XADD', history_key, 'MAXLEN', '~', HISTORY_LENGTH, '*',
    'event', 'expired',
    'lease_id', core[LEASE_ID] or '',
    'lease_epoch', core[EPOCH] or '',
    'attempt_index', core[ATTEMPT_INDEX] or '',
    'attempt_id', core[ATTEMPT_ID] or '',
    'worker_id', core[WORKER] or '',
    'worker_instance_id', core[INSTANCE] or '',
    'ts', now_text)
  close_stream_of_expired(core_key, core[ATTEMPT_INDEX], now_text)
end

-- Returns 'all' if a whole fence is present, and 'none' if no part of a fence is. Returns nil and
-- the rejection if only some of its parts are present.
local function fence_presence(lease_id, epoch, attempt_id)
  local has_lease, has_epoch, has_attempt = is_set(lease_id), is_set(epoch), is_set(attempt_id)
  if has_lease and has_epoch and has_attempt then return 'all' end
  if has_lease or has_epoch or has_attempt then return nil, { 0, 'partial_fence_triple' } end
  return 'none'
end

local function same_fence(core, lease_id, epoch, attempt_id)
  return core[LEASE_ID] == lease_id and core[EPOCH] == epoch and core[ATTEMPT_ID] == attempt_id
end

-- Returns the rejection if the execution has no live lease; who holds the lease is not checked
-- here. Marks a lease that has run out.
local function check_live_lease(core_key, history_key, core, now, now_text)
  if core[PHASE] ~= 'active' then return not_active(core) end
  if core[OWNERSHIP] == 'lease_revoked' then return { 0, 'lease_revoked' } end
  if (tonumber(core[EXPIRES_AT] or 0) or 0) <= now then
    mark_expired(core_key, history_key, core, now_text)
    return { 0, 'lease_expired' }
  end
end

register('ffgrant_renew_lease', 4, 7, function(keys, args)
  local ttl, grace, rejection
  ttl, rejection = milliseconds_of(args[6], 'lease_ttl_ms')
  if rejection then return rejection end
  grace, rejection = milliseconds_of(args[7], 'lease_history_grace_ms')
  if rejection then return rejection end
  local core_key, id = keys[1], args[1]
  local now, now_text = clock()

  local core = read_lease(core_key)
  if not core[PHASE] and call('EXISTS', core_key) == 0 then
    return { 0, 'execution_not_found' }
  end
  local presence
  presence, rejection = fence_presence(args[4], args[5], args[3])
  if rejection then return rejection end
  if presence == 'none' then return { 0, 'fence_required' } end
  if core[PHASE] == 'active' and is_set(core[REVOKED_AT]) then return { 0, 'lease_revoked' } end
  rejection = check_live_lease(core_key, keys[3], core, now, now_text)
  if rejection then return rejection end
  if core[ATTEMPT_INDEX] ~= args[2] or not same_fence(core, args[4], args[5], args[3]) then
    return { 0, 'stale_lease' }
  end

  local expires_at = now + ttl
  local expires_text, deadline = time_digits(expires_at), time_digits(now + floor(ttl * 2 / 3))
  call('HSET', core_key,
    'lease_expires_at', expires_text,
    'lease_last_renewed_at', now_text,
    'lease_renewal_deadline', deadline,
    'last_mutation_at', now_text)
  call('HSET', keys[2],
    'expires_at', expires_text,
    'last_renewed_at', now_text,
    'renewal_deadline', deadline)
  call('PEXPIREAT', keys[2], expires_at + grace)
  call('ZADD', keys[4], expires_text, id)
  return { 1, 'OK', expires_text }
end)

register('ffgrant_mark_lease_expired_if_due', 4, 1, function(keys, args)
  local core_key, lease_expiry, id = keys[1], keys[3], args[1]
  local now, now_text = clock()

  local core = read_lease(core_key)
  if core[PHASE] ~= 'active' then
    local reason = not core[PHASE] and call('EXISTS', core_key) == 0 and 'execution_not_found' or
        'not_active'
    call('ZREM', lease_expiry, id)
    return { 1, 'ALREADY_SATISFIED', reason }
  end
  local ownership = core[OWNERSHIP]
  if ownership == 'lease_expired_reclaimable' then
    return { 1, 'ALREADY_SATISFIED', 'already_expired' }
  end
  if ownership == 'lease_revoked' then return { 1, 'ALREADY_SATISFIED', 'already_revoked' } end
  if ownership == 'unowned' then
    call('ZREM', lease_expiry, id)
    return { 1, 'ALREADY_SATISFIED', 'unowned' }
  end
  if (tonumber(core[EXPIRES_AT] or 0) or 0) > now then
    return { 1, 'ALREADY_SATISFIED', 'not_yet_expired' }
  end
  -- The execution stays in the index of expiries, where whoever wants to reclaim it finds it.
  mark_expired(core_key, keys[4], core, now_text)
  return { 1, 'OK', 'marked_expired' }
end)

register('ffgrant_revoke_lease', 5, 1, function(keys, args)
  local core_key, id, expected = keys[1], args[1], args[2]
  local _, now_text = clock()

  local core = read_lease(core_key)
  if core[PHASE] ~= 'active' then
    if not core[PHASE] and call('EXISTS', core_key) == 0 then
      return { 0, 'execution_not_found' }
    end
    return not_active(core)
  end
  local ownership = core[OWNERSHIP]
  if ownership == 'lease_revoked' then return { 1, 'ALREADY_SATISFIED', 'already_revoked' } end
  if ownership == 'lease_expired_reclaimable' then
    return { 1, 'ALREADY_SATISFIED', 'already_expired' }
  end
  if ownership ~= 'leased' then return { 0, 'no_active_lease' } end
  local lease_id, epoch = core[LEASE_ID] or '', core[EPOCH] or ''
  if is_set(expected) and lease_id ~= expected then
    return { 0, 'stale_lease', 'expected ' .. expected .. ' but current is ' .. lease_id }
  end

  local reason = args[3] or 'operator'
  call('HSET', core_key,
    'lifecycle_phase', 'active',
    'ownership_state', 'lease_revoked',
    'eligibility_state', core[ELIGIBILITY] or 'not_applicable',
    'attempt_state', 'attempt_interrupted',
    'terminal_outcome', 'none',
    'blocking_reason', 'waiting_for_worker',
    'blocking_detail', 'lease revoked: ' .. reason,
    'public_state', 'active',
    'last_mutation_at', now_text,
    'lease_revoked_at', now_text,
    'lease_revoke_reason', reason)
  call('DEL', keys[2])
  call('ZREM', keys[4], id)
  call('SREM', keys[5], id)
  call('XADD', keys[3], 'MAXLEN', '~', HISTORY_LENGTH, '*',
    'event', 'revoked',
    'lease_id', lease_id,
    'lease_epoch', epoch,
    'attempt_index', core[ATTEMPT_INDEX] or '',
    'attempt_id', core[ATTEMPT_ID] or '',
    'worker_id', core[WORKER] or '',
    'worker_instance_id', core[INSTANCE] or '',
    'reason', reason,
    'ts', now_text)
  return { 1, 'OK', 'revoked', lease_id, epoch }
end)
