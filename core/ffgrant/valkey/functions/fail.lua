-- SPDX-License-Identifier: Apache-2.0

-- ---- ffgrant_fail_execution -----------------------------------------------------------

-- Returns how many milliseconds an execution that was retried `retries` times waits before its next
-- try, or nil if there is no next try. Returns nil and the rejection if the policy can't be
-- followed.
local function retry_delay(policy_json, retries)
  if not is_set(policy_json) then return nil end
  local decoded, policy = pcall(cjson.decode, policy_json)
  if not decoded or type(policy) ~= 'table' then return nil end
  local most = tonumber(policy.max_retries or 0)
  if not most then return nil, invalid('retry_policy_json: max_retries is no number') end
  if not (retries < most) then return nil end
  local backoff, delay = policy.backoff or {}, 1000
  if type(backoff) == 'table' then
    if backoff.type == 'fixed' then
      delay = tonumber(backoff.delay_ms) or 1000
    elseif backoff.type == 'exponential' then
      local longest = tonumber(backoff.max_delay_ms) or 60000
      delay = (tonumber(backoff.initial_delay_ms) or 1000) *
          (tonumber(backoff.multiplier) or 2) ^ retries
      if longest < delay then delay = longest end
    end
  elseif type(backoff) ~= 'string' then
    return nil, invalid('retry_policy_json: backoff is no object')
  end
  if not (delay >= -MAX_TTL_MS and delay <= MAX_TTL_MS) then
    return nil, invalid('retry_policy_json: a delay beyond 50000000000000')
  end
  return delay
end

local function write_retried_core(core_key, core, retries, until_text, reason, now_text)
  local index = core[ATTEMPT_INDEX] or '0'
  call('HSET', core_key,
    'lifecycle_phase', 'runnable',
    'ownership_state', 'unowned',
    'eligibility_state', 'not_eligible_until_time',
    'attempt_state', 'pending_retry_attempt',
    'terminal_outcome', 'none',
    'blocking_reason', 'waiting_for_retry_backoff',
    'blocking_detail', 'retry backoff until ' .. until_text .. ' (attempt ' .. index ..
        ' failed: ' .. reason .. ')',
    'public_state', 'delayed',
    'pending_retry_reason', reason,
    'pending_previous_attempt_index', index,
    'retry_count', digits(retries + 1),
    'current_attempt_id', '',
    'current_lease_id', '',
    'current_worker_id', '',
    'current_worker_instance_id', '',
    'lease_expires_at', '',
    'lease_last_renewed_at', '',
    'lease_renewal_deadline', '',
    'delay_until', until_text,
    'failure_reason', reason,
    'last_transition_at', now_text,
    'last_mutation_at', now_text)
end

local function write_failed_core(core_key, reason, now_text)
  call('HSET', core_key,
    'lifecycle_phase', 'terminal',
    'ownership_state', 'unowned',
    'eligibility_state', 'not_applicable',
    'attempt_state', 'attempt_terminal',
    'terminal_outcome', 'failed',
    'blocking_reason', 'none',
    'blocking_detail', '',
    'public_state', 'failed',
    'failure_reason', reason,
    'completed_at', now_text,
    'current_lease_id', '',
    'current_worker_id', '',
    'current_worker_instance_id', '',
    'lease_expires_at', '',
    'lease_last_renewed_at', '',
    'lease_renewal_deadline', '',
    'last_transition_at', now_text,
    'last_mutation_at', now_text)
end

register('ffgrant_fail_execution', 12, 1, function(keys, args)
  local core_key, id, reason = keys[1], args[1], args[5] or ''
  local now, now_text = clock()
  local core, rejection, lease_id, epoch = lease_to_end(core_key, keys[8], args, args[8], now,
    now_text)
  if not core then return rejection end
  local retries = tonumber(call('HGET', core_key, 'retry_count') or 0) or 0
  local delay
  delay, rejection = retry_delay(args[7], retries)
  if rejection then return rejection end

  call('HSET', keys[2],
    'attempt_state', 'ended_failure',
    'ended_at', now_text,
    'failure_reason', reason,
    'failure_category', args[6] or '')
  if call('EXISTS', keys[10]) == 1 then
    call('HSET', keys[10], 'closed_at', now_text, 'closed_reason', 'attempt_failure')
  end
  -- The delay may have a fraction of a millisecond, which is kept.
  local delay_until = delay and now + delay
  if delay then
    write_retried_core(core_key, core, retries, tostring(delay_until), reason, now_text)
  else
    write_failed_core(core_key, reason, now_text)
  end
  call('DEL', keys[7])
  call('ZREM', keys[3], id)
  call('SREM', keys[4], id)
  call('ZREM', keys[9], id)
  call('ZREM', keys[11], id)
  if delay then
    call('ZADD', keys[6], delay_until, id)
  else
    call('ZREM', keys[12], id)
    call('ZADD', keys[5], now_text, id)
  end
  call('XADD', keys[8], 'MAXLEN', '~', HISTORY_LENGTH, '*',
    'event', 'released',
    'lease_id', lease_id,
    'lease_epoch', epoch,
    'attempt_index', core[ATTEMPT_INDEX] or '',
    'reason', delay and 'failed_retry_scheduled' or 'failed_terminal',
    'ts', now_text)
  if delay then return { 1, 'OK', 'retry_scheduled', tostring(delay_until) } end
  tell_flow(core, id, 'failed')
  return { 1, 'OK', 'terminal_failed' }
end)
