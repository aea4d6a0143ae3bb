-- SPDX-License-Identifier: Apache-2.0

-- ---- ffgrant_complete_execution -----------------------------------------------------

-- Returns four values for the lease that a call ends: the stored fields, nil, the lease id and the
-- epoch. The fence args[2] to args[4] names the lease. An operator may leave out the whole fence;
-- then the call ends the execution's current lease, provided that this lease is alive. Returns nil
-- and the rejection if there is no such execution or no live lease, or if the fence is incomplete,
-- is missing although no operator calls, or names another lease.
local function lease_to_end(core_key, history_key, args, source, now, now_text)
  local lease_id, epoch, attempt_id = args[2], args[3], args[4]
  local core = read_lease(core_key)
  if not core[PHASE] and call('EXISTS', core_key) == 0 then
    return nil, { 0, 'execution_not_found' }
  end
  local presence, rejection = fence_presence(lease_id, epoch, attempt_id)
  if rejection then return nil, rejection end
  if presence == 'none' then
    if source ~= 'operator_override' then return nil, { 0, 'fence_required' } end
    lease_id, epoch = core[LEASE_ID] or '', core[EPOCH] or ''
  end
  rejection = check_live_lease(core_key, history_key, core, now, now_text)
  if rejection then return nil, rejection end
  if presence == 'all' and not same_fence(core, lease_id, epoch, attempt_id) then
    return nil, { 0, 'stale_lease' }
  end
  return core, nil, lease_id, epoch
end

-- Tells the execution's flow, if it has one, how the execution has ended, because another execution
-- may wait for this one.
local function tell_flow(core, id, outcome)
  if not is_set(core[FLOW]) then return end
  call('PUBLISH', 'ff:dag:completions',
    cjson.encode({ execution_id = id, flow_id = core[FLOW], outcome = outcome }))
end

register('ffgrant_complete_execution', 12, 1, function(keys, args)
  local core_key, id, result = keys[1], args[1], args[5]
  local now, now_text = clock()
  local core, rejection, lease_id, epoch = lease_to_end(core_key, keys[7], args, args[6], now,
    now_text)
  if not core then return rejection end

  call('HSET', keys[2], 'attempt_state', 'ended_success', 'ended_at', now_text)
  if call('EXISTS', keys[9]) == 1 then
    call('HSET', keys[9], 'closed_at', now_text, 'closed_reason', 'attempt_success')
  end
  if is_set(result) then call('SET', keys[10], result) end
  call('HSET', core_key,
    'lifecycle_phase', 'terminal',
    'ownership_state', 'unowned',
    'eligibility_state', 'not_applicable',
    'attempt_state', 'attempt_terminal',
    'terminal_outcome', 'success',
    'blocking_reason', 'none',
    'blocking_detail', '',
    'public_state', 'completed',
    'current_lease_id', '',
    'current_worker_id', '',
    'current_worker_instance_id', '',
    'lease_expires_at', '',
    'lease_last_renewed_at', '',
    'lease_renewal_deadline', '',
    'last_transition_at', now_text,
    'last_mutation_at', now_text,
    'lease_expired_at', '',
    'lease_revoked_at', '',
    'lease_revoke_reason', '',
    'completed_at', now_text)
  call('ZREM', keys[3], id)
  call('SREM', keys[4], id)
  call('ZADD', keys[5], now_text, id)
  call('ZREM', keys[8], id)
  call('ZREM', keys[11], id)
  call('ZREM', keys[12], id)
  call('DEL', keys[6])
  call('XADD', keys[7], 'MAXLEN', '~', HISTORY_LENGTH, '*',
    'event', 'released',
    'lease_id', lease_id,
    'lease_epoch', epoch,
    'attempt_index', core[ATTEMPT_INDEX] or '',
    'reason', 'completed',
    'ts', now_text)
  tell_flow(core, id, 'success')
  return { 1, 'OK', 'completed' }
end)
