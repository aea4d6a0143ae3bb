-- SPDX-License-Identifier: Apache-2.0

-- ---- ffgrant_suspend_execution, ffgrant_resume_execution, ffgrant_promote_delayed,
-- ---- ffgrant_rotate_waitpoint_hmac_secret -------------------------------------------
--
-- Suspending and resuming are served only as far as a grant for a resumed execution needs them: one
-- new waitpoint, and conditions by signal name. No function here delivers signals.

-- Returns the bytes that `hex` spells in hex digits, or nil if `hex` is no such text.
local function bytes_of_hex(hex)
  if #hex % 2 ~= 0 or find(hex, '%X') then return nil end
  return (gsub(hex, '..', function(digits) return char(tonumber(digits, 16)) end))
end

local function xor_with(bytes, value)
  return (gsub(bytes, '.', function(byte) return char(bit.bxor(byte:byte(), value)) end))
end

-- Returns HMAC-SHA1 (RFC 2104) in hex; nil if the key is no hex text.
local function hmac_sha1(key_hex, message)
  local key = bytes_of_hex(key_hex)
  if not key then return nil end
  if #key > 64 then key = bytes_of_hex(redis.sha1hex(key)) end
  key = key .. rep('\0', 64 - #key)
  local inner = redis.sha1hex(xor_with(key, 0x36) .. message)
  return redis.sha1hex(xor_with(key, 0x5c) .. bytes_of_hex(inner))
end

-- Returns the token that a signal has to bring along, `<key id>:<digest>`, or nil and the
-- rejection.
local function waitpoint_token(secrets_key, waitpoint_id, waitpoint_key, now_text)
  local kid = call('HGET', secrets_key, 'current_kid')
  local secret = kid and call('HGET', secrets_key, 'secret:' .. kid)
  if not secret then return nil, { 0, 'hmac_secret_not_initialized' } end
  local digest = hmac_sha1(secret, waitpoint_id .. '|' .. waitpoint_key .. '|' .. now_text)
  if not digest then return nil, { 0, 'invalid_secret' } end
  return kid .. ':' .. digest
end

-- Returns the fields of a condition that waits for signals of given names; without names any signal
-- will do. Returns nil and the rejection for a condition that is malformed or isn't served here.
local function condition_fields(json, now_text)
  local decoded, spec = pcall(cjson.decode, json)
  if not decoded or type(spec) ~= 'table' then
    return nil, invalid('resume_condition_json is malformed')
  end
  if spec.composite then
    return nil, invalid('resume_condition_json: composite conditions are not served')
  end
  local names = spec.required_signal_names or {}
  if type(names) ~= 'table' then
    return nil, invalid('resume_condition_json: required_signal_names is no list')
  end
  local count = #names
  if count > 100 then
    return nil, invalid('resume_condition_json: more than 100 required_signal_names')
  end
  if count == 0 then names, count = { '' }, 1 end
  local fields = {
    'condition_type', tostring(spec.condition_type or 'signal_set'),
    'match_mode', tostring(spec.signal_match_mode or 'any'),
    'minimum_signal_count', tostring(tonumber(spec.minimum_signal_count or 1)),
    'total_matchers', tostring(count),
    'satisfied_count', '0',
    'closed', '0',
    'updated_at', now_text,
  }
  for i = 1, count do
    local matcher = 'matcher:' .. (i - 1)
    for _, text in ipairs({ matcher .. ':name', tostring(names[i]), matcher .. ':satisfied', '0',
                            matcher .. ':signal_id', '' }) do
      fields[#fields + 1] = text
    end
  end
  return fields
end

local BLOCKING_REASONS = {
  waiting_for_approval = 'waiting_for_approval',
  waiting_for_callback = 'waiting_for_callback',
  waiting_for_tool_result = 'waiting_for_tool_result',
  waiting_for_operator_review = 'paused_by_operator',
  paused_by_policy = 'paused_by_policy',
  paused_by_budget = 'waiting_for_budget',
  manual_pause = 'paused_by_operator',
}

local function write_suspended_core(core_key, waitpoint_id, suspension_id, reason, now_text)
  call('HSET', core_key,
    'lifecycle_phase', 'suspended',
    'ownership_state', 'unowned',
    'eligibility_state', 'not_applicable',
    'attempt_state', 'attempt_interrupted',
    'terminal_outcome', 'none',
    'blocking_reason', BLOCKING_REASONS[reason] or 'waiting_for_signal',
    'blocking_detail', 'suspended: waitpoint ' .. waitpoint_id .. ' awaiting ' .. reason,
    'public_state', 'suspended',
    'current_lease_id', '',
    'current_worker_id', '',
    'current_worker_instance_id', '',
    'lease_expires_at', '',
    'lease_last_renewed_at', '',
    'lease_renewal_deadline', '',
    'last_transition_at', now_text,
    'last_mutation_at', now_text,
    'current_suspension_id', suspension_id,
    'current_waitpoint_id', waitpoint_id)
end

local function write_suspension(keys, args, token, condition, now_text)
  local timeout_at = args[11] or ''
  call('HSET', keys[8],
    'waitpoint_id', args[7],
    'execution_id', args[1],
    'attempt_index', args[2],
    'suspension_id', args[6],
    'waitpoint_key', args[8],
    'waitpoint_token', token,
    'state', 'active',
    'created_at', now_text,
    'activated_at', now_text,
    'expires_at', timeout_at,
    'signal_count', '0',
    'matched_signal_count', '0',
    'last_signal_at', '')
  call('HSET', keys[15], unpack(condition))
  call('SADD', keys[14], args[7])
  call('HSET', keys[7],
    'suspension_id', args[6],
    'execution_id', args[1],
    'attempt_index', args[2],
    'waitpoint_id', args[7],
    'waitpoint_key', args[8],
    'additional_waitpoints_json', '[]',
    'reason_code', args[9],
    'requested_by', args[10],
    'created_at', now_text,
    'timeout_at', timeout_at,
    'timeout_behavior', args[16] or 'fail',
    'resume_condition_json', args[12],
    'resume_policy_json', args[13],
    'continuation_metadata_pointer', args[14] or '',
    'buffered_signal_summary_json', '{"total_count":0,"matched_count":0,"signal_names":[]}',
    'last_signal_at', '',
    'satisfied_at', '',
    'closed_at', '',
    'close_reason', '')
end

-- Returns the rejection if a suspension asks for something that this library doesn't serve, or has
-- a number out of range. This is checked before anything is read. Else returns nil, the time at
-- which the suspension times out, which is nil if there is none, and the length of the history.
-- Both are numbers, because commands would fail on some texts that tonumber reads.
local function check_suspension(args)
  local timeout_at, history, rejection
  if args[15] == '1' then return invalid('use_pending_waitpoint is not served') end
  if is_set(args[18]) then return invalid('idempotency_key is not served') end
  if (tonumber(args[20] or 0) or 0) ~= 0 then
    return invalid('num_extra_waitpoints is not served')
  end
  if is_set(args[11]) then
    timeout_at, rejection = time_of(args[11], 'timeout_at')
    if rejection then return rejection end
  end
  history, rejection = milliseconds_of(args[17] or HISTORY_LENGTH, 'lease_history_maxlen')
  if rejection then return rejection end
  if history < 0 then
    return invalid('lease_history_maxlen must not be negative, got: ' .. args[17])
  end
  return nil, timeout_at, history
end

register('ffgrant_suspend_execution', 17, 13, function(keys, args)
  local rejection, timeout_at, history = check_suspension(args)
  if rejection then return rejection end
  local core_key, id, suspension_key = keys[1], args[1], keys[7]
  local attempt_index = args[2]
  local now, now_text = clock()
  local condition
  condition, rejection = condition_fields(args[12], now_text)
  if rejection then return rejection end

  local core = read_lease(core_key)
  if not core[PHASE] and call('EXISTS', core_key) == 0 then
    return { 0, 'execution_not_found' }
  end
  local presence
  presence, rejection = fence_presence(args[4], args[5], args[3])
  if rejection then return rejection end
  if presence == 'none' then return { 0, 'fence_required' } end
  rejection = check_live_lease(core_key, keys[4], core, now, now_text)
  if rejection then return rejection end
  if not same_fence(core, args[4], args[5], args[3]) then return { 0, 'stale_lease' } end
  if core[ATTEMPT_INDEX] ~= attempt_index then return { 0, 'invalid_lease_for_suspend' } end
  local earlier = call('EXISTS', suspension_key) == 1 and
      call('HMGET', suspension_key, 'closed_at', 'waitpoint_id')
  if earlier and not is_set(earlier[1]) then return { 0, 'already_suspended' } end
  local token
  token, rejection = waitpoint_token(keys[17], args[7], args[8], now_text)
  if rejection then return rejection end

  if earlier then
    if is_set(earlier[2]) then call('SADD', keys[14], earlier[2]) end
    call('DEL', suspension_key)
  end
  write_suspended_core(core_key, args[7], args[6], args[9], now_text)
  call('HSET', keys[2],
    'attempt_state', 'suspended',
    'suspended_at', now_text,
    'suspension_id', args[6])
  write_suspension(keys, args, token, condition, now_text)
  call('DEL', keys[3])
  call('ZREM', keys[5], id)
  call('SREM', keys[6], id)
  call('ZREM', keys[12], id)
  call('ZREM', keys[16], id)
  call('XADD', keys[4], 'MAXLEN', '~', digits(history), '*',
    'event', 'released',
    'lease_id', args[4],
    'lease_epoch', args[5],
    'attempt_index', attempt_index,
    'attempt_id', core[ATTEMPT_ID] or '',
    'reason', 'suspend',
    'ts', now_text)
  -- The score of an execution without a timeout puts it behind all that time out before 2286.
  call('ZADD', keys[13], timeout_at or 9999999999999, id)
  if timeout_at then call('ZADD', keys[10], timeout_at, id) end
  return { 1, 'OK', args[6], args[7], args[8], token, '0' }
end)

-- Closes the further waitpoints of a suspension that has several.
local function close_further_waitpoints(core_key, list_json, now_text)
  if not is_set(list_json) or list_json == '[]' then return end
  local decoded, list = pcall(cjson.decode, list_json)
  if not decoded or type(list) ~= 'table' then return end
  local stem = 'ff:wp:' .. sub(core_key, 9, find(core_key, '}', 9, true)) .. ':'
  for _, entry in ipairs(list) do
    local waitpoint = type(entry) == 'table' and entry.waitpoint_id
    if type(waitpoint) == 'string' and waitpoint ~= '' then
      local key = stem .. waitpoint
      if call('EXISTS', key) == 1 then
        call('HSET', key, 'state', 'closed', 'satisfied_at', now_text, 'closed_at', now_text,
          'close_reason', 'resumed')
      end
      if call('EXISTS', key .. ':condition') == 1 then
        call('HSET', key .. ':condition', 'closed', '1', 'closed_at', now_text,
          'closed_reason', 'resumed')
      end
    end
  end
end

register('ffgrant_resume_execution', 8, 1, function(keys, args)
  local delay, rejection = milliseconds_of(args[3] or '0', 'resume_delay_ms')
  if rejection then return rejection end
  local core_key, id = keys[1], args[1]
  local now, now_text = clock()

  local core = call('HMGET', core_key, 'lifecycle_phase', 'priority', 'created_at')
  if core[1] ~= 'suspended' then
    if call('EXISTS', core_key) == 0 then return { 0, 'execution_not_found' } end
    return { 0, 'execution_not_suspended' }
  end
  local suspension = call('HMGET', keys[2], 'suspension_id', 'closed_at',
    'additional_waitpoints_json')
  if not is_set(suspension[1]) or is_set(suspension[2]) then
    return { 0, 'execution_not_suspended' }
  end

  local eligibility, reason, detail, state = 'eligible_now', 'waiting_for_worker', '', 'waiting'
  if delay > 0 then
    eligibility, reason, state = 'not_eligible_until_time', 'waiting_for_resume_delay', 'delayed'
    detail = 'resume delay ' .. digits(delay) .. 'ms'
  end
  call('HSET', core_key,
    'lifecycle_phase', 'runnable',
    'ownership_state', 'unowned',
    'eligibility_state', eligibility,
    'attempt_state', 'attempt_interrupted',
    'terminal_outcome', 'none',
    'blocking_reason', reason,
    'blocking_detail', detail,
    'public_state', state,
    'last_transition_at', now_text,
    'last_mutation_at', now_text,
    'current_suspension_id', '',
    'current_waitpoint_id', '')
  call('ZREM', keys[8], id)
  if delay > 0 then
    call('ZADD', keys[7], now + delay, id)
  else
    call('ZADD', keys[6],
      eligible_score(tonumber(core[2]) or 0, tonumber(core[3]) or 0), id)
  end
  call('HSET', keys[3], 'state', 'closed', 'satisfied_at', now_text, 'closed_at', now_text,
    'close_reason', 'resumed')
  call('HSET', keys[2], 'satisfied_at', now_text, 'closed_at', now_text,
    'close_reason', 'resumed')
  call('ZREM', keys[5], id)
  local satisfied = keys[2] .. ':satisfied_set'
  call('DEL', satisfied, satisfied .. ':signals', keys[2] .. ':member_map')
  close_further_waitpoints(core_key, suspension[3], now_text)
  return { 1, 'OK', state }
end)

-- Makes an execution eligible if its delay is over. An execution that is gone, or is not delayed
-- any more, only leaves the delayed set. The attempt state stays as it is, because that state says
-- which claim comes next.
register('ffgrant_promote_delayed', 3, 2, function(keys, args)
  local now, rejection = milliseconds_of(args[2], 'now_ms')
  if rejection then return rejection end
  local core_key, delayed, id = keys[1], keys[2], args[1]
  local core = call('HMGET', core_key, 'lifecycle_phase', 'eligibility_state', 'delay_until',
    'priority', 'created_at')
  local stale
  if core[1] ~= 'runnable' then
    stale = not core[1] and call('EXISTS', core_key) == 0 and 'not_found_cleaned' or
        'not_runnable_cleaned'
  elseif core[2] ~= 'not_eligible_until_time' then
    stale = 'not_delayed_cleaned'
  end
  if stale then
    call('ZREM', delayed, id)
    return { 1, 'OK', stale }
  end
  -- The time of a delayed resume is stored only in the delayed set.
  local due = tonumber(core[3]) or tonumber(call('ZSCORE', delayed, id) or 0)
  if due > now then return { 1, 'OK', 'not_yet_due' } end

  local now_text = digits(now)
  call('HSET', core_key,
    'lifecycle_phase', 'runnable',
    'ownership_state', 'unowned',
    'eligibility_state', 'eligible_now',
    'terminal_outcome', 'none',
    'blocking_reason', 'waiting_for_worker',
    'blocking_detail', '',
    'public_state', 'waiting',
    'last_transition_at', now_text,
    'last_mutation_at', now_text,
    'delay_until', '')
  call('ZREM', delayed, id)
  call('ZADD', keys[3], eligible_score(tonumber(core[4]) or 0, tonumber(core[5]) or 0), id)
  return { 1, 'OK', 'promoted' }
end)

-- Installs the secret that waitpoint tokens are made with. The previous secret stays valid for as
-- many milliseconds as the third argument says.
register('ffgrant_rotate_waitpoint_hmac_secret', 1, 3, function(keys, args)
  local key, kid, secret = keys[1], args[1], args[2]
  if kid == '' or find(kid, ':', 1, true) then return { 0, 'invalid_kid' } end
  if secret == '' or not bytes_of_hex(secret) then return { 0, 'invalid_secret_hex' } end
  local grace = tonumber(args[3])
  if not grace or grace < 0 or grace > 9007199254740991 or grace % 1 ~= 0 then
    return { 0, 'invalid_grace_ms' }
  end
  local now = clock()

  local current = call('HGET', key, 'current_kid')
  if current == kid then
    local stored = call('HGET', key, 'secret:' .. kid)
    if stored and stored ~= secret then return { 0, 'rotation_conflict', kid } end
    if not stored then call('HSET', key, 'secret:' .. kid, secret) end
    return { 1, 'OK', 'noop', kid }
  end
  local removed, fields = 0, call('HGETALL', key)
  for i = 1, #fields, 2 do
    if sub(fields[i], 1, 11) == 'expires_at:' then
      local expires_at = tonumber(fields[i + 1])
      if not expires_at or expires_at <= 0 or expires_at < now then
        call('HDEL', key, fields[i], 'secret:' .. sub(fields[i], 12))
        removed = removed + 1
      end
    end
  end
  if current then
    local expires_at = digits(now + grace)
    call('HSET', key,
      'previous_kid', current,
      'previous_expires_at', expires_at,
      'expires_at:' .. current, expires_at)
  end
  call('HSET', key, 'current_kid', kid, 'secret:' .. kid, secret)
  return { 1, 'OK', 'rotated', current or '', kid, digits(removed) }
end)
