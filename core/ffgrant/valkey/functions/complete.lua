-- SPDX-License-Identifier: Apache-2.0

-- ---- ffgrant_complete_execution -----------------------------------------------------

register('ffgrant_complete_execution', 12, 1, function(keys, args)
  local core_key, id = keys[1], args[1]
  local lease_id, epoch, attempt_id, result = args[2], args[3], args[4], args[5]
  local now, now_text = clock()

  local core = read_lease(core_key)
  if not core[PHASE] and call('EXISTS', core_key) == 0 then
    return { 0, 'execution_not_found' }
  end
  local presence, rejection = fence_presence(lease_id, epoch, attempt_id)
  if rejection then return rejection end
  if presence == 'none' then
    if args[6] ~= 'operator_override' then return { 0, 'fence_required' } end
    -- An operator ends whatever lease there is, as long as it lives.
    lease_id, epoch, attempt_id = core[LEASE_ID] or '', core[EPOCH] or '', core[ATTEMPT_ID] or ''
  end
  rejection = check_live_lease(core_key, keys[7], core, now, now_text)
  if rejection then return rejection end
  if presence == 'all' and not same_fence(core, lease_id, epoch, attempt_id) then
    return { 0, 'stale_lease' }
  end

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
  -- Executions of a flow may be waited for.
  if is_set(core[FLOW]) then
    call('PUBLISH', 'ff:dag:completions',
      cjson.encode({ execution_id = id, flow_id = core[FLOW], outcome = 'success' }))
  end
  return { 1, 'OK', 'completed' }
end)
